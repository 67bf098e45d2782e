"""Reading EPUB 2 and 3.

Container → package → spine; the table of contents says where chapters begin, the headings in the text fill its gaps.
Written against EPUB 3.3 (W3C) and OPF/NCX 2.0.1, and against what real books make of them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from speedd.common.languages import primary_subtag
from speedd.errors import InputError
from speedd.model import ParagraphKind
from speedd.reading.archive import Archive
from speedd.reading.cover import find_cover
from speedd.reading.epub.package import Item, Package, parse_package
from speedd.reading.epub.pronunciations import PLS_TYPE, linked_lexicons, read_lexicon, said_in_pages
from speedd.reading.epub.toc import Landmark, parse_nav, parse_ncx
from speedd.reading.html.markup import children, decode_markup, descendants, parse_page, parse_xml
from speedd.reading.html.page import Page, read_page
from speedd.reading.input_file import InputFile
from speedd.reading.structure.contents import Contents, TocEntry
from speedd.reading.structure.division import divide_by_lines
from speedd.reading.structure.front import skip_reason_of_page
from speedd.reading.structure.licence import is_licence, mark_licence
from speedd.reading.structure.manuscript import Block, Manuscript, count_words, uniform_skip_reason
from speedd.reading.structure.notes import attach_notes
from speedd.reading.structure.outline import Point, cut, points_of_headings
from speedd.reading.structure.skip_reasons import (
    is_body,
    skip_reason_of_file_name,
    skip_reason_of_title,
    skip_reason_of_types,
)
from speedd.reading.structure.titles import TitleKind, parse_title

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_FONT_ALGORITHMS = frozenset({"http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"})
"""Font obfuscation by the EPUB specification and by Adobe: it hides fonts only and protects no text."""
_DRM_FILES = (
    ("META-INF/license.lcpl", "Readium LCP"),
    ("META-INF/sinf.xml", "Apple FairPlay"),
    ("META-INF/rights.xml", "Adobe"),
)
_PAGE_TYPES = frozenset({"application/xhtml+xml", "text/html", "text/x-oeb1-document"})
_LONGEST_MATTER_BY_NAME_WORDS = 1500
"""A "title page" or "cover" longer than this is a mistake of the guide, or a chapter in a file of that name."""
_LIST_REASONS = frozenset({"endnotes", "footnotes", "index", "bibliography"})


def read_epub(source: InputFile) -> Manuscript:
    """Read an EPUB.

    Raises:
        DamagedInputError: if it looks cut short or torn.
        InputError: if it is protected by DRM, or no EPUB.
    """
    name = source.name
    with Archive(source, "EPUB") as archive:
        opf = _find_package(archive, name)
        package = parse_package(archive.read(opf), opf)
        _refuse_drm(archive, package, name)
        entries, landmarks = _read_toc(archive, package)
        text = _read_spine(archive, package, landmarks)
        if not text.documents:
            raise InputError(f"{name} names no pages to read: its reading order is empty.")
        cover = find_cover(archive, package)
        pronunciations = _read_pronunciations(archive, package, text)
    points = [point for point in _points(text, entries) if not is_licence(text.blocks, point.index)]
    sections = cut(text.blocks, points, package.metadata)
    if len(points) <= 1:
        sections = divide_by_lines(text.blocks, package.metadata) or sections
    return Manuscript(
        package.metadata, sections, cover, tuple(text.warnings), text.notes, pronunciations, text.pictures
    )


def _find_package(archive: Archive, name: str) -> str:
    if archive.find(_CONTAINER):
        root = parse_xml(archive.read(_CONTAINER), _CONTAINER)
        for rootfile in descendants(root, "rootfile"):
            path = (rootfile.get("full-path") or "").lstrip("/")
            if archive.find(path):
                return path
    packages = [member for member in archive.names if member.lower().endswith(".opf")]
    if len(packages) == 1:
        return packages[0]
    raise InputError(f"{name} is no EPUB: it does not say where its package document lies.")


def _refuse_drm(archive: Archive, package: Package, name: str) -> None:
    """Refuse a book whose pages are encrypted.

    Raises:
        InputError: naming the scheme as far as it can be known.
    """
    if not archive.find(_ENCRYPTION):
        locked = bool(archive.find("META-INF/sinf.xml"))
    else:
        root = parse_xml(archive.read(_ENCRYPTION), _ENCRYPTION)
        fonts = {item.path for item in package.items if "font" in item.media_type or "opentype" in item.media_type}
        locked = False
        for encrypted in descendants(root, "encrypteddata"):
            method = next(children(encrypted, "encryptionmethod"), None)
            algorithm = (method.get("Algorithm") or "") if method is not None else ""
            targets = {reference.get("URI") or "" for reference in descendants(encrypted, "cipherreference")}
            locked = locked or (algorithm not in _FONT_ALGORITHMS and not targets <= fonts)
    if locked:
        scheme = next((scheme for member, scheme in _DRM_FILES if archive.find(member)), "")
        by = f" ({scheme})" if scheme else ""
        raise InputError(f"{name} is protected by DRM{by}; speedd reads only books without it.")


def _read_toc(archive: Archive, package: Package) -> tuple[tuple[TocEntry, ...], tuple[Landmark, ...]]:
    """Read the table of contents, from the nav or else the NCX. A broken one is as good as none."""
    entries: tuple[TocEntry, ...] = ()
    landmarks: tuple[Landmark, ...] = ()
    nav = package.with_property("nav")
    if nav and archive.find(nav.path):
        root = parse_page(decode_markup(archive.read(nav.path)))
        if root is not None:
            entries, landmarks = parse_nav(root, nav.path)
    if not entries and package.ncx and archive.find(package.ncx.path):
        root = parse_page(decode_markup(archive.read(package.ncx.path)))
        if root is not None:
            entries = parse_ncx(root, package.ncx.path)
    guide = tuple(Landmark((kind,), path, fragment) for kind, path, fragment in package.guide)
    return entries, (*landmarks, *guide)


@dataclass(slots=True)
class _Document:
    """A page of the spine among the blocks of the book."""

    path: str
    start: int
    end: int
    anchors: dict[str, int]
    """Index of a block of the book by the ``id`` that stands there."""
    title: str


@dataclass(slots=True)
class _Text:
    """All pages of the spine in one run."""

    blocks: list[Block] = field(default_factory=list)
    documents: dict[str, _Document] = field(default_factory=dict)
    """By path, in reading order."""
    spans: dict[str, tuple[int, int]] = field(default_factory=dict)
    """First block and the one after the last of every anchor, by ``path#id``."""
    links: list[tuple[int, str]] = field(default_factory=list)
    """Block and target of every link within the book."""
    notes: dict[str, str] = field(default_factory=dict)
    pictures: int = 0
    said: list[tuple[str, str, str]] = field(default_factory=list)
    """Words with their pronunciation and its alphabet."""
    lexicons: dict[str, str] = field(default_factory=dict)
    """The language of each lexicon that a page links to, by its path."""
    warnings: list[str] = field(default_factory=list)

    def position(self, entry: TocEntry) -> int | None:
        """The block at which an entry of the table of contents points; None if it points nowhere."""
        document = self.documents.get(entry.path)
        return document.anchors.get(entry.fragment, document.start) if document else None


