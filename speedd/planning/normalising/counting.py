"""Numbers in a text: years, ordinals, ranges, scores, verses, telephone numbers, and plain ones last."""

from __future__ import annotations

import re

from speedd.common.numerals import (
    cardinal,
    digits,
    in_pairs,
    number,
    ordinal,
    plural,
    two_digits,
    year,
)
from speedd.model import Notation
from speedd.planning.normalising.rules import Rule, Trait, cased, words

# --- figures that are read one by one ------------------------------------------------------------------------------

_ISBN = re.compile(r"\bISBN(?:-1[03])?:? (?P<groups>(?:97[89][- ]?)?\d{1,9}(?:[- ]\d{1,7}){0,3}(?:[- ]?[\dX])?)(?!\w)")
_PHONE = re.compile(
    r"(?<![\w.,/:–-])(?:"
    r"(?P<abroad>\+\d{1,3})(?:[ .-]?\(?\d{1,5}\)?){2,5}"
    r"|\(\d{2,5}\) ?\d{3,4}[ .-]\d{3,4}"
    r"|(?:1[.-])?(?:\d{3}[.-])?\d{3}[.-]\d{4}"
    r"|0\d{2,4} \d{3,4} ?\d{3,4}"
    r")(?![\w–-]|\.\d)"
)
_EMERGENCY = re.compile(
    r"\b(?P<verb>(?:[Dd]ial|[Cc]all)(?:l?ed|s|l?ing)?|[Rr]ing|[Rr]ang|[Pp]hone) (?P<number>911|999|112|411)"
    r"(?!\w|[.,]\d)"
)
_DOUBLE_OH = re.compile(r"(?<![\w.,:/–-])00(?P<last>[1-9])(?!\w|[.,:/]\d)")
_SERIAL = re.compile(r"(?<![\w.,:/])(?:0\d{1,30}|\d{16,60})(?!\w|[.,:/]\d|[–-]\d)")
_VERSION = re.compile(r"(?<![\w.,:/])v?(?P<parts>\d{1,4}(?:\.\d{1,4}){2,5})(?!\w|\.\d)")
_SPACED = re.compile(r"(?<![\w.,:/])\d{1,3}(?: \d{3}){1,4}(?= ?(?:km|m|kg|people|inhabitants|miles|men|years)\b)(?!\w)")
_PAIRED = re.compile(
    r"\b(?P<what>Room|Flight|Route|Highway|Boeing|Bus|Suite|Apartment|Apt\.?|Cell|Ward|Airbus A) ?"
    r"(?P<number>\d{3})(?!\w|[.,]\d)",
    re.IGNORECASE,
)


def _grouped(text: str) -> str:
    return ", ".join(digits(group) for group in re.findall(r"\d+", text))


def _isbn(match: re.Match[str]) -> str:
    last = ", X" if match["groups"].endswith("X") else ""
    return f"ISBN {_grouped(match['groups'])}{last}"


def _phone(match: re.Match[str]) -> str:
    return cased(match, ("plus " if match["abroad"] else "") + _grouped(match[0]))


# --- verses, scores, ranges ----------------------------------------------------------------------------------------

_SCRIPTURE = (
    "Genesis|Exodus|Leviticus|Numbers|Deuteronomy|Joshua|Judges|Ruth|Samuel|Kings|Chronicles|Ezra|Nehemiah|Esther|Job"
    "|Psalms?|Proverbs|Ecclesiastes|Song of Songs|Isaiah|Jeremiah|Lamentations|Ezekiel|Daniel|Hosea|Joel|Amos|Obadiah"
    "|Jonah|Micah|Nahum|Habakkuk|Zephaniah|Haggai|Zechariah|Malachi|Matthew|Mark|Luke|John|Acts|Romans|Corinthians"
    "|Galatians|Ephesians|Philippians|Colossians|Thessalonians|Timothy|Titus|Philemon|Hebrews|James|Peter|Jude"
    "|Revelation"
)
_NUMBERED_BOOK = re.compile(
    r"(?<![\w.,:/])(?P<number>[123]|I{1,3}) (?P<book>Samuel|Kings|Chronicles|Corinthians|Thessalonians|Timothy|Peter"
    r"|John)(?= \d{1,3}\b)"
)
_VERSE = re.compile(
    rf"\b(?P<book>{_SCRIPTURE}) (?P<chapter>\d{{1,3}}):(?P<verse>\d{{1,3}})(?:[–-](?P<last>\d{{1,3}}))?(?!\w|:\d)"
)
_NIL = re.compile(
    r"\b(?P<before>(?:won|win|lost|lose|beat|beaten|drew|draw|led|lead|leading|scored?|ahead|defeated)"
    r"(?: [\w']{1,20}){0,4} )"
    r"(?P<goals>\d{1,2})\s?[–-]\s?0(?!\w|[.,]\d|[–-])"
)
_RATIO = re.compile(  # what is no time of day, or follows such a word
    r"(?<![\w.,:/])\d{1,4}:(?:\d(?!\d)|\d{3,4})(?![\w:]|\.\d)|(?<=ratio of )\d{1,4}:\d{2}(?![\w:]|\.\d)"
)
_RANGE = re.compile(
    r"(?<![\w.,:/–$£€-])(?P<first>\d{1,3}(?:,\d{3})+|\d{1,6}(?:\.\d{1,4})?)(?: ?– ?|-)"
    r"(?P<last>\d{1,3}(?:,\d{3})+|\d{1,6}(?:\.\d{1,4})?)(?P<nth>th|st|nd|rd)?(?!\w|[–/:]|[.,]\d|-\d)"
)
_LETTERS_RANGE = re.compile(r"(?<![\w–-])(?P<first>[A-Z])–(?P<last>[A-Z])(?![\w–-])")
_FIRST_YEAR, _LAST_YEAR = 1000, 2099


