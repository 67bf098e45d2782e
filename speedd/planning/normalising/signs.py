"""Addresses, tags, emoji, codes and single signs."""

from __future__ import annotations

import re
import unicodedata

from speedd.common.numerals import cardinal, digits, in_pairs
from speedd.model import Notation
from speedd.planning.normalising.rules import Rule, Trait, cased

# --- addresses -----------------------------------------------------------------------------------------------------

_TOP_LEVELS = "com|org|net|edu|gov|mil|int|info|biz|io|co|uk|de|fr|eu|us|ca|au|nz|ie|it|es|nl|ch|at|tv|me|ai|app|dev|ly"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = rf"(?:{_LABEL}\.){{1,6}}[A-Za-z]{{2,12}}"
_PATH = r"(?:[/?#][\w\-./?=&%#+~:@]{0,300}[\w/])?/?"
_MAIL = re.compile(rf"(?<![\w.+%-])(?:mailto:)?(?P<who>[A-Za-z0-9][\w.+%-]{{0,63}})@(?P<host>{_HOST})(?![\w-])")
_WEB = re.compile(
    rf"(?<![\w.@/-])(?:(?:https?|ftp)://(?:www\.)?(?P<any>{_HOST}|localhost|\d{{1,3}}(?:\.\d{{1,3}}){{3}})(?::\d{{1,5}})?"
    rf"|www\.(?P<www>{_HOST})|(?P<bare>(?:{_LABEL}\.){{1,4}}(?:{_TOP_LEVELS})))(?![\w@-])(?P<path>{_PATH})"
)
_SPELLED = frozenset(["uk", "us", "eu", "nz", "tv", "io", "ai", "html", "htm", "php", "pdf", "www", "ftp"])
_IN_ADDRESS = {
    ".": "dot", "/": "slash", "-": "dash", "_": "underscore", "?": "question mark", "=": "equals", "&": "and",
    "#": "hash", "%": "percent", "+": "plus", "~": "tilde", ":": "colon", "@": "at",
}  # fmt: skip
_ADDRESS_PART = re.compile(r"[A-Za-z]+|\d+|.")


def _address(text: str) -> str:
    said = []
    for part in _ADDRESS_PART.findall(text):
        if part.isdecimal():
            said.append(cardinal(int(part)) if len(part) < 3 else digits(part))  # noqa: PLR2004
        elif part.lower() in _SPELLED:
            said.append(" ".join(part.lower()))
        else:
            said.append(_IN_ADDRESS.get(part, part))
    return " ".join(said)


def _web(match: re.Match[str]) -> str:
    host = match["any"] or match["www"] or match["bare"]
    return _address(host + match["path"].rstrip("/"))


# --- tags ----------------------------------------------------------------------------------------------------------

_HASHTAG = re.compile(r"(?<![\w&/#])#(?P<tag>[A-Za-z]\w{0,80})")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[a-zA-Z])(?=\d)|_")
_NUMBER_SIGN = re.compile(r"(?<![\w&/])#\s?(?=\d)")
_HANDLE = re.compile(r"(?<![\w@.])@(?P<name>[A-Za-z]\w{0,40})")


# --- emoji ---------------------------------------------------------------------------------------------------------

_PICTURES = "\U0001f300-\U0001f3fa\U0001f400-\U0001faff\u2764\u2665\u263a\u2639\u2b50\u2728\u2600\u26a1"
_EMOJI = re.compile(
    rf"(?P<before>\s?)(?P<emoji>[{_PICTURES}\U0001f1e6-\U0001f1ff](?:[\ufe0f\U0001f3fb-\U0001f3ff\s]?"
    rf"[{_PICTURES}\U0001f1e6-\U0001f1ff]){{0,40}})[\ufe0f\U0001f3fb-\U0001f3ff]*(?P<after>\s?(?=[^\W_]|[\"“(])|)"
)
_EMOJI_NAMES = {
    "❤": "red heart",
    "♥": "red heart",
    "☺": "smiling face",
    "☹": "frowning face",
    "⭐": "star",
    "☀": "sun",
    "⚡": "lightning",
}
_FLAG = ("\U0001f1e6", "\U0001f1ff")
_EMOTICON = re.compile(r"(?:(?<=\s)|^)(?:[:;=]['’]?-?[()DPp|/*]|:-?[Oo]|<3|[xX]D)(?!\w)\s?")


def _emoji(match: re.Match[str]) -> str:
    names: list[str] = []
    for sign in match["emoji"]:
        if sign.isspace() or sign == "\ufe0f" or "\U0001f3fb" <= sign <= "\U0001f3ff":
            continue
        if _FLAG[0] <= sign <= _FLAG[1]:
            name = "flag"
        else:
            name = _EMOJI_NAMES.get(sign) or unicodedata.name(sign, "").lower().removesuffix(" sign").removesuffix(
                " symbol"
            )
        if name and (not names or names[-1] != name):
            names.append(name)
    if not names:
        return match["before"]
    said = ", ".join(f"{name} emoji" for name in names)
    before = match.string[: match.start()].rstrip()[-1:]
    lead = "" if not before or before in '.!?…,;:—(“"' else ","
    return f"{lead}{' ' if before else ''}{said}{', ' if match['after'] else ''}"


