"""Reading a book that lies in several files: a folder of chapters, or a zip of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from speedd.errors import InputError
from speedd.model import Metadata, ParagraphKind
from speedd.reading.archive import Archive
from speedd.reading.cover import first_image
from speedd.reading.formats import choose, kind_of, read_source
from speedd.reading.input_file import InputFile
from speedd.reading.structure.manuscript import Manuscript, Section
from speedd.reading.structure.skip_reasons import skip_reason_of_title
from speedd.reading.structure.titles import TitleKind, join_titles, parse_title, tokens
from speedd.reading.structure.wording import fold

_NUMBER_IN_FRONT = re.compile(r"\s*(?P<number>\d{1,4})\s*(?:[-–—_.)\]:]+\s*|\s+)(?P<rest>\S.*)")
_MADE_UP = re.compile(r"(?:file|part|page|text|split|section|untitled|document|index)?[\s_-]*\d*", re.IGNORECASE)
_HIDDEN = ("__macosx/", ".")
_COVER = re.compile(r"(?:cover|folder|front)\.(?:jpe?g|png)", re.IGNORECASE)
_LONGEST_TITLE_CHARS = 90
_BEFORE = re.compile(r"(?:prologue|preface|foreword|introduction|dedication|epigraph|preamble|title|cover)\b")


def read_zip(source: InputFile) -> Manuscript:
    """Read a zip: of one book in any format, or of the chapters of one.

    Raises:
        DamagedInputError: if it looks cut short or torn.
        InputError: if it holds no book, or more than one.
    """
    if source.size_bytes == 0:
        raise InputError(f"{source.name} is empty.")
    with Archive(source, "zip") as archive:
        names = [name for name in archive.names if not _is_hidden(name)]
        if any(name.lower().endswith("meta-inf/container.xml") for name in names):
            raise InputError(f"{source.name} is an EPUB inside.", hint="Give it a name that ends in .epub.")
        texts = [name for name in names if kind_of(name) not in {"", ".zip"}]
        if not texts and any(name.lower().endswith((".jpg", ".jpeg", ".png", ".gif", ".webp")) for name in names):
            raise InputError(f"{source.name} holds pictures and no text.")
        if not texts:
            suffixes = ", ".join(sorted({PurePosixPath(name).suffix.lower() for name in names} - {""}))
            raise InputError(f"{source.name} holds no book that speedd reads{f' (only {suffixes})' * bool(suffixes)}.")
        chosen = choose(texts, source.name)
        sources = [InputFile(PurePosixPath(name).name, archive.read(name)) for name in in_order(chosen)]
        cover = first_image(archive, (name for name in names if _COVER.fullmatch(PurePosixPath(name).name)))
    manuscript = read_source(sources[0]) if len(sources) == 1 else read_chapters(sources)
    return replace(manuscript, cover=manuscript.cover or cover)


def read_chapters(sources: Sequence[InputFile]) -> Manuscript:
    """Read files that are the chapters of one book.

    A chapter is called what its first heading says, else what its file is called. A file that cannot be read spoils
    the book: a chapter that is missing would go unnoticed.

    Args:
        sources: in any order; they are read in that of their names.
    Raises:
        DamagedInputError: if one of them looks cut short.
        InputError: if one of them cannot be read.
    """
    by_name = {source.name: source for source in sources}
    ordered = [by_name[name] for name in in_order(list(by_name))] if len(by_name) == len(sources) else list(sources)
    sections: list[Section] = []
    warnings: list[str] = []
    known: list[Metadata] = []
    notes: dict[str, str] = {}
    for source in ordered:
        if not source.size_bytes:
            warnings.append(f"{source.name} is empty.")
            continue
        manuscript = read_source(source)
        sections.extend(_named_after(source.name, manuscript.sections))
        warnings.extend(manuscript.warnings)
        known.append(manuscript.metadata)
        notes |= manuscript.notes
    if not known:
        raise InputError("All of its files are empty.")
    return Manuscript(_in_common(known), tuple(sections), warnings=tuple(warnings), notes=notes)


def in_order(names: Sequence[str]) -> list[str]:
    """Put the names of chapters in reading order: "2" before "10", "IX" before "V" never, a prologue first."""
    stems = {name: _plain_stem(name) for name in names}
    lines = {name: parse_title(stem) for name, stem in stems.items()}
    if all(lines.values()) and not all(stem[:1].isdigit() for stem in stems.values()):

        def by_title(name: str) -> tuple[int, int, list[str | int]]:
            line = lines[name]
            assert line is not None
            if line.kind is TitleKind.NAMED:
                return 0 if _BEFORE.match(stems[name].lower()) else 2, 0, _natural(name)
            return 1, line.number, _natural(name)

        return sorted(names, key=by_title)
    return sorted(names, key=_natural)


def _natural(name: str) -> list[str | int]:
    digits = re.split(r"([0-9]+)", name.casefold())
    return [int(piece[:9]) if at % 2 else piece for at, piece in enumerate(digits)]


def _plain_stem(name: str) -> str:
    return fold(PurePosixPath(name).stem.replace("_", " "))


def title_of_name(name: str) -> str:
    """What a chapter is called after its file: "03 - The Window.txt" is "The Window", "part0003.html" nothing."""
    stem = _plain_stem(name)
    stem = stem.replace("-", " ") if " " not in stem else stem
    if _MADE_UP.fullmatch(stem):
        return ""
    line = parse_title(stem)
    match = _NUMBER_IN_FRONT.fullmatch(stem)
    if match and (line is None or (line.kind is TitleKind.NUMBER and not line.bare)):
        stem = match["rest"]
    title = fold(stem)
    if title.islower():
        title = title[0].upper() + title[1:]
    return "" if _MADE_UP.fullmatch(title) and title.lower() != "index" else title


def _named_after(name: str, sections: Sequence[Section]) -> list[Section]:
    """Give the first section of a file that has no title the file's."""
    title = title_of_name(name)
    named: list[Section] = []
    for section in sections:
        if named or section.skip_reason:
            named.append(section)
            continue
        blocks = section.blocks
        first = blocks[0] if blocks else None
        if section.title and section.announced:
            named.append(section)
        elif first and len(blocks) > 1 and first.kind is ParagraphKind.TEXT and _is_title_line(first.text, title):
            named.append(replace(section, title=_fuller(title, first.text), blocks=blocks[1:], announced=True))
        else:
            skip_reason = skip_reason_of_title(title)
            named.append(replace(section, title=title, announced=bool(title), skip_reason=skip_reason))
    if named and not any(section.announced for section in named if not section.skip_reason) and title:
        at = next((at for at, section in enumerate(named) if not section.skip_reason), None)
        if at is not None:
            named[at] = replace(named[at], title=title, announced=True)
    return named


