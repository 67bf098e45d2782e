"""Find the chapters of a chunk JSON: by its own keys, by the book it lies beside, or by its boundaries."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from speedd.common.numerals import NUMBER_WORDS
from speedd.model import Book, Boundary, Chapter, ParagraphKind
from speedd.planning.chunk_entries import Entry
from speedd.planning.spoken import looks_like_heading

_OPENING = "Opening"
_MOST_OPENING_WORDS = 30  # "Title, by Author" and a dedication; more than that is front matter
_NEEDLE_WORDS = 20
_NEEDLE_CHARS = 400  # of one paragraph: more than enough for its words
_FEWEST_NEEDLE_WORDS = 3
_LEAST_AGREEMENT = 0.6
_MOST_PLACES = 16  # considered per chapter, and one more for every chapter that begins alike
_MOST_SHIFT = 3  # words that may have been put in or left out near a chapter's start
_MOST_TITLE_WORDS = 12
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_INVISIBLE = str.maketrans("", "", "\u200b\u200c\u200d\u2060\ufeff\u00ad’'")
_HEADING_WORDS = re.compile(
    rf"chapter|part|book|volume|section|canto|stave|\d{{1,4}}|[ivxlc]+|the|{'|'.join(NUMBER_WORDS)}"
)


@dataclass(frozen=True, slots=True)
class Chapters:
    """Where the chapters start."""

    titles: tuple[str, ...]
    starts: tuple[int, ...]
    """The first chunk of each, by its place in the order of the book; the first is 0."""
    warnings: tuple[str, ...] = ()

    def of(self, position: int) -> int:
        """The chapter that a chunk is in."""
        return bisect_right(self.starts, position) - 1


def find_chapters(entries: Sequence[Entry], book: Book | None, title: str) -> Chapters:
    """Find the chapters.

    Titles that the entries name win: they are exact. Else a book beside them gives the titles, and its chapters' first
    words are looked for in the entries. Else ``chapter_start`` and ``chapter_end`` tell, else all is one chapter.
    No chunk is skipped: what comes before the first chapter joins it if it is short, else it is a chapter "Opening".

    Args:
        entries: the chunks in the order of the book, at least one.
        book: the book that the chunks were made from, if it is there.
        title: of the book: names a single chapter.
    """
    if any(entry.title is not None for entry in entries):
        return _with_opening(entries, list(_named_starts(entries)), ())
    if book is not None and book.chapters:
        starts, warnings = _aligned(entries, book.chapters)
        if starts:
            return _with_opening(entries, starts, tuple(warnings))
        return Chapters((title,), (0,), ("None of the book's chapters was found in the chunk JSON.",))
    positions = _bounded_starts(entries)
    if not positions:
        return Chapters((title,), (0,))
    named = [(at, _heading_text(entries[at]) or f"Chapter {n}") for n, at in enumerate(positions, start=1)]
    return _with_opening(entries, named, ())


def _with_opening(entries: Sequence[Entry], starts: list[tuple[int, str]], warnings: tuple[str, ...]) -> Chapters:
    first, title = starts[0]
    if first:
        short = _words_before(entries, first) < _MOST_OPENING_WORDS
        starts = [(0, title), *starts[1:]] if short else [(0, _OPENING), *starts]
    return Chapters(tuple(title for _, title in starts), tuple(at for at, _ in starts), warnings)


def _words_before(entries: Sequence[Entry], position: int) -> int:
    count = 0
    for entry in entries[:position]:
        count += len(entry.text.split())
        if count >= _MOST_OPENING_WORDS:
            break
    return count


# --- by keys and boundaries ----------------------------------------------------------------------------------------


def _named_starts(entries: Sequence[Entry]) -> Iterator[tuple[int, str]]:
    """A title starts a chapter, unless the chunk before has the same: some tools name the chapter on every chunk."""
    before: Entry | None = None
    for position, entry in enumerate(entries):
        same = before is not None and before.title == entry.title and before.boundary is not Boundary.CHAPTER_END
        if entry.title is not None and not same:
            yield position, entry.title
        before = entry


def _bounded_starts(entries: Sequence[Entry]) -> list[int]:
    """A chunk before ``chapter_start`` is a heading; one after ``chapter_end`` begins a chapter."""
    starts = {at for at, entry in enumerate(entries) if entry.boundary is Boundary.CHAPTER_START}
    starts |= {at + 1 for at, entry in enumerate(entries[:-1]) if entry.boundary is Boundary.CHAPTER_END}
    if starts and entries[min(starts) - 1].boundary is Boundary.CHAPTER_END:
        starts.add(0)  # the end of the first chapter is marked, so its start needs no mark
    # "Part One" and "Chapter 1" one after the other start one chapter.
    return sorted(at for at in starts if at - 1 not in starts or entries[at - 1].boundary is Boundary.CHAPTER_END)


def _heading_text(entry: Entry) -> str:
    """The title that a chunk gives its chapter; empty if it is no heading."""
    words = entry.text.split()
    if len(words) > _MOST_TITLE_WORDS:
        return ""
    text = " ".join(words)
    is_heading = entry.boundary is Boundary.CHAPTER_START or looks_like_heading(text)
    return text.rstrip(".") if is_heading else ""


# --- by the book ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a chapter may start."""

    word: int
    agreement: int
    """How many pairs of neighbouring words agree with the chapter's first words about here."""
    begins: bool
    """Whether the chapter's first two words stand exactly here."""
    votes: int
    """How many pairs agree exactly."""


