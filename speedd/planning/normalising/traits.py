"""What a text has that rules ask for, found at a fraction of what trying them would cost."""

from __future__ import annotations

import re

from speedd.planning.normalising.abbreviations import FRENCH, LAST_WORDS, WITHOUT_STOP
from speedd.planning.normalising.romans import THRONES
from speedd.planning.normalising.rules import Trait, alternatives

_DIGIT = re.compile(r"[0-9½⅓⅔¼¾⅕-⅞⅐⅑⅒₀-₉]")
# A stop with text after it, or after a word that is shortened; a title without one.
_INNER_STOP = re.compile(r"\.(?=[^\s.\"'”’)\]…]|,| [a-z\d—])|[^\W\d_]\.(?= ?[A-Z\U000f0000-\U000ffffd\"“(])")
_SHORTENED = re.compile(rf"(?:\b[A-Za-z]|\b(?:{alternatives(LAST_WORDS)}))\.[\"'”’)\]!?,;:]*$")
_LONGEST_SHORTENED = 16
_TITLE = re.compile(
    rf"(?:{alternatives((*WITHOUT_STOP, *FRENCH))}) [A-Z\U000f0000-\U000ffffda]|[ (]vs |[&]c|Xmas|[A-Za-z]/|–"
)
_CAPITALS = re.compile(r"[A-Z]['’]?[A-Z]")
_ROMAN = re.compile(
    r"\b(?:[VX]|[IVX]{2,9}|[MDCLXVI]{2,9}|[vx]|[xvi]{2,7})\b|\b[XVI]{1,6}(?:th|st|nd|rd)\b|WWI"
    rf"|[a-z] I(?:[’']s\b|[^\w’' ]|$| (?:of|and|to|in|by)\b)|(?:{THRONES}) [A-Z][a-z]+ I\b"
    r"|\bI (?:Samuel|Kings|[A-Z][a-z]+s \d)"
)
_SIGN = re.compile(r"[^\w\s.,;:!?'\"“”‘’()—–…-]|[⁰-⁹²³¹\ufe0f_]")
_MARK = re.compile(r"[!?]{2}|[‽⁉⁈«„‟»–]|[:;=]['’-]?[-()DPp|/*Oo](?!\w)")


def traits_of(text: str) -> Trait:
    """Return what a text has."""
    has = Trait(0)
    if _DIGIT.search(text):
        has |= Trait.DIGIT
    if _INNER_STOP.search(text) or _SHORTENED.search(text[-_LONGEST_SHORTENED:]) or _TITLE.search(text):
        has |= Trait.DOT
    if _CAPITALS.search(text):
        has |= Trait.CAPITALS
    if _ROMAN.search(text):
        has |= Trait.ROMAN
    if _SIGN.search(text):
        has |= Trait.SIGN
    # Quotes inside quotes need two kinds, and are looked at only where both are.
    if _MARK.search(text) or ("‘" in text and "“" in text):
        has |= Trait.MARK
    return has
