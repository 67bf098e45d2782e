"""Which formats there are, which files of several are the book, and what reads each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from speedd.common.formats import READABLE
from speedd.errors import InputError
from speedd.reading.input_file import InputFile
from speedd.reading.structure.manuscript import Manuscript
from speedd.reading.text.decoding import MAX_TEXT_BYTES, decode_text

READ = ".epub, .fb2, .docx, .pdf, .html, .md, .txt, a zip of these and chunk JSONs"
_KINDS = {".xhtml": ".html", ".htm": ".html", ".markdown": ".md"}
_IN_PIECES = frozenset({".html", ".md", ".txt"})
"""Formats in which a book may lie in several files, whatever these are called."""
_LEAST_PIECES = 3
"""So many files of one format are a book's chapters, and the one of a better format beside them goes with it."""
_BESIDE_A_BOOK = re.compile(r"(?:read[-_ ]?me|licen[cs]e|copying|changelog|about|info|notes?)\b", re.IGNORECASE)


def kind_of(name: str) -> str:
    """The format of a file by its name, in one spelling: ``.htm`` is ``.html``; empty if it is none that is read."""
    suffix = PurePosixPath(name).suffix.lower()
    return _KINDS.get(suffix, suffix) if suffix[1:] in READABLE else ""


def choose(names: Sequence[str], whole: str) -> tuple[str, ...]:
    """Choose from several files those that are the book: one, or several that are its chapters.

    Args:
        names: of all files that may be it.
        whole: what holds them, for messages.
    Returns:
        the names of the files to read, in the order they came in.
    Raises:
        InputError: if none can be read, or if it cannot be told which is meant.
    """
    kinds = sorted({kind for name in names if (kind := kind_of(name))}, key=lambda kind: READABLE.index(kind[1:]))
    if not kinds:
        raise InputError(_unreadable(names, whole))
    by_kind = {kind: [name for name in names if kind_of(name) == kind] for kind in kinds}
    best = kinds[0]
    pieces = [kind for kind in kinds if kind in _IN_PIECES and len(by_kind[kind]) >= _LEAST_PIECES]
    if pieces and best not in {".epub", ".fb2"} and len(by_kind[best]) < _LEAST_PIECES:
        best = max(pieces, key=lambda kind: len(by_kind[kind]))
    chosen = by_kind[best]
    if len(chosen) > 1 and best in _IN_PIECES:
        own = [name for name in chosen if not _BESIDE_A_BOOK.match(PurePosixPath(name).stem)]
        chosen = own or chosen
    if len(chosen) > 1 and best in {".epub", ".fb2", ".zip"}:
        listed = ", ".join(sorted(chosen))
        raise InputError(
            f"There are {len(chosen)} {best} files ({listed}) and speedd cannot tell which is the book.",
            hint="Keep one of them, or give each a folder of its own.",
        )
    return tuple(chosen)


def _unreadable(names: Sequence[str], whole: str) -> str:
    suffixes = sorted({PurePosixPath(name).suffix.lower() for name in names} - {""})
    if len(names) != 1 and len(suffixes) != 1:
        return f"{whole} holds no text that speedd can read; it reads {READ}."
    kind = f"{suffixes[0]} files" if suffixes else "files without a suffix such as .txt"
    return f"speedd does not read {kind}; it reads {READ}."


def read_source(source: InputFile) -> Manuscript:
    """Read one file that is no zip (those are `speedd.reading.bundle`'s).

    Raises:
        DamagedInputError: if it looks cut short or torn.
        InputError: if it cannot be read, with the reason.
    """
    # A format's libraries are loaded only where such a file comes in.
    if source.size_bytes == 0:
        raise InputError(f"{source.name} is empty.")
    kind = kind_of(source.name)
    if kind == ".epub":
        from speedd.reading.epub.epub import read_epub as read_whole  # noqa: PLC0415
    elif kind == ".html":
        from speedd.reading.html.web import read_html as read_whole  # noqa: PLC0415
    elif kind == ".fb2":
        from speedd.reading.fb2.fb2 import read_fb2 as read_whole  # noqa: PLC0415
    elif kind == ".docx":
        from speedd.reading.docx.docx import read_docx as read_whole  # noqa: PLC0415
    elif kind == ".pdf":
        from speedd.reading.pdf.pdf import read_pdf as read_whole  # noqa: PLC0415
    else:
        return _read_text(source)
    return read_whole(source)


def _read_text(source: InputFile) -> Manuscript:
    text, warnings = decode_text(source.read_bytes(MAX_TEXT_BYTES), source.name)
    if kind_of(source.name) == ".txt":
        from speedd.reading.text.plain import read_plain as read_text  # noqa: PLC0415
    else:
        from speedd.reading.text.markdown import read_markdown as read_text  # noqa: PLC0415
    manuscript = read_text(text)
    return replace(manuscript, warnings=(*warnings, *manuscript.warnings))