def _read_spine(archive: Archive, package: Package, landmarks: Sequence[Landmark]) -> _Text:
    text = _Text()
    nav = package.with_property("nav")
    for item in package.spine:
        if item.media_type not in _PAGE_TYPES and not item.path.lower().endswith((".xhtml", ".html", ".htm")):
            continue
        if not archive.find(item.path):
            text.warnings.append(f"{item.path} belongs to the book but is missing from the file.")
            continue
        root = parse_page(decode_markup(archive.read(item.path)))
        if root is None:
            text.warnings.append(f"{item.path} could not be read as a page and was left out.")
            continue
        skip_reason = "table of contents" if nav and item.path == nav.path else _skip_reason_outside(item, landmarks)
        page = read_page(root, skip_reason=skip_reason, path=item.path)
        if skip_reason not in {"", "table of contents", *_LIST_REASONS} and _is_too_long(page):
            page = read_page(root, path=item.path)
        start = len(text.blocks)
        text.spans |= page.spans(item.path, start)
        text.links.extend((start + at, target) for at, target in page.links)
        text.pictures += page.pictures
        text.said.extend(page.said)
        text.lexicons.update(linked_lexicons(root, item.path))
        text.blocks.extend(page.blocks)
        anchors = {anchor: start + index for anchor, index in page.anchors.items()}
        text.documents[item.path] = _Document(item.path, start, len(text.blocks), anchors, page.title)
    settled, text.notes = attach_notes(text.blocks, text.spans, text.links)
    text.blocks = mark_licence(settled)
    return text


