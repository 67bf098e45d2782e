"""What a rule of normalisation is, and what it may ask of the text around a match."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Flag, auto

from speedd.model import Notation


class Trait(Flag):
    """What a text has to have before a rule is worth trying on it."""

    DIGIT = auto()  # a digit or a fraction
    DOT = auto()  # a stop that may not end a sentence, or an abbreviation without one
    CAPITALS = auto()  # two capitals in a row
    ROMAN = auto()  # a word made of the letters of Roman numerals
    SIGN = auto()  # a character that prose does without
    MARK = auto()  # quotes inside quotes, or foreign ones; marks in a row; a short dash


@dataclass(frozen=True, slots=True)
class Rule:
    """Something that is not read as it is written."""

    trait: Trait
    pattern: re.Pattern[str]
    """Takes time linear in the text, whatever the text: its repeats are bounded or cannot match in two ways."""
    words: Callable[[re.Match[str]], str] | str
    """What is said instead, or a template for `re.sub`. The match itself, where it is something else after all."""
    notation: Notation | None = None
    """An engine that speaks this is left to it."""


# What a sentence may begin with where an abbreviation stands before it: "… in the U.S. He …", but "the U.S. Army".
STARTERS = (
    "He|She|It|They|We|You|I|The|Then|There|This|That|These|Those|But|And|Or|So|My|His|Her|Our|Your|Their|Its|When|What"
    "|Where|Who|Why|How|If|In|On|At|As|By|For|From|With|After|Before|No|Yes|Not|Now|All|A|An|Nobody|Everyone|Some"
)
_ENDS = re.compile(rf"[\"'”’)\]]*(?:$|\s+[\"'“‘(]*(?:{STARTERS})\b)")
_BEGINS = re.compile(r"(?:^|[.!?…][\"'”’)\]]*\s)[\"'“‘(\[«]*$")
_LOOK_BACK = 12

CAPITAL = "[A-ZÀ-ÖØ-Þ\U000f0000-\U000ffffd]"
"""A capital letter, or what stands in for a word that has a pronunciation."""


def stop_after(match: re.Match[str]) -> str:
    """The full stop that an abbreviation leaves behind if a sentence ends with it, else nothing."""
    return "." if match[0].endswith(".") and _ENDS.match(match.string, match.end()) else ""


def begins_sentence(match: re.Match[str]) -> bool:
    """Whether a sentence begins with the match."""
    return bool(_BEGINS.search(match.string[max(0, match.start() - _LOOK_BACK) : match.start()]))


def cased(match: re.Match[str], words: str) -> str:
    """Words with a capital if a sentence begins with them."""
    return words[:1].upper() + words[1:] if words[:1].islower() and begins_sentence(match) else words


def words(line: str) -> tuple[str, ...]:
    """The words of a line."""
    return tuple(line.split())


def alternatives(words: Iterable[str]) -> str:
    """A pattern for any of these words, the longest first."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
