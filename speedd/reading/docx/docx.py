"""Reading DOCX: WordprocessingML (ECMA-376) becomes a page like any other.

Chapters come from outline levels, whatever the styles are called; what Word numbers by itself is numbered here, too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from lxml import etree

from speedd.errors import InputError
from speedd.model import Metadata
from speedd.reading.archive import Archive, resolve
from speedd.reading.docx.styles import Numbers, Styles
from speedd.reading.html.markup import Element, append, attribute, children, descendants, local_name, parse_xml, text_of
from speedd.reading.html.page import read_page
from speedd.reading.input_file import InputFile
from speedd.reading.language import normal_tag
from speedd.reading.nfo import DATE, split_names
from speedd.reading.structure.division import divide, title_of_first
from speedd.reading.structure.manuscript import Manuscript
from speedd.reading.structure.titles import join_titles
from speedd.reading.structure.wording import fold

_DOCUMENT = "word/document.xml"
_CORE = "docProps/core.xml"
_SILENT_FIELDS = ("PAGE", "PAGEREF", "NUMPAGES", "SECTIONPAGES", "XE", "TC")
_THROUGH = frozenset({
    "ins", "moveto", "hyperlink", "smarttag", "sdt", "sdtcontent", "fldsimple", "customxml", "dir", "bdo", "choice",
    "alternatecontent",
})  # fmt: skip
_CHARACTERS = {"t": "", "tab": " ", "nobreakhyphen": "-"}
"""What a piece of a run puts into the text; with nothing here, its own text."""
_MOST_HEADING_CHARS = 60
_TITLE_STYLES = frozenset({"title", "subtitle", "author"})


def read_docx(source: InputFile) -> Manuscript:
    """Read a Word document.

    Raises:
        DamagedInputError: if it looks cut short or torn.
        InputError: if it is locked with a password, or no DOCX.
    """
    with Archive(source, "DOCX") as archive:
        path = _find_document(archive, source.name)
        folder = path.rpartition("/")[0]
        document = parse_xml(archive.read(path), path)
        styles = Styles(_part(archive, f"{folder}/styles.xml"))
        numbers = Numbers(_part(archive, f"{folder}/numbering.xml"))
        notes = [
            (kind, root)
            for kind, name in (("footnote", "footnotes"), ("endnote", "endnotes"))
            if (root := _part(archive, f"{folder}/{name}.xml")) is not None
        ]
        known = _metadata(_part(archive, _CORE))
    body = next(descendants(document, "body"), None)
    if body is None:
        raise InputError(f"{source.name} is no DOCX: it has no text body.")
    writer = _Writer(styles, numbers)
    writer.write_body(body)
    for kind, root in notes:
        writer.write_notes(kind, root)
    page = read_page(writer.html)
    blocks, texts = page.settled()
    known = replace(known, language=known.language or normal_tag(styles.language))
    if title := writer.title_page.get("title"):
        # What the first page says is newer than a property that a template may have left behind.
        known = replace(known, title=title)
    known = replace(
        known,
        subtitle=writer.title_page.get("subtitle", ""),
        authors=split_names(re.sub(r"^by\s+", "", writer.title_page.get("author", ""), flags=re.IGNORECASE))
        or known.authors,
    )
    blocks, known = title_of_first(blocks, known)
    return Manuscript(known, divide(blocks, known), notes=texts, pictures=page.pictures)


def _find_document(archive: Archive, name: str) -> str:
    if archive.find("_rels/.rels"):
        root = parse_xml(archive.read("_rels/.rels"), "_rels/.rels")
        for relation in descendants(root, "relationship"):
            if (relation.get("Type") or "").endswith("/officeDocument"):
                path = resolve("", (relation.get("Target") or "").lstrip("/"))[0]
                if path and archive.find(path):
                    return path
    if archive.find(_DOCUMENT):
        return _DOCUMENT
    raise InputError(f"{name} is no DOCX: there is no Word document in it.")


def _part(archive: Archive, path: str) -> Element | None:
    """A part that a document may do without; a broken one is as good as none."""
    path = path.lstrip("/")
    if not archive.find(path):
        return None
    data = archive.read(path)
    try:
        return parse_xml(data, path)
    except InputError:
        return None


def _metadata(core: Element | None) -> Metadata:
    if core is None:
        return Metadata()

    def said(name: str) -> str:
        return next((fold(text_of(element)) for element in descendants(core, name)), "")

    date = DATE.match(said("created"))
    keywords = (fold(word) for word in re.split(r"[,;]", said("keywords")))
    return Metadata(
        title=said("title"),
        authors=split_names(said("creator")),
        language=normal_tag(said("language")),
        description=said("description"),
        genres=tuple(dict.fromkeys(filter(None, keywords))),
        published=date[0][:4] if date else "",
    )


@dataclass(slots=True)
class _Field:
    """A field that is open: what it does, and whether its result is being read."""

    code: str = ""
    in_result: bool = False

    @property
    def silent(self) -> bool:
        """Whether nothing of it is heard now: its code never is, a page number is not either."""
        words = self.code.split(maxsplit=1)
        return not self.in_result or bool(words and words[0].upper() in _SILENT_FIELDS)


@dataclass(slots=True)
class _Paragraph:
    """What is known of a paragraph besides its text."""

    level: int = 0
    style: str = ""
    label: str = ""
    after_page_break: bool = False
    striking: bool = False
    """Whether it is centred or bold, as a title set by hand is."""


class _Writer:
    """Writes a page from a document's paragraphs."""

    def __init__(self, styles: Styles, numbers: Numbers) -> None:
        self.html = etree.Element("html")
        self.title_page: dict[str, str] = {}
        """Text of the first paragraphs in the styles Title, Subtitle and Author."""
        self._body = etree.SubElement(self.html, "body")
        self._styles = styles
        self._numbers = numbers
        self._fields: list[_Field] = []
        self._initial = ""
        self._page_broken = True
        self._boxes: list[Element] = []
        self._by_hand: list[Element] = []
        self._has_headings = False
        self._has_text = False

    def write_body(self, body: Element) -> None:
        """Write the whole text. Titles set by hand count where no style says what is a heading."""
        self._write_blocks(body, self._body)
        if not self._has_headings:
            for paragraph in self._by_hand:
                paragraph.tag = "h2"

    def write_notes(self, kind: str, root: Element) -> None:
        """Write footnotes or endnotes after the text."""
        for note in children(root, kind):
            if attribute(note, "type") in {"separator", "continuationSeparator", "continuationNotice"}:
                continue
            aside = etree.SubElement(self._body, "aside", role=f"doc-{kind}", id=f"{kind}-{attribute(note, 'id')}")
            self._write_blocks(note, aside)

    def _write_blocks(self, parent: Element, into: Element) -> None:
        for element in children(parent):
            name = local_name(element)
            if name == "p":
                self._write_paragraph(element, into)
            elif name == "tbl":
                self._write_table(element, into)
            elif name == "sdt" and _is_contents(element):
                nav = etree.SubElement(into, "nav")
                self._write_blocks(element, nav)
            elif name in _THROUGH:
                self._write_blocks(element, into)

    def _write_table(self, table: Element, into: Element) -> None:
        written = etree.SubElement(into, "table")
        for row in descendants(table, "tr"):
            if next((above for above in row.iterancestors() if local_name(above) == "tbl"), table) is not table:
                continue  # of a table inside
            line = etree.SubElement(written, "tr")
            for cell in children(row, "tc"):
                self._write_blocks(cell, etree.SubElement(line, "td"))

    def _write_paragraph(self, element: Element, into: Element) -> None:
        properties = next(children(element, "ppr"), None)
        if properties is not None and self._take_initial(element, properties):
            return
        known = self._look(element, properties)
        paragraph = etree.SubElement(into, f"h{known.level}" if known.level else "p")
        if known.style.startswith("toc"):
            paragraph.tag, known.level = "nav", 0
        elif known.style == "caption":
            paragraph.set("class", "caption")
        elif re.fullmatch(r"index \d", known.style):
            paragraph.set("role", "doc-index")
        elif known.style in {"footnote text", "endnote text"}:
            paragraph.set("role", "doc-footnote")
        if self._initial:
            span = etree.SubElement(paragraph, "span", {"class": "dropcap"})
            span.text, self._initial = self._initial, ""
        self._write_runs(element, paragraph)
        text = fold("".join(paragraph.itertext()))
        if text:
            self._classify(paragraph, text, known)
        boxes, self._boxes = self._boxes, []
        for box in boxes:
            self._write_blocks(box, into)

    def _look(self, element: Element, properties: Element | None) -> _Paragraph:
        style = self._styles.of(properties)
        level = self._styles.level(properties)
        broken, self._page_broken = self._page_broken, False
        if properties is not None and next(children(properties, "pagebreakbefore"), None) is not None:
            broken = True
        runs = [run for run in descendants(element, "r") if next(children(run, "t"), None) is not None]
        bold = bool(runs) and all(next(descendants(run, "b"), None) is not None for run in runs)
        aligned = next(children(properties, "jc"), None) if properties is not None else None
        centred = aligned is not None and attribute(aligned, "val") == "center"
        label = self._numbers.label(properties, self._styles)
        return _Paragraph(level, style, label, broken, bold or centred)

    def _classify(self, paragraph: Element, text: str, known: _Paragraph) -> None:
        """Give a paragraph its number, and note what it is for."""
        if known.level:
            self._has_headings = True
        elif known.style in _TITLE_STYLES and not self._has_headings and known.style not in self.title_page:
            self.title_page[known.style] = text
            paragraph.set("role", "doc-titlepage")
        elif known.after_page_break and known.striking and len(text) <= _MOST_HEADING_CHARS and self._has_text:
            self._by_hand.append(paragraph)
        if known.label:
            # A heading "Chapter 3" and its name are two, "3." and its text are one.
            label = join_titles([known.label, text])[: -len(text)] if known.level else f"{known.label} "
            paragraph.text = f"{label}{paragraph.text or ''}"
        self._has_text = self._has_text or not known.level

    def _take_initial(self, element: Element, properties: Element) -> bool:
        """Take a letter in a frame of its own: it begins the next paragraph."""
        frame = next(children(properties, "framepr"), None)
        if frame is None or attribute(frame, "dropCap") in {"", "none"}:
            return False
        self._initial = fold("".join(text_of(text) for text in descendants(element, "t")))
        return True

    def _write_runs(self, parent: Element, paragraph: Element) -> None:
        for element in children(parent):
            name = local_name(element)
            if name == "r":
                self._write_run(element, paragraph)
            elif name == "hyperlink" and attribute(element, "anchor"):
                link = etree.SubElement(paragraph, "a", href=f"#{attribute(element, 'anchor')}")
                self._write_runs(element, link)
            elif name == "fldsimple":
                self._fields.append(_Field(attribute(element, "instr"), in_result=True))
                self._write_runs(element, paragraph)
                self._fields.pop()
            elif name in _THROUGH:
                self._write_runs(element, paragraph)

    def _write_run(self, run: Element, paragraph: Element) -> None:
        properties = next(children(run, "rpr"), None)
        if properties is not None and _is_on(properties, "vanish"):
            return
        raised = next(children(properties, "vertalign"), None) if properties is not None else None
        if raised is not None and attribute(raised, "val") == "superscript":
            paragraph = etree.SubElement(paragraph, "sup")
        for element in children(run):
            self._write_piece(element, paragraph)

    def _write_piece(self, element: Element, paragraph: Element) -> None:
        name = local_name(element)
        if name == "fldchar":
            self._turn_field(attribute(element, "fldCharType"))
        elif name == "instrtext":
            if self._fields:
                self._fields[-1].code += element.text or ""
        elif not any(opened.silent for opened in self._fields):
            self._write_heard(element, name, paragraph)

    def _write_heard(self, element: Element, name: str, paragraph: Element) -> None:
        if name in _CHARACTERS:
            append(paragraph, _CHARACTERS[name] or element.text)
        elif name in {"br", "cr"}:
            if attribute(element, "type") == "page":
                self._page_broken = True
            else:
                etree.SubElement(paragraph, "br")
        elif name in {"footnotereference", "endnotereference"}:
            kind = name.removesuffix("reference")
            etree.SubElement(paragraph, "a", role="doc-noteref", href=f"#{kind}-{attribute(element, 'id')}")
        elif name in {"drawing", "pict", "object"}:
            self._write_picture(element, paragraph)
        elif name in {"alternatecontent", "choice"}:
            for inner in children(element):
                self._write_piece(inner, paragraph)

    def _turn_field(self, turn: str) -> None:
        if turn == "begin":
            self._fields.append(_Field())
        elif turn == "separate" and self._fields:
            self._fields[-1].in_result = True
        elif turn == "end" and self._fields:
            self._fields.pop()

    def _write_picture(self, element: Element, paragraph: Element) -> None:
        boxes = list(descendants(element, "txbxcontent"))
        if boxes:
            self._boxes.extend(boxes)
            return
        said = next((attribute(one, "descr") for one in descendants(element, "docpr")), "")
        etree.SubElement(paragraph, "img", alt=said)


def _is_on(properties: Element, name: str) -> bool:
    """Say whether a property is set; ``w:val="0"`` unsets it."""
    found = next(children(properties, name), None)
    return found is not None and attribute(found, "val").lower() not in {"0", "false", "off", "none"}


def _is_contents(element: Element) -> bool:
    return any(attribute(gallery, "val") == "Table of Contents" for gallery in descendants(element, "docpartgallery"))
