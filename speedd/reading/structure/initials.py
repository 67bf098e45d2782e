"""Initials: the large first letter of a chapter, set apart for its looks, belongs to its word."""

from __future__ import annotations

import re

MARK = "\x1d"
"""Stands after a letter that is set apart, until its paragraph is whole."""

INITIAL = re.compile(r"[“\"'‘«(\[]{0,2}[^\W\d_]")
_CLASS = re.compile(r"(?:^|[\s_-])(?:drop-?caps?|dropped|initial|first-?letter|lettrine|big-?cap|fancy)(?:$|[\s_\d-])")
_APART = re.compile(rf"\s*([“\"'‘«(\[]{{0,2}}[^\W\d_]){MARK}(\s*)")
_WORDS_ALONE = frozenset("aio")
"""Letters that are words: "I saw", "A man", "O sea"."""
_TWO_LETTER_WORDS = frozenset({
    "ah", "am", "an", "as", "at", "be", "by", "do", "go", "ha", "he", "hi", "if", "in", "is", "it", "lo", "ma", "me",
    "my", "no", "of", "oh", "on", "or", "ox", "pa", "so", "to", "up", "us", "we", "ye",
})  # fmt: skip
_ONSETS = frozenset({
    "bl", "br", "ch", "cl", "cr", "dr", "dw", "fl", "fr", "gh", "gl", "gn", "gr", "kn", "ph", "pl", "pr", "ps", "qu",
    "rh", "sc", "sh", "sk", "sl", "sm", "sn", "sp", "sq", "st", "sw", "th", "tr", "ts", "tw", "wh", "wr",
})  # fmt: skip
_VOWELS = frozenset("aeiouyAEIOUY")


def is_initial_class(classes: str) -> bool:
    """Say whether the classes of an element call it an initial."""
    return bool(_CLASS.search(classes.lower()))


def join_initial(text: str) -> str:
    """Put an initial before its word: ``T{MARK} he sea`` is "The sea", ``I{MARK} saw`` is "I saw"."""
    match = _APART.match(text)
    if match is None:
        return text.replace(MARK, "")
    rest = text[match.end() :].replace(MARK, "")
    letter = match[1]
    space = " " if match[2] and _stands_alone(letter[-1], rest) else ""
    return f"{letter}{space}{rest}"


def _stands_alone(letter: str, rest: str) -> bool:
    """Say whether a letter with space behind it is a word of its own."""
    word = re.match(r"[^\W\d_]*", rest)
    following = word[0] if word else ""
    if not following:
        return True
    if letter.lower() not in _WORDS_ALONE:
        return False
    if len(following) <= 2:  # noqa: PLR2004 - "I t was", "A n old", but "I am"
        return following.lower() in _TWO_LETTER_WORDS
    first, second = following[0], following[1]
    return first in _VOWELS or second in _VOWELS or (first + second).lower() in _ONSETS
