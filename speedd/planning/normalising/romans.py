"""Roman numerals, by what stands before them."""

from __future__ import annotations

import re

from speedd.common.numerals import cardinal, ordinal, roman, year
from speedd.planning.normalising.rules import Rule, Trait, words

_NUMERAL = r"[MDCLXVI]{1,9}"
# "Charles I was" and "the part I like" speak of oneself; before these "I" is a number.
_I_ENDS = r"(?![\w’'])(?=[.;:)\]—–!?”\"]|,(?! I\b)|$| (?:of|and|to|in|by)\b)"
# "Chapter C" may be a hundred, "Vitamin C" and "Section D" are letters.
_PARTS = (
    "Chapter|Part|Act|Scene|Section|Volume|Book|Canto|Letter|Stave|Episode|Article|Appendix|Phase|Level|Stage|Class|Type"
    "|Grade|Round|Title|Table|Figure|Plate|Psalm|Sonnet|Mark|Corps|Army|Group|Unit|Item|Rule|Law|Schedule|Number"
)
_PART = re.compile(
    rf"\b(?P<what>(?i:{_PARTS})) (?P<numeral>[XVI][MDCLXVI]{{0,8}}|[MDCLXVI]{{2,9}}|[xvil]{{1,7}})(?![\w’'])(?!\.\w)"
)
_WORLD_WAR = re.compile(r"\b(?P<what>World War|WW)(?P<gap> ?)(?P<numeral>I{1,3})(?![\w])")
_PAGE = re.compile(
    r"(?<=\b[Pp]age )(?P<numeral>[xvil]{1,7})(?!\w)"
    r"|(?<=\b[Pp]ages )(?P<first>[xvil]{1,7})[–-](?P<last>[xvil]{1,7})(?!\w)"
)

_RULERS = (
    "Albert|Alexander|Alfonso|Amenhotep|Anne|Antiochus|Baldwin|Benedict|Boniface|Callixtus|Carlos|Catherine|Charles"
    "|Christian|Clement|Cleopatra|Constantine|Darius|David|Edgar|Edmund|Edward|Elizabeth|Eugene|Ferdinand|Francis"
    "|Franz|Frederick|Friedrich|George|Gregory|Gustav|Gustavus|Haakon|Harold|Heinrich|Henri|Henry|Hirohito|Innocent"
    "|Isabella|Ivan|James|Joan|Johann|John|John Paul|Joseph|Juan|Julius|Karl|Leo|Leopold|Louis|Ludwig|Malcolm"
    "|Manuel|Margaret|Maria|Mary|Matilda|Maximilian|Mehmed|Napoleon|Nicholas|Olaf|Oscar|Otto|Paul|Pedro|Peter"
    "|Philip|Philippe|Pius|Ptolemy|Ramesses|Ramses|Richard|Robert|Rudolf|Selim|Seti|Sigismund|Sixtus|Stephen"
    "|Theodosius|Thutmose|Tutankhamun|Umberto|Urban|Valdemar|Victor|Victor Emmanuel|Wilhelm|Willem|William|Xerxes"
)
THRONES = "King|Queen|Pope|Emperor|Empress|Tsar|Czar|Kaiser|Prince|Duke|Sultan|Pharaoh|Saint"
_RULER = re.compile(
    rf"\b(?P<throne>(?:{THRONES}) )?(?P<name>{_RULERS}) (?P<numeral>{_NUMERAL})(?P<of>[’']s\b)?(?!\w|\.\w|[’']\w)"
)
_MOST_RULERS = 39
# "Thurston Howell III": what is no part, and comes after two names.
_HEIR = re.compile(r"(?<=[a-z] )(?P<name>[A-Z][a-z]{1,20}) (?P<numeral>II|III|IV)(?P<of>[’']s\b)?(?!\w|\.\w)")
_GIVEN_NAME = re.compile(r"([A-Z][a-z]+) $")
_GIVEN_NAMES = frozenset(
    (
        *_RULERS.split("|"),
        *words(
            "Adam Andrew Anthony Arthur Bill Brian Christopher Daniel Donald Douglas Eugene Franklin Fred Gerald Harry "
            "Howard Hugh Jack Jeremy Jerome Jonathan Kenneth Lawrence Mark Matthew Michael Patrick Percival Ralph "
            "Raymond Roger Ronald Samuel Theodore Thomas Thurston Timothy Tom Walter Winston"
        ),
    )
)
_SEQUEL = re.compile(
    r"\b(?P<name>[A-Z][a-z]{2,20}) (?P<numeral>II|III|IV|VI|VII|VIII|IX|XI|XII|XIII|XIV|XV)(?![\w’']|\.\w)"
)
_CENTURY = re.compile(
    r"\b(?P<numeral>[XVI]{1,6})(?P<nth>th|st|nd|rd)?(?=[ -](?:century|centuries|dynasty|legion|corps)\b)",
    re.IGNORECASE,
)
_ANNO = re.compile(r"\bM[MDCLXVI]{4,14}\b|\bM[MDCLX]{0,3}[XLCDM]{2}[MDCLXVI]{1,9}\b")
_LAST_ANNO = 2100
_MOST_PARTS = 99
_MOST_CHAPTERS = 300  # "Class CD" is none


