"""Chatterbox: cloned voices with a manner of speaking for each chunk, batched. It needs torch; its factory does not.

The way of an utterance: `t3.text` turns it into text tokens. `t3.prompts` and `t3.decoder` let T3 speak them as speech
tokens (25 a second), many utterances side by side, and `t3.guards` checks what it speaks. `s3gen` renders the tokens as
a waveform.
"""

from __future__ import annotations

from speedd.engines.chatterbox.factory import ChatterboxFactory

__all__ = ["FACTORY", "ChatterboxFactory"]

FACTORY = ChatterboxFactory()
