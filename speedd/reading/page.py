"""From a page of XHTML to blocks of text: what a reader would hear, and nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from lxml import etree

from speedd.model import ParagraphKind
from speedd.reading.manuscript import Block
from speedd.reading.markup import Element, attribute, children, descendants, local_name, text_of, types
from speedd.reading.matter import is_body, matter_of_types
from speedd.reading.titles import join_heading_lines, join_titles
from speedd.reading.wording import fold, is_ornament

_BLOCKS = frozenset({
    "html", "body", "p", "div", "section", "article", "aside", "header", "footer", "main", "nav", "ul", "ol", "li",
    "dl", "dt", "dd", "blockquote", "figure", "figcaption", "table", "caption", "thead", "tbody", "tfoot", "tr",
    "td", "th", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "hgroup", "address", "form", "fieldset", "legend",
    "center", "details", "summary", "hr",
})  # fmt: skip
_SILENT = frozenset({
    "head", "script", "style", "template", "svg", "img", "image", "object", "embed", "video", "audio", "iframe",
    "noscript", "canvas", "map", "button", "input", "select", "textarea", "rt", "rp",
})  # fmt: skip
_HEADINGS = {"h1": 1, "h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}
_PAGE_NUMBER_CLASSES = frozenset({"pagenum", "pagenumber", "page-number", "pageno", "pagebreak", "page-break", "pb"})
_PAGE_NUMBER = re.compile(r"\W*(?:pg|page|p)?\W*[\divxlc]{0,6}\W*", re.IGNORECASE)
_NOTE_MARK = re.compile(r"[\[(]?(?:\d{1,4}|[*†‡§¶]{1,4}|[a-z]|[ivx]{1,5})[\])]?", re.IGNORECASE)
_INVISIBLE_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_LINE = "\n"
_CELL = "\x1f"
_LONGEST_HEADING_CHARS = 300
"""A longer one is a paragraph that was marked as a heading for its looks."""
_LEAST_TOC_LINKS = 5
_TOC_LINK_SHARE = 0.7


@dataclass(slots=True)
class Page:
    """The blocks of a page, and where its anchors stand among them."""

    title: str = ""
    """Of its ``<title>``; often no more than the book's."""
    blocks: list[Block] = field(default_factory=list)
    anchors: dict[str, int] = field(default_factory=dict)
    """Index of the block at which an ``id`` stands."""


def read_page(root: Element, *, matter: str = "") -> Page:
    """Read a page.

    Args:
        root: its parsed ``<html>``.
        matter: why the whole page is not read out, if something outside it says so and nothing inside contradicts.
    """
    title = next((text_of(element) for element in descendants(root, "title")), "")
    if not matter and _is_list_of_links(root):
        matter = "table of contents"
    writer = _Writer(Page(fold(title)), matter)
    walk = etree.iterwalk(root, events=("start", "end"))
    for event, element in walk:
        if event == "end":
            writer.end(element)
        elif writer.is_silent(element):
            writer.mark(element)
            writer.silence(element)
            walk.skip_subtree()
        else:
            writer.start(element)
    writer.flush()
    return writer.page


@dataclass(frozen=True, slots=True)
class _Frame:
    """What holds inside an element that is open."""

    matter: str
    marked: bool
    level: int
    in_row: bool
    hgroup: bool


