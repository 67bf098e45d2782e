"""From a page of XHTML to blocks of text: what a reader would hear, and nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from lxml import etree

from speedd.model import ParagraphKind
from speedd.reading.archive import resolve
from speedd.reading.html.markup import Element, attribute, children, descendants, local_name, text_of, types
from speedd.reading.html.numbering import Numbering, is_numbered
from speedd.reading.html.printed_contents import CONTENTS, LINK_SHARE, is_list_of_links, mark_lists_of_links
from speedd.reading.html.silence import SILENT, is_raised_mark, is_silent, target_of_mark
from speedd.reading.html.tables import CELL, FIGURES, is_of_figures, is_plain_row, join_cells
from speedd.reading.structure.initials import INITIAL, MARK, is_initial_class, join_initial
from speedd.reading.structure.lines import join_lines
from speedd.reading.structure.manuscript import CAPTIONS, DESCRIPTIONS, Block
from speedd.reading.structure.notes import attach_notes
from speedd.reading.structure.skip_reasons import is_body, skip_reason_of_types
from speedd.reading.structure.titles import join_heading_lines, join_titles
from speedd.reading.structure.wording import fold, is_ornament

_BLOCKS = frozenset({
    "html", "body", "p", "div", "section", "article", "aside", "header", "footer", "main", "nav", "ul", "ol", "li",
    "dl", "dt", "dd", "blockquote", "figure", "figcaption", "table", "caption", "thead", "tbody", "tfoot", "tr",
    "td", "th", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "hgroup", "address", "form", "fieldset", "legend",
    "center", "details", "summary", "hr",
})  # fmt: skip
_HEADINGS = {"h1": 1, "h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}
_LINE = "\x1e"
_LONGEST_HEADING_CHARS = 300
"""A longer one is a paragraph that was marked as a heading for its looks."""
_CAPTION_CLASSES = frozenset({"caption", "figcaption", "imagecaption", "image-caption", "wp-caption-text"})
_POEM_TYPES = frozenset({"z3998:poem", "z3998:verse", "z3998:hymn", "z3998:song", "z3998:lyrics"})
_POEM_CLASSES = frozenset({"poem", "poetry", "verse", "stanza", "song", "lyrics", "linegroup", "line-group"})
_LINE_CLASS = re.compile(r"(?:^|\s)(?:(?:poem|verse|poetry)?[-_]?line|l|v|i\d{1,2}|verse|in\d{1,2})(?:$|\s)")
_EXPONENT = re.compile(r"[-−]?[0-9]{1,3}")
_EXPONENTS = str.maketrans("0123456789-−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁻")
_FILE_NAME = re.compile(r"\S*\.(?:jpe?g|png|gif|svg|webp)|\S+", re.IGNORECASE)
_MOST_BLANKS = 0.2
"""Where more paragraphs than this share are followed by an empty one, those only set paragraphs apart."""


@dataclass(slots=True)
class Page:
    """The blocks of a page, and where its anchors stand among them."""

    title: str = ""
    """Of its ``<title>``; often no more than the book's."""
    blocks: list[Block] = field(default_factory=list)
    anchors: dict[str, int] = field(default_factory=dict)
    """Index of the block at which an ``id`` stands."""
    ends: dict[str, int] = field(default_factory=dict)
    """Index after the last block of the element with an ``id``."""
    links: list[tuple[int, str]] = field(default_factory=list)
    """Index of a block and the target, as ``path#fragment``, of each link in it that stays inside the book."""
    pictures: int = 0
    said: list[tuple[str, str, str]] = field(default_factory=list)
    """Words with their pronunciation and its alphabet, from ``ssml:ph``."""

    def spans(self, path: str, offset: int) -> dict[str, tuple[int, int]]:
        """First block and the one after the last of every anchor, by target.

        Args:
            path: the page's own, as its links were resolved with.
            offset: the number of the page's first block in the book.
        """
        return {
            f"{path}#{name}": (offset + at, offset + self.ends.get(name, at + 1)) for name, at in self.anchors.items()
        }

    def settled(self) -> tuple[list[Block], dict[str, str]]:
        """The blocks of a page that is the whole book, notes marked, and the notes' texts by target."""
        return attach_notes(self.blocks, self.spans("", 0), self.links)


