"""Find the sentences of a paragraph by rule: where one may end, and what keeps it from ending there.

Statistical splitters know law and news: nupunkt, with which this began, missed one end in sixty of fiction ("… in the
hall. Before the castle …") and cut “Why?” from “John asked”. The rules know English; in other languages they cut at
every mark that a capital letter follows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from speedd.planning.normalising.abbreviations import OTHER_TITLES, TITLES
from speedd.planning.normalising.rules import alternatives

_LOOK = 64  # characters on either side of a cut that decide
_OPENERS = "\"'“‘«‹„(\\[¿¡"
_CLOSERS = "\"'”’»›)\\]"
_CLOSING = "\"'”’»›)]*_ "


def _words(line: str) -> frozenset[str]:
    return frozenset(line.split())


# After these a full stop hardly ever ends a sentence, written like this or in capitals.
_NEVER_ENDS = (
    (TITLES.keys() - {"St", "Mt", "Ft"})
    | OTHER_TITLES.keys()
    | _words("Mx Mdm Cdr Chas Thos Jas Geo Wm Robt Benj Edw Saml Alex Rs vs viz cf eg ie e.g i.e")
)
# After these one may end: what follows decides.
_SELDOM_ENDS = _words(
    "St Mt Ft Ave Rd Blvd Sq Jr Sr Esq Bros Co Inc Ltd Corp Dept Univ Assn Govt Jan Feb Aug Sept Oct Nov Dec Tues Weds "
    "Thurs etc al ft lb lbs oz hrs approx"
)
# These ask for a number: "No. 5", "Vol. II".
_NUMBERED = _words("No Nos nos Vol Vols vol vols Fig Figs fig figs Ch Chap chap Art Sec Op Ex Pt Bk p pp c ca")
_ALSO_WORDS = _words("No nos")
# Words that begin a sentence more often than they are a surname.
_STARTERS = _words(
    "He She It They We You I A An The This That These Those There Here Then Thus Now Once Soon Still Yet Just Even "
    "Only But And Or So Nor For If In On At As By Of To Up Out From With Without After Before Since Until Till Upon "
    "Over My His Her Our Your Their Its One Two Three Some Any All Both Each Every Many Most Much Such Another No Not "
    "Yes Never Nothing Nobody Everyone Everything What Where Who Whom Whose Why How When Which While Because Though "
    "Although Perhaps Maybe However Meanwhile Suddenly Presently Was Were Is Are Am Had Has Have Did Do Does Could "
    "Would Should Can Let Under Oh Ah Well"
)
SPEECH_VERBS = (
    "said|says|asked|asks|cried|cries|answered|answers|replied|replies|shouted|whispered|exclaimed|murmured|muttered"
    "|called|returned|repeated|demanded|inquired|enquired|began|continued|added|observed|remarked|interrupted|growled"
    "|laughed|sighed|screamed|yelled|gasped|snapped|breathed|thought|responded|echoed|pleaded|protested|wondered|urged"
    "|ventured|sobbed|moaned|roared|hissed|snarled|grumbled|stammered|suggested|insisted|put in|went on|broke in"
)
"""What stands by a quotation to say who spoke; a part of a regular expression."""
# What may end a sentence: a mark, or the dash of an interrupted quotation, with what closes after it.
_MAY_END = re.compile(rf"(?:[.!?…][{_CLOSERS}*_]*|[—–-][”\"’'»]+) (?:[{_CLOSERS}]+ )*")
_LAST_WORD = re.compile(r"(?:^|[^\w.])((?:[^\W\d_]{1,3}\.)*[^\W\d_]+)\.$")
_FIRST_WORD = re.compile(r"[\W_]*([^\W_]+)")
_INITIAL = re.compile(r"[A-Z]\.")
_ROMAN = re.compile(r"[IVXLC]+\b")
_ITEM = re.compile(rf"[{_OPENERS}*_]{{0,4}}(?:\d{{1,3}}|[IVXLC]{{2,6}}|[A-HJ-Za-z])\.")
_ELLIPSIS = re.compile(r"(?P<space> ?)(?:…|\.\s?\.\s?\.)\.?$")
# “Why?” John asked. “But—” I began. “Why?” She asked, …
_TAG = re.compile(
    rf"(?:I|(?P<name>(?:(?:{alternatives(TITLES)})\. )?[A-Z][^\W\d_]*(?:[’'-][^\W\d_]+)*)"
    rf"(?: [A-Z][^\W\d_]+){{0,2}}) (?:\w+ly )?(?:{SPEECH_VERBS})\b(?P<stop>[.,;:])?"
)


def split_sentences(text: str) -> list[str]:
    """Split a paragraph into sentences.

    The sentences, joined with single spaces, are the text with its white space folded: every cut is made at white
    space and nothing is dropped. Closing quotes stay with what they close, and a quotation that ends in ``?`` or ``!``
    with who said it.

    Args:
        text: one paragraph.
    Returns:
        Sentences without white space at their ends; none for blank text.
    """
    folded = " ".join(text.split())
    return list(_split(folded)) if folded else []


def _split(text: str) -> Iterator[str]:
    begin = seen = 0
    has_word = False  # in what stands since begin; kept along, as a sentence may be a megabyte of dots
    for match in _MAY_END.finditer(text):
        start = match.end()
        has_word = has_word or _has_word(text[seen : start - 1])
        seen = start
        if not has_word or _ITEM.fullmatch(text, begin, start - 1):
            continue
        if _ends(text[max(begin, start - _LOOK) : start - 1], text[start : start + _LOOK]):
            yield text[begin : start - 1]
            begin = start
            has_word = False
    yield text[begin:]


def _ends(left: str, right: str) -> bool:
    """Whether a sentence ends between these two stretches of text, neither of which need be whole."""
    first = _FIRST_WORD.match(right)
    if first is None or right[0] in ".—–-":
        return False
    following = first[1]
    if following[0].islower():
        return False
    bare = left.rstrip(_CLOSING)
    closed = len(bare) < len(left)
    if ellipsis := _ELLIPSIS.search(bare):
        if closed:
            return not _is_tag(right)
        return following in _STARTERS and following != "I" if ellipsis["space"] else following != "I"
    if bare[-1] != ".":
        return not (closed and _is_tag(right))
    return closed or _full_stop_ends(bare, right, following)


def _full_stop_ends(left: str, right: str, following: str) -> bool:
    last = _LAST_WORD.search(left)
    word = last[1] if last else ""
    if word in _NEVER_ENDS or (word.isupper() and len(word) > 1 and word.capitalize() in _NEVER_ENDS):
        return False
    if word in _NUMBERED:
        return not (right[0].isdigit() or (word not in _ALSO_WORDS and _ROMAN.match(right)))
    if word in _SELDOM_ENDS or "." in word or (len(word) == 1 and word != "I"):
        starts = following in _STARTERS or (following[0].isdigit() and len(word) == 1)
        return starts and not _INITIAL.match(right)
    return word != "I" or not _INITIAL.match(right)


def _is_tag(right: str) -> bool:
    """Whether a text goes on by saying who has just spoken."""
    tag = _TAG.match(right)
    return tag is not None and (tag["name"] not in _STARTERS or tag["stop"] is not None)


def _has_word(text: str) -> bool:
    return any(character.isalnum() for character in text)
