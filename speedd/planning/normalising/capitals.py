"""Words in capitals: shouted ones are calmed, acronyms stay."""

from __future__ import annotations

import re

from speedd.common.numerals import roman
from speedd.planning.normalising.rules import Rule, Trait
from speedd.planning.normalising.shouted import ACRONYMS, COMMON_WORDS

_TWO_LETTERS = frozenset({"it", "us", "a", "i"})
"""Words in a row of capitals; alone "IT" and "US" are names."""
_SHORTEST_WORD = 6
"""A word that is longer than most acronyms."""

_WORD = r"[A-Z]+(?:['’][A-Z]+)*"
_RUN = re.compile(
    rf"(?<![\w.&@#/'’-])(?!(?<=\d )[AP]M\b)(?:{_WORD})(?:[ ,;:—–-]{{1,3}}(?:{_WORD})(?!\w|\.\w))*"
    r"(?!\w|\.[A-Za-z]|[&@/]| and [B-HJ-Z](?!\w))"
)
_TOKEN = re.compile(_WORD)
_ONESELF = re.compile(r"i(?:['’](?:m|d|ll|ve))?")
_VOWELS = re.compile(r"[AEIOUY]")
_CONSONANTS = re.compile(r"[BCDFGHJKLMNPQRSTVWXZ]{5}")
_OPENS = re.compile(r"(?:^|[.!?…][\"'”’)\]]*\s|[“\"(\[])[\"'“‘(\[]*$")
_LOOK_BACK = 12
_MANY = 3
_LONGEST_UNKNOWN = 3  # "the CIA, MIA, ABC"


def _calmed(match: re.Match[str]) -> str:
    run = match[0]
    tokens = _TOKEN.findall(run)
    longer = [token for token in tokens if len(token) > 1]
    if not longer:
        return run
    is_row = len(longer) > 1 and (
        any(map(_is_common, longer)) or (len(longer) >= _MANY and min(map(len, longer)) > _LONGEST_UNKNOWN)
    )

    def one(found: re.Match[str]) -> str:
        word = found[0]
        if not _is_shouted(word, is_row=is_row, alone=len(tokens) == 1):
            return word
        before = (match.string[max(0, match.start() - _LOOK_BACK) : match.start()] + run[: found.start()])[-_LOOK_BACK:]
        opens = bool(_OPENS.search(before)) and (len(before) < _LOOK_BACK or before.strip("\"'“‘([") != "")
        calm = word.lower()
        is_name = is_row and not _is_common(word) and calm not in _TWO_LETTERS
        return calm[:1].upper() + calm[1:] if opens or is_name or _ONESELF.fullmatch(calm) else calm

    return _TOKEN.sub(one, run)


def _is_common(word: str) -> bool:
    return word.lower().replace("’", "'") in COMMON_WORDS


def _is_shouted(word: str, *, is_row: bool, alone: bool) -> bool:
    if word in ACRONYMS or (roman(word) and not _is_common(word)):
        return False
    if _is_common(word):
        return not (alone and len(word) == 1)
    if is_row:
        return word.lower() in _TWO_LETTERS or bool(_VOWELS.search(word))
    return len(word) >= _SHORTEST_WORD and bool(_VOWELS.search(word)) and not _CONSONANTS.search(word)


RULES = (Rule(Trait.CAPITALS, _RUN, _calmed),)
