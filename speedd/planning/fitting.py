"""Cut text to a length that an engine takes, where a reader would breathe."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from speedd.model import TextLimits
from speedd.planning.normalising.abbreviations import TITLES
from speedd.planning.normalising.rules import alternatives
from speedd.planning.sentences import split_sentences

_SPACE = re.compile(r" ")
_CLOSERS = "\"'”’»›)]"
_OPENERS = "\"'“‘«‹(["
_CONJUNCTIONS = re.compile(
    r"(?:and|but|or|nor|so|yet|for|because|although|though|while|when|where|which|who|whom|whose|that|if|unless|until"
    r"|since|after|before|as|than) "
)
_PREPOSITIONS = re.compile(
    r"(?:in|on|at|by|from|into|onto|over|under|through|across|along|toward|towards|upon|among|between|against|behind"
    r"|beneath|beside|beyond|without|within|with|about|above|below|during|around|near|like|to) "
)
# Nobody breathes after these.
_LEADING = re.compile(
    r"(?:an?|the|this|that|these|those|my|your|his|her|its|our|their|no|not|of|to|in|on|at|by|from|with|for|and|but|or"
    r"|as|is|was|are|were|be|been|had|has|have|will|would|could|should|can|may|might|must|do|does|did|very|so|too|more)"
)
_STRONG = frozenset(";:—–…!?")
_TITLE = re.compile(rf"(?:{alternatives(TITLES)}|Messrs|Miss|Sir|Lady|Lord|No|Vol|[A-Z])\.?$")
_NAME_PART = re.compile(r"[^\W\d_a-z][^\W\d_]*(?:[’'.-][^\W\d_]+)*\.?$")
_AFTER_NAME = re.compile(r"(?:Jr|Sr|Esq|Ph\.D|M\.D)\b|(?:de|di|da|du|des|del|van|von|der|la|le|of the|of) [A-Z]")
_NUMBER_WORD = re.compile(
    r"(?:\d[\d.,:/]*|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|\w+ty(?:-\w+)?|hundred|thousand"
    r"|million|billion|half|dozen)(?!\w)",
    re.IGNORECASE,
)
_UNIT = re.compile(
    r"(?:hundred|thousand|million|billion|trillion|dozen|percent|per cent|pounds?|dollars?|pence|cents?|miles?|feet"
    r"|foot|inch(?:es)?|yards?|metres?|meters?|km|cm|mm|kg|lbs?|oz|ft|o’clock|o'clock|a\.m|p\.m|am|pm|years?|days?|hours?"
    r"|minutes?|seconds?|January|February|March|April|May|June|July|August|September|October|November|December)\b"
)
# Chinese and Japanese stand without blanks; one that is there goes with what is before it.
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff]")
# 「…。」と彼は言った is one.
_UNSPACED_SENTENCE = re.compile("(?:[^。！？]*[。！？]+[」』]と)*[^。！？]*[。！？]+[」』）》”’]* ?|[^。！？]+")
_UNSPACED_COMMA = re.compile("[，、；：,;…—][」』）》”’]* ?")
_LOOK = 48  # characters on either side of a place that tell what it is
_FIRST_QUOTED_WORDS = 3
# How good a place is, best first. In the last nobody breathes: inside a name, a number, or a quotation's first words.
_AT_CLAUSE, _AT_COMMA, _AT_CONJUNCTION, _AT_PHRASE, _AT_SPACE, _AT_LEADING, _INSIDE = range(7)


class Piece(NamedTuple):
    """A stretch of a paragraph, and what stands at its end."""

    text: str
    after: str
    """What parts it from the next piece: a space inside a sentence or after one, or a line end."""
    whole: bool
    """Whether a sentence ends with it."""


def chunk_pieces(paragraph: str, limits: TextLimits) -> list[Piece]:
    """Cut a paragraph into the pieces that become its chunks.

    Joined, they are the paragraph with its white space folded, but for line ends, which stay. None is longer than
    ``limits.max_chars``, unless it is one single word. Sentences stay whole where they fit, and what is shorter than
    ``limits.min_chars`` joins a neighbour.
    """
    pieces: list[Piece] = []
    for line in paragraph.split("\n"):
        own = [piece for sentence in split_sentences(line) for piece in _fitting(sentence, limits.max_chars)]
        if own:
            pieces += [*own[:-1], own[-1]._replace(after="\n")]
    if limits.one_sentence:
        return pieces
    return _without_short(_packed(pieces, limits.best_chars), limits)


def _fitting(sentence: str, max_chars: int) -> list[Piece]:
    """A sentence in pieces that fit."""
    if _UNSPACED.search(sentence):
        *cut, end = _fitting_unspaced(sentence, max_chars)
        return [*cut, end._replace(after=" ")]
    *cuts, last = cut_long(sentence, max_chars)
    return [*(Piece(cut, " ", whole=False) for cut in cuts), Piece(last, " ", whole=True)]


def _fitting_unspaced(text: str, max_chars: int) -> Iterator[Piece]:
    """Chinese or Japanese: its sentences, and those that are too long cut after a comma if there is one."""
    for sentence in _UNSPACED_SENTENCE.findall(text):
        rest = sentence
        while len(rest) > max_chars:
            target = len(rest) // -(-len(rest) // max_chars)
            commas = [found.end() for found in _UNSPACED_COMMA.finditer(rest, target // 2, max_chars)]
            at = min(commas, key=lambda comma: abs(comma - target)) if commas else target
            yield _unspaced_piece(rest[:at], whole=False)
            rest = rest[at:]
        yield _unspaced_piece(rest, whole=True)


def _unspaced_piece(text: str, *, whole: bool) -> Piece:
    bare = text.rstrip(" ")
    return Piece(bare, text[len(bare) :], whole)


def cut_long(text: str, max_chars: int) -> list[str]:
    """Cut a text, with white space folded, into pieces of at most ``max_chars``, of much the same length.

    Cuts are made at spaces only: after ``; : — …`` first, then after a comma, then before a conjunction, then before a
    preposition, then anywhere; inside a name, a number or the first words of a quotation only if there is nowhere
    else. A word longer than ``max_chars`` stays whole.
    """
    pieces = []
    begin = 0
    while len(text) - begin > max_chars:
        # Looking only at what lies in reach, so that a sentence of a megabyte costs no more than its length.
        cut = _best_cut(text[begin : begin + max_chars + _LOOK], len(text) - begin, max_chars)
        end = begin + cut if cut else text.find(" ", begin + max_chars)
        if end < 0:
            break
        pieces.append(text[begin:end])
        begin = end + 1
    return [*pieces, text[begin:]]


def cut_hard(text: str, max_chars: int) -> list[str]:
    """Cut like `cut_long`, and cut words that are too long as well."""
    return [
        piece[begin : begin + max_chars]
        for piece in cut_long(text, max_chars)
        for begin in range(0, len(piece), max_chars)
    ]


def _best_cut(reach: str, rest_chars: int, max_chars: int) -> int:
    """The position of the space to cut at in ``reach``, the next of ``rest_chars`` characters; 0 if there is none."""
    target = rest_chars / -(-rest_chars // max_chars)
    ranked: dict[int, list[int]] = {}
    for match in _SPACE.finditer(reach, 1, max_chars + 1):
        ranked.setdefault(_rank(reach, match.start()), []).append(match.start())
    # Neither this piece nor the last one is to be a stub.
    for least, most in ((target / 2, rest_chars - target / 2), (target / 2, max_chars), (1, max_chars)):
        for rank in range(_INSIDE):
            if near := [at for at in ranked.get(rank, ()) if least <= at <= most]:
                return min(near, key=lambda at: abs(at - target))
    return max(ranked.get(_INSIDE, [0]))


def _rank(text: str, at: int) -> int:
    left, right = text[max(0, at - _LOOK) : at], text[at + 1 : at + _LOOK]
    before = left[left.rfind(" ") + 1 :].strip(_OPENERS)
    bare = before.rstrip(_CLOSERS)
    if _is_inside_number(bare, right) or _is_inside_name(before, right) or _in_first_quoted_words(left):
        return _INSIDE
    if bare[-1:] in _STRONG:
        return _AT_CLAUSE
    if bare.endswith(","):
        return _AT_COMMA
    if _LEADING.fullmatch(bare):
        return _AT_LEADING
    if _CONJUNCTIONS.match(right):
        return _AT_CONJUNCTION
    return _AT_PHRASE if _PREPOSITIONS.match(right) else _AT_SPACE


def _is_inside_number(before: str, right: str) -> bool:
    """``before`` is the word on the left, without quotes around it."""
    if before[-1:].isdigit() or (before[-2:-1].isdigit() and before[-1] in ",.%" and right[:1].isdigit()):
        return bool(_NUMBER_WORD.match(right) or _UNIT.match(right))  # 10 000; 5 million; 5 ft; May 5, 1984
    if right[:1].isdigit() and _NAME_PART.match(before):
        return True  # Chapter 5; No. 5; June 5
    if not _NUMBER_WORD.fullmatch(before):
        return before == "and" and _NUMBER_WORD.match(right) is not None
    return bool(_NUMBER_WORD.match(right) or _UNIT.match(right) or right.startswith("and "))


def _is_inside_name(before: str, right: str) -> bool:
    if _TITLE.match(before) and right[:1].isalnum():
        return True  # Mr. Holmes; H. G. Wells
    named = _NAME_PART.match(before) is not None
    return named and (right[:1].isupper() or _AFTER_NAME.match(right) is not None)


def _in_first_quoted_words(left: str) -> bool:
    """Whether a quotation began within the last few words of ``left`` and goes on."""
    words = left.split(" ")[-_FIRST_QUOTED_WORDS:]
    for number, word in enumerate(words):
        if word[:1] in "“‘«\"'" and len(word) > 1:
            return not any(later[-1:] in "”’»\"'" for later in words[number:])
    return False


def _packed(pieces: Iterable[Piece], best_chars: int) -> list[Piece]:
    packed: list[Piece] = []
    for piece in pieces:
        if packed and len(packed[-1].text) + 1 + len(piece.text) <= best_chars:
            packed[-1] = _joined(packed[-1], piece)
        else:
            packed.append(piece)
    return packed


def _joined(first: Piece, second: Piece) -> Piece:
    return second._replace(text=f"{first.text}{first.after}{second.text}")


def _without_short(pieces: list[Piece], limits: TextLimits) -> list[Piece]:
    """Join what is shorter than ``min_chars`` to a neighbour, the shorter one first, where the engine can take both."""
    at = 0
    while at < len(pieces):
        chars = len(pieces[at].text)
        if chars >= limits.min_chars:
            at += 1
            continue
        neighbours = [(len(pieces[n].text), n) for n in (at - 1, at + 1) if 0 <= n < len(pieces)]
        fitting = [n for length, n in sorted(neighbours) if length + 1 + chars <= limits.max_chars]
        if not fitting:
            at += 1
            continue
        first = min(at, fitting[0])
        pieces[first : first + 2] = [_joined(*pieces[first : first + 2])]
        at = first
    return pieces
