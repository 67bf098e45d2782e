"""Find the sentences of a paragraph: nupunkt's, mended where English fiction trips it up."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nupunkt import sent_spans

_LOOK = 64  # characters on either side of a cut that decide


def _words(line: str) -> frozenset[str]:
    return frozenset(line.split())


# After these a full stop hardly ever ends a sentence.
_NEVER_ENDS = _words(
    "Mr Mrs Ms Dr Prof Rev Hon Messrs Mme Mlle Mdm Capt Col Gen Lt Sgt Maj Cpl Pte Cmdr Cdr Adm Gov Sen Rep Pres "
    "Fr Bro Supt Insp Det vs viz cf eg ie"
)
# After these one may end: what follows decides.
_SELDOM_ENDS = _words("St Mt Ft Ave Rd Blvd Sq Jr Sr Esq Bros")
# These ask for a number: "No. 5", "Vol. II".
_NUMBERED = _words("No Nos Vol Vols Fig Figs Ch Chap Art Sec Op Ex p pp c ca")
# Words that begin a sentence more often than they are a surname.
_STARTERS = _words(
    "He She It They We You The Then There This That These Those But And Or So My His Her Our Your Their Its When "
    "What Where Who Why How If In On At As By For From With After Before No Yes Not Now All I A An"
)
_LAST_WORD = re.compile(r"(?:^|[\s(\[“\"‘'—–-])([^\W\d_]+)\.$")
_FIRST_WORD = re.compile(r"[\"'“‘«(\[]*([^\W_]+)")
_ROMAN = re.compile(r"[IVXLC]+\b")
_CONTINUES = re.compile(r"[\"'“‘«(\[]*(?:[a-zà-öø-ÿ]|[—–-])")
_LEADING_CLOSERS = re.compile(r"[”’»)\]]+(?= |$)")
# Ends that nupunkt takes for abbreviations: "No. “Why?”"; "… vitamin C. Then he left."
_MISSED = re.compile(
    r"(?<=\bNo\.) (?=[“‘\"(]?[A-Z])"
    r"|(?<=[ (“‘][A-Z]\.) (?=(?:He|She|It|They|We|You|The|Then|There|This|That|But|And|So|My|His|Her|When|What)\b)"
)
_MAYBE_SEVERAL = re.compile(r"[.!?…][^\w\s]*\s")


def split_sentences(text: str) -> list[str]:
    """Split a paragraph into sentences.

    The sentences, joined with single spaces, are the text with its white space folded: every cut is made at white
    space and nothing is dropped. Closing quotes stay with what they close.

    Args:
        text: one paragraph of English.
    Returns:
        Sentences without white space at their ends; none for blank text.
    """
    folded = " ".join(text.split())
    if not folded:
        return []
    if not _MAYBE_SEVERAL.search(folded):
        return [folded]
    return list(_mended(folded, sorted(_proposed_starts(folded))))


def _proposed_starts(text: str) -> set[int]:
    """Where a sentence may start, the first one excepted; always just after a space."""
    starts = {match.end() for match in _MISSED.finditer(text)}
    for start, _ in sent_spans(text):
        # A closing quote that stands alone ("Go. ” Then") belongs to the sentence before it.
        closers = _LEADING_CLOSERS.match(text, start)
        moved = min(closers.end() + 1, len(text)) if closers else start
        if moved and text[moved - 1] == " ":
            starts.add(moved)
    return starts


def _mended(text: str, starts: list[int]) -> Iterator[str]:
    begin = seen = 0
    has_word = False  # in what stands since begin; kept along, as a sentence may be a megabyte of dots
    for start in starts:
        has_word = has_word or _has_word(text[seen : start - 1])
        seen = start
        if has_word and _ends(text[max(begin, start - _LOOK) : start - 1], text[start : start + _LOOK]):
            yield text[begin : start - 1]
            begin = start
            has_word = False
    yield text[begin:]


def _ends(left: str, right: str) -> bool:
    """Whether a sentence ends between these two stretches of text, neither of which need be whole."""
    if _CONTINUES.match(right) or not _has_word(right):
        return False
    last = _LAST_WORD.search(left)
    if last is None:
        return True
    word = last[1]
    first = _FIRST_WORD.match(right)
    following = first[1] if first else ""
    if word in _NEVER_ENDS:
        return False
    if word in _NUMBERED:
        return not (right[:1].isdigit() or (word != "No" and _ROMAN.match(right)))
    if word in _SELDOM_ENDS or (len(word) == 1 and word.isupper() and word != "I"):
        return following in _STARTERS or not following[:1].isupper()
    return word != "I" or not re.match(r"[A-Z]\. ", right)


def _has_word(text: str) -> bool:
    return any(character.isalnum() for character in text)
