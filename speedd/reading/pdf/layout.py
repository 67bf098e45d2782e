"""The layout of PDF pages: what runs along their edges goes, columns come one after the other, notes stand apart."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from speedd.reading.pdf.glyphs import Line
from speedd.reading.structure.titles import number

_EDGE_ROWS = 2
_LEAST_REPEATS = 3
_ZONE_PT = 2.5
_LEAST_COLUMN_LINES = 4
_LEAST_COLUMN_SHARE = 0.2
_MOST_CROSSING_SHARE = 0.25
_LEAST_FILL = 0.6
"""Lines of a column of text fill it; the cells of a table do not."""
_DEEPEST = 3
_NOTE_SIZE = 0.93
_NOTE_LABEL = re.compile(r"[\[(]?(\d{1,3}|[*†‡§¶]{1,3})[\])]?[.)]?\s+(?=\S)")
_PAGE_NUMBER = re.compile(
    r"\W*(?:page|pg\.?|p\.)?\W*(?P<number>\d{1,4}|[ivxlc]{1,7})\W*(?:(?:of|/)\s*\d{1,4})?\W*(?:page)?\W*", re.IGNORECASE
)
_SAME_ROW = 0.4
_FAR = 1.7
"""A distance between lines, in sizes of type, that no text is set with."""


@dataclass(slots=True)
class PageLines:
    """The lines of one page."""

    number: int
    """From 0."""
    lines: list[Line]
    notes: list[Line] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Region:
    """Lines that are read one below the other: a page, or a column of it."""

    page: int
    lines: tuple[Line, ...]

    @property
    def left(self) -> float:
        """Where most lines begin."""
        return statistics.quantiles([line.x0 for line in self.lines] * 2, n=10)[0]

    @property
    def right(self) -> float:
        """Where full lines end."""
        return statistics.quantiles([line.x1 for line in self.lines] * 2, n=10)[-1]


# --- what runs along the edges -------------------------------------------------------------------------------------


def without_running_lines(pages: Sequence[PageLines]) -> int:
    """Take running heads, running feet and page numbers off the pages.

    What repeats on three pages goes, what counts with the pages, and what stands where such lines stand.

    Returns:
        how many words went.
    """
    taken = 0
    for top in (True, False):
        for _ in range(_EDGE_ROWS):
            rows = [row for page in pages if (row := _edge(page, top=top))]
            running = _running(rows, top=top)
            if not running:
                break
            for page, lines in running:
                taken += sum(len(line.text.split()) for line in lines)
                gone = set(map(id, lines))
                page.lines = [line for line in page.lines if id(line) not in gone]
    return taken


_Row = tuple[PageLines, list[Line]]


def _edge(page: PageLines, *, top: bool) -> _Row | None:
    """The first or last row of a page, and its page."""
    if not page.lines:
        return None
    edge = (max if top else min)(page.lines, key=lambda line: line.y)
    row = [line for line in page.lines if abs(line.y - edge.y) < _SAME_ROW * edge.size]
    return page, sorted(row, key=lambda line: line.x0)


def _running(rows: Sequence[_Row], *, top: bool) -> list[_Row]:
    keys = {page.number: _key(row) for page, row in rows}
    counts = Counter(keys.values())
    offsets = Counter(value - page.number for page, row in rows if (value := _page_number(row)) is not None)
    modal = {offset for offset, count in offsets.items() if count >= _LEAST_REPEATS}
    found = [
        (page, row)
        for page, row in rows
        if (counts[keys[page.number]] >= _LEAST_REPEATS and keys[page.number].strip("# ") and _is_apart(page, row, top))
        or ((value := _page_number(row)) is not None and (value - page.number in modal))
    ]
    if len(found) < _LEAST_REPEATS:
        return []
    there = {page.number for page, _ in found}
    height = statistics.median(row[0].y for _, row in found)
    size = statistics.median(row[0].size for _, row in found)
    for page, row in rows:
        alike = abs(row[0].y - height) < _ZONE_PT and abs(row[0].size - size) < 0.6  # noqa: PLR2004 - points
        if page.number not in there and alike and _is_apart(page, row, top):
            found.append((page, row))
    return found


def _is_apart(page: PageLines, row: Sequence[Line], top: bool) -> bool:
    """Say whether a row keeps more distance from the text than the text's own lines from each other, or looks other."""
    ys = sorted({round(line.y, 1) for line in page.lines}, reverse=top)
    if len(ys) < 4:  # noqa: PLR2004 - too few to compare
        return len(ys) == 1 or abs(ys[0] - ys[1]) > _FAR * row[0].size
    gaps = [abs(upper - lower) for upper, lower in pairwise(ys)]
    typical = statistics.median(gaps)
    others = [line.size for line in page.lines if line not in row]
    return gaps[0] > 1.25 * typical or abs(row[0].size - statistics.median(others)) > 0.6  # noqa: PLR2004


def _key(row: Sequence[Line]) -> str:
    """What a running line says on every page: "12 THE CLOCK" and "14 THE CLOCK" say the same."""
    words = " ".join(line.text for line in row).casefold().split()
    return " ".join(re.sub(r"\d+", "#", word) if not re.fullmatch(r"[ivxlc]+", word) else "#" for word in words)


