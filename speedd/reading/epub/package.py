"""The package document (OPF) of an EPUB, and Calibre's metadata.opf, which is the same.

Follows EPUB 3.3 (``refines``, ``belongs-to-collection``) and OPF 2 (``opf:role``, ``<meta name=… content=…>``, guide).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from speedd.model import Metadata
from speedd.reading.archive import resolve
from speedd.reading.html.markup import (
    Element,
    attribute,
    children,
    descendants,
    local_name,
    parse_page,
    parse_xml,
    text_of,
)
from speedd.reading.html.page import read_page
from speedd.reading.language import normal_tag
from speedd.reading.structure.wording import fold

_UNKNOWN_YEAR = "0101"  # what Calibre writes for "no date"
_DATE = re.compile(r"(\d{4})(-\d{2})?(-\d{2})?")
_ISBN = re.compile(r"97[89]\d{10}|\d{9}[\dX]")
_ASIN = re.compile(r"B0[A-Z0-9]{8}")


@dataclass(frozen=True, slots=True)
class Item:
    """A file of the manifest."""

    id: str
    path: str
    """Its name in the archive; empty if it lies outside."""
    media_type: str
    properties: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Package:
    """What an OPF says."""

    metadata: Metadata
    items: tuple[Item, ...]
    spine: tuple[Item, ...]
    """In reading order, without what is not ``linear``."""
    guide: tuple[tuple[str, str, str], ...]
    """Type, path and fragment of each reference."""
    ncx: Item | None
    cover_id: str
    """The id in the manifest, or the path, that EPUB 2 names as its cover."""

    def with_property(self, name: str) -> Item | None:
        """The first file of the manifest that has a property such as ``nav``."""
        return next((item for item in self.items if name in item.properties and item.path), None)


def parse_package(data: bytes, path: str) -> Package:
    """Parse an OPF.

    Args:
        data: its bytes.
        path: its name in the archive, to which its references are relative.
    Raises:
        InputError: if it is no XML.
    """
    root = parse_xml(data, path)
    items = tuple(_item(element, path) for part in children(root, "manifest") for element in children(part, "item"))
    by_id = {item.id: item for item in reversed(items)}
    spine = next(children(root, "spine"), None)
    linear: list[Item] = []
    if spine is not None:
        for reference in children(spine, "itemref"):
            item = by_id.get(reference.get("idref") or "")
            if item and item.path and (reference.get("linear") or "yes").lower() != "no":
                linear.append(item)
    ncx = by_id.get((spine.get("toc") or "") if spine is not None else "")
    ncx = ncx or next((item for item in items if item.media_type == "application/x-dtbncx+xml"), None)
    guide = tuple(
        ((reference.get("type") or "").lower(), *resolve(path, reference.get("href") or ""))
        for part in children(root, "guide")
        for reference in children(part, "reference")
    )
    cover_id = next(
        (meta.get("content") or "" for meta in descendants(root, "meta") if meta.get("name") == "cover"), ""
    )
    return Package(parse_metadata(root), items, tuple(dict.fromkeys(linear)), guide, ncx, cover_id)


def _item(element: Element, base: str) -> Item:
    path, _ = resolve(base, element.get("href") or "")
    return Item(
        element.get("id") or "",
        path,
        (element.get("media-type") or "").lower(),
        tuple((element.get("properties") or "").split()),
    )


def parse_metadata(root: Element) -> Metadata:
    """Read what an OPF knows of the book."""
    block = next(children(root, "metadata"), None)
    if block is None:
        return Metadata()
    reader = _MetadataReader(block)
    titles = reader.titles()
    authors, narrators = reader.people()
    series, series_index = reader.series()
    isbn, asin = reader.identifiers()
    return Metadata(
        title=titles[0],
        subtitle=titles[1],
        authors=authors,
        narrators=narrators,
        series=series,
        series_index=series_index,
        language=normal_tag(reader.first("language")),
        publisher=reader.first("publisher"),
        published=reader.published(),
        description=_plain(reader.raw("description")),
        genres=reader.genres(),
        isbn=isbn,
        asin=asin,
    )


class _MetadataReader:
    """Looks at the elements of a ``<metadata>`` and at what refines them."""

    def __init__(self, block: Element) -> None:
        # OPF 1 and some of OPF 2 wrap Dublin Core in <dc-metadata>, hence all descendants.
        self._elements = [element for element in block.iter() if local_name(element) and element is not block]
        self._metas = [element for element in self._elements if local_name(element) == "meta"]

    def _all(self, name: str) -> list[Element]:
        return [element for element in self._elements if local_name(element) == name and text_of(element)]

    def _refined(self, element: Element, name: str) -> list[str]:
        target = f"#{element.get('id')}"
        return [
            text_of(meta)
            for meta in self._metas
            if element.get("id") and meta.get("refines") == target and meta.get("property") == name
        ]

    def _named(self, name: str) -> str:
        return next((fold(meta.get("content") or "") for meta in self._metas if meta.get("name") == name), "")

    def raw(self, name: str) -> str:
        """The first element of this name, with its line ends."""
        return next(("".join(element.itertext()) for element in self._all(name)), "")

    def first(self, name: str) -> str:
        """The first element of this name."""
        return fold(self.raw(name))

    def titles(self) -> tuple[str, str]:
        """Title and subtitle."""
        titles = [(fold(text_of(element)), self._refined(element, "title-type")) for element in self._all("title")]
        main = next((title for title, kinds in titles if "main" in kinds), "")
        main = main or next((title for title, kinds in titles if not kinds), "") or (titles[0][0] if titles else "")
        return main, next((title for title, kinds in titles if "subtitle" in kinds and title != main), "")

    def people(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Authors and narrators."""
        authors: list[str] = []
        narrators: list[str] = []
        others: list[str] = []
        for element in (*self._all("creator"), *self._all("contributor")):
            name = fold(text_of(element))
            roles = {*self._refined(element, "role"), attribute(element, "role")} - {""}
            creates = local_name(element) == "creator"
            if "nrt" in roles:
                narrators.append(name)
            elif "aut" in roles or (creates and not roles):
                authors.append(name)
            elif creates:
                others.append(name)  # an anthology's editor stands in where no author is named
        return tuple(dict.fromkeys(authors or others)), tuple(dict.fromkeys(narrators))

    def series(self) -> tuple[str, str]:
        """Series and the book's place in it, EPUB 3's first, then Calibre's."""
        for meta in self._metas:
            if meta.get("property") == "belongs-to-collection" and not meta.get("refines"):
                kinds = self._refined(meta, "collection-type")
                if not kinds or "series" in kinds:
                    place = self._refined(meta, "group-position")
                    return fold(text_of(meta)), _whole(place[0] if place else "")
        name = self._named("calibre:series")
        return name, _whole(self._named("calibre:series_index")) if name else ""

    def published(self) -> str:
        """Year or date of publication."""
        dates = self._all("date")
        dates.sort(key=lambda element: attribute(element, "event") not in {"publication", "original-publication"})
        for element in dates:
            if (
                (match := _DATE.match(text_of(element)))
                and match[1] != _UNKNOWN_YEAR
                and attribute(element, "event") not in {"modification", "conversion", "creation"}
            ):
                return match[0]
        return ""

    def genres(self) -> tuple[str, ...]:
        """Genre and subjects, each once."""
        named = [text_of(meta) for meta in self._metas if meta.get("property") == "schema:genre"]
        return tuple(dict.fromkeys(fold(name) for name in (*named, *map(text_of, self._all("subject"))) if name))

    def identifiers(self) -> tuple[str, str]:
        """ISBN and ASIN."""
        isbn = asin = ""
        for element in self._all("identifier"):
            scheme = attribute(element, "scheme").lower()
            value = text_of(element)
            bare = value.rpartition(":")[2].replace("-", "").replace(" ", "").upper()
            if not isbn and _ISBN.fullmatch(bare) and ("isbn" in f"{scheme} {value.lower()}" or _is_isbn13(bare)):
                isbn = bare
            if not asin and _ASIN.fullmatch(bare) and ("asin" in scheme or "amazon" in scheme):
                asin = bare
        return isbn, asin


def _is_isbn13(digits: str) -> bool:
    """Check the last digit of an ISBN-13 (ISO 2108)."""
    if len(digits) != 13 or not digits.isdigit():  # noqa: PLR2004 - the 13 of its name
        return False
    return sum(int(digit) * (3 if at % 2 else 1) for at, digit in enumerate(digits)) % 10 == 0


def _whole(index: str) -> str:
    """Write Calibre's "2.0" as "2"."""
    return index.removesuffix(".0").removesuffix(".00")


def _plain(description: str) -> str:
    """Strip a description of its markup; paragraphs stay apart."""
    if "<" not in description and "&" not in description:
        return "\n\n".join(filter(None, (fold(part) for part in re.split(r"\n\s*\n", description))))
    root = parse_page(f"<html><body>{description}</body></html>")
    return "\n\n".join(block.text for block in read_page(root).blocks if block.text) if root is not None else ""
