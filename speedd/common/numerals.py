"""Numbers in English words, "two hundred and five", and Roman numerals, both ways."""

from __future__ import annotations

import re
from typing import Final

NUMBER = r"(?:\d{1,3}(?:,\d{3}){1,6}|\d{1,15})(?:\.\d{1,12})?"
"""An unsigned number in figures."""

_ONES = (  # noqa: SIM905 - easier to read than twenty literals
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
_TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905
_SCALES = ("", " thousand", " million", " billion", " trillion", " quadrillion")
_MOST_DIGITS = 15
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_LAST_WORD = re.compile(r"[a-z]+$")
_ROMAN = re.compile(r"(?=[MDCLXVI])M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})", re.IGNORECASE)
_ROMAN_VALUES = {
    "M": 1000, "CM": 900, "D": 500, "CD": 400, "C": 100, "XC": 90, "L": 50, "XL": 40, "X": 10, "IX": 9, "V": 5, "IV": 4,
    "I": 1,
}  # fmt: skip


def cardinal(number: int) -> str:
    """Say a whole number: "one thousand two hundred and five"; beyond quadrillions digit by digit."""
    if len(str(abs(number))) > _MOST_DIGITS:
        return digits(str(number))
    if number < 0:
        return f"minus {cardinal(-number)}"
    if number < 1000:  # noqa: PLR2004
        return _below_thousand(number)
    parts = []
    scale = 0
    rest = number
    while rest:
        rest, group = divmod(rest, 1000)
        if group:
            # "two thousand and five"
            joined = "and " if scale == 0 and group < 100 else ""  # noqa: PLR2004
            parts.append(f"{joined}{_below_thousand(group)}{_SCALES[scale]}")
        scale += 1
    return " ".join(reversed(parts))


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    words = f"{_ONES[hundreds]} hundred" if hundreds else ""
    if rest or not hundreds:
        words += " and " if words else ""
        tens, ones = divmod(rest, 10)
        words += _ONES[rest] if rest < len(_ONES) else _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")
    return words


def ordinal(number: int) -> str:
    """Say a place in a row: "twenty-first"."""
    return as_ordinal(cardinal(number))


def as_ordinal(words: str) -> str:
    """The ordinal of a cardinal in words."""
    last = _LAST_WORD.search(words)
    assert last is not None
    word = last[0]
    become = _ORDINALS.get(word) or (word[:-1] + "ieth" if word.endswith("y") else word + "th")
    return words[: last.start()] + become


def plural(words: str) -> str:
    """Say several of it: "twenties", "sixes"."""
    if words.endswith("y"):
        return words[:-1] + "ies"
    return words + ("es" if words.endswith("x") else "s")


def year(number: int) -> str:
    """Say a year: "nineteen oh five", "two thousand and five", "twenty ten"."""
    century, rest = divmod(number, 100)
    if not 10 <= century < 100 or (century % 10 == 0 and rest < 10):  # noqa: PLR2004
        return cardinal(number)
    return f"{cardinal(century)} {two_digits(rest) if rest else 'hundred'}"


def two_digits(number: int) -> str:
    """The end of a year, or minutes: "oh five", "twelve"."""
    return cardinal(number) if number >= 10 else f"oh {cardinal(number)}"  # noqa: PLR2004


def in_pairs(number: str) -> str:
    """The number of a room, a flight or a house: "one oh one", "two twenty-one", "twelve hundred"."""
    if number.startswith("0") or len(number) > 4:  # noqa: PLR2004
        return digits(number)
    head, rest = divmod(int(number), 100)
    if not head or (head % 10 == 0 and not rest):
        return cardinal(int(number))
    return f"{cardinal(head)} {two_digits(rest) if rest else 'hundred'}"


def digits(text: str) -> str:
    """Digit by digit."""
    return " ".join(_ONES[int(sign)] for sign in text if sign.isdecimal())


def number(text: str) -> str:
    """A number in figures in words: "1,234.50" is "one thousand two hundred and thirty-four point five zero"."""
    sign = "minus " if text[:1] in "-−" else ""
    whole, _, fraction = text.lstrip("-−").replace(",", "").partition(".")
    if len(whole) > _MOST_DIGITS or (len(whole) > 1 and whole.startswith("0")):
        words = digits(whole)
    else:
        words = cardinal(int(whole)) if whole else ""
    return sign + " ".join(filter(None, [words, f"point {digits(fraction)}" if fraction else ""]))


def is_one(text: str) -> bool:
    """Whether a number in figures is followed by a singular."""
    return text in ("1", "-1", "−1")


def roman(numeral: str) -> int:
    """The value of a Roman numeral in either case; 0 if it is none."""
    if not _ROMAN.fullmatch(numeral):
        return 0
    values = [_ROMAN_VALUES[letter] for letter in numeral.upper()]
    return sum(-value if value < after else value for value, after in zip(values, [*values[1:], 0], strict=True))


def as_roman(number: int) -> str:
    """A number from 1 to 3999 in Roman numerals, in capitals."""
    numeral = ""
    for sign, value in _ROMAN_VALUES.items():
        numeral += sign * (number // value)
        number %= value
    return numeral


NUMBER_WORDS: Final[dict[str, int]] = {
    word: value for value in (*range(1, 20), *range(20, 100, 10)) for word in (cardinal(value), ordinal(value))
}
"""The value of every number below a hundred that is one word: "two", "second", "twenty", "twentieth"."""
