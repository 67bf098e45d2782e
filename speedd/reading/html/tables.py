"""Tables: read row by row, unless they are nothing but figures."""

from __future__ import annotations

import re
from collections.abc import Iterable

from speedd.reading.html.markup import Element, children, descendants, local_name, text_of

FIGURES = "tables of figures"
CELL = "\x1f"
"""Stands between the cells of a row."""
_LEAST_FIGURES = 12
_FIGURE_SHARE = 0.6
_FIGURE = re.compile(r"[\s$£€¥%+<>≈~().,:/–—−-]*\d[\d\s.,:/%°–—−-]*[A-Za-z%°]{0,3}\W*")
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")


def is_of_figures(table: Element) -> bool:
    """Say whether most cells of a table are numbers: a listener gains nothing from hearing them in a row."""
    if next((inner for inner in descendants(table, "table") if inner is not table), None) is not None:
        return False  # laid out with tables
    texts = [text for cell in descendants(table, "td", "th") if (text := text_of(cell))]
    figures = sum(1 for text in texts if _FIGURE.fullmatch(text))
    return figures >= _LEAST_FIGURES and figures > _FIGURE_SHARE * len(texts)


def is_plain_row(row: Element) -> bool:
    """Say whether a row holds short cells; a table used for layout holds paragraphs."""
    cells = list(children(row, "td", "th"))
    inner = sum(1 for element in row.iter() if local_name(element) in {"p", "div", "table", *_HEADINGS})
    return inner <= len(cells)


def join_cells(cells: Iterable[str]) -> str:
    """Make one line of the cells of a row: "Ann, 41"."""
    row = ""
    for cell in filter(None, cells):
        row += cell if not row else f" {cell}" if row.endswith((".", ",", ";", ":", "!", "?")) else f", {cell}"
    return row
