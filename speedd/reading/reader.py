"""Which part is read, in which format, and who has the last word on what the book is called."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import PurePath

from speedd.errors import InputError
from speedd.model import Book, Job, Metadata, Part, Role
from speedd.reading.decoding import MAX_TEXT_BYTES, decode_text
from speedd.reading.language import SAMPLE_CHARS, detect
from speedd.reading.manuscript import Manuscript, MatterChoice, assemble, has_text
from speedd.reading.nfo import metadata_of_pairs, parse_pairs
from speedd.reading.wording import fold

_BY_PREFERENCE = (".epub", ".md", ".markdown", ".txt")
_MAX_SIDE_FILE_BYTES = 4 << 20


def read(job: Job, *, matter: MatterChoice = "skip") -> Book:
    """Read the book of a job.

    Metadata comes from the nfo, then from Calibre's OPF, then from the book itself; a cover beside the book stands over
    its own.

    Args:
        job: a job with a part in the role `Role.BOOK`.
        matter: ``skip`` leaves out front and back matter and lists it in `Book.skipped`; ``keep`` reads everything.
    Raises:
        DamagedInputError: if the source looks cut short or torn.
        InputError: if it cannot be read, with the reason.
    """
    part = _choose(job)
    manuscript = _read_part(part)
    known, warnings = _read_beside(job)
    metadata = _merge(*known, manuscript.metadata, Metadata(title=fold(job.name)))
    warnings = (*manuscript.warnings, *warnings)
    cover = manuscript.cover
    if beside := job.part(Role.COVER):
        from speedd.reading.cover import read_cover  # noqa: PLC0415 - loads lxml

        if found := read_cover(beside.path):
            cover = found
        else:
            warnings = (*warnings, f"{beside.name} is no image that speedd knows; it is not used as the cover.")
    book = assemble(replace(manuscript, metadata=metadata, cover=cover, warnings=warnings), matter)
    if not has_text(book):
        raise InputError(f"{part.name} has no text to read.")
    if not metadata.language:
        book = replace(book, metadata=replace(metadata, language=detect(_sample(book))))
    return book


def _choose(job: Job) -> Part:
    """Choose the part that holds the text: of several, the format that says most about its structure."""
    books = [part for part in job.parts if part.role is Role.BOOK]
    if not books:
        raise InputError(f"{job.name} holds no book to read.")
    for suffix in _BY_PREFERENCE:
        same = [part for part in books if _suffix(part) == suffix]
        if len(same) > 1:
            names = ", ".join(sorted(part.name for part in same))
            raise InputError(
                f"There are {len(same)} {suffix} files ({names}) and speedd cannot tell which is the book.",
                hint="Keep one of them, or give each a folder of its own.",
            )
        if same:
            return same[0]
    suffix = _suffix(books[0])
    kind = f"{suffix} files" if suffix else "files without a suffix such as .txt"
    raise InputError(f"speedd does not read {kind} yet; it reads .epub, .txt, .md and chunk JSONs.")


def _suffix(part: Part) -> str:
    return PurePath(part.name).suffix.lower()


def _read_part(part: Part) -> Manuscript:
    size_bytes = part.path.stat().st_size
    if size_bytes == 0:
        raise InputError(f"{part.name} is empty.")
    suffix = _suffix(part)
    if suffix == ".epub":
        from speedd.reading.epub import read_epub  # noqa: PLC0415 - loads lxml

        return read_epub(part.path, part.name)
    if size_bytes > MAX_TEXT_BYTES:
        raise InputError(
            f"{part.name} is {size_bytes >> 20} MB; speedd reads text files of up to {MAX_TEXT_BYTES >> 20} MB.",
            hint="A long novel has about 1 MB. Cut it into volumes.",
        )
    text, warnings = decode_text(part.path.read_bytes(), part.name)
    if suffix == ".txt":
        from speedd.reading.plain import read_plain as read_text  # noqa: PLC0415
    else:
        from speedd.reading.markdown import read_markdown as read_text  # noqa: PLC0415
    manuscript = read_text(text)
    return replace(manuscript, warnings=(*warnings, *manuscript.warnings))


def _read_beside(job: Job) -> tuple[list[Metadata], tuple[str, ...]]:
    """Read the files beside the book that describe it, most trusted first. A damaged one is worth a warning."""
    known: list[Metadata] = []
    warnings: tuple[str, ...] = ()
    for role in (Role.NFO, Role.OPF):
        part = job.part(role)
        if part is None:
            continue
        try:
            known.append(_read_description(part))
        except InputError as error:
            warnings = (*warnings, f"{part.name} is not used: {error}")
    return known, warnings


def _read_description(part: Part) -> Metadata:
    if part.path.stat().st_size > _MAX_SIDE_FILE_BYTES:
        raise InputError(f"it is larger than {_MAX_SIDE_FILE_BYTES >> 20} MB.")
    data = part.path.read_bytes()
    if part.role is Role.NFO:
        text, _ = decode_text(data, part.name)
        return metadata_of_pairs(parse_pairs(text.split("\n")))
    from speedd.reading.package import parse_package  # noqa: PLC0415 - loads lxml

    return parse_package(data, part.name).metadata


def _merge(*known: Metadata) -> Metadata:
    """Take each field from the first that knows it; a place in a series belongs to the series it was named with."""
    merged = Metadata()
    for one in known:
        missing = {
            field.name: getattr(one, field.name)
            for field in fields(Metadata)
            if not getattr(merged, field.name) and getattr(one, field.name)
        }
        if merged.series and one.series != merged.series:
            missing.pop("series_index", None)
        merged = replace(merged, **missing)
    return merged


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