def read_page(root: Element, *, skip_reason: str = "", path: str = "") -> Page:
    """Read a page.

    Args:
        root: its parsed ``<html>``.
        skip_reason: why the whole page is not read out, if something outside it says so and nothing inside contradicts.
        path: its name in the archive; empty where it is the whole book.
    """
    title = next((text_of(element) for element in descendants(root, "title")), "")
    if not skip_reason and is_list_of_links(root):
        skip_reason = CONTENTS
    writer = _Writer(Page(fold(title)), skip_reason, path)
    walk = etree.iterwalk(root, events=("start", "end"))
    for event, element in walk:
        if event == "end":
            writer.end(element)
        elif writer.passes_over(element):
            writer.silence(element)
            walk.skip_subtree()
        else:
            writer.start(element)
    writer.flush()
    writer.page.blocks = _without_spacers(mark_lists_of_links(writer.page.blocks, writer.listed))
    return writer.page


@dataclass(frozen=True, slots=True)
class _Frame:
    """What holds inside an element that is open."""

    skip_reason: str
    marked: bool
    level: int
    in_row: bool
    hgroup: bool
    poem: bool = False
    kept: bool = False
    """Whether line ends in the source are line ends, as in ``<pre>``."""
    linked: bool = False
    initial: bool = False
    exponent: bool = False
    """Whether figures are raised: "10²" must not become "102"."""
    lined: bool = False
    """Whether the element is one line of verse, not a paragraph."""
    alphabet: str = ""