def _is_title_line(text: str, title: str) -> bool:
    """Say whether the first paragraph of a file is its title: "Chapter 3", or what the file is called."""
    if len(text) > _LONGEST_TITLE_CHARS:
        return False
    return parse_title(text) is not None or (bool(title) and tokens(text) == tokens(title))


def _fuller(title: str, first: str) -> str:
    """A title from a file's first line and its name: "Chapter 3" and "The Window" make one."""
    line = parse_title(first)
    named = parse_title(title)
    if line and line.bare and title and not named and tokens(title) != tokens(first):
        return join_titles([first, title])
    return first


def _in_common(known: Sequence[Metadata]) -> Metadata:
    """What all chapters that say something agree on; a chapter's own title is not the book's."""
    titles = {one.title for one in known if one.title}
    authors = {one.authors for one in known if one.authors}
    languages = {one.language for one in known if one.language}
    return Metadata(
        title=titles.pop() if len(titles) == 1 and len(known) > 1 and all(one.title for one in known) else "",
        authors=authors.pop() if len(authors) == 1 else (),
        language=languages.pop() if len(languages) == 1 else "",
    )


def _is_hidden(name: str) -> bool:
    return name.lower().startswith(_HIDDEN) or "/." in name or PurePosixPath(name).name.startswith((".", "~$"))