class _Writer:
    """Gathers text into blocks while the tree is walked."""

    def __init__(self, page: Page, matter: str) -> None:
        self.page = page
        self._frames = [_Frame(matter, marked=False, level=0, in_row=False, hgroup=False)]
        self._pieces: list[str] = []
        self._silent: Element | None = None
        self._hgroup: list[str] = []

    @staticmethod
    def is_silent(element: Element) -> bool:
        """Say whether an element is never heard, with all that is in it."""
        name = local_name(element)
        if not name or name in _SILENT or element.get("hidden") is not None or element.get("aria-hidden") == "true":
            return True
        kinds = types(element)
        if any(kind.removeprefix("doc-") in {"pagebreak", "noteref", "backlink"} for kind in kinds):
            return True
        if _INVISIBLE_STYLE.search(element.get("style") or ""):
            return True
        classes = set((element.get("class") or "").lower().split())
        if classes & _PAGE_NUMBER_CLASSES and _PAGE_NUMBER.fullmatch(text_of(element)):
            return True
        return name in {"a", "sup"} and _is_note_mark(element, classes)

    def silence(self, element: Element) -> None:
        """Remember an element whose text is passed over; what follows it is heard."""
        self._silent = element

    def mark(self, element: Element) -> None:
        """Note the anchors of an element: they stand at the block that is being written."""
        for name in filter(None, {attribute(element, "id"), element.get("name")}):
            self.page.anchors.setdefault(name, len(self.page.blocks))
        if self._silent is None and local_name(element) in _SILENT:
            for inner in element.iter():
                if isinstance(inner.tag, str) and (name := attribute(inner, "id")):
                    self.page.anchors.setdefault(name, len(self.page.blocks))

    def start(self, element: Element) -> None:
        """Open an element."""
        name = local_name(element)
        outer = self._frames[-1]
        kinds = types(element)
        matter, marked = outer.matter, outer.marked
        if is_body(kinds):
            matter, marked = "", True
        matter = matter_of_types(kinds) or matter
        level = _HEADINGS.get(name) or outer.level
        in_row = outer.in_row or (name == "tr" and _is_plain_row(element))
        if name in _BLOCKS and not outer.in_row:
            self.flush()
        if name == "hr":
            self.page.blocks.append(Block("", ParagraphKind.BREAK, matter=matter))
        elif name == "br":
            self._pieces.append(_LINE)
        if name == "hgroup":
            level = min((_HEADINGS[local_name(child)] for child in children(element, *_HEADINGS)), default=2)
        self._frames.append(_Frame(matter, marked, level, in_row, hgroup=outer.hgroup or name == "hgroup"))
        self.mark(element)
        self._pieces.append(element.text or "")

    def end(self, element: Element) -> None:
        """Close an element and take in the text that follows it."""
        if element is self._silent:
            self._silent = None
        else:
            name = local_name(element)
            if name in _BLOCKS and not self._frames[-2].in_row:
                self.flush()
            elif name in {"td", "th"}:
                self._pieces.append(_CELL)
            elif name in _BLOCKS:
                self._pieces.append(_LINE)
            frame = self._frames.pop()
            if name == "hgroup":
                self._write_hgroup(frame)
        self._pieces.append(element.tail or "")

    def flush(self) -> None:
        """End the block that is being written."""
        raw = "".join(self._pieces)
        self._pieces.clear()
        if not raw.strip():
            return
        frame = self._frames[-1]
        if frame.in_row:
            text = _join_cells([fold(cell) for cell in raw.split(_CELL)])
        elif frame.level:
            text = join_heading_lines([fold(line) for line in raw.split(_LINE)])
        else:
            text = fold(raw)
        if not text:
            return
        if frame.hgroup:
            self._hgroup.append(text)
            return
        heading = bool(frame.level) and len(text) <= _LONGEST_HEADING_CHARS
        kind = ParagraphKind.HEADING if heading else ParagraphKind.TEXT
        if is_ornament(text):
            kind, text = ParagraphKind.BREAK, ""
        self.page.blocks.append(Block(text, kind, frame.level, frame.matter, frame.marked))

    def _write_hgroup(self, frame: _Frame) -> None:
        if self._hgroup:
            title = join_titles(self._hgroup)
            self.page.blocks.append(Block(title, ParagraphKind.HEADING, frame.level, frame.matter, frame.marked))
            self._hgroup.clear()


def _is_note_mark(element: Element, classes: set[str]) -> bool:
    """Say whether a link is the mark of a note: a superscript or bracketed figure that leads to an anchor."""
    text = text_of(element)
    if not _NOTE_MARK.fullmatch(text):
        return False
    name = local_name(element)
    link = element if name == "a" else next(descendants(element, "a"), None)
    if link is None or "#" not in (link.get("href") or ""):
        return False
    raised = name == "sup" or next(descendants(element, "sup"), None) is not None or _is_in_sup(element)
    return raised or not text.isalnum() or any("note" in word for word in classes)


def _is_in_sup(element: Element) -> bool:
    parent = element.getparent()
    return parent is not None and local_name(parent) == "sup"


def _is_plain_row(row: Element) -> bool:
    """Say whether a table row holds short cells; a table used for layout holds paragraphs."""
    cells = list(children(row, "td", "th"))
    inner = sum(1 for element in row.iter() if local_name(element) in {"p", "div", "table", *_HEADINGS})
    return inner <= len(cells)


def _join_cells(cells: list[str]) -> str:
    row = ""
    for cell in filter(None, cells):
        row += cell if not row else f" {cell}" if row.endswith((".", ",", ";", ":", "!", "?")) else f", {cell}"
    return row


def _is_list_of_links(root: Element) -> bool:
    """Say whether a page is a table of contents: links into the book, and little else."""
    links = [text_of(link) for link in descendants(root, "a") if link.get("href")]
    if len(links) < _LEAST_TOC_LINKS:
        return False
    body = next(descendants(root, "body"), root)
    letters = sum(len(part) for part in body.itertext() if part.strip())
    return sum(map(len, links)) > _TOC_LINK_SHARE * max(1, letters)
