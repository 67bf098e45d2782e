"""Reading PDF with a text layer: pages are taken apart until only the text is left, in reading order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from speedd.errors import DamagedInputError, InputError
from speedd.model import Metadata, ParagraphKind, Skipped
from speedd.reading.input_file import InputFile
from speedd.reading.nfo import split_names
from speedd.reading.pdf.glyphs import lines_of, read_glyphs
from speedd.reading.pdf.layout import (
    PageLines,
    Region,
    body_size,
    note_label,
    regions,
    set_notes_apart,
    without_running_lines,
)
from speedd.reading.pdf.paragraphs import TypesetParagraph, Words, leading, paragraphs_of, with_initials
from speedd.reading.structure.contents import Contents, TocEntry
from speedd.reading.structure.division import divide, title_of_first
from speedd.reading.structure.front import skip_reason_of_page
from speedd.reading.structure.manuscript import Block, Manuscript, Section
from speedd.reading.structure.outline import Point, cut
from speedd.reading.structure.titles import TitleKind, is_within, parse_title, tokens
from speedd.reading.structure.wording import fold, is_ornament

_MAX_PDF_BYTES = 1 << 30
_HEAD_BYTES = 1024
_MOST_PAGES = 20_000
_LEAST_PAGE_CHARS = 20
_SCANNED_SHARE = 0.2
_UNREADABLE_SHARE = 0.3
_NO_TEXT = re.compile("[\ufffd\ue000-\uf8ff]")
_MADE_UP_TITLE = re.compile(
    r"(?:Microsoft (?:Word|PowerPoint) - .*|.*\.(?:docx?|indd|qxd|pdf|tex|odt|rtf|pages|html?|md)|untitled.*|"
    r"layout \d*|document\d*|\d+|print|book|interior.*)",
    re.IGNORECASE,
)
_MADE_UP_ENTRY = re.compile(r"(?:page|p\.|pg\.?)\s*\d+|\d+|.*\.(?:pdf|indd)", re.IGNORECASE)
_HEADING_SIZE = 1.12
_BOLDER = 120
_LONGEST_HEADING_CHARS = 160
_LONGEST_BOLD_WORDS = 14
_FRONT_PAGES = 20
_FRONT_BOOK_SHARE = 0.5
_DEEPEST_LEVEL = 6
_RUNNING = "running heads and page numbers"


def read_pdf(source: InputFile) -> Manuscript:
    """Read a PDF.

    Raises:
        DamagedInputError: if it looks cut short.
        InputError: if it is locked with a password, a scan, or no PDF.
    """
    import pypdfium2 as pdfium  # noqa: PLC0415 - loads PDFium
    from pypdfium2 import raw  # noqa: PLC0415

    data = source.read_bytes(_MAX_PDF_BYTES)
    try:
        document = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        raise _unopened(data, source.name, error.err_code) from error
    try:
        count = len(document)
        if count > _MOST_PAGES:
            raise InputError(f"{source.name} has {count} pages. No book does, so it is not read.")
        pages, pictures = _read_pages(document, raw, source.name)
        known = _metadata(document.get_metadata_dict())
        entries = _bookmarks(document, count)
    except pdfium.PdfiumError as error:
        raise DamagedInputError(f"{source.name} is damaged inside: {error}.") from error
    finally:
        document.close()
    warnings = _refuse_scan(pages, pictures, source.name)
    return replace(_lay_out(pages, entries, known), warnings=warnings, pictures=0)


def _unopened(data: bytes, name: str, code: int | None) -> InputError:
    """Say in plain words why PDFium does not open a file."""
    from pypdfium2 import raw  # noqa: PLC0415

    if code in {raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY}:
        return InputError(f"{name} is locked with a password.", hint="Unlock it, then drop it again.")
    if not data[:_HEAD_BYTES].strip(b"\0"):
        return DamagedInputError(f"{name} begins with nothing but zeros: its copy seems not to have finished.")
    if b"%PDF-" not in data[:_HEAD_BYTES]:
        return InputError(f"{name} is no PDF, whatever it is called.")
    if b"%%EOF" not in data[-_HEAD_BYTES:]:
        return DamagedInputError(
            f"{name} is cut short: the end of the PDF is missing.", hint="Copy it again, or download it anew."
        )
    return InputError(f"{name} is damaged: no PDF reader can open it.", hint="Download it anew.")


# --- pages ---------------------------------------------------------------------------------------------------------


def _read_pages(document: Any, raw: Any, name: str) -> tuple[list[PageLines], int]:
    """Read the lines of all pages.

    Returns:
        the pages, and how many of them hold a picture and no text.
    """
    pages: list[PageLines] = []
    pictures = letters = unreadable = 0
    for number in range(len(document)):
        lines = []
        page = document[number]
        try:
            text = page.get_textpage()
            try:
                lines = lines_of(read_glyphs(text, raw), number)
            finally:
                text.close()
            if sum(len(line.text) for line in lines) < _LEAST_PAGE_CHARS:
                pictures += any(True for _ in page.get_objects([raw.FPDF_PAGEOBJ_IMAGE], max_depth=3))
        finally:
            page.close()
        letters += sum(len(line.text) for line in lines)
        unreadable += sum(len(_NO_TEXT.findall(line.text)) for line in lines)
        for line in lines:
            line.text = _NO_TEXT.sub("", line.text)
        pages.append(PageLines(number, [line for line in lines if line.text or line.marks]))
    if unreadable > _UNREADABLE_SHARE * letters:
        raise InputError(
            f"The text of {name} cannot be understood: its fonts do not say which letters they show.",
            hint="Text recognition (OCR) can put readable text under its pages.",
        )
    return pages, pictures


def _refuse_scan(pages: Sequence[PageLines], pictures: int, name: str) -> tuple[str, ...]:
    """Refuse a scan, and warn of pages that are pictures.

    Raises:
        InputError: if most pages are pictures without a text layer, or nothing is on them.
    """
    written = sum(1 for page in pages if sum(len(line.text) for line in page.lines) >= _LEAST_PAGE_CHARS)
    if pictures and written <= _SCANNED_SHARE * len(pages) and written < pictures:
        raise InputError(
            f"{name} is a scan: {pictures} of its {len(pages)} pages are pictures without a text layer.",
            hint="Put text under it with text recognition, for example with ocrmypdf, and drop it again.",
        )
    if not any(page.lines for page in pages):
        raise InputError(f"{name} has no text to read.")
    if pictures > 1:
        return (f"{pictures} of {len(pages)} pages are pictures without text; what they say is not read.",)
    return ()


def _metadata(said: dict[str, str]) -> Metadata:
    title = fold(said.get("Title", ""))
    author = fold(said.get("Author", ""))
    keywords = tuple(filter(None, (fold(word) for word in re.split(r"[,;]", said.get("Keywords", "")))))
    return Metadata(
        title="" if _MADE_UP_TITLE.fullmatch(title) else title,
        authors=() if author.lower() in {"unknown", "user", "admin", "owner", "author"} else split_names(author),
        description=fold(said.get("Subject", "")),
        genres=tuple(dict.fromkeys(keywords)),
    )


@dataclass(slots=True)
class _Bookmark:
    title: str
    page: int
    level: int
    children: list[_Bookmark] = field(default_factory=list)


def _bookmarks(document: Any, pages: int) -> list[_Bookmark]:
    """Read the bookmarks; none if they only count pages."""
    roots: list[_Bookmark] = []
    open_ones: list[_Bookmark] = []
    flat: list[_Bookmark] = []
    for item in document.get_toc(max_depth=6):
        destination = item.get_dest()
        index = destination.get_index() if destination else None
        title = fold(item.get_title() or "")
        if not title or index is None or not 0 <= index < pages or len(flat) >= _MOST_PAGES:
            continue
        bookmark = _Bookmark(title, index, item.level)
        while open_ones and open_ones[-1].level >= item.level:
            open_ones.pop()
        (open_ones[-1].children if open_ones else roots).append(bookmark)
        open_ones.append(bookmark)
        flat.append(bookmark)
    made_up = sum(1 for bookmark in flat if _MADE_UP_ENTRY.fullmatch(bookmark.title))
    if len({bookmark.page for bookmark in flat}) < 2 or (made_up > 0.5 * len(flat) and made_up > 0.5 * pages):  # noqa: PLR2004
        return []
    return roots


# --- the book ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Book:
    """Blocks, and the page that each begins on."""

    blocks: list[Block] = field(default_factory=list)
    pages: list[int] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)

    def add(self, block: Block, page: int) -> None:
        self.blocks.append(block)
        self.pages.append(page)


def _lay_out(pages: list[PageLines], bookmarks: list[_Bookmark], known: Metadata) -> Manuscript:
    running_words = without_running_lines(pages)
    body = body_size(pages)
    for page in pages:
        page.lines = with_initials(page.lines)
        set_notes_apart(page, body)
    placed = [region for page in pages for region in regions(page)]
    words = Words(line for page in pages for line in (*page.lines, *page.notes))
    skip_reason = _skip_reason_of_pages(pages, placed)
    book = _Book()
    paragraphs = paragraphs_of(placed, leading(placed), skip_reason)
    levels = _levels(paragraphs, body)
    notes = {page.number: _notes_of(page, words) for page in pages if page.notes}
    done: set[int] = set()
    for paragraph in paragraphs:
        current = paragraph.lines[0].page
        for past in sorted(number for number in notes if number < current and number not in done):
            _add_notes(book, past, notes[past])
            done.add(past)
        _add_paragraph(book, paragraph, words, levels, skip_reason, notes)
    for past in sorted(set(notes) - done):
        _add_notes(book, past, notes[past])
    sections, known = _sections(book, bookmarks, known)
    left_out = (Skipped(_RUNNING.capitalize(), _RUNNING, running_words),) if running_words else ()
    return Manuscript(known, sections, notes=book.notes, left_out=left_out)


def _add_paragraph(
    book: _Book,
    paragraph: TypesetParagraph,
    words: Words,
    levels: dict[int, int],
    skip_reason: dict[int, str],
    notes: dict[int, list[tuple[str, str]]],
) -> None:
    page = paragraph.lines[0].page
    text = words.text_of(paragraph)
    if not text:
        return
    if is_ornament(text):
        book.add(Block("", ParagraphKind.BREAK), page)
        return
    level = levels.get(id(paragraph), 0)
    known = {(number, label) for number, found in notes.items() for label, _ in found}
    targets = tuple(f"p{number}:{mark}" for number, mark in paragraph.marks if (number, mark) in known)
    kind = ParagraphKind.HEADING if level else ParagraphKind.TEXT
    if level:
        text = fold(text)
    book.add(Block(text, kind, level, skip_reason.get(page, ""), notes=targets), page)


def _notes_of(page: PageLines, words: Words) -> list[tuple[str, str]]:
    """The notes at the foot of a page, each with its mark."""
    found: list[tuple[str, list[str]]] = []
    for line in page.notes:
        label, rest = note_label(line)
        if label or not found:
            found.append((label, [rest]))
        else:
            found[-1][1].append(rest)
    return [(label, words.join(texts)) for label, texts in found]


def _add_notes(book: _Book, page: int, notes: list[tuple[str, str]]) -> None:
    for label, text in notes:
        book.add(Block(text, skip_reason="footnotes", note=bool(label)), page)
        if label:
            book.notes[f"p{page}:{label}"] = text


def _levels(paragraphs: Sequence[TypesetParagraph], body: float) -> dict[int, int]:
    """Which paragraphs are headings, by ``id``, and of which level: larger type stands above smaller."""
    weights: dict[float, int] = {}
    for paragraph in paragraphs:
        weights[paragraph.weight] = weights.get(paragraph.weight, 0) + sum(len(line.text) for line in paragraph.lines)
    usual = max(weights, key=lambda weight: weights[weight], default=0.0)
    headings = [paragraph for paragraph in paragraphs if _is_heading(paragraph, body, usual)]
    sizes = sorted({round(paragraph.size * 2) / 2 for paragraph in headings}, reverse=True)
    return {
        id(paragraph): min(sizes.index(round(paragraph.size * 2) / 2) + 1, _DEEPEST_LEVEL) for paragraph in headings
    }


def _is_heading(paragraph: TypesetParagraph, body: float, usual: float) -> bool:
    text = " ".join(line.text for line in paragraph.lines)
    if len(text) > _LONGEST_HEADING_CHARS or not any(letter.isalnum() for letter in text):
        return False
    if paragraph.size >= _HEADING_SIZE * body:
        return True
    if paragraph.size < 0.95 * body:
        return False
    bold = usual and paragraph.weight >= usual + _BOLDER and len(text.split()) <= _LONGEST_BOLD_WORDS
    if bold and paragraph.apart and not text.endswith((".", ",", ";")):
        return True
    line = parse_title(text)
    return bool(
        line
        and line.kind in {TitleKind.PART, TitleKind.CHAPTER, TitleKind.NAMED}
        and paragraph.apart
        and len(paragraph.lines) == 1
        and (paragraph.centred or paragraph.broken[0])
    )


def _skip_reason_of_pages(pages: Sequence[PageLines], placed: Sequence[Region]) -> dict[int, str]:
    """Which pages at the front are an imprint or a table of contents, and why they are not read out."""
    last = min(_FRONT_PAGES, max(1, round(_FRONT_BOOK_SHARE * len(pages))))
    rows: dict[int, list[str]] = {}
    for region in placed:
        rows.setdefault(region.page, []).extend(line.text for line in region.lines)
    return {
        number: reason for number, lines in rows.items() if number < last and (reason := skip_reason_of_page(lines))
    }


def _sections(book: _Book, bookmarks: list[_Bookmark], known: Metadata) -> tuple[tuple[Section, ...], Metadata]:
    """Cut the book by its bookmarks, or else by its headings."""
    if bookmarks:
        entries, places = _entries(book, bookmarks)
        points = Contents(book.blocks, lambda entry: places.get(entry.fragment)).points(entries)
        if len(points) > 1:
            return cut(book.blocks, [*_pages_before(book, points), *points], known), known
    blocks, known = title_of_first(book.blocks, known)
    return divide(blocks, known), known


def _entries(book: _Book, bookmarks: Sequence[_Bookmark]) -> tuple[list[TocEntry], dict[str, int]]:
    """Turn bookmarks into a table of contents; each leads to its heading on its page, else to the page's top."""
    places: dict[str, int] = {}

    def entry(bookmark: _Bookmark) -> TocEntry:
        place = _place(book, bookmark)
        name = str(len(places))
        if place is not None:
            places[name] = place
        below = tuple(map(entry, bookmark.children))
        return TocEntry(bookmark.title, "", name if place is not None else "none", below)

    return [entry(bookmark) for bookmark in bookmarks], places


def _place(book: _Book, bookmark: _Bookmark) -> int | None:
    on_page = [at for at, page in enumerate(book.pages) if page == bookmark.page]
    wanted = tokens(bookmark.title)
    for at in on_page:
        block = book.blocks[at]
        said = tokens(block.text)
        if said and len(block.text) <= _LONGEST_HEADING_CHARS and (is_within(said, wanted) or is_within(wanted, said)):
            if block.kind is ParagraphKind.TEXT and not block.skip_reason and said == wanted:
                book.blocks[at] = replace(block, kind=ParagraphKind.HEADING, level=_DEEPEST_LEVEL)
            return at
    if on_page:
        return on_page[0]
    return next((at for at, page in enumerate(book.pages) if page > bookmark.page), None)


def _pages_before(book: _Book, points: Sequence[Point]) -> list[Point]:
    """Let every page before the first chapter be a section of its own: title page, imprint and dedication differ."""
    first = min(point.index for point in points)
    starts = [at for at in range(first) if at == 0 or book.pages[at] != book.pages[at - 1]]
    return [Point(at) for at in starts]
