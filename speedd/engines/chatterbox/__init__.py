"""Chatterbox: cloned voices with a manner of speaking for each chunk, batched. It needs torch."""