class _Writer:
    """Gathers text into blocks while the tree is walked."""

    def __init__(self, page: Page, skip_reason: str, path: str) -> None:
        self.page = page
        self.listed: set[int] = set()
        """The blocks that are nothing but a link into the book, as in a table of contents."""
        self._path = path
        self._frames = [_Frame(skip_reason, marked=False, level=0, in_row=False, hgroup=False)]
        self._pieces: list[str] = []
        self._linked_chars = 0
        self._notes: list[str] = []
        self._pictures: list[str] = []
        self._silent: Element | None = None
        self._hgroup: list[str] = []
        self._lists: list[Numbering | None] = []
        self._label = ""

    # --- what is passed over

    def passes_over(self, element: Element) -> bool:
        """Say whether an element is never heard, with all that is in it."""
        return is_silent(element) or is_raised_mark(element, "".join(self._pieces[-3:]))

    def silence(self, element: Element) -> None:
        """Pass over an element; what follows it is heard."""
        self._mark(element)
        name = local_name(element)
        if name in SILENT:
            for inner in element.iter():
                if isinstance(inner.tag, str):
                    self._mark(inner)
                    self._see(inner)
        elif href := target_of_mark(element):
            self._notes.append(self._target(href))
        elif name == "a":
            self._link(element)
        self._silent = element

    def _see(self, element: Element) -> None:
        """Look at a picture: a letter that begins a word is text, what describes it may be read."""
        name = local_name(element)
        if name not in {"img", "image"}:
            return
        alt = fold(element.get("alt") or "")
        if INITIAL.fullmatch(alt) and not "".join(self._pieces).strip():
            self._pieces.append(alt + MARK)
            return
        self.page.pictures += 1
        if alt and not _FILE_NAME.fullmatch(alt):
            self._pictures.append(alt)

    def _target(self, href: str) -> str:
        path, fragment = resolve(self._path, href)
        return f"{path}#{fragment}"

    def _link(self, element: Element) -> bool:
        """Note a link into the book."""
        href = element.get("href") or ""
        inside = "#" in href and ":" not in href.partition("#")[0]
        if inside:
            self.page.links.append((len(self.page.blocks), self._target(href)))
        return inside

    def _mark(self, element: Element) -> None:
        """Note the anchors of an element: they stand at the block that is being written."""
        for name in filter(None, {attribute(element, "id"), element.get("name")}):
            self.page.anchors.setdefault(name, len(self.page.blocks))

    # --- what is heard

    def start(self, element: Element) -> None:
        """Open an element."""
        name = local_name(element)
        outer = self._frames[-1]
        kinds = types(element)
        classes = set((element.get("class") or "").lower().split())
        skip_reason, marked = outer.skip_reason, outer.marked
        if is_body(kinds):
            skip_reason, marked = "", True
        skip_reason = skip_reason_of_types(kinds) or _skip_reason_of_element(element, name, classes) or skip_reason
        poem = outer.poem or bool(_POEM_TYPES & set(kinds) or _POEM_CLASSES & classes)
        lined = outer.poem and name in {"p", "div", "span"} and bool(_LINE_CLASS.search(element.get("class") or ""))
        if lined:
            self._pieces.append(_LINE)
        elif name in _BLOCKS and not outer.in_row:
            self.flush()
        if name == "hr":
            self.page.blocks.append(Block("", ParagraphKind.BREAK, skip_reason=skip_reason))
        elif name == "br":
            self._pieces.append(_LINE)
        self._count(element, name, skip_reason)
        level = _HEADINGS.get(name) or outer.level
        if name == "hgroup":
            level = min((_HEADINGS[local_name(child)] for child in children(element, *_HEADINGS)), default=2)
        alphabet = attribute(element, "alphabet") or outer.alphabet
        if said := element.get("{http://www.w3.org/2001/10/synthesis}ph") or element.get("ssml:ph"):
            self.page.said.append((text_of(element), said, alphabet))
        frame = _Frame(
            skip_reason,
            marked,
            level,
            in_row=outer.in_row or (name == "tr" and is_plain_row(element)),
            hgroup=outer.hgroup or name == "hgroup",
            poem=poem,
            kept=outer.kept or name == "pre",
            linked=outer.linked or (name == "a" and self._link(element)),
            initial=_is_initial(element, name) and not "".join(self._pieces).strip(),
            exponent=name == "sup" and _EXPONENT.fullmatch(text_of(element)) is not None,
            lined=lined,
            alphabet=alphabet,
        )
        self._frames.append(frame)
        self._mark(element)
        self._write(element.text)

    def _count(self, element: Element, name: str, skip_reason: str) -> None:
        if name in {"ol", "ul"}:
            self._lists.append(Numbering(element) if name == "ol" and not skip_reason else None)
        elif name == "li" and self._lists and (numbering := self._lists[-1]):
            self._label = numbering.label(element)

    def _write(self, text: str | None) -> None:
        if not text:
            return
        frame = self._frames[-1]
        if frame.linked:
            self._linked_chars += len(text.strip())
        if frame.kept:
            text = text.replace("\n", _LINE)
        self._pieces.append(text.translate(_EXPONENTS) if frame.exponent else text)

    def end(self, element: Element) -> None:
        """Close an element and take in the text that follows it."""
        if element is self._silent:
            self._silent = None
        else:
            self._close(element)
        for name in filter(None, {attribute(element, "id"), element.get("name")}):
            self.page.ends.setdefault(name, len(self.page.blocks))
        self._write(element.tail)

    def _close(self, element: Element) -> None:
        name = local_name(element)
        frame = self._frames[-1]
        if frame.lined:
            self._pieces.append(_LINE)
        elif name in _BLOCKS and not self._frames[-2].in_row:
            if name == "p" and not text_of(element) and all(local_name(child) == "br" for child in element):
                self._space()
            self.flush()
        elif name in {"td", "th"}:
            self._pieces.append(CELL)
        elif name in _BLOCKS:
            self._pieces.append(_LINE)
        if frame.initial:
            self._pieces.append(MARK)
        if name in {"ol", "ul"} and self._lists:
            self._lists.pop()
        self._frames.pop()
        if name == "hgroup":
            self._write_hgroup(frame)

    def _space(self) -> None:
        """Note an empty paragraph: where it is rare, it stands for a break between scenes."""
        blocks = self.page.blocks
        if blocks and blocks[-1].kind is ParagraphKind.TEXT and blocks[-1].text:
            blocks.append(Block("", ParagraphKind.BREAK, skip_reason=blocks[-1].skip_reason, spacer=True))

    def flush(self) -> None:
        """End the block that is being written."""
        raw = "".join(self._pieces)
        linked_chars, self._linked_chars = self._linked_chars, 0
        self._pieces.clear()
        if raw.strip(f" \t\n\r{_LINE}{CELL}{MARK}"):
            self._write_blocks(join_initial(raw), linked_chars)
        for alt in self._pictures:
            self.page.blocks.append(Block(f"Picture: {alt}", skip_reason=DESCRIPTIONS))
        self._pictures.clear()

    def _write_blocks(self, raw: str, linked_chars: int) -> None:
        frame = self._frames[-1]
        if frame.in_row:
            texts = [join_cells([fold(cell) for cell in raw.replace(_LINE, " ").split(CELL)])]
        elif frame.level:
            texts = [join_heading_lines([fold(line) for line in raw.split(_LINE)])]
        else:
            texts = _paragraphs(raw, poem=frame.poem)
        for text in filter(None, texts):
            if linked_chars > LINK_SHARE * len(text):
                self.listed.add(len(self.page.blocks))
            self._write_block(text, frame)

    def _write_block(self, text: str, frame: _Frame) -> None:
        if frame.hgroup:
            self._hgroup.append(text)
            return
        if self._label and not is_numbered(text):
            text = f"{self._label} {text}"
        self._label = ""
        heading = bool(frame.level) and len(text) <= _LONGEST_HEADING_CHARS
        kind = ParagraphKind.HEADING if heading else ParagraphKind.TEXT
        if is_ornament(text):
            kind, text = ParagraphKind.BREAK, ""
        notes = tuple(dict.fromkeys(self._notes))
        self._notes.clear()
        self.page.blocks.append(Block(text, kind, frame.level, frame.skip_reason, frame.marked, notes))

    def _write_hgroup(self, frame: _Frame) -> None:
        if self._hgroup:
            title = join_titles(self._hgroup)
            self.page.blocks.append(Block(title, ParagraphKind.HEADING, frame.level, frame.skip_reason, frame.marked))
            self._hgroup.clear()


