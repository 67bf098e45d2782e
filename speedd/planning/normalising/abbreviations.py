"""Abbreviations, titles and initials."""

from __future__ import annotations

import re

from speedd.model import Notation
from speedd.planning.normalising.rules import CAPITAL, STARTERS, Rule, Trait, alternatives, cased, stop_after

TITLES = {
    "Mr": "Mister",
    "Mrs": "Missus",
    "Ms": "Miz",
    "Dr": "Doctor",
    "Prof": "Professor",
    "Rev": "Reverend",
    "Hon": "Honourable",
    "Capt": "Captain",
    "Cmdr": "Commander",
    "Col": "Colonel",
    "Cpl": "Corporal",
    "Gen": "General",
    "Lt": "Lieutenant",
    "Maj": "Major",
    "Sgt": "Sergeant",
    "Adm": "Admiral",
    "Gov": "Governor",
    "Sen": "Senator",
    "Rep": "Representative",
    "Pres": "President",
    "Supt": "Superintendent",
    "Fr": "Father",
    "St": "Saint",
    "Mt": "Mount",
    "Ft": "Fort",
    "Msgr": "Monsignor",
}
WITHOUT_STOP = ("Mr", "Mrs", "Ms", "Dr", "St", "Prof", "Sgt", "Capt", "Lt")
FRENCH = ("Mme", "Mlle", "Messrs")
_TITLE = re.compile(
    rf"\b(?P<title>(?:{alternatives(TITLES)})\.|(?:MR|MRS|MS|DR|ST)\.|(?:{alternatives(WITHOUT_STOP)}))"
    rf"(?= (?:and (?:Mrs|Mr|Ms|Dr)\b|{CAPITAL}))"
)
OTHER_TITLES = {
    "Mme": "Madame",
    "Mlle": "Mademoiselle",
    "Messrs": "Messieurs",
    "Bro": "Brother",
    "Insp": "Inspector",
    "Det": "Detective",
    "Pvt": "Private",
    "Pte": "Private",
    "Lieut": "Lieutenant",
    "Bp": "Bishop",
    "Abp": "Archbishop",
    "Sra": "Señora",
}
_OTHER_TITLE = re.compile(
    rf"\b(?P<title>{alternatives(OTHER_TITLES)})\.(?= {CAPITAL})|\b(?P<bare>{alternatives(FRENCH)})(?= {CAPITAL})"
)
_RANK = re.compile(r"\b(?P<first>Lt|Maj|Brig|Lieut)\. ?(?P<second>Col|Gen|Cmdr)\.")
_RANKS = {"Lt": "Lieutenant", "Lieut": "Lieutenant", "Maj": "Major", "Brig": "Brigadier"}
_STREETS = {
    "St": "Street", "Dr": "Drive", "Ave": "Avenue", "Rd": "Road", "Blvd": "Boulevard", "Ln": "Lane", "Sq": "Square",
    "Pl": "Place", "Ct": "Court", "Hwy": "Highway", "Pkwy": "Parkway", "Ter": "Terrace",
}  # fmt: skip
# A street after a name, where no name comes after it, or only a word that begins a sentence.
_STREET = re.compile(
    rf"(?<=[\w’']) (?P<street>{alternatives(_STREETS)})\."
    rf"(?=[\"'”’)\],;:!?]|$| [a-z\d—–(]| [\"'“‘(]*(?:{STARTERS})\b| (?:N|S|E|W|NW|NE|SW|SE)\b)"
)
_NAMED_BEFORE = re.compile(rf"(?:{CAPITAL}[\w’'-]*|\d{{1,3}}(?:st|nd|rd|th))$")