def _read_pronunciations(archive: Archive, package: Package, text: _Text) -> dict[str, str]:
    """Collect what the book says of its words: in its lexicons, and over them in its pages."""
    language = package.metadata.language
    paths = dict.fromkeys(item.path for item in package.items if item.media_type == PLS_TYPE)
    primary = primary_subtag(language)
    for path, of in text.lexicons.items():
        if not (of and primary and primary_subtag(of) != primary):
            paths.setdefault(path)
        else:
            paths.pop(path, None)
    found: dict[str, str] = {}
    for path in paths:
        if not archive.find(path):
            continue
        try:
            found |= read_lexicon(archive, path, language)
        except InputError as error:
            text.warnings.append(f"The pronunciations in {path} are not used: {error.message}")
    return found | said_in_pages(text.said)


def _skip_reason_outside(item: Item, landmarks: Sequence[Landmark]) -> str:
    """Why landmarks or guide say that a whole page is not read out."""
    here = [mark for mark in landmarks if mark.path == item.path]
    if any(is_body(mark.kinds) or {"text", "start"} & set(mark.kinds) for mark in here):
        return ""
    return next((reason for mark in here if not mark.fragment and (reason := skip_reason_of_types(mark.kinds))), "")


def _is_too_long(page: Page) -> bool:
    return count_words(page.blocks) > _LONGEST_MATTER_BY_NAME_WORDS


def _points(text: _Text, entries: Sequence[TocEntry]) -> list[Point]:
    """Where sections begin: by the table of contents, and by headings where it says nothing."""
    listed = Contents(text.blocks, text.position).points(entries)
    if not any(count_words(text.blocks[point.index :]) for point in listed):
        listed = []
    headed = points_of_headings(text.blocks)
    if not listed:
        starts = {point.index for point in headed}
        return [*headed, *(point for point in _document_points(text, headed) if point.index not in starts)]
    levels = [_heading_level(text.blocks, point.index) for point in listed]
    deepest = max((level for level in levels if level), default=2)
    return [*listed, *_document_points(text, listed, deepest)]


def _heading_level(blocks: Sequence[Block], index: int) -> int:
    return blocks[index].level if index < len(blocks) else 0


def _document_points(text: _Text, points: Sequence[Point], deepest: int = 6) -> list[Point]:
    """Find the pages that begin a section though no point says so.

    Args:
        text: the book.
        points: the points known so far.
        deepest: the deepest level of heading with which a chapter begins in this book.
    """
    known = sorted(points, key=lambda point: point.index)
    places = [point.index for point in known]
    found: list[Point] = []
    for document in text.documents.values():
        start, end = document.start, document.end
        blocks = text.blocks[start:end]
        after = bisect_left(places, start)
        opened = places[after] if after < len(places) else end
        if opened < end and not count_words(text.blocks[start:opened]):
            continue  # a point says what this page is
        if not count_words(blocks):
            continue
        before = known[after - 1] if after else None
        if found and (before is None or found[-1].index > before.index):
            before = found[-1]
        reason = (
            uniform_skip_reason(blocks) or _skip_reason_of_name(blocks, document.path) or _skip_reason_of_text(blocks)
        )
        if reason:
            text.blocks[start:end] = [replace(block, skip_reason=block.skip_reason or reason) for block in blocks]
            found.append(Point(start, fallback=reason.capitalize()))
        elif blocks[0].kind is ParagraphKind.HEADING and (
            blocks[0].level <= deepest or _is_chapter_title(blocks[0].text)
        ):
            found.append(Point(start))
        elif before is None or _is_matter(text, before, start):
            found.append(Point(start, fallback=_own_title(document)))
    return found


def _own_title(document: _Document) -> str:
    """The title of a page, unless it is one that a converter made up."""
    made_up = "split" in document.title or document.title.lower() in {"unknown", "untitled", "cover"}
    return "" if made_up or "." in document.title else document.title


def _is_chapter_title(title: str) -> bool:
    line = parse_title(title)
    return line is not None and line.kind is not TitleKind.NUMBER


def _is_matter(text: _Text, point: Point, end: int) -> bool:
    """Say whether the section before is not read out, so that a page without a title cannot belong to it."""
    return bool(skip_reason_of_title(point.title) or uniform_skip_reason(text.blocks[point.index : end]))


def _skip_reason_of_text(blocks: Sequence[Block]) -> str:
    """Why a page that no table of contents lists is not read out, by what stands on it."""
    if any(block.marked or block.kind is ParagraphKind.HEADING for block in blocks):
        return ""
    return skip_reason_of_page([line for block in blocks if block.words for line in block.text.split("\n")])


def _skip_reason_of_name(blocks: Sequence[Block], path: str) -> str:
    """Why a page is not read out by the name of its file, where nothing in it says that it is text."""
    if any(block.marked for block in blocks) or count_words(blocks) > _LONGEST_MATTER_BY_NAME_WORDS:
        return ""
    return skip_reason_of_file_name(path)
