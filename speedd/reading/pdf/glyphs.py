"""From the glyphs of a PDF page to lines: where each stands, how large it is, and what it says.

Not pdftext 0.7.1: it reads pages that are set turned from the last line to the first, puts the cells of a table into
one line, takes 0.4 s to import and wants one pypdfium2 and no other.
"""

from __future__ import annotations

import ctypes
import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

_HYPHENS = frozenset("\x02\ufffe\u00ad")
"""What PDFium gives for a hyphen at the end of a line, besides a soft one."""
_MOST_GLYPHS = 200_000
"""Of one page; a page with more is a drawing."""
_BREAK_GAP = 1.8
"""A wider gap, in sizes of type, stands between columns or cells, not between words."""
_JOIN_GAP = 1.0
_SPACE_GAP = 0.15
_SAME_LINE = 0.35
"""How far, in sizes of type, letters of one line may stand above each other."""
_RAISED = 0.15
_SMALL = 0.82
_MARKS = frozenset("0123456789*†‡§¶")
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_QUARTER = math.pi / 2


class Glyph(NamedTuple):
    """One character, in points; y grows upwards."""

    text: str
    x0: float
    x1: float
    y: float
    """Of the baseline."""
    size: float
    weight: int
    """400 is regular, 700 bold; 0 if the font does not say."""


@dataclass(slots=True)
class Line:
    """A stretch of text on one baseline."""

    page: int
    x0: float
    x1: float
    y: float
    size: float
    weight: int
    text: str
    marks: list[str] = field(default_factory=list)
    """The marks of notes that stood raised in it; they are not in the text."""

    @property
    def width(self) -> float:
        """From its first letter to its last."""
        return self.x1 - self.x0


def read_glyphs(page: Any, raw: Any) -> Iterator[Glyph]:
    """Yield the glyphs of a text page in its own order, set upright.

    Args:
        page: a pypdfium2 text page.
        raw: PDFium's own functions.
    """
    x, y = ctypes.c_double(), ctypes.c_double()
    box = raw.FS_RECTF()
    count = min(page.count_chars(), _MOST_GLYPHS)
    turned = _turned(page, raw, count)
    for index in range(count):
        code = raw.FPDFText_GetUnicode(page, index)
        character = _character(code)
        if not character or not raw.FPDFText_GetCharOrigin(page, index, x, y):
            continue
        if raw.FPDFText_IsGenerated(page, index) == 1:
            if character in _HYPHENS:
                yield Glyph("-", math.nan, math.nan, math.nan, 0, 0)
            elif character.isspace():
                yield Glyph(" ", math.nan, math.nan, math.nan, 0, 0)
            continue
        if abs(_upright(raw.FPDFText_GetCharAngle(page, index)) - turned) > 0.1:  # noqa: PLR2004 - about 6 degrees
            continue  # along the margin, or a watermark
        raw.FPDFText_GetLooseCharBox(page, index, box)
        place = _set_upright(box, x.value, y.value, turned)
        if not all(map(math.isfinite, place)):
            continue
        x0, x1, base, size = place
        character = "-" if character in _HYPHENS else " " if character.isspace() else character
        yield Glyph(character, x0, x1, base, size, max(0, raw.FPDFText_GetFontWeight(page, index)))


def _character(code: int) -> str:
    if not code or 0xD800 <= code <= 0xDFFF or code > 0x10FFFF:  # noqa: PLR2004 - surrogates, and beyond Unicode
        return ""
    character = chr(code)
    return "" if character < " " and character not in "\t\n\r\x02" else character


def _upright(angle: float) -> float:
    """An angle as the nearest of four, where it is near one."""
    quarters = round(angle / _QUARTER)
    return (quarters % 4) * _QUARTER if abs(angle - quarters * _QUARTER) < 0.1 else angle  # noqa: PLR2004


