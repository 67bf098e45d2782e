"""Dates and times."""

from __future__ import annotations

import re

from speedd.common.numerals import cardinal, ordinal, two_digits, year
from speedd.model import Notation
from speedd.planning.normalising.rules import STARTERS, Rule, Trait, alternatives, cased, stop_after, words

_MONTHS = words("January February March April May June July August September October November December")
_SHORT = {month[:3]: month for month in _MONTHS} | {"Sept": "September"}
_MONTH = rf"(?:{alternatives([*_MONTHS, *_SHORT])})"
_DAY = r"(?:[12]\d|3[01]|0?[1-9])"
_YEAR = r"(?:[12]\d{3})(?![\d,]\d|\d|-\d|[–-]\d|s\b)"
_DAYS = {
    "Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday", "Wed": "Wednesday", "Weds": "Wednesday",
    "Thu": "Thursday", "Thur": "Thursday", "Thurs": "Thursday", "Fri": "Friday", "Sat": "Saturday", "Sun": "Sunday",
}  # fmt: skip
_WEEKDAY = alternatives(_DAYS)

_DAY_MONTH = re.compile(
    rf"(?P<the>\b[Tt]he )?(?<![\w.,:/–-])(?P<day>{_DAY})(?P<nth>st|nd|rd|th)?(?P<of> of)? (?P<month>{_MONTH})\b"
    rf"(?P<stop>\.(?=,? \d|[\"'”’)\]]*(?:$| (?:{STARTERS})\b)| [a-z]))?(?P<year>(?:,? {_YEAR}))?"
)
_MONTH_DAY = re.compile(
    rf"\b(?P<month>{_MONTH})\.? (?P<day>{_DAY})(?:st|nd|rd|th)?(?P<year>,? {_YEAR})?(?![\w/:%]|[.,:]\d|[–-]\d)"
)
_DAYS_MONTH = re.compile(
    rf"(?P<the>\b[Tt]he )?(?<![\w.,:/])(?P<first>{_DAY})\s?[–-]\s?(?P<last>{_DAY}) (?P<month>{_MONTH})\b"
    rf"(?P<year>,? {_YEAR})?"
)
_MONTH_DAYS = re.compile(
    rf"\b(?P<month>{_MONTH})\.? (?P<first>{_DAY})\s?[–-]\s?(?P<last>{_DAY})(?!\w|[.,:]\d)(?P<year>,? {_YEAR})?"
)
_ISO = re.compile(r"(?<![\w-])(?P<year>[12]\d{3})-(?P<month>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12]\d|3[01])(?![\w-])")
_SLASHED = re.compile(r"(?<![\w/.])(?P<first>\d{1,2})/(?P<second>\d{1,2})/(?P<year>[12]\d{3}|\d{2})(?![\w/])")
_SHORT_MONTH = re.compile(r"\b(?P<month>Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept|Sep|Oct|Nov|Dec)\.(?=,? \d| [a-z])")
_SHORT_DAY = re.compile(rf"\b(?P<day>{_WEEKDAY})\.(?=,| (?:[a-z\d]|{_MONTH}\b))")
_DAY_RANGE = re.compile(rf"\b(?P<first>{_WEEKDAY})\.?\s?[–-]\s?(?P<last>{_WEEKDAY})\b(?!\.)")

_SPAN = re.compile(
    r"(?<=\d)(?P<half>\s?[ap]\.?m\.?)?\s?[–-]\s?(?=\d{1,2}:\d\d\b|\d{1,2}(?::\d\d)?\s?[ap]\.?m\b)", re.IGNORECASE
)
_STOPPED = re.compile(r"(?<![\w.,:])(?P<hour>1[0-2]|0?[1-9])\.(?P<minute>[0-5]\d)(?=\s?[ap]\.?m\b)", re.IGNORECASE)
_BRITISH = re.compile(  # "at 10.30", "the 9.15 train"
    r"\b(?P<before>[Aa]t|[Uu]ntil|[Tt]ill) (?P<hour>2[0-3]|1\d|[1-9])\.(?P<minute>[0-5]\d)(?![\w%:]|[.,]\d"
    r"| (?:percent|per|times|million|billion|points?|degrees|k?m|miles|metres|dollars|pounds)\b)"
    r"|\b(?P<the>[Tt]he) (?P<its_hour>2[0-3]|1\d|[1-9])\.(?P<its_minute>[0-5]\d)"
    r"(?= (?:train|bus|express|flight|from|to)\b)"
)
_CLOCK = re.compile(
    r"(?<![\w.,:/])(?P<hour>2[0-4]|1\d|0?\d):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?"
    r"(?:\s?(?P<half>[AaPp])\.?[Mm]\b\.?)?(?![\w:]|\.\d)"
)
_HOUR = re.compile(r"(?<![\w.,:/–-])(?P<hour>1[0-2]|0?[1-9])\s?(?P<half>[AaPp])\.?[Mm]\b\.?(?!\w)")
_MILITARY = re.compile(r"(?<![\w.,:/–-])(?P<hour>[01]\d|2[0-4])(?P<minute>[0-5]\d) (?=hours\b|hrs\b)")


