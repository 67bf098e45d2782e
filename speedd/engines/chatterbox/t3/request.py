"""What T3 is asked to speak, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from speedd.engines.chatterbox.voices.conditioning import Conditioning
from speedd.model import Style


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be spoken."""

    key: str
    text: Sequence[int]
    """Its tokens."""
    voice: Conditioning
    style: Style
    seed: int
    cap: int
    """Speech tokens at most."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """What T3 said."""

    request: Request
    tokens: tuple[int, ...]
    """Speech tokens, without the one that ends them."""
    reason: str
    """Why it stopped; see `guards`."""
    positions: tuple[int, ...] = ()
    """In the text, at each token; empty for models without alignment heads."""