def _aligned(entries: Sequence[Entry], chapters: Sequence[Chapter]) -> tuple[list[tuple[int, str]], list[str]]:
    """Start positions with titles of the chapters that were found, in order, and what is to be said about them."""
    words, first_word = _flat_words(entries)
    needles = [_first_words(chapter) for chapter in chapters]
    chosen = _best_in_order(_places(words, needles))
    starts: list[tuple[int, str]] = []
    warnings: list[str] = []
    for chapter, word in zip(chapters, chosen, strict=True):
        if word is None:
            warnings.append(f"The chapter “{chapter.title}” was not found in the chunk JSON.")
            continue
        position, clean = _start_chunk(word, words, first_word, set(_words(chapter.title)))
        taken = starts[-1][0] if starts else -1
        if position <= taken:
            position = bisect_right(first_word, word) - 1
        where = f"chunk {position + 1} (counted from 1)"
        if position <= taken:
            warnings.append(
                f"The chapter “{chapter.title}” starts in {where}, as “{starts[-1][1]}” does: it has no mark."
            )
            continue
        starts.append((position, chapter.title))
        if not clean:
            warnings.append(f"The chapter “{chapter.title}” starts inside {where}; its mark is set there.")
    return starts, warnings


def _words(text: str) -> list[str]:
    return _WORD.findall(text.translate(_INVISIBLE).lower())


def _flat_words(entries: Sequence[Entry]) -> tuple[list[str], list[int]]:
    """All words, and for each chunk the number of its first one."""
    words: list[str] = []
    first_word = []
    for entry in entries:
        first_word.append(len(words))
        words.extend(_words(entry.text))
    return words, first_word


def _first_words(chapter: Chapter) -> list[str]:
    """The first words of a chapter's text; with the title before them where there are too few."""
    words: list[str] = []
    for paragraph in chapter.paragraphs:
        if paragraph.kind is not ParagraphKind.BREAK:
            words += _words(paragraph.text[:_NEEDLE_CHARS])
        if len(words) >= _NEEDLE_WORDS:
            break
    if len(words) < _FEWEST_NEEDLE_WORDS:
        words = _words(chapter.title) + words
    return words[:_NEEDLE_WORDS]


def _places(words: list[str], needles: list[list[str]]) -> list[list[_Place]]:
    """For every chapter the places where most pairs of its first words stand as they should, in order."""
    wanted: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for number, needle in enumerate(needles):
        for offset, pair in enumerate(pairwise(needle)):
            wanted[pair].append((number, offset))
    votes: list[Counter[int]] = [Counter() for _ in needles]
    begins: list[set[int]] = [set() for _ in needles]
    for at, pair in enumerate(pairwise(words)):
        for number, offset in wanted.get(pair, ()):
            votes[number][at - offset] += 1
            if offset == 0:
                begins[number].add(at)
    alike = Counter(map(tuple, needles))
    return [
        _good_places(vote, begin, _LEAST_AGREEMENT * (len(needle) - 1), _MOST_PLACES + alike[tuple(needle)])
        for needle, vote, begin in zip(needles, votes, begins, strict=True)
    ]


def _good_places(votes: Counter[int], begins: set[int], needed: float, most: int) -> list[_Place]:
    """The best of the places that enough pairs of words vote for, in order."""
    places = []
    for at in votes:
        # Words too many or too few shift the votes of what follows them.
        agreement = sum(votes[near] for near in range(at - _MOST_SHIFT, at + _MOST_SHIFT + 1) if near in votes)
        if agreement >= needed > 0:
            places.append(_Place(max(0, at), agreement, begins=at in begins, votes=votes[at]))
    places.sort(key=lambda place: (-place.agreement, not place.begins, -place.votes, place.word))
    taken: set[int] = set()
    good: list[_Place] = []
    for place in places:
        if len(good) < most and place.word not in taken:
            good.append(place)
            taken.update(range(place.word - _MOST_SHIFT, place.word + _MOST_SHIFT + 1))
    return sorted(good, key=lambda place: place.word)


class _Chain(NamedTuple):
    """Places chosen for some chapters, in order, linked from the last to the first."""

    word: int
    total: int
    number: int
    before: _Chain | None


def _best_in_order(places: list[list[_Place]]) -> list[int | None]:
    """Choose at most one place for each chapter, every one after the last, with the greatest agreement in all."""
    best = [_Chain(-1, 0, -1, None)]  # by rising word; totals rise with it
    for number, candidates in enumerate(places):
        found = []
        for place in candidates:
            before = best[bisect_left(best, place.word, key=lambda chain: chain.word) - 1]
            found.append(_Chain(place.word, before.total + place.agreement, number, before))
        kept: list[_Chain] = []
        for chain in sorted([*best, *found], key=lambda one: (one.word, -one.total)):
            if not kept or chain.total > kept[-1].total:
                kept.append(chain)
        best = kept
    chosen: list[int | None] = [None] * len(places)
    link: _Chain | None = best[-1]
    while link is not None and link.before is not None:
        chosen[link.number] = link.word
        link = link.before
    return chosen


def _start_chunk(word: int, words: list[str], first_word: list[int], title: set[str]) -> tuple[int, bool]:
    """The chunk in which a chapter starts, and whether nothing but its heading comes before it there."""

    def all_heading(begin: int, end: int) -> bool:
        return end - begin <= _MOST_TITLE_WORDS and all(
            one in title or _HEADING_WORDS.fullmatch(one) for one in words[begin:end]
        )

    position = bisect_right(first_word, word) - 1
    if not all_heading(first_word[position], word):
        return position, False
    # A heading may be a chunk, or two, of its own.
    while position and first_word[position - 1] < first_word[position] and all_heading(first_word[position - 1], word):
        position -= 1
    return position, True
