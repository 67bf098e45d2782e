"""The half of the executor in the main process: it starts workers, hands them utterances and hears what they say."""
