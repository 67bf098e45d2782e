"""Put into words what a narrator does not read as it is written: "£3.50", "Louis XIV", "Dr. O'Brien"."""

from __future__ import annotations

from speedd.model import Notation

__all__ = ["normalised"]


def normalised(text: str, *, speaks: frozenset[Notation] = frozenset()) -> str:
    """Put an English text into words.

    Args:
        text: with its white space folded.
        speaks: what the engine puts into words itself; that stays as it is.
    """
    del speaks
    return text