def _verse(match: re.Match[str]) -> str:
    said = f"{match['book']} {cardinal(int(match['chapter']))} {cardinal(int(match['verse']))}"
    return f"{said} to {cardinal(int(match['last']))}" if match["last"] else said


def _numbered_book(match: re.Match[str]) -> str:
    which = {"1": "First", "I": "First", "2": "Second", "II": "Second"}.get(match["number"], "Third")
    return f"{which} {match['book']}"


def _range(match: re.Match[str]) -> str:
    first, last = match["first"], match["last"]
    if match["nth"]:
        if not (first.isdecimal() and last.isdecimal()):
            return match[0]
        return cased(match, f"{ordinal(int(first))} to {ordinal(int(last))}")
    if len(first) == 4 and first.isdecimal() and _FIRST_YEAR <= int(first) <= _LAST_YEAR:  # noqa: PLR2004
        if len(last) == 4 and last.isdecimal():  # noqa: PLR2004
            return cased(match, f"{year(int(first))} to {year(int(last))}")
        if len(last) <= 2:  # noqa: PLR2004
            ends = int(last) if len(last) == 2 else int(first[2] + last)  # noqa: PLR2004
            return cased(match, f"{year(int(first))} to {two_digits(ends)}")
    return cased(match, f"{number(first)} to {number(last)}")


# --- ordinals and years --------------------------------------------------------------------------------------------

_ORDINAL = re.compile(r"(?<![\w.,/])(?P<number>\d{1,3}(?:,\d{3}){1,4}|\d{1,12})(?:st|nd|rd|th)\b")
_SHOUTED_ORDINAL = re.compile(r"(?<![\w.,/])(?P<number>\d{1,12})(?:ST|ND|RD|TH)\b")
_DECADE = re.compile(r"(?<![\w.,/])(?P<number>[1-9]\d?\d?0)['’]?s\b|(?<!\w)['’](?P<short>[1-9]0)['’]?s\b")
_SHORT_YEAR = re.compile(r"(?<![\w’'])['’‘](?P<year>\d\d)(?!['’\w]|[.,]\d)")
_FOUR = re.compile(
    r"(?<![\w.,:/$£€#–])(?<!\d-)(?<!\s-)(?P<number>[1-9]\d{3})(?!\w|[.,:/]\d|[’']\d|[–]\d)(?P<hyphen>-\w)?"
)
_LEFT_WORD = re.compile(r"([\w.]+)[,(]? ?\(?$")
_RIGHT_WORD = re.compile(r" ([a-z]+)\b")
_SURELY_YEAR = frozenset(
    words(
        "in since until till year anno circa c born died early late mid spring summer autumn fall winter january "
        "february march april may june july august september october november december christmas easter during "
        "copyright"
    )
)
_PERHAPS_YEAR = frozenset(words("of by from before after between to and on for was about around is"))
_COUNTED = frozenset(
    words(
        "men women people children feet sheep horse foot tons miles head souls dead million billion thousand hundred "
        "odd or more square cubic percent kilometres kilometers metres meters kilograms dollars pounds euros troops "
        "cattle fish"
    )
)
_NO_PLURAL = frozenset(
    words(
        "was is has his as does this us its yes perhaps always sometimes thus towards afterwards besides less unless "
        "across nevertheless regardless alas plus versus others"
    )
)
_MODERN = 1100


def _decade(match: re.Match[str]) -> str:
    written = match["number"] or match["short"]
    value = int(written)
    return cased(match, plural(year(value) if len(written) == 4 else cardinal(value)))  # noqa: PLR2004


