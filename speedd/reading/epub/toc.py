"""The table of contents of an EPUB: the nav document of EPUB 3, the NCX of EPUB 2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from speedd.reading.archive import resolve
from speedd.reading.html.markup import Element, children, descendants, text_of, types
from speedd.reading.structure.contents import TocEntry
from speedd.reading.structure.wording import fold

_DEEPEST = 12


@dataclass(frozen=True, slots=True)
class Landmark:
    """A document and what the source says it is."""

    kinds: tuple[str, ...]
    path: str
    fragment: str


def parse_nav(root: Element, path: str) -> tuple[tuple[TocEntry, ...], tuple[Landmark, ...]]:
    """Read the table of contents and the landmarks of a nav document.

    Args:
        root: its parsed page.
        path: its name in the archive.
    """
    navs = list(descendants(root, "nav"))
    toc = next((nav for nav in navs if {"toc", "doc-toc"} & set(types(nav))), None)
    if toc is None:
        toc = next((nav for nav in navs if not types(nav)), None)
    entries = () if toc is None else tuple(_nav_entries(toc, path, 0))
    landmarks = tuple(
        Landmark(types(link), *resolve(path, link.get("href") or ""))
        for nav in navs
        if "landmarks" in types(nav)
        for link in descendants(nav, "a")
    )
    return entries, landmarks


def _nav_entries(parent: Element, base: str, depth: int) -> Iterator[TocEntry]:
    for line in (item for listing in children(parent, "ol", "ul") for item in children(listing, "li")):
        label = next(children(line, "a", "span", "p", "div"), None)
        link = None if label is None else next(descendants(label, "a"), None)
        path, fragment = resolve(base, link.get("href") or "") if link is not None and link.get("href") else ("", "")
        hidden = any(listing.get("hidden") is not None for listing in children(line, "ol", "ul"))
        below = tuple(_nav_entries(line, base, depth + 1)) if depth < _DEEPEST else ()
        yield TocEntry(fold(text_of(label)) if label is not None else "", path, fragment, below, hidden)


def parse_ncx(root: Element, path: str) -> tuple[TocEntry, ...]:
    """Read the table of contents of an NCX.

    Args:
        root: its parsed XML.
        path: its name in the archive.
    """
    return tuple(entry for nav_map in descendants(root, "navmap") for entry in _ncx_entries(nav_map, path, 0))


def _ncx_entries(parent: Element, base: str, depth: int) -> Iterator[TocEntry]:
    for point in children(parent, "navpoint"):
        label = next(children(point, "navlabel"), None)
        content = next(children(point, "content"), None)
        path, fragment = resolve(base, content.get("src") or "") if content is not None else ("", "")
        below = tuple(_ncx_entries(point, base, depth + 1)) if depth < _DEEPEST else ()
        yield TocEntry(fold(text_of(label)) if label is not None else "", path, fragment, below)