# --- codes ---------------------------------------------------------------------------------------------------------

_FORMULA = re.compile(
    r"(?<![\w-])(?P<formula>(?:[A-Z][a-z]?[₀-₉]{0,3}){1,8}(?<=[₀-₉])(?:[A-Z][a-z]?[₀-₉]{0,3}){0,8}"
    r"|H2O|CO2|SO2|NO2|CH4|NH3|H2SO4|O2|N2|H2|C2H5OH|NaHCO3)(?![\w-])"
)
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_CODE = re.compile(
    r"(?<![\w.,'’£$€-])(?P<code>(?:[A-Z]{1,3}-?\d{1,4}[A-Z]?|\d{1,3}[A-Z])(?:-(?:[A-Z]{1,3}\d{1,4}|\d{1,3}[A-Z]))?)(?![\w'’]|-\d)"
)
_HOUSE = re.compile(r"(?<![\w.,'’£$€-])(?P<code>\d{3}[B-Z])(?![\w'’]|-\d)")  # A lone "A" is said as an article
_SPELLED_CODE = re.compile(r"[A-Z]|\d+")


def _formula(match: re.Match[str]) -> str:
    parts = re.findall(r"[A-Za-z]|\d+", match["formula"].translate(_SUBSCRIPTS))
    return " ".join(cardinal(int(part)) if part.isdecimal() else part for part in parts)


def _code(match: re.Match[str]) -> str:
    def said(part: str) -> str:
        if not part.isdecimal():
            return part
        return in_pairs(part) if len(part) > 2 else cardinal(int(part))  # noqa: PLR2004

    return " ".join(map(said, _SPELLED_CODE.findall(match["code"])))


# --- single signs --------------------------------------------------------------------------------------------------

_DROPPED = re.compile(r"\s?[†‡•®™¶◦▪■□●○◆◇★☆❦❧☙✻✽\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]+|(?<=\w)©")
_NOTE = re.compile(r"(?<=[\w.,;:!?”’)])(?:\*{1,3}(?!\w)|\[\d{1,3}\])")
_AT = re.compile(r"(?<=\s)@(?=\s)")
_LINK = re.compile(r"\](?=\()")  # engines take "[word](/IPA/)" for a pronunciation
_AND = re.compile(r"\s?&\s?(?=\w)|(?<=\s)&(?=\s)")
_SHE_OR_HE = re.compile(r"\b(?P<s>[Ss])/he\b")
_OR = re.compile(r"(?<=[A-Za-z]{2})/(?=[a-z]{2})")
_AND_OR = re.compile(r"\b([Aa]nd)/or\b")
_SLASH = re.compile(r"(?<=[^\W\d_])\s?/\s?(?=[^\W\d_])")
_SECTION = re.compile(r"§(?P<many>§)?\s?")
_COPYRIGHT = re.compile(r"(?:©|\([cC]\)(?= \d{4}))\s?")
_ARROW = re.compile(r"\s?[→⇒➔]\s?")
_DEGREE_SIGN = re.compile(r"\s?°(?!\w)")
_DITTO = re.compile(r"(?<=\w)\\(?=\w)")


RULES = (
    Rule(Trait.SIGN, _MAIL, lambda match: f"{_address(match['who'])} at {_address(match['host'])}"),
    Rule(Trait.DOT | Trait.SIGN, _WEB, _web),
    Rule(Trait.SIGN | Trait.MARK, _EMOTICON, ""),
    Rule(Trait.SIGN, _EMOJI, _emoji),
    Rule(Trait.SIGN, _DROPPED, ""),
    Rule(Trait.SIGN, _NOTE, ""),
    Rule(Trait.SIGN, _AT, "at"),
    Rule(Trait.SIGN, _LINK, "] "),
    Rule(Trait.SIGN, _HASHTAG, lambda match: f"hashtag {' '.join(filter(None, _HUMP.split(match['tag'])))}"),
    Rule(Trait.SIGN, _HANDLE, r"at \g<name>"),
    Rule(Trait.SIGN, _COPYRIGHT, lambda match: cased(match, "copyright ")),
    Rule(Trait.SIGN, _SECTION, lambda match: cased(match, "sections " if match["many"] else "section ")),
    Rule(Trait.DIGIT, _FORMULA, _formula),
)
"""Before everything else."""

LAST_RULES = (
    Rule(Trait.SIGN, _NUMBER_SIGN, "number "),
    Rule(Trait.DIGIT, _HOUSE, _code),
    Rule(Trait.DIGIT, _CODE, _code, Notation.LETTERS),
    Rule(Trait.SIGN, _SHE_OR_HE, lambda match: "She or he" if match["s"] == "S" else "she or he"),
    Rule(Trait.SIGN, _AND_OR, r"\1 or"),
    Rule(Trait.SIGN, _OR, " or "),
    Rule(Trait.SIGN, _SLASH, " "),
    Rule(Trait.SIGN, _AND, " and "),
    Rule(Trait.SIGN, _ARROW, " to "),
    Rule(Trait.SIGN, _DEGREE_SIGN, " degrees"),
    Rule(Trait.SIGN, _DITTO, " "),
)
"""After measures, which know "km/h"."""
