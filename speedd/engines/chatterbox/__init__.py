"""Chatterbox: cloned voices with a manner of speaking for each chunk, batched. It needs torch; its factory does not.

The way of an utterance: `text` turns it into text tokens, `prompts` and `decoder` let T3 speak it into speech tokens
(25 a second), many utterances side by side, `guards` watch over that, and `s3gen` renders the tokens as a waveform.
"""

from __future__ import annotations

from speedd.engines.chatterbox.factory import ChatterboxFactory

__all__ = ["FACTORY", "ChatterboxFactory"]

FACTORY = ChatterboxFactory()