def _alone(match: re.Match[str]) -> bool:
    """Whether a lone "I" may be the pronoun."""
    return match["numeral"] in ("I", "i") and not re.match(_I_ENDS, match.string[match.end("numeral") :][:8])


def _part(match: re.Match[str]) -> str:
    value = roman(match["numeral"])
    most = _MOST_CHAPTERS if match["what"].capitalize() in ("Chapter", "Canto", "Psalm", "Sonnet") else _MOST_PARTS
    if not 0 < value <= most or _alone(match):
        return match[0]
    if match["numeral"].islower() and not match["what"][0].isupper() and match["numeral"] in ("i", "l", "ill", "mix"):
        return match[0]
    return f"{match['what']} {cardinal(value)}"


def _world_war(match: re.Match[str]) -> str:
    if match["what"] == "World War" and not match["gap"]:
        return match[0]
    return f"World War {cardinal(roman(match['numeral'])).capitalize()}"


def _page(match: re.Match[str]) -> str:
    numerals = [match["numeral"]] if match["numeral"] else [match["first"], match["last"]]
    values = [roman(numeral) for numeral in numerals]
    return " to ".join(map(cardinal, values)) if all(values) else match[0]


def _the(match: re.Match[str]) -> str:
    return f"{match['name']} the {ordinal(roman(match['numeral'])).title()}{match['of'] or ''}"


def _ruler(match: re.Match[str]) -> str:
    value = roman(match["numeral"])
    if not 0 < value <= _MOST_RULERS:
        return match[0]
    if match["numeral"] == "I" and not (match["throne"] or match["of"]) and _alone(match):
        return match[0]
    if match["name"] == "Malcolm" and match["numeral"] == "X":
        return match[0]
    return f"{match['throne'] or ''}{_the(match)}"


def _heir(match: re.Match[str]) -> str:
    given = _GIVEN_NAME.search(match.string[max(0, match.start() - 24) : match.start()])
    return _the(match) if given and given[1] in _GIVEN_NAMES else match[0]


def _century(match: re.Match[str]) -> str:
    value = roman(match["numeral"])
    if not value or not (match["numeral"].isupper() or match["nth"]) or match["numeral"] == "I":
        return match[0]
    return ordinal(value)


def _anno(match: re.Match[str]) -> str:
    value = roman(match[0])
    return year(value) if 1000 < value < _LAST_ANNO else match[0]  # noqa: PLR2004


RULES = (
    Rule(Trait.ROMAN, _WORLD_WAR, _world_war),
    Rule(Trait.ROMAN, _PAGE, _page),
    Rule(Trait.ROMAN, _PART, _part),
    Rule(Trait.ROMAN, _RULER, _ruler),
    Rule(Trait.ROMAN, _CENTURY, _century),
    Rule(Trait.CAPITALS, _ANNO, _anno),
    Rule(Trait.CAPITALS, _HEIR, _heir),
    Rule(Trait.CAPITALS, _SEQUEL, lambda match: f"{match['name']} {cardinal(roman(match['numeral']))}"),
)