def _is_year(match: re.Match[str]) -> bool:
    """Whether four digits are a year, by what stands around them: "in 1500", but "1500 men"."""
    value = int(match["number"])
    left = _LEFT_WORD.search(match.string[max(0, match.start() - 24) : match.start()])
    right = _RIGHT_WORD.match(match.string, match.end())
    before = left[1].rstrip(".").lower() if left else ""
    after = right[1] if right else ""
    if before in _SURELY_YEAR or before[-3:] == "mid":
        return value <= _LAST_YEAR or before == "year"
    counted = after in _COUNTED or (
        len(after) > 3 and after[-1] == "s" and after[-2:] != "ss" and after not in _NO_PLURAL  # noqa: PLR2004
    )
    if counted or match["hyphen"]:
        return False
    return _MODERN <= value <= _LAST_YEAR or (before in _PERHAPS_YEAR and _FIRST_YEAR < value < _MODERN)


def _count(match: re.Match[str]) -> str:
    if _is_year(match):
        return match[0]
    return cased(match, cardinal(int(match["number"]))) + (match["hyphen"] or "")


def _year(match: re.Match[str]) -> str:
    return cased(match, year(int(match["number"]))) + (match["hyphen"] or "")


# --- plain numbers -------------------------------------------------------------------------------------------------

_ROUND = re.compile(  # engines that take decimals for a quantity leave the last nought out
    r"(?<![\w.,:/–-])(?P<number>(?:\d{1,3}(?:,\d{3}){1,4}|\d{1,15})\.\d{0,11}0)(?!\w|[.,:/]\d)"
)
_POINT = re.compile(r"(?<![\w.,:/])\.(?P<digits>\d{1,12})(?!\w|[.,:/]\d)")
_PLAIN = re.compile(
    r"(?<![\w.])(?P<sign>-(?=\d))?(?P<number>(?:\d{1,3}(?:,\d{3}){1,5}|\d{1,15})(?:\.\d{1,12})?)(?![\w]|\.\d)"
)


def _plain(match: re.Match[str]) -> str:
    return cased(match, number((match["sign"] or "") + match["number"]))


RULES = (
    Rule(Trait.DIGIT, _ISBN, _isbn),
    Rule(Trait.DIGIT, _NUMBERED_BOOK, _numbered_book),
    Rule(Trait.DIGIT, _VERSE, _verse),
    Rule(Trait.DIGIT, _PHONE, _phone),
    Rule(Trait.DIGIT, _EMERGENCY, lambda match: f"{match['verb']} {digits(match['number'])}"),
    Rule(Trait.DIGIT, _DOUBLE_OH, lambda match: cased(match, f"double oh {cardinal(int(match['last']))}")),
    Rule(
        Trait.DIGIT, _VERSION, lambda match: " point ".join(cardinal(int(part)) for part in match["parts"].split("."))
    ),
    Rule(Trait.DIGIT, _SPACED, lambda match: match[0].replace(" ", ",")),
    Rule(Trait.DIGIT, _PAIRED, lambda match: f"{match['what']} {in_pairs(match['number'])}"),
)
"""Before everything that looks for numbers."""

LAST_RULES = (
    Rule(Trait.DIGIT, _NIL, lambda match: f"{match['before']}{cardinal(int(match['goals']))} nil"),
    Rule(Trait.DIGIT, _RANGE, _range),
    Rule(Trait.MARK, _LETTERS_RANGE, r"\g<first> to \g<last>"),
    Rule(Trait.DIGIT, _RATIO, lambda match: cased(match, " to ".join(number(part) for part in match[0].split(":")))),
    Rule(Trait.DIGIT, _SHOUTED_ORDINAL, lambda match: cased(match, ordinal(int(match["number"])))),
    Rule(
        Trait.DIGIT,
        _ORDINAL,
        lambda match: cased(match, ordinal(int(match["number"].replace(",", "")))),
        Notation.ORDINALS,
    ),
    Rule(Trait.DIGIT, _DECADE, _decade, Notation.YEARS),
    Rule(Trait.DIGIT, _SHORT_YEAR, lambda match: cased(match, two_digits(int(match["year"]))), Notation.YEARS),
    Rule(Trait.DIGIT, _FOUR, _count),
    Rule(Trait.DIGIT, _FOUR, _year, Notation.YEARS),
    Rule(Trait.DIGIT, _SERIAL, lambda match: cased(match, digits(match[0]))),
    Rule(Trait.DIGIT, _ROUND, lambda match: cased(match, number(match["number"]))),
    Rule(Trait.DIGIT, _POINT, lambda match: f"point {digits(match['digits'])}"),
    Rule(Trait.DIGIT, _PLAIN, _plain, Notation.CARDINALS),
)
"""After everything that knows better what a number is."""
