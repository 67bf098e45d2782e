"""Money, measures and sums."""

from __future__ import annotations

import re

from speedd.common.numerals import NUMBER, cardinal, is_one, number, ordinal
from speedd.planning.normalising.rules import Rule, Trait, alternatives, cased, stop_after

# --- money ---------------------------------------------------------------------------------------------------------

# sign: unit, units, hundredth, hundredths
_CURRENCIES = {
    "£": ("pound", "pounds", "penny", "pence"),
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "¥": ("yen", "yen", "sen", "sen"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "₩": ("won", "won", "jeon", "jeon"),
    "₽": ("rouble", "roubles", "kopeck", "kopecks"),
    "CHF": ("franc", "francs", "centime", "centimes"),
}
_CURRENCIES |= {code: _CURRENCIES[sign] for code, sign in (("GBP", "£"), ("USD", "$"), ("EUR", "€"), ("JPY", "¥"))}
_COUNTRIES = {
    "US": "U S ",
    "A": "Australian ",
    "AU": "Australian ",
    "C": "Canadian ",
    "CA": "Canadian ",
    "HK": "Hong Kong ",
    "NZ": "New Zealand ",
    "": "",
}
_SCALES = {"k": "thousand", "m": "million", "b": "billion", "bn": "billion", "tn": "trillion"}
_SCALE = r"hundred|thousand|million|billion|trillion|bn|tn|[kKmMbB]"
# What follows a sum that is no noun it stands before: "a $20 bill", but "he had a $20 and left".
_NO_NOUN = (
    "a|an|and|are|as|at|but|by|each|every|extra|for|from|had|has|he|if|in|into|is|it|less|more|not|of|off|on|or|per|she"
    "|so|than|that|the|then|they|to|too|was|were|when|which|who|with"
)
_SUM = re.compile(
    rf"(?P<article>\b[Aa]n? )?(?<![\w$£€])(?P<country>US|AU?|CA?|HK|NZ)?(?P<sign>[£$€¥₹₩₽])\s?"
    rf"(?P<first>{NUMBER}|\.\d\d)"
    rf"(?:\s?[–-]\s?[£$€]?(?P<second>{NUMBER}))?(?:[\s-]?(?P<scale>{_SCALE})(?!\w))?(?![\d])"
    rf"(?P<noun>(?= (?!(?:{_NO_NOUN})\b)[a-z])|(?=-[a-z]))?"
)
_CODED = re.compile(rf"(?<![\w.,])(?P<first>{NUMBER})\s?(?P<sign>USD|EUR|GBP|CHF|JPY)\b")
_CENTS = re.compile(rf"(?<![\w.,])(?P<pence>{NUMBER})\s?(?P<sign>¢|p(?!\w|\.\w))")
_OLD_MONEY = re.compile(
    r"(?:£(?P<pounds>\d{1,3}(?:,\d{3}){1,3}|\d{1,9}),? )?(?<![\w.,])(?P<shillings>\d{1,2})s\.?"
    r"(?:,? (?P<pence>\d{1,2})d\b\.?)?"
)
_PENCE = re.compile(r"(?<![\w.,£$])(?P<pence>\d{1,2})d\.(?!\w)")
_COINS = {1: "one penny", 2: "twopence"}


def _sum(match: re.Match[str]) -> str:
    unit, units, hundredth, hundredths = _CURRENCIES[match["sign"]]
    country = _COUNTRIES[match["country"] or ""]
    first, second, scale = match["first"], match["second"], match["scale"]
    attributive = match["noun"] is not None and match["article"]
    article = match["article"] or ""
    if scale or second:
        amount = " to ".join(number(one) for one in (first, second) if one)
        amount += f" {_SCALES.get(scale.lower(), scale)}" if scale else ""
        return cased(match, f"{article}{amount} {country}{unit if attributive else units}")
    whole, _, fraction = first.replace(",", "").partition(".")
    if len(fraction) != 2:  # noqa: PLR2004
        one = is_one(first) or attributive or (match["noun"] is not None and match.string[match.end()] == "-")
        return cased(match, f"{article}{number(first)} {country}{unit if one else units}")
    parts = []
    if int(whole or 0) or not int(fraction):
        parts.append(f"{cardinal(int(whole or 0))} {country}{unit if int(whole or 0) == 1 else units}")
    if int(fraction):
        parts.append(f"{cardinal(int(fraction))} {hundredth if int(fraction) == 1 else hundredths}")
    return cased(match, article + " and ".join(parts))


def _coded(match: re.Match[str]) -> str:
    unit, units, *_ = _CURRENCIES[match["sign"]]
    return cased(match, f"{number(match['first'])} {unit if is_one(match['first']) else units}")


def _cents(match: re.Match[str]) -> str:
    one, many = ("cent", "cents") if match["sign"] == "¢" else ("penny", "pence")
    return cased(match, f"{number(match['pence'])} {one if is_one(match['pence']) else many}")


def _coppers(pence: int) -> str:
    return _COINS.get(pence) or f"{cardinal(pence)}pence"


def _old_money(match: re.Match[str]) -> str:
    pounds, shillings, pence = match["pounds"], int(match["shillings"]), match["pence"]
    if not pounds and not pence:
        return match[0]  # "in the 20s"
    said = f"{number(pounds)} pound{'' if is_one(pounds) else 's'}, " if pounds else ""
    said += f"{cardinal(shillings)} shilling{'' if shillings == 1 else 's'}"
    said += f" and {_coppers(int(pence))}" if pence else ""
    return cased(match, said) + stop_after(match)


# --- measures ------------------------------------------------------------------------------------------------------

_UNIT_NAMES = {
    "km": "kilometre", "m": "metre", "cm": "centimetre", "mm": "millimetre", "nm": "nanometre", "µm": "micrometre",
    "kg": "kilogram", "g": "gram", "mg": "milligram", "µg": "microgram", "l": "litre", "L": "litre", "ml": "millilitre",
    "cl": "centilitre", "ha": "hectare", "lb": "pound", "lbs": "pound", "oz": "ounce", "ft": "foot", "yd": "yard",
    "yds": "yard", "mi": "mile", "gal": "gallon", "qt": "quart", "tsp": "teaspoon", "tbsp": "tablespoon",
    "mph": "mile per hour", "kph": "kilometre per hour", "km/h": "kilometre per hour", "m/s": "metre per second",
    "rpm": "revolution per minute", "hp": "horsepower", "hr": "hour", "hrs": "hour", "min": "minute", "mins": "minute",
    "sec": "second", "secs": "second", "ms": "millisecond", "Hz": "hertz", "kHz": "kilohertz", "MHz": "megahertz",
    "GHz": "gigahertz", "KB": "kilobyte", "kB": "kilobyte", "MB": "megabyte", "GB": "gigabyte", "TB": "terabyte",
    "W": "watt", "kW": "kilowatt", "MW": "megawatt", "kWh": "kilowatt hour", "V": "volt", "kV": "kilovolt",
    "dB": "decibel", "cc": "cubic centimetre", "kcal": "kilocalorie", "hPa": "hectopascal",
}  # fmt: skip


def _several(unit: str) -> str:
    """The plural of a unit: "miles per hour", "feet", "hertz"."""
    noun, per, other = unit.partition(" per ")
    return (noun if noun.endswith(("hertz", "power")) else "feet" if noun == "foot" else f"{noun}s") + per + other


_UNITS = {sign: (name, _several(name)) for sign, name in _UNIT_NAMES.items()}
_POWERS = {"²": "square ", "³": "cubic ", "": ""}
_UNIT = alternatives(_UNITS)
_MEASURE = re.compile(
    rf"(?P<article>\b[Aa]n? )?(?<![\w.,/:£$€])(?P<number>[-−]?{NUMBER})(?P<gap>\s?|-)(?:(?P<area>sq|cu)\.? )?"
    rf"(?P<unit>{_UNIT})(?P<power>[²³]?)(?![\w/²³'’])(?P<stop>\.?(?!\w))"
)
_SQUARE = re.compile(r"(?<=\d) (?P<kind>sq|cu)\.? (?=[a-z]{3})")
_STONE = re.compile(r"(?<![\w.,])(?P<stone>\d{1,2}) st\.? (?P<pounds>\d{1,2}) lbs?\b\.?")
_INCHES = re.compile(rf"(?<![\w.,])(?P<number>{NUMBER}) ?(?:in\.(?= [a-z])|″)")
_NOT_A_NOUN = re.compile(rf" (?:{_NO_NOUN})\b")
_HEIGHT = re.compile(r"(?<![\w.,])(?P<feet>\d{1,3})['′’] ?(?P<inches>\d{1,2})(?:[\"″”]|''|′′|(?= (?:tall|in height)))")
_FEET = re.compile(r"(?<![\w.,])(?P<feet>\d{1,4})(?:′|['’](?= (?:tall|high|long|wide|deep|by)\b))")
_BY = re.compile(rf"(?<=\d)\s?(?:×|x)\s?(?=\d{{1,4}}(?:\.\d{{1,3}})?\s?(?:{_UNIT})\b)|(?<=[a-z]) [×x] (?=\d)")
_TIMES_TABLE = re.compile(r"(?<![\w.,])(\d{1,2})x(\d{1,2})(?!\w)")
_ANGLE = re.compile(
    r"(?<![\w.,])(?P<degrees>\d{1,3})°\s?(?P<minutes>\d{1,2})[′'’](?:\s?(?P<seconds>\d{1,2})[″\"”])?"
    r"(?:\s?(?P<wind>[NSEW])(?!\w))?"
)
_WINDS = {"N": " north", "S": " south", "E": " east", "W": " west"}
_DEGREES = re.compile(rf"(?<![\w.,])(?P<number>[-−]?{NUMBER})\s?(?:°(?:\s?(?P<scale>[CFK])(?!\w))?|(?P<sign>[℃℉]))")
_SCALE_NAMES = {"C": " Celsius", "F": " Fahrenheit", "K": " Kelvin", "℃": " Celsius", "℉": " Fahrenheit"}


def _measure(match: re.Match[str]) -> str:
    unit, power = match["unit"], match["power"]
    singular, units = _UNITS[unit]
    after = match.string[match.end() : match.end() + 12]
    attributive = match["gap"] == "-" or (match["article"] and after[:1] == " " and after[1:2].islower())
    if attributive and match["gap"] != "-" and _NOT_A_NOUN.match(after):
        attributive = False
    kind = {"sq": "square ", "cu": "cubic "}.get(match["area"] or "") or _POWERS[power]
    said = kind + (singular if attributive or is_one(match["number"]) else units)
    gap = "-" if match["gap"] == "-" else " "
    return f"{match['article'] or ''}{match['number']}{gap}{said}{stop_after(match)}"


def _angle(match: re.Match[str]) -> str:
    parts = [(match["degrees"], "degree"), (match["minutes"], "minute"), (match["seconds"], "second")]
    said = " ".join(f"{cardinal(int(n))} {unit}{'' if int(n) == 1 else 's'}" for n, unit in parts if n)
    return cased(match, said + _WINDS.get(match["wind"] or "", ""))


def _degrees(match: re.Match[str]) -> str:
    scale = _SCALE_NAMES.get(match["scale"] or match["sign"] or "", "")
    return cased(match, f"{number(match['number'])} degree{'' if is_one(match['number']) else 's'}{scale}")


# --- fractions -----------------------------------------------------------------------------------------------------

_VULGAR = {
    "½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅖": (2, 5), "⅗": (3, 5),
    "⅘": (4, 5), "⅙": (1, 6), "⅚": (5, 6), "⅐": (1, 7), "⅛": (1, 8), "⅜": (3, 8), "⅝": (5, 8), "⅞": (7, 8),
    "⅑": (1, 9), "⅒": (1, 10),
}  # fmt: skip
_FRACTION_SIGN = re.compile(rf"(?P<whole>(?<![\w.,/])\d{{1,6}}[ -]?)?(?P<fraction>[{''.join(_VULGAR)}])(?P<a> an?\b)?")
_MIXED = re.compile(r"(?<![\w.,/:])(?P<whole>\d{1,4})[ -](?P<over>\d)/(?P<under>\d{1,2})(?![\w/]|\.\d)")
_FRACTION = re.compile(r"(?<![\w.,/:])(?P<over>\d{1,3})/(?P<under>\d{1,3})(?![\w/]|\.\d)")
_SAYINGS = {"50/50": "fifty-fifty", "24/7": "twenty-four seven", "9/11": "nine eleven", "20/20": "twenty twenty"}
_DENOMINATORS = frozenset((*range(2, 11), 12, 16, 20, 24, 32, 50, 64, 100))


def fraction(over: int, under: int, *, with_article: bool = False) -> str:
    """Say a fraction: "one half", "three quarters"; with an article "a half"."""
    name = {2: "half", 4: "quarter"}.get(under) or ordinal(under)
    if over == 1:
        article = "an" if name.startswith(("eigh", "eleven")) else "a"
        return f"{article if with_article else 'one'} {name}"
    return f"{cardinal(over)} {'halves' if under == 2 else name + 's'}"  # noqa: PLR2004


def _fraction_sign(match: re.Match[str]) -> str:
    over, under = _VULGAR[match["fraction"]]
    a = match["a"] or ""
    if match["whole"]:
        return f"{match['whole'].rstrip(' -')} and {fraction(over, under, with_article=True)}{a}"
    if a and (over, under) == (1, 2):
        return cased(match, f"half{a}")
    return cased(match, fraction(over, under)) + a


def _mixed(match: re.Match[str]) -> str:
    over, under = int(match["over"]), int(match["under"])
    if not 0 < over < under:
        return match[0]
    return f"{match['whole']} and {fraction(over, under, with_article=True)}"


def _fraction(match: re.Match[str]) -> str:
    over, under = int(match["over"]), int(match["under"])
    if said := _SAYINGS.get(match[0]):
        return cased(match, said)
    if 0 < over < under and under in _DENOMINATORS:
        return cased(match, fraction(over, under))
    return cased(match, f"{cardinal(over)} slash {cardinal(under)}")


# --- sums ----------------------------------------------------------------------------------------------------------

_PERCENT = re.compile(r"(?<=\d)\s?%")
_PLUS_BEFORE = re.compile(r"(?<![\w+])\+(?=\d)")
_MINUS = re.compile(r"(?<![\w.,)−-])−(?=[\d.])")
_SUBTRACTED = re.compile(r"(?<=\d) ?− ?(?=\d)|(?<=\d) - (?=\d{1,9}(?:\.\d{1,9})? =)")
_OPERATORS = {
    "+": "plus", "=": "equals", "×": "times", "÷": "divided by", "≈": "is about", "≠": "is not equal to",
    "≤": "is at most", "≥": "is at least", "<": "is less than", ">": "is greater than", "*": "times",
}  # fmt: skip
_OPERATOR = re.compile(r"(?<=[\w)²³]) ?([+=×÷≈≠≤≥<>]) ?(?=[\w(−-])|(?<=\d) ?(\*) ?(?=\d)")
_PLUS_MINUS = re.compile(r"± ?")
_ABOUT = re.compile(r"(?<!\w)~ ?(?=\d)|(?<!\w)≈ ?(?=\d)")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_POWER = re.compile(
    r"(?<!\w)(?P<base>[A-Za-z]{1,2}|\d{1,9})(?:(?P<raised>⁻?[⁰¹²³⁴-⁹]{1,3})|\^(?P<power>-?\d{1,3}))(?!\w)"
)
_NOTE_MARK = re.compile(r"(?<=[^\W\d_]{3})[⁰¹²³⁴-⁹]{1,3}(?!\w)|(?<=[.,;:!?”’])[⁰¹²³⁴-⁹]{1,3}(?!\w)")


def _power(match: re.Match[str]) -> str:
    power = int((match["raised"] or match["power"]).translate(_SUPERSCRIPTS))
    raised = {2: "squared", 3: "cubed"}.get(power) or f"to the power of {cardinal(power)}"
    return f"{match['base']} {raised}"


RULES = (
    Rule(Trait.DIGIT, _OLD_MONEY, _old_money),
    Rule(Trait.DIGIT, _PENCE, lambda match: cased(match, _coppers(int(match["pence"]))) + stop_after(match)),
    Rule(Trait.SIGN, _SUM, _sum),
    Rule(Trait.DIGIT, _CODED, _coded),
    Rule(Trait.DIGIT, _CENTS, _cents),
    Rule(Trait.DIGIT, _ANGLE, _angle),
    Rule(Trait.DIGIT, _HEIGHT, r"\g<feet> foot \g<inches>"),
    Rule(Trait.DIGIT, _FEET, r"\g<feet> feet"),
    Rule(Trait.DIGIT, _DEGREES, _degrees),
    Rule(Trait.DIGIT, _BY, " by "),
    Rule(Trait.DIGIT, _STONE, lambda match: f"{match['stone']} stone {match['pounds']} pounds{stop_after(match)}"),
    Rule(Trait.DIGIT, _TIMES_TABLE, r"\1 by \2"),
    Rule(Trait.DIGIT, _MEASURE, _measure),
    Rule(Trait.DIGIT, _SQUARE, lambda match: " square " if match["kind"] == "sq" else " cubic "),
    Rule(Trait.DIGIT, _INCHES, lambda match: f"{match['number']} inch{'' if is_one(match['number']) else 'es'}"),
    Rule(Trait.SIGN, _NOTE_MARK, ""),
    Rule(Trait.SIGN, _POWER, _power),
    Rule(Trait.DIGIT, _FRACTION_SIGN, _fraction_sign),
    Rule(Trait.DIGIT, _MIXED, _mixed),
    Rule(Trait.DIGIT, _FRACTION, _fraction),
    Rule(Trait.SIGN, _PERCENT, " percent"),
    Rule(Trait.SIGN, _PLUS_MINUS, "plus or minus "),
    Rule(Trait.SIGN, _ABOUT, "about "),
    Rule(Trait.SIGN, _SUBTRACTED, " minus "),
    Rule(Trait.SIGN, _MINUS, "minus "),
    Rule(Trait.SIGN, _PLUS_BEFORE, "plus "),
    Rule(Trait.SIGN, _OPERATOR, lambda match: f" {_OPERATORS[match[1] or match[2]]} "),
)
"""Where they leave figures, `counting` puts those into words for engines that cannot."""
