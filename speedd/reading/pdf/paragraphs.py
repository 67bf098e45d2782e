"""From lines of PDF pages to paragraphs: across columns and pages, with hyphenation undone."""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from speedd.reading.pdf.glyphs import Line
from speedd.reading.pdf.layout import Region
from speedd.reading.structure.initials import INITIAL, MARK, join_initial
from speedd.reading.structure.lines import join_lines
from speedd.reading.structure.wording import fold

_ENDS = re.compile(r"[.!?:…]['\"”’)\]»]*$")
_INDENT = 0.8
"""In sizes of type."""
_DEEPEST_INDENT = 6
_APART = 1.35
"""Paragraphs that stand apart are this much further from each other than lines."""
_SHORT = 0.12
"""A line that ends so far before the margin, in widths of its column, ends a paragraph if it ends a sentence."""
_BROKEN = 0.3
"""One that ends so far before it was broken by hand."""
_BOLDER = 150
_NEAR = 1.5
"""Points that make no difference."""
_FEW_LINES = 4
_INITIAL_SIZE = 1.6
_WORD = re.compile(r"[^\W\d_]+(?:[-’'][^\W\d_]+)*")
_BULLET = re.compile(r"[•‣▪▫◦●○■□➢➤✓❖·]\s+(?=\S)")
_PARTED = re.compile(r"([^\W\d_]+)-$")
_BEGINS = re.compile(r"[^\W\d_]+")
_COMPOUNDING = frozenset({
    "self", "ex", "non", "half", "all", "well", "ill", "twenty", "thirty", "forty", "fifty", "sixty", "seventy",
    "eighty", "ninety", "mother", "father", "sister", "brother", "quasi", "cross", "so",
})  # fmt: skip


@dataclass(slots=True)
class TypesetParagraph:
    """A paragraph as it is set on the pages."""

    lines: list[Line] = field(default_factory=list)
    broken: list[bool] = field(default_factory=list)
    """Of each line, whether it was broken by hand."""
    centred: bool = False
    apart: bool = False
    """Whether it keeps its distance from what stands above it."""

    @property
    def size(self) -> float:
        """Of its type."""
        return statistics.median(line.size for line in self.lines)

    @property
    def weight(self) -> float:
        """Of its type."""
        return statistics.median(line.weight for line in self.lines)

    @property
    def marks(self) -> list[tuple[int, str]]:
        """Page and sign of the note marks in it."""
        return [(line.page, mark) for line in self.lines for mark in line.marks]


def leading(regions: Iterable[Region]) -> float:
    """The usual distance between lines, in sizes of their type."""
    steps = [
        round((above.y - line.y) / line.size, 2)
        for region in regions
        for above, line in zip(region.lines, region.lines[1:], strict=False)
        if abs(above.size - line.size) < 0.3 and line.size and 0 < above.y - line.y < 4 * line.size  # noqa: PLR2004
    ]
    if not steps:
        return 1.2
    return Counter(round(step, 1) for step in steps).most_common(1)[0][0]


def paragraphs_of(regions: Sequence[Region], step: float, alone: Container[int]) -> list[TypesetParagraph]:
    """Gather lines into paragraphs.

    A paragraph goes on in the next column or on the next page if its last line is full or ends no sentence.

    Args:
        regions: in reading order.
        step: as `leading` gives it.
        alone: pages that no paragraph goes beyond: an imprint, a table of contents.
    """
    margins = _margins(regions)
    indent = _usual_indent(regions, margins)
    found: list[TypesetParagraph] = []
    before: Region | None = None
    for region in regions:
        lines = region.lines
        left, right = margins[id(region)]
        for at, line in enumerate(lines):
            following = lines[at + 1] if at + 1 < len(lines) else None
            indented = _is_indented(line, following, left)
            above = lines[at - 1] if at else None
            current = found[-1] if found else None
            if current is None or (
                _parts(above, line, indented=indented, left=left, right=right, step=step)
                or (abs(line.x0 - left - indent * line.size) < _NEAR and _ends_paragraph(above, left, right))
                if above
                else region.page in alone
                or before is None
                or before.page in alone
                or _parts_at_edge(current, line, margins[id(before)], apart=indented or _is_centred(line, left, right))
            ):
                current = TypesetParagraph(apart=above is None or above.y - line.y > _APART * step * line.size)
                current.centred = _is_centred(line, left, right)
                found.append(current)
            current.lines.append(line)
            current.broken.append(line.x1 < right - _BROKEN * (right - left))
        before = region
    return found


def _margins(regions: Sequence[Region]) -> dict[int, tuple[float, float]]:
    """The left and right margin of every region, by ``id``; a page of few lines has those of the others."""
    full = [region for region in regions if len(region.lines) >= _FEW_LINES]
    left = statistics.median(region.left for region in full) if full else math.inf
    right = statistics.median(region.right for region in full) if full else -math.inf
    several = Counter(region.page for region in regions)
    return {
        id(region): (region.left, region.right)
        if len(region.lines) >= _FEW_LINES or several[region.page] > 1
        else (min(region.left, left), max(region.right, right))
        for region in regions
    }


