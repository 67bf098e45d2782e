"""Run utterances through engine workers."""
