"""Which part is read, in which format, and who has the last word on what the book is called."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from speedd.errors import InputError
from speedd.model import Book, Job, Role
from speedd.reading.beside import merged, read_beside
from speedd.reading.formats import choose, kind_of, read_source
from speedd.reading.input_file import InputFile
from speedd.reading.language import SAMPLE_CHARS, detect
from speedd.reading.structure.manuscript import Choices, Manuscript, assemble, count_words, has_text
from speedd.reading.structure.tidying import tidied
from speedd.reading.structure.titles import tokens
from speedd.reading.structure.wording import fold

_LEAST_WORDS_PER_PICTURE = 3
_FEW_WORDS = 1000
"""Fewer words for a picture, and fewer in all, are no book with pictures but pictures of one."""


def read(
    job: Job,
    *,
    front_back_matter: Literal["skip", "keep"] = "skip",
    notes: Literal["skip", "inline"] = "skip",
    pictures: Literal["skip", "read"] = "skip",
) -> Book:
    """Read the book of a job.

    Metadata comes from the nfo, then from Calibre's OPF, then from the book itself; a cover beside the book stands over
    its own.

    Args:
        job: a job with a part in the role `Role.BOOK`.
        front_back_matter: ``skip`` leaves out front and back matter and lists it in `Book.skipped`; ``keep`` reads
            everything.
        notes: ``inline`` reads the text of a note after the paragraph that its mark stands in.
        pictures: ``read`` reads captions, and what describes a picture.
    Raises:
        DamagedInputError: if the source looks cut short or torn.
        InputError: if it cannot be read, with the reason.
    """
    manuscript = _read_book(job)
    beside = read_beside(job)
    metadata = merged(beside.metadata, manuscript.metadata)
    if not metadata.title:
        metadata = replace(metadata, title=_title_of_name(job.name, manuscript))
    warnings = (*manuscript.warnings, *beside.warnings)
    cover = beside.cover or manuscript.cover
    manuscript = replace(manuscript, metadata=metadata, cover=cover, warnings=warnings)
    _refuse_pictures(manuscript, _named(job))
    book = assemble(tidied(manuscript), Choices(front_back_matter, notes, pictures))
    if not has_text(book):
        raise InputError(f"{_named(job)} has no text to read.")
    if not metadata.language:
        book = replace(book, metadata=replace(metadata, language=detect(_sample(book))))
    return book


def _read_book(job: Job) -> Manuscript:
    """Read the parts that hold the text: of several formats the best, of one format all, as chapters."""
    books = [part for part in job.parts if part.role is Role.BOOK]
    if not books:
        raise InputError(f"{job.name} holds no book to read.")
    by_name = {part.name: part for part in books}
    chosen = [by_name[name] for name in choose(list(by_name), job.name)]
    sources = [InputFile(part.name, part.path) for part in chosen]
    first, *others = sources
    if not others and kind_of(first.name) != ".zip":
        return read_source(first)
    from speedd.reading.bundle import read_chapters, read_zip  # noqa: PLC0415 - only where a book lies in pieces

    return read_chapters(sources) if others else read_zip(first)


def _title_of_name(name: str, manuscript: Manuscript) -> str:
    """The name of the file or folder; where the book begins with the same words, as it writes them."""
    name = fold(name)
    first = next((section for section in manuscript.sections if section.title or section.blocks), None)
    if first is None:
        return name
    written = first.title if first.title and first.announced else first.blocks[0].text if first.blocks else ""
    return written if tokens(written) == tokens(name) else name


def _refuse_pictures(manuscript: Manuscript, name: str) -> None:
    """Refuse a book whose pages are pictures of text.

    Raises:
        InputError: if it has next to no words for the pictures it shows.
    """
    words = sum(count_words(section.blocks) + section.heading_words for section in manuscript.sections)
    if manuscript.pictures and words < _LEAST_WORDS_PER_PICTURE * manuscript.pictures and words < _FEW_WORDS:
        raise InputError(
            f"{name} has no text to read: its pages are pictures.",
            hint="A scan needs text recognition (OCR) first; a comic cannot be read aloud.",
        )


def _named(job: Job) -> str:
    books = [part.name for part in job.parts if part.role is Role.BOOK]
    return books[0] if len(books) == 1 else job.name


def _sample(book: Book) -> str:
    """Some text of the book, enough to tell its language."""
    lines: list[str] = []
    length = 0
    for chapter in book.chapters:
        for paragraph in chapter.paragraphs:
            lines.append(paragraph.text)
            length += len(paragraph.text)
            if length > SAMPLE_CHARS:
                return "\n".join(lines)
    return "\n".join(lines)