# Before a figure or a numeral.
_NUMBERED = {
    "No": "number", "no": "number", "Nos": "numbers", "nos": "numbers", "Vol": "volume", "vol": "volume",
    "Vols": "volumes", "vols": "volumes", "Ch": "chapter", "ch": "chapter", "Chap": "chapter", "chap": "chapter",
    "Chs": "chapters", "chs": "chapters", "Fig": "figure", "fig": "figure", "Figs": "figures", "figs": "figures",
    "p": "page", "pp": "pages", "P": "page", "Pp": "pages", "Sec": "section", "sec": "section", "Art": "article",
    "art": "article", "Pt": "part", "pt": "part", "Bk": "book", "bk": "book", "c": "circa", "ca": "circa",
    "b": "born", "d": "died", "fl": "flourished", "r": "reigned", "Ex": "example", "Op": "opus", "op": "opus",
    "ver": "version", "l": "line", "ll": "lines", "ed": "edition", "cap": "chapter", "n": "note", "nn": "notes",
}  # fmt: skip
_BEFORE_NUMBER = re.compile(
    rf"(?<![\w.])(?P<word>{alternatives(_NUMBERED)})\. ?(?=\d)"
    r"|(?<![\w.])(?P<part>[Vv]ols?|[Cc]hap|[Cc]h|[Ff]ig|[Pp]p?|[Bb]k|[Pp]t)\. (?=[IVXLC]{1,7}\b|[ivxl]{1,7}\b)"
)
_NUMERO = re.compile(r"№\s?(?=\d)|\bN[º°]\s?(?=\d)")

_WORDS = {
    "e.g.": "for example", "eg.": "for example", "i.e.": "that is", "ie.": "that is", "etc.": "et cetera",
    "&c.": "et cetera", "viz.": "namely", "cf.": "compare", "vs.": "versus", "vs": "versus", "et al.": "and others",
    "ibid.": "in the same place", "q.v.": "which see", "op. cit.": "in the work cited",
    "loc. cit.": "in the place cited", "approx.": "approximately", "a.k.a.": "also known as", "c/o": "care of",
    "w/o": "without", "w/": "with", "n/a": "not applicable", "Co.": "Company", "Inc.": "Incorporated",
    "Ltd.": "Limited", "Corp.": "Corporation", "Bros.": "Brothers", "Dept.": "Department", "dept.": "department",
    "Govt.": "Government", "govt.": "government", "Univ.": "University", "Assn.": "Association", "Jr.": "Junior",
    "Sr.": "Senior", "Esq.": "Esquire", "esq.": "esquire", "Bldg.": "Building", "Apt.": "Apartment",
    "Atty.": "Attorney", "Messrs.": "Messieurs", "incl.": "including", "misc.": "miscellaneous",
    "Xmas": "Christmas", "Wm.": "William", "Geo.": "George", "Chas.": "Charles", "Jas.": "James", "Thos.": "Thomas",
    "Robt.": "Robert", "Edw.": "Edward", "inst.": "instant", "ult.": "ultimo", "prox.": "proximo",
    "N.B.": "nota bene",
}  # fmt: skip
_WORD = re.compile(
    rf"(?<![\w.])(?P<word>{alternatives([*_WORDS, 'E.g.', 'I.e.', 'Cf.', 'Viz.', 'Etc.', 'Approx.', 'Ibid.'])})(?!\w)"
)
_NEVER_LAST = frozenset({"e.g.", "i.e.", "cf.", "viz.", "approx.", "incl."})

_POSTSCRIPT = re.compile(r"(?<![\w.])(?P<letters>(?:P\. ?){1,3}S\.)(?=[,:]? )")
_ERA_BEFORE = re.compile(r"(?<![\w.])(?:A\. ?D\.|AD|A\.U\.C\.|AH) (?=\d)")
_ERA_AFTER = re.compile(r"(?<=\d) (?P<era>B\. ?C\. ?E\.|B\. ?C\.|C\. ?E\.|A\. ?D\.|BCE|BC|CE|AD)(?!\w)")
_HALF_DAY = re.compile(r"(?<![\w.])(?P<half>[ap])\.m\.(?!\w)")
_DEGREES = {
    "Ph.D": "P H D",
    "Ph.Ds": "P H Ds",
    "D.Phil": "D Phil",
    "Lit.D": "Lit D",
    "LL.D": "L L D",
    "M.Sc": "M S C",
    "B.Sc": "B S C",
}
_DEGREE = re.compile(rf"(?<![\w.])(?P<degree>{alternatives(_DEGREES)})\.?(?!\w)")
_DOTTED = re.compile(r"(?<![\w.])(?P<letters>[A-Z]\.(?:[A-Z]\.){1,6}[A-Z]?)(?P<s>[’']?s\b)?(?![a-z])")
_INITIALS = re.compile(
    rf"(?<![\w.])(?P<letters>[A-Z]\.(?: ?[A-Z]\.){{0,4}})"
    rf"(?= (?!(?:{STARTERS})\b){CAPITAL}[\w\U000f0000-\U000ffffd’']|-[A-Z])"
)
_NAME_BEFORE = re.compile(
    rf"(?:^|[\"'“‘(,;—]\s?|\b(?:by|of|and|Mister|Missus|Doctor|to|from|with) |{CAPITAL}[\w.’'-]* )$"
)