def _paragraphs(raw: str, *, poem: bool) -> list[str]:
    """The paragraphs of a block: two line ends in a row part them, one parts lines."""
    groups: list[list[str]] = [[]]
    for line in map(fold, raw.split(_LINE)):
        if line:
            groups[-1].append(line)
        elif groups[-1]:
            groups.append([])
    # In verse, an empty line is only there because every line stands in an element of its own.
    if poem:
        return ["\n".join(line for group in groups for line in group)]
    return [join_lines(group) for group in groups if group]


def _skip_reason_of_element(element: Element, name: str, classes: set[str]) -> str:
    """Why an element is not read out, by what it is."""
    if name == "nav":
        return CONTENTS
    if name == "table" and is_of_figures(element):
        return FIGURES
    if classes & _CAPTION_CLASSES and name in {"p", "div", "span"}:
        return CAPTIONS
    if name == "figcaption":
        figure = element.getparent()
        if figure is not None and next(descendants(figure, "img", "svg", "image", "object"), None) is not None:
            return CAPTIONS
    return ""


def _is_initial(element: Element, name: str) -> bool:
    return (
        name in {"span", "font", "big", "b", "strong", "em", "i", "small"}
        and is_initial_class(element.get("class") or "")
        and INITIAL.fullmatch(text_of(element)) is not None
    )


def _without_spacers(blocks: list[Block]) -> list[Block]:
    """Make nothing of empty paragraphs where they are the rule."""
    spacers = sum(1 for block in blocks if block.spacer)
    if spacers <= _MOST_BLANKS * sum(1 for block in blocks if block.words):
        return blocks
    return [replace(block, kind=ParagraphKind.TEXT) if block.spacer else block for block in blocks]
