"""Cut text to a length that an engine takes, where a reader would breathe."""

from __future__ import annotations

import re
from collections.abc import Iterable

from speedd.model import TextLimits
from speedd.planning.sentences import split_sentences

_SPACE = re.compile(r" ")
_CLOSERS = "\"'”’»)]"
_CONJUNCTIONS = re.compile(
    r"(?:and|but|or|nor|so|yet|for|because|although|though|while|when|where|which|who|whom|whose|that|if|unless|until"
    r"|since|after|before|as|than|with|without) "
)
_STRONG = frozenset(";:—–…!?.")
# How good a place is, best first; a place inside a number is the last resort.
_AT_CLAUSE, _AT_COMMA, _AT_CONJUNCTION, _AT_SPACE, _IN_NUMBER = range(5)


def chunk_texts(paragraph: str, limits: TextLimits) -> list[str]:
    """Cut a paragraph into the texts of its chunks.

    Joined with single spaces they are the paragraph with its white space folded. None is longer than
    ``limits.max_chars``, unless it is one single word.
    """
    pieces = [piece for sentence in split_sentences(paragraph) for piece in cut_long(sentence, limits.max_chars)]
    if limits.one_sentence:
        return pieces
    packed = _packed(pieces, limits.best_chars)
    return _without_short(packed, limits)


def cut_long(text: str, max_chars: int) -> list[str]:
    """Cut a text, with white space folded, into pieces of at most ``max_chars``, of much the same length.

    Cuts are made at spaces only: after ``; : — …`` first, then after a comma, then before a conjunction, then
    anywhere, and between two digits only if there is nowhere else. A word longer than ``max_chars`` stays whole.
    """
    pieces = []
    begin = 0
    while len(text) - begin > max_chars:
        # Looking only at what lies in reach, so that a sentence of a megabyte costs no more than its length.
        cut = _best_cut(text[begin : begin + max_chars + 2], len(text) - begin, max_chars)
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
    for rank in range(_AT_SPACE):
        near = [at for at in ranked.get(rank, ()) if at >= target / 2]
        if near:
            return min(near, key=lambda at: abs(at - target))
    in_number = ranked.pop(_IN_NUMBER, [0])
    return max((at for places in ranked.values() for at in places), default=in_number[-1])


def _rank(text: str, at: int) -> int:
    if text[at - 1].isdigit() and text[at + 1].isdigit():
        return _IN_NUMBER
    before = text[max(0, at - 8) : at].rstrip(_CLOSERS)
    if before[-1:] in _STRONG:
        return _AT_CLAUSE
    if before.endswith(","):
        return _AT_COMMA
    return _AT_CONJUNCTION if _CONJUNCTIONS.match(text, at + 1) else _AT_SPACE


def _packed(pieces: Iterable[str], best_chars: int) -> list[str]:
    packed: list[str] = []
    for piece in pieces:
        if packed and len(packed[-1]) + 1 + len(piece) <= best_chars:
            packed[-1] += " " + piece
        else:
            packed.append(piece)
    return packed


def _without_short(texts: list[str], limits: TextLimits) -> list[str]:
    """Join what is shorter than ``min_chars`` to a neighbour, the shorter one first, where the engine can take both."""
    at = 0
    while at < len(texts):
        if len(texts[at]) >= limits.min_chars:
            at += 1
            continue
        neighbours = [(len(texts[n]), n) for n in (at - 1, at + 1) if 0 <= n < len(texts)]
        fitting = [n for length, n in sorted(neighbours) if length + 1 + len(texts[at]) <= limits.max_chars]
        if not fitting:
            at += 1
            continue
        first = min(at, fitting[0])
        texts[first : first + 2] = [" ".join(texts[first : first + 2])]
        at = first
    return texts