def with_initials(lines: Sequence[Line]) -> list[Line]:
    """Put a large initial before the highest line that it stands beside."""
    kept = list(lines)
    for initial in lines:
        if not INITIAL.fullmatch(initial.text):
            continue
        beside = [
            line
            for line in kept
            if line is not initial
            and line.size * _INITIAL_SIZE < initial.size
            and initial.y - 0.3 * line.size <= line.y <= initial.y + initial.size
            and initial.x0 <= line.x0 < initial.x1 + line.size
        ]
        if beside:
            first = max(beside, key=lambda line: line.y)
            first.text = join_initial(f"{initial.text}{MARK} {first.text}")
            first.x0 = initial.x0
            for line in beside:
                line.x0 = min(line.x0, initial.x0)
            kept.remove(initial)
    return kept


def _is_indented(line: Line, following: Line | None, left: float) -> bool:
    depth = line.x0 - left
    if not _INDENT * line.size < depth < _DEEPEST_INDENT * line.size:
        return False
    # A quotation is indented throughout; only its first line may begin a paragraph.
    return following is None or following.x0 < line.x0 - _INDENT * line.size / 2


def _usual_indent(regions: Sequence[Region], margins: Mapping[int, tuple[float, float]]) -> float:
    """How far most paragraphs are indented, in sizes of type; infinite if none is."""
    depths: Counter[float] = Counter()
    for region in regions:
        left, _ = margins[id(region)]
        for line, following in pairwise(region.lines):
            if _is_indented(line, following, left) and abs(following.x0 - left) < _NEAR:
                depths[round((line.x0 - left) / line.size, 1)] += 1
    return depths.most_common(1)[0][0] if depths else math.inf


def _ends_paragraph(line: Line, left: float, right: float) -> bool:
    """Say whether a paragraph may end with a line: it ends a sentence, or before the margin."""
    return bool(_ENDS.search(line.text)) or line.x1 < right - _SHORT * (right - left)


def _is_centred(line: Line, left: float, right: float) -> bool:
    margins = line.x0 - left, right - line.x1
    return min(margins) > line.size and abs(margins[0] - margins[1]) < line.size


def _parts(above: Line, line: Line, *, indented: bool, left: float, right: float, step: float) -> bool:
    """Say whether a line begins a paragraph, by the line above it."""
    size = max(above.size, line.size)
    if abs(above.size - line.size) > 0.08 * size + 0.2 or abs(above.weight - line.weight) >= _BOLDER:
        return True
    if above.y - line.y > _APART * step * size or _BULLET.match(line.text):
        return True
    if indented and above.x0 < line.x0 - _INDENT * line.size / 2:
        return True
    width = right - left
    if above.x1 < right - _SHORT * width and _ENDS.search(above.text) and not above.text.endswith(":"):
        return True
    # After a quotation the text goes back to the margin.
    return above.x0 > line.x0 + 2 * line.size and above.x0 > left + 2 * line.size and not _is_centred(line, left, right)


def _parts_at_edge(current: TypesetParagraph, line: Line, margins: tuple[float, float], *, apart: bool) -> bool:
    """Say whether the first line of a column or page begins a paragraph."""
    above = current.lines[-1]
    if apart or abs(above.size - line.size) > 0.08 * line.size + 0.2:
        return True
    if abs(above.weight - line.weight) >= _BOLDER or current.centred:
        return True
    left, right = margins
    if line.text[:1].islower() and not _ENDS.search(above.text):
        return False
    if above.x1 < right - _BROKEN * (right - left):
        return True
    if _ENDS.search(above.text):
        return above.x1 < right - _SHORT * (right - left) or line.text[:1].isupper() is False
    return False


# --- words ---------------------------------------------------------------------------------------------------------


class Words:
    """The words of a book as they stand inside lines: they tell a parted word from one with a hyphen.

    Args:
        lines: of the whole book.
    """

    def __init__(self, lines: Iterable[Line]) -> None:
        self._known: set[str] = set()
        for line in lines:
            # What a line ends with may be half a word.
            inside = line.text[: line.text.rstrip().rfind(" ") + 1] if line.text.rstrip().endswith("-") else line.text
            self._known.update(word.casefold() for word in _WORD.findall(inside))

    def join(self, lines: Sequence[str]) -> str:
        """Join lines of prose, undoing hyphenation."""
        text = ""
        for line in lines:
            if not text:
                text = line
            elif (parted := _PARTED.search(text)) and (begins := _BEGINS.match(line)):
                text = text[:-1] + ("-" if self._keeps_hyphen(parted[1], begins[0]) else "") + line
            elif text.endswith(("—", "–", "-")) and not text.endswith((" —", " –", " -")):
                text += line
            else:
                text += f" {line}"
        return fold(text)

    def _keeps_hyphen(self, left: str, right: str) -> bool:
        joined, compound = f"{left}{right}".casefold(), f"{left}-{right}".casefold()
        if joined in self._known:
            return False
        return compound in self._known or left.casefold() in _COMPOUNDING or right[0].isupper()

    def text_of(self, paragraph: TypesetParagraph) -> str:
        """The text of a paragraph: its lines joined, or kept where they were broken by hand."""
        texts = [_BULLET.sub("", line.text) for line in paragraph.lines if line.text]
        low = sum(1 for text in texts[1:] if text[0].islower())
        if len(texts) > 1 and all(paragraph.broken[:-1]) and not paragraph.centred and low * 3 < len(texts):
            return join_lines([fold(text) for text in texts])
        return self.join(texts)
