"""Reading HTML: one page that holds a whole book, or a story saved from the web."""

from __future__ import annotations

import re
from dataclasses import replace

from speedd.errors import InputError
from speedd.model import Metadata
from speedd.reading.html.markup import Element, declared_encoding, descendants, parse_page, text_of
from speedd.reading.html.page import read_page
from speedd.reading.input_file import InputFile
from speedd.reading.language import normal_tag
from speedd.reading.nfo import DATE, split_names
from speedd.reading.structure.division import divide, title_of_first
from speedd.reading.structure.manuscript import Manuscript
from speedd.reading.structure.wording import fold
from speedd.reading.text.decoding import MAX_TEXT_BYTES, decode_text

_SITE_TITLE = re.compile(r"(?:The )?Project Gutenberg(?:[’']s)? e-?Book of (?P<title>.+)", re.IGNORECASE)
_TITLE_BY = re.compile(r"(?P<title>.+?),?\s+by\s+(?P<names>[^,]{3,60})", re.IGNORECASE)
_AROUND = "speedd-around"
_LEAST_SHARE = 0.5


def read_html(source: InputFile) -> Manuscript:
    """Read an HTML page.

    Raises:
        InputError: if it is no page.
    """
    data = source.read_bytes(MAX_TEXT_BYTES)
    text, warnings = decode_text(data, source.name, declared=declared_encoding(data))
    root = parse_page(text)
    if root is None:
        raise InputError(f"{source.name} is no HTML page: nothing in it can be read.")
    _mark_around(root)
    page = read_page(root)
    known = _metadata(root, page.title)
    settled, notes = page.settled()
    blocks, known = title_of_first(settled, known)
    return Manuscript(known, divide(blocks, known), warnings=warnings, notes=notes, pictures=page.pictures)


def _mark_around(root: Element) -> None:
    """Mark what stands around the one article of a web page: menus, related stories, the site's foot."""
    everything = len(text_of(root))
    for name in ("article", "main"):
        found = list(descendants(root, name))
        if len(found) == 1 and len(text_of(found[0])) > _LEAST_SHARE * everything:
            inner = found[0]
            while (parent := inner.getparent()) is not None:
                for child in parent:
                    if child is not inner and isinstance(child.tag, str):
                        child.set("role", _AROUND)
                inner = parent
            return


def _metadata(root: Element, title: str) -> Metadata:
    """Read what the head of a page says: Dublin Core, Open Graph, the usual names, ``<title>`` last."""
    said: dict[str, str] = {}
    for meta in descendants(root, "meta"):
        name = (meta.get("name") or meta.get("property") or "").lower()
        said.setdefault(name.replace("dcterms.", "dc."), fold(meta.get("content") or ""))

    def first(*names: str) -> str:
        return next((said[name] for name in names if said.get(name)), "")

    authors = split_names(first("dc.creator", "author", "article:author", "book:author"))
    title = first("dc.title", "og:title") or title
    title = match["title"] if (match := _SITE_TITLE.fullmatch(title)) else title
    if match := _TITLE_BY.fullmatch(title):
        named = split_names(match["names"])
        if not authors or named == authors:
            title, authors = match["title"], named
    date = DATE.match(first("dc.date", "dc.issued", "article:published_time", "date"))
    html = root if root.tag == "html" else next(descendants(root, "html"), root)
    language = html.get("lang") or html.get("{http://www.w3.org/XML/1998/namespace}lang") or first("dc.language")
    known = Metadata(
        title=title,
        authors=authors,
        language=normal_tag(language),
        publisher=first("dc.publisher"),
        published=date[0] if date else "",
        description=first("dc.description", "description", "og:description"),
    )
    return replace(known, title="") if known.title.lower() in {"untitled", "untitled document"} else known
