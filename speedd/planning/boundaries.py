"""What stands at the end of a text, and so how long the silence after it is."""

from __future__ import annotations

import re

from speedd.model import Boundary

_CLOSERS = "\"'”’»)]}*_」』）》"
_MARKS = {
    mark: boundary
    for marks, boundary in (
        (".。", Boundary.PERIOD),
        ("?？", Boundary.QUESTION_MARK),
        ("!！", Boundary.EXCLAMATION),
        ("—–―-", Boundary.DASH),
        ("…", Boundary.ELLIPSIS),
        (",，、", Boundary.COMMA),
        (";；", Boundary.SEMICOLON),
        (":：", Boundary.COLON),
    )
    for mark in marks
}
_ELLIPSIS = re.compile(r"(?:\.\s?){3}$")
_BREAK = re.compile(r"[*#—\s]+")
_FEWEST_BREAK_MARKS = 3
_INVISIBLE = str.maketrans("", "", "\u200b\u200c\u200d\u2060\ufeff\u00ad")


def boundary_of(text: str) -> Boundary:
    """Read the boundary off the last punctuation of a text; closing quotes and brackets are looked through."""
    # The end alone: texts from a chunk JSON may be of any length.
    end = text[-16:].translate(_INVISIBLE).rstrip()
    bare = end.rstrip(_CLOSERS + " ")
    if _ELLIPSIS.search(bare):
        return Boundary.ELLIPSIS
    if bare and bare[-1] in _MARKS:
        return _MARKS[bare[-1]]
    return Boundary.QUOTE_END if bare != end else Boundary.NONE


def boundary_after_sentence(text: str) -> Boundary:
    """Read the boundary off a text with which a sentence ends.

    An ellipsis in mid-sentence is a short catch of breath; at its end the voice trails off, and the listener needs as
    much time as after a full stop.
    """
    boundary = boundary_of(text)
    return Boundary.PERIOD if boundary is Boundary.ELLIPSIS else boundary


def is_section_break(text: str) -> bool:
    """Whether a line is made of three or more ``*``, ``#`` or ``—`` and nothing else."""
    return bool(_BREAK.fullmatch(text)) and sum(not mark.isspace() for mark in text) >= _FEWEST_BREAK_MARKS
