"""Reading FictionBook 2: its sections become headings of a page, its notes become notes.

Follows the FictionBook 2.21 schema; what it does not know is read as if it were not there.
"""

from __future__ import annotations

import base64
import binascii

from lxml import etree

from speedd.errors import DamagedInputError, InputError
from speedd.model import Cover, Metadata
from speedd.reading.cover import MAX_COVER_BYTES, media_type_of
from speedd.reading.html.markup import Element, append, attribute, children, descendants, local_name, parse_xml, text_of
from speedd.reading.html.page import read_page
from speedd.reading.input_file import InputFile
from speedd.reading.language import normal_tag
from speedd.reading.structure.division import divide
from speedd.reading.structure.manuscript import Manuscript
from speedd.reading.structure.wording import fold
from speedd.reading.text.decoding import MAX_TEXT_BYTES

_NOTES = frozenset({"notes", "comments", "footnotes"})
_DEEPEST = 6
_CLOSING = b"</FictionBook>"
_TAIL_BYTES = 4096
_INLINE = {"emphasis": "em", "strong": "strong", "strikethrough": "s", "sub": "sub", "sup": "sup", "code": "code"}


def read_fb2(source: InputFile) -> Manuscript:
    """Read a FictionBook.

    Raises:
        DamagedInputError: if it looks cut short.
        InputError: if it is no FictionBook.
    """
    data = source.read_bytes(MAX_TEXT_BYTES)
    root = parse_xml(data, source.name)
    if local_name(root) != "fictionbook":
        raise InputError(f"{source.name} is no FictionBook, whatever it is called.")
    if _CLOSING not in data[-_TAIL_BYTES:].replace(b"\0", b"") and b"FictionBook>" not in data[-_TAIL_BYTES:]:
        raise DamagedInputError(
            f"{source.name} is cut short: the end of the book is missing.", hint="Copy it again, or download it anew."
        )
    known = next((_metadata(info) for info in descendants(root, "title-info")), Metadata())
    writer = _Writer()
    for body in children(root, "body"):
        writer.write_body(body)
    page = read_page(writer.html)
    blocks, notes = page.settled()
    return Manuscript(known, divide(blocks, known), _find_cover(root), notes=notes, pictures=page.pictures)


def _metadata(info: Element) -> Metadata:
    def said(name: str) -> str:
        return next((fold(text_of(element)) for element in children(info, name)), "")

    sequence = next(children(info, "sequence"), None)
    date = next(children(info, "date"), None)
    year = (date.get("value") or text_of(date))[:4] if date is not None else ""
    return Metadata(
        title=said("book-title"),
        authors=tuple(dict.fromkeys(filter(None, map(_name, children(info, "author"))))),
        series=fold(sequence.get("name") or "") if sequence is not None else "",
        series_index=(sequence.get("number") or "") if sequence is not None else "",
        language=normal_tag(said("lang")),
        description="\n\n".join(
            filter(None, (fold(text_of(line)) for note in children(info, "annotation") for line in children(note, "p")))
        ),
        genres=tuple(dict.fromkeys(fold(text_of(genre)) for genre in children(info, "genre"))),
        published=year if year.isdigit() else "",
    )


def _name(person: Element) -> str:
    parts = [
        fold(text_of(part)) for name in ("first-name", "middle-name", "last-name") for part in children(person, name)
    ]
    return " ".join(filter(None, parts)) or next((fold(text_of(name)) for name in children(person, "nickname")), "")


def _find_cover(root: Element) -> Cover | None:
    """Find the picture that the cover page shows; one that cannot be read is no reason to refuse a book."""
    pages = list(descendants(root, "coverpage"))
    image = next((picture for page in pages for picture in descendants(page, "image")), None)
    wanted = attribute(image, "href").lstrip("#") if image is not None else ""
    for binary in children(root, "binary"):
        if wanted and binary.get("id") == wanted and len(binary.text or "") <= 2 * MAX_COVER_BYTES:
            try:
                data = base64.b64decode("".join((binary.text or "").split()), validate=True)
            except (binascii.Error, ValueError):
                return None
            if media_type := media_type_of(data):
                return Cover(data, media_type)
    return None


class _Writer:
    """Writes a page from the bodies of a FictionBook."""

    def __init__(self) -> None:
        self.html = etree.Element("html")
        self._body = etree.SubElement(self.html, "body")

    def write_body(self, body: Element) -> None:
        """Write the text, or the notes."""
        if (body.get("name") or "").lower() in _NOTES:
            notes = etree.SubElement(self._body, "section", role="doc-endnotes")
            for section in descendants(body, "section"):
                note = etree.SubElement(notes, "aside", role="doc-footnote", id=section.get("id") or "")
                for element in children(section):
                    if local_name(element) not in {"title", "section"}:
                        self._write_block(element, note, 0)
            return
        for element in children(body):
            if local_name(element) == "title":
                title = etree.SubElement(self._body, "div", role="doc-titlepage")
                self._write_inside(element, title, 0)
            else:
                self._write_block(element, self._body, 1)

    def _write_inside(self, element: Element, into: Element, depth: int) -> None:
        for child in children(element):
            self._write_block(child, into, depth)

    def _write_block(self, element: Element, into: Element, depth: int) -> None:
        name = local_name(element)
        if name == "section":
            section = etree.SubElement(into, "section", id=element.get("id") or "")
            self._write_inside(element, section, depth + 1)
        elif name in {"title", "subtitle"} and depth:
            self._write_heading(element, into, min(depth - (name == "title"), _DEEPEST))
        elif name in {"p", "v", "text-author", "subtitle", "date"}:
            paragraph = etree.SubElement(into, "div" if name == "v" else "p", {"class": "line"} if name == "v" else {})
            _write_text(element, paragraph)
        elif name == "empty-line":
            etree.SubElement(into, "p")
        elif name == "stanza":
            self._write_inside(element, etree.SubElement(into, "div", {"class": "stanza"}), depth)
        elif name == "poem":
            self._write_inside(element, etree.SubElement(into, "div", {"class": "poem"}), depth)
        elif name == "image":
            etree.SubElement(into, "img", alt=element.get("alt") or "")
        elif name == "table":
            self._write_table(element, into)
        elif name in {"cite", "epigraph", "annotation", "title"}:
            self._write_inside(element, etree.SubElement(into, "blockquote"), depth)

    def _write_heading(self, element: Element, into: Element, level: int) -> None:
        """Write a title; its paragraphs are the lines of one heading."""
        heading = etree.SubElement(into, f"h{max(level, 1)}")
        lines = list(children(element, "p")) or [element]
        for at, line in enumerate(lines):
            if at:
                etree.SubElement(heading, "br")
            _write_text(line, heading)

    def _write_table(self, table: Element, into: Element) -> None:
        written = etree.SubElement(into, "table")
        for row in descendants(table, "tr"):
            line = etree.SubElement(written, "tr")
            for cell in children(row, "td", "th"):
                _write_text(cell, etree.SubElement(line, "td"))


def _write_text(element: Element, into: Element) -> None:
    """Copy the text of a paragraph with what stands in its line."""
    append(into, element.text)
    for child in children(element):
        name = local_name(child)
        if name == "a":
            link = etree.SubElement(into, "a", href=attribute(child, "href"))
            if attribute(child, "type") == "note":
                link.set("role", "doc-noteref")
            _write_text(child, link)
        elif name == "image":
            etree.SubElement(into, "img", alt=child.get("alt") or "")
        else:
            _write_text(child, etree.SubElement(into, _INLINE.get(name, "span")))
        append(into, child.tail)