def _street(match: re.Match[str]) -> str:
    if not _NAMED_BEFORE.search(match.string[max(0, match.start() - 24) : match.start()]):
        return match[0]
    return f" {_STREETS[match['street']]}{stop_after(match)}"


def _word(match: re.Match[str]) -> str:
    word = match["word"]
    said = _WORDS.get(word) or _WORDS[word[0].lower() + word[1:]]
    if word in ("Co.", "Inc.", "Ltd.", "Corp.", "inst.", "ult.", "prox.") and match.start():
        before = match.string[max(0, match.start() - 6) : match.start()]
        if word[0].islower() and not re.search(r"\w $", before):
            return match[0]
    return cased(match, said) + ("" if word in _NEVER_LAST else stop_after(match))


def _letters(text: str) -> str:
    return " ".join(letter for letter in text if letter.isalpha())


def _dotted(match: re.Match[str]) -> str:
    return _letters(match["letters"]) + (match["s"] or "") + stop_after(match)


def _initials(match: re.Match[str]) -> str:
    letters = _letters(match["letters"])
    if len(letters) == 1 and not _NAME_BEFORE.search(match.string[max(0, match.start() - 24) : match.start()]):
        return match[0]
    return letters


RULES = (
    Rule(Trait.DOT, _RANK, lambda match: f"{_RANKS[match['first']]} {TITLES[match['second']]}"),
    Rule(Trait.DOT, _STREET, _street),
    Rule(Trait.DOT, _TITLE, lambda match: TITLES[match["title"].rstrip(".").capitalize()], Notation.TITLES),
    Rule(Trait.DOT, _OTHER_TITLE, lambda match: OTHER_TITLES[match["title"] or match["bare"]]),
    Rule(Trait.DOT, _BEFORE_NUMBER, lambda match: cased(match, f"{_NUMBERED[match['word'] or match['part']]} ")),
    Rule(Trait.SIGN, _NUMERO, lambda match: cased(match, "number ")),
    Rule(Trait.DOT, _WORD, _word),
)
"""Before everything that looks for numbers."""

LETTER_RULES = (
    Rule(Trait.DOT, _POSTSCRIPT, lambda match: f"{_letters(match['letters'])},", Notation.LETTERS),
    Rule(Trait.DIGIT, _ERA_BEFORE, lambda match: f"{_letters(match[0])} ", Notation.LETTERS),
    Rule(Trait.DIGIT, _ERA_AFTER, lambda match: f" {_letters(match['era'])}{stop_after(match)}", Notation.LETTERS),
    Rule(Trait.DOT, _HALF_DAY, lambda match: f"{match['half'].upper()} M{stop_after(match)}", Notation.LETTERS),
    Rule(Trait.DOT, _DEGREE, lambda match: _DEGREES[match["degree"]] + stop_after(match), Notation.LETTERS),
    Rule(Trait.DOT, _DOTTED, _dotted, Notation.LETTERS),
    Rule(Trait.DOT, _INITIALS, _initials, Notation.LETTERS),
)
"""After times, which know "a.m."."""

LAST_WORDS = tuple(
    sorted(
        {word.rstrip(".") for word in _WORDS if word[-1] == "."}
        | set(_STREETS)
        | {"Jan", "Feb", "Aug", "Sept", "Oct", "Nov", "Dec"}
    )
)
"""What a sentence may end with, its stop being that of an abbreviation."""