def _page_number(row: Sequence[Line]) -> int | None:
    match = _PAGE_NUMBER.fullmatch(" ".join(line.text for line in row))
    if match is None:
        return None
    return number(match["number"])


# --- notes and columns ---------------------------------------------------------------------------------------------


def body_size(pages: Iterable[PageLines]) -> float:
    """The size that most of the text is set in; 0 if there is none."""
    sizes: Counter[float] = Counter()
    for page in pages:
        for line in page.lines:
            sizes[round(line.size * 2) / 2] += len(line.text)
    return sizes.most_common(1)[0][0] if sizes else 0.0


def set_notes_apart(page: PageLines, body: float) -> None:
    """Move the notes at the foot of a page out of its text: lines in smaller type, the first with a mark."""
    for region in regions(page):
        lines = list(region.lines)
        start = len(lines)
        while start and lines[start - 1].size < _NOTE_SIZE * body:
            start -= 1
        while start < len(lines) and not (_NOTE_LABEL.match(lines[start].text) or _begins_with_mark(lines[start])):
            start += 1
        if 0 < start < len(lines):
            gone = set(map(id, lines[start:]))
            page.notes.extend(lines[start:])
            page.lines = [line for line in page.lines if id(line) not in gone]


def _begins_with_mark(line: Line) -> bool:
    return bool(line.marks) and line.text[:1].isalpha()


def note_label(line: Line) -> tuple[str, str]:
    """The mark that a line of a note begins with, and the rest of it; no mark if it goes on with a note."""
    if match := _NOTE_LABEL.match(line.text):
        return match[1], line.text[match.end() :]
    if line.marks:
        return line.marks[0], line.text
    return "", line.text


def regions(page: PageLines) -> list[Region]:
    """Cut a page into what is read one after the other: columns, and what spans them."""
    return list(_cut(page.lines, page.number, 0))


def _cut(lines: Sequence[Line], page: int, depth: int) -> Iterable[Region]:
    gutter = _gutter(lines) if depth < _DEEPEST else None
    if gutter is None:
        if lines:
            yield Region(page, tuple(_rows(lines)))
        return
    band: list[Line] = []
    spanning: list[Line] = []
    for line in sorted(lines, key=lambda line: -line.y):
        crosses = line.x0 < gutter < line.x1
        if crosses and band:
            yield from _sides(band, page, gutter, depth)
            band = []
        if not crosses and spanning:
            yield Region(page, tuple(_rows(spanning)))
            spanning = []
        (spanning if crosses else band).append(line)
    yield from _sides(band, page, gutter, depth)
    if spanning:
        yield Region(page, tuple(_rows(spanning)))


def _sides(band: Sequence[Line], page: int, gutter: float, depth: int) -> Iterable[Region]:
    yield from _cut([line for line in band if line.x1 <= gutter], page, depth + 1)
    yield from _cut([line for line in band if line.x1 > gutter], page, depth + 1)


def _gutter(lines: Sequence[Line]) -> float | None:
    """Where a page falls into two columns of text; None if it does not."""
    if len(lines) < 2 * _LEAST_COLUMN_LINES:
        return None
    left, right = min(line.x0 for line in lines), max(line.x1 for line in lines)
    best: tuple[int, float] | None = None
    starts = Counter(round(line.x0) for line in lines)
    for start, count in starts.items():
        at = start - 2.0
        if count < _LEAST_COLUMN_LINES or not left + _LEAST_COLUMN_SHARE * (right - left) < at < right:
            continue
        crossing = sum(1 for line in lines if line.x0 < at < line.x1)
        if crossing <= _MOST_CROSSING_SHARE * len(lines) and (best is None or crossing < best[0]):
            best = crossing, at
    if best is None:
        return None
    at = best[1]
    sides = [line for line in lines if line.x1 <= at], [line for line in lines if line.x0 >= at]
    if any(len(side) < max(_LEAST_COLUMN_LINES, _LEAST_COLUMN_SHARE * len(lines)) for side in sides):
        return None
    for side in sides:
        width = max(line.x1 for line in side) - min(line.x0 for line in side)
        if statistics.median(line.width for line in side) < _LEAST_FILL * width or width < 5 * side[0].size:
            return None
    return at


def _rows(lines: Sequence[Line]) -> list[Line]:
    """Put lines below each other; what stands on one baseline, as the cells of a table, becomes one line."""
    rows: list[Line] = []
    for line in sorted(lines, key=lambda line: (-line.y, line.x0)):
        above = rows[-1] if rows else None
        if above and abs(above.y - line.y) < _SAME_ROW * min(above.size, line.size) and line.x0 >= above.x1:
            mark = " " if above.text.endswith((",", ".", ";", ":", "-")) else ", "
            rows[-1] = Line(
                line.page,
                above.x0,
                line.x1,
                above.y,
                above.size,
                above.weight,
                f"{above.text}{mark}{line.text}",
                [*above.marks, *line.marks],
            )
        else:
            rows.append(line)
    return rows