def _turned(page: Any, raw: Any, count: int) -> float:
    """By how much most of a page is turned, in radians."""
    step = max(1, count // 200)
    angles = [_upright(raw.FPDFText_GetCharAngle(page, index)) for index in range(0, count, step)]
    return statistics.mode(angles) if angles else 0.0


def _set_upright(box: Any, x: float, y: float, turned: float) -> tuple[float, float, float, float]:
    """Left, right, baseline and size of a glyph on a page turned back."""
    quarters = round(turned / _QUARTER) % 4
    if quarters == 1:
        return -box.top, -box.bottom, x, box.right - box.left
    if quarters == 2:  # noqa: PLR2004 - upside down
        return -box.right, -box.left, -y, box.top - box.bottom
    if quarters == 3:  # noqa: PLR2004 - to the other side
        return box.bottom, box.top, -x, box.right - box.left
    return box.left, box.right, y, box.top - box.bottom


class _Run:
    """Glyphs that follow each other on one line."""

    def __init__(self, first: Glyph) -> None:
        self.glyphs = [first]
        self.marks: list[str] = []
        self.pieces = [first.text]
        self._raised = False

    @property
    def last(self) -> Glyph:
        return self.glyphs[-1]

    def takes(self, glyph: Glyph) -> bool:
        """Say whether a glyph goes on with this run."""
        size = max(self.glyphs[0].size, glyph.size)
        near = abs(glyph.y - self.glyphs[0].y) < _SAME_LINE * size or self._is_raised(glyph)
        ahead = glyph.x0 - self.last.x1
        return near and -size < ahead < _BREAK_GAP * size and max(glyph.size, 0.1) > 0.4 * self.glyphs[0].size

    def add(self, glyph: Glyph) -> None:
        """Take a glyph in; a raised figure behind a word is the mark of a note."""
        raised = self._is_raised(glyph) and glyph.text in _MARKS
        if raised:
            before = "".join(self.pieces).rstrip()[-1:]
            if self._raised and self.marks:
                self.marks[-1] += glyph.text
            elif before.isdigit() or (before.isalpha() and len(self.pieces) == 1):
                self.pieces.append(glyph.text.translate(_SUPERSCRIPTS))
            else:
                self.marks.append(glyph.text)
        else:
            self.pieces.append(glyph.text)
        self._raised = raised
        self.glyphs.append(glyph)

    def _is_raised(self, glyph: Glyph) -> bool:
        first = self.glyphs[0]
        return glyph.size < _SMALL * first.size and first.y + _RAISED * first.size < glyph.y < first.y + first.size

    def line(self, page: int) -> Line | None:
        """Make a line of it; None if there is nothing in it."""
        text = " ".join("".join(self.pieces).split())
        if not text and not self.marks:
            return None
        letters = [glyph for glyph in self.glyphs if glyph.text.strip()]
        return Line(
            page,
            min(glyph.x0 for glyph in letters),
            max(glyph.x1 for glyph in letters),
            statistics.median_low([glyph.y for glyph in letters]),
            statistics.median_low([glyph.size for glyph in letters]),
            statistics.median_low([glyph.weight for glyph in letters]),
            text,
            self.marks,
        )


def lines_of(glyphs: Iterator[Glyph] | Sequence[Glyph], page: int) -> list[Line]:
    """Gather glyphs into lines, in the order in which they come.

    Args:
        glyphs: of one page.
        page: its number, from 0.
    """
    runs: list[_Run] = []
    space = ""
    for glyph in glyphs:
        if math.isnan(glyph.y):  # made up by PDFium, between two others
            if glyph.text == "-" and runs:
                runs[-1].pieces.append("-")
            else:
                space = " "
            continue
        if glyph.text == " ":
            space = " "
            continue
        if runs and runs[-1].takes(glyph):
            run = runs[-1]
            if space or glyph.x0 - run.last.x1 > _SPACE_GAP * glyph.size:
                run.pieces.append(" ")
            run.add(glyph)
        else:
            runs.append(_Run(glyph))
        space = ""
    lines = [line for run in runs if (line := run.line(page))]
    return _joined(lines)


def _joined(lines: list[Line]) -> list[Line]:
    """Join the pieces of a line that were not drawn one after the other."""
    joined: list[Line] = []
    for line in sorted(lines, key=lambda line: (-round(line.y), line.x0)):
        before = joined[-1] if joined else None
        if before and abs(before.y - line.y) < _SAME_LINE * min(before.size, line.size):
            gap = line.x0 - before.x1
            if -_SAME_LINE * line.size < gap < _JOIN_GAP * line.size and abs(before.size - line.size) < line.size / 2:
                before.text += (" " if gap > _SPACE_GAP * line.size else "") + line.text
                before.x1 = max(before.x1, line.x1)
                before.marks.extend(line.marks)
                continue
        joined.append(line)
    return joined
