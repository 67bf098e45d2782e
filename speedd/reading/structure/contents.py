"""What a table of contents says of where chapters begin, and which of its entries are parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from speedd.model import ParagraphKind
from speedd.reading.structure.manuscript import Block, count_words
from speedd.reading.structure.outline import LEAST_CHAPTER_WORDS, Point
from speedd.reading.structure.titles import TitleKind, parse_title

_MOST_OWN_WORDS = 50


@dataclass(frozen=True, slots=True)
class TocEntry:
    """An entry and what stands below it."""

    title: str
    path: str
    """The document it leads to; empty if it is a mere caption."""
    fragment: str
    children: tuple[TocEntry, ...] = ()
    folded: bool = False
    """True if the source hides what stands below it: finer than its chapters."""


class Contents:
    """Turns the entries of a table of contents into the places where sections begin.

    Args:
        blocks: the whole book.
        position: the block that an entry leads to; None if it leads nowhere.
    """

    def __init__(self, blocks: Sequence[Block], position: Callable[[TocEntry], int | None]) -> None:
        self._blocks = blocks
        self._position = position

    def points(self, entries: Sequence[TocEntry], end: int | None = None) -> list[Point]:
        """Where sections begin, by some entries that stand before block ``end``."""
        end = len(self._blocks) if end is None else end
        points: list[Point] = []
        flat = self._linked(entries)
        for at, entry in enumerate(flat):
            following = flat[at + 1] if at + 1 < len(flat) else None
            index = self._position(entry)
            if index is None:
                continue
            stop = self._position(following) if following else end
            stop = stop if stop is not None and stop > index else end
            below = self._linked(entry.children)
            if below and self._are_chapters(entry, below, index, stop):
                points.append(Point(index, entry.title, part=True))
                points.extend(self.points(below, stop))
            else:
                points.append(Point(index, entry.title))
        return points

    def _linked(self, entries: Sequence[TocEntry]) -> list[TocEntry]:
        """The entries that lead somewhere. A mere caption gives way to what stands below it, unless it names a part."""
        linked: list[TocEntry] = []
        for entry in entries:
            if self._position(entry) is not None:
                linked.append(entry)
                continue
            below = self._linked(entry.children)
            line = parse_title(entry.title)
            if below and line and line.kind is TitleKind.PART:
                linked.append(TocEntry(entry.title, below[0].path, below[0].fragment, tuple(below)))
            else:
                linked.extend(below)
        return linked

    def _are_chapters(self, entry: TocEntry, below: Sequence[TocEntry], index: int, stop: int) -> bool:
        """Say whether the entries below another are chapters of a part, not passages of a chapter."""
        if any(child.path != entry.path for child in below):
            return True
        if entry.folded:
            return False
        line = parse_title(entry.title)
        numbered = sum(1 for child in below if parse_title(child.title)) * 2 > len(below)
        if numbered and not (line and line.kind is TitleKind.CHAPTER):
            return True
        first = self._position(below[0])
        own = [block for block in self._blocks[index:first] if block.kind is ParagraphKind.TEXT]
        if count_words(own) > _MOST_OWN_WORDS:
            return False
        return count_words(self._blocks[first:stop]) >= LEAST_CHAPTER_WORDS * len(below)