def _named(month: str) -> str:
    return _SHORT.get(month.rstrip("."), month)


def _with_year(words: str, found: str | None) -> str:
    return f"{words}, {year(int(found.lstrip(', ')))}" if found else words


def _day_month(match: re.Match[str]) -> str:
    month = match["month"]
    if month in ("Mar", "Jan", "Jun", "Sun") and not match["stop"]:
        return match[0]
    said = _with_year(f"{ordinal(int(match['day']))} of {_named(month)}", match["year"])
    stop = "." if match["stop"] and not match["year"] and not re.match(r" [a-z]", match.string[match.end() :]) else ""
    the = match["the"] or ("" if match["nth"] and match["of"] else "the ")
    return cased(match, f"{the}{said}") + stop


def _month_day(match: re.Match[str]) -> str:
    return _with_year(f"{_named(match['month'])} {ordinal(int(match['day']))}", match["year"])


def _days_month(match: re.Match[str]) -> str:
    first, last = ordinal(int(match["first"])), ordinal(int(match["last"]))
    said = f"{match['the'] or 'the '}{first} to the {last} of {_named(match['month'])}"
    return cased(match, _with_year(said, match["year"]))


def _month_days(match: re.Match[str]) -> str:
    first, last = ordinal(int(match["first"])), ordinal(int(match["last"]))
    return _with_year(f"{_named(match['month'])} {first} to {last}", match["year"])


def _iso(match: re.Match[str]) -> str:
    return _with_year(f"{_MONTHS[int(match['month']) - 1]} {ordinal(int(match['day']))}", match["year"])


def _slashed(match: re.Match[str]) -> str:
    first, second, written = int(match["first"]), int(match["second"]), match["year"]
    if len(written) == 2:  # noqa: PLR2004
        written = ("19" if int(written) > 30 else "20") + written  # noqa: PLR2004
    if 1 <= first <= 12 and 1 <= second <= 31:  # noqa: PLR2004
        return cased(match, _with_year(f"{_MONTHS[first - 1]} {ordinal(second)}", written))
    if 1 <= second <= 12 and 1 <= first <= 31:  # noqa: PLR2004
        return cased(match, _with_year(f"the {ordinal(first)} of {_MONTHS[second - 1]}", written))
    return match[0]


def _british(match: re.Match[str]) -> str:
    hour, minute = match["hour"] or match["its_hour"], match["minute"] or match["its_minute"]
    return f"{match['before'] or match['the']} {hour}:{minute}"


def _clock(match: re.Match[str]) -> str:
    said, minute, second = cardinal(int(match["hour"])), int(match["minute"]), match["second"]
    if minute:
        said += f" {two_digits(minute)}"
    elif not match["half"] and not second:
        said += " o'clock"
    if second:
        said += f" and {cardinal(int(second))} second{'' if int(second) == 1 else 's'}"
    if match["half"]:
        said += f" {match['half'].upper()} M"
    return cased(match, said) + stop_after(match)


def _military(match: re.Match[str]) -> str:
    hour, minute = int(match["hour"]), int(match["minute"])
    said = two_digits(hour) if hour else "zero"
    return cased(match, f"{said} {two_digits(minute) if minute else 'hundred'} ")


RULES = (
    Rule(Trait.DIGIT, _ISO, _iso),
    Rule(Trait.DIGIT, _SLASHED, _slashed),
    Rule(Trait.DIGIT, _DAYS_MONTH, _days_month),
    Rule(Trait.DIGIT, _MONTH_DAYS, _month_days),
    Rule(Trait.DIGIT, _DAY_MONTH, _day_month),
    Rule(Trait.DIGIT, _MONTH_DAY, _month_day),
    Rule(Trait.DOT, _SHORT_MONTH, lambda match: _named(match["month"])),
    Rule(Trait.DOT, _SHORT_DAY, lambda match: _DAYS[match["day"]]),
    Rule(Trait.DOT, _DAY_RANGE, lambda match: f"{_DAYS[match['first']]} to {_DAYS[match['last']]}"),
    Rule(Trait.DIGIT, _MILITARY, _military),
    Rule(Trait.DIGIT, _STOPPED, r"\g<hour>:\g<minute>"),
    Rule(Trait.DIGIT, _BRITISH, _british),
    Rule(Trait.DIGIT, _SPAN, r"\g<half> to "),
    Rule(Trait.DIGIT, _CLOCK, _clock, Notation.TIMES),
    Rule(
        Trait.DIGIT,
        _HOUR,
        lambda match: cased(match, f"{cardinal(int(match['hour']))} {match['half'].upper()} M") + stop_after(match),
        Notation.TIMES,
    ),
)
