"""Lines of a text: which are wrapped prose, to be joined, and which are heard as lines."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence

from speedd.reading.structure.wording import fold

_ITALICS = re.compile(r"(?<![^\W_])_(?=\S)([^_]{1,2000}?)(?<=\S)_(?![^\W_])")
_LEAST_WRAPPED_CHARS = 45
"""Wrapped prose has lines about as long as its margin allows; verse seldom has."""
_LONGEST_VERSE_CHARS = 90


def unwrap(stanza: Sequence[str]) -> str:
    """Join hard-wrapped lines. A word that was parted at its own hyphen or a dash comes together again."""
    text = ""
    for line in map(str.strip, stanza):
        parted = text.endswith(("-", "—")) and len(text) > 1 and not text[-2].isspace()
        text += line if not text or (parted and not line.startswith(("-", "—"))) else f" {line}"
    return fold(_ITALICS.sub(r"\1", text))


def without_italics(line: str) -> str:
    """Take out the underscores that stand for italics in plain text."""
    return _ITALICS.sub(r"\1", line)


def join_lines(lines: Sequence[str]) -> str:
    """Join the lines of a paragraph in which somebody set line ends: kept where they are heard, else spaces.

    Args:
        lines: with white space folded; none is empty.
    """
    return ("\n" if are_heard(lines) else " ").join(lines)


def are_heard(lines: Sequence[str]) -> bool:
    """Say whether line ends are meant: verse, an address, a letter's head; not prose that somebody wrapped."""
    if len(lines) < 2 or max(map(len, lines)) > _LONGEST_VERSE_CHARS:  # noqa: PLR2004 - a line end needs two lines
        return False
    low = sum(1 for line in lines[1:] if line[0].islower())
    wrapped = statistics.median(map(len, lines[:-1])) >= _LEAST_WRAPPED_CHARS
    return not (wrapped and low * 3 > len(lines) - 1)
