"""What a file in the inbox is, from its name alone.

Suffixes are compared without regard to case, stems byte by byte. Names come from `os.fsdecode` and may hold lone
surrogates for bytes that are no UTF-8; `readable` makes them fit for people, databases and JSON.
"""

from __future__ import annotations

import os
import re
import unicodedata
from typing import Final, NamedTuple

from speedd.common.formats import READABLE
from speedd.common.numerals import NUMBER_WORDS
from speedd.model import Role

DONE: Final = "_done"
FAILED: Final = "_failed"
REASON_FILE: Final = "REASON.txt"
MAX_NAME_BYTES: Final = 255
"""What Linux file systems allow for one name."""

EBOOKS: Final = ("epub", "fb2", "azw3", "azw", "mobi", "kfx", "prc", "lit")
"""Formats of which every file is a whole book."""
DOCUMENTS: Final = ("docx", "odt", "rtf", "doc", "pdf", "djvu", "zip")
"""Formats of which a file is a whole book or something that goes with one."""
PLAIN: Final = ("xhtml", "html", "htm", "md", "markdown", "txt")
"""Formats in which a book may lie in several files."""
_TEXTS: Final = (*EBOOKS, *DOCUMENTS, *PLAIN)

# Lazy stem, so that the longest tail wins: "Book.chunks_info.json" is "Book" and ".chunks_info.json".
# ASCII, so that case is folded for a-z only: "K" (the Kelvin sign) is no "k".
_GROUPED: Final = re.compile(
    r"(?P<stem>.+?)(?P<tail>(?:[._]chunks(?:_info)?)?\.json|\.fb2\.zip|\.(?:toml|jpe?g|png|nfo|opf|"
    + "|".join(_TEXTS)
    + r"))\Z",
    re.IGNORECASE | re.ASCII | re.DOTALL,
)
_CHUNKS: Final = re.compile(r"(?:.*[._])?chunks(?:_info)?\.json\Z", re.IGNORECASE | re.ASCII | re.DOTALL)
_CHAPTER: Final = re.compile(
    rf"(?:\d{{1,3}}\W{{0,3}})?(?:ch(?:apter|ap|pt)?[\s._-]*(?:\d|[ivxl]+\b|{'|'.join(NUMBER_WORDS)})"
    r"|prologue|epilogue|preface|foreword|introduction|afterword|interlude|appendix)",
    re.IGNORECASE | re.ASCII,
)
_OUTPUT: Final = re.compile(
    r".+\[(?P<voice>[^][\n]{1,100})\]\.(?:m4b|m4a|mp3|wav|flac|ogg|opus|aac)", re.IGNORECASE | re.ASCII
)
"""What the older tools call what they made: ``My Book [Ann].m4b``."""
_REASON: Final = re.compile(r"REASON(?: \(\d+\))?\.txt\Z")

_PARTNERS: Final = {
    "json": Role.CHUNKS,
    "toml": Role.SETTINGS,
    "jpg": Role.COVER,
    "jpeg": Role.COVER,
    "png": Role.COVER,
    "nfo": Role.NFO,
    "opf": Role.OPF,
}
_IN_FOLDER: Final = {
    "cover.jpg": Role.COVER,
    "cover.jpeg": Role.COVER,
    "cover.png": Role.COVER,
    "book.nfo": Role.NFO,
    "metadata.opf": Role.OPF,
    "voice.wav": Role.VOICE,
    "speedd.toml": Role.SETTINGS,
    "run.log": Role.LOG,
}

_IGNORED_NAMES: Final = frozenset(
    {"@eadir", "#recycle", "@recycle", "__macosx", "thumbs.db", "desktop.ini"},
)
_IGNORED_STARTS: Final = (".", "~syncthing~", "~$")  # dotfiles take in .stversions and .stfolder
_IGNORED_ENDS: Final = ("~", ".part", ".partial", ".filepart", ".crdownload", ".tmp")
# Ours, and a Calibre library's own files where the library is the inbox: moving those would break it.
_IGNORED_AT_TOP: Final = frozenset(
    {"readme.md", "readme.txt", DONE, FAILED, "metadata.db", "metadata_db_prefs_backup.json"},
)


class Named(NamedTuple):
    """A name, taken apart."""

    stem: str
    tail: str
    """From the stem to the end: ``.epub``, ``_chunks.json``."""
    role: Role


def ignored(name: str, *, top: bool) -> bool:
    """Say whether a name is none of our business.

    Args:
        name: of a file or a folder.
        top: whether it lies directly in the inbox, where our own names are ours.
    """
    lower = name.lower()
    return (
        lower in _IGNORED_NAMES
        or lower.startswith(_IGNORED_STARTS)
        or lower.endswith(_IGNORED_ENDS)
        or (top and lower in _IGNORED_AT_TOP)
        or (not top and _REASON.match(name) is not None)
    )


def take_apart(name: str) -> Named | None:
    """Take a file's name apart if it can belong to a group of one stem; None for a suffix that we do not know."""
    match = _GROUPED.match(name)
    if match is None:
        return None
    return Named(match["stem"], match["tail"], _PARTNERS.get(suffix(name), Role.BOOK))


def role_in_folder(name: str) -> Role | None:
    """The role that a file's name gives it inside the folder of a book; None if its name alone gives none."""
    if role := _IN_FOLDER.get(name.lower()):
        return role
    if _CHUNKS.match(name):
        return Role.CHUNKS
    return Role.BOOK if is_text(name) else None


def suffix(name: str) -> str:
    """The last suffix in lower case, without its dot: ``epub``; empty if there is none."""
    return os.path.splitext(name)[1][1:].lower()  # noqa: PTH122 - a name, no path; pathlib would parse it


def is_text(name: str) -> bool:
    """Say whether a name is that of a text, readable for us or not."""
    named = _GROUPED.match(name)
    return named is not None and suffix(name) in _TEXTS


def is_chapter(name: str) -> bool:
    """Say whether a file is called like a chapter of a book: "Chapter 3.docx", "Prologue.pdf", "ch_07 The Sea.docx"."""
    return _CHAPTER.match(name) is not None


def voice_of_output(name: str) -> str:
    """Return the voice that the name of an audiobook of the older tools tells, empty if it tells none."""
    match = _OUTPUT.fullmatch(name)
    return match["voice"].strip() if match else ""


def text_class(name: str) -> tuple[str, ...]:
    """Return which of `EBOOKS`, `DOCUMENTS` and `PLAIN` a text's format is in."""
    return next(formats for formats in (EBOOKS, DOCUMENTS, PLAIN) if suffix(name) in formats)


def rank(role: Role, path: str) -> tuple[int, int, int, list[str | int]]:
    """Sort key of the members of a candidate: by role, of each role the preferred first, "2" before "10".

    Args:
        role: what it is for.
        path: relative to the candidate's folder; what lies deeper comes later.
    """
    name = path.rpartition("/")[2]
    if role is Role.BOOK:
        order = READABLE.index(suffix(name)) if suffix(name) in READABLE else len(READABLE)
    elif name.lower() in _IN_FOLDER or name.lower() == "chunks_info.json":
        order = 0
    else:
        order = len(_tail(name))  # Book.json before Book_chunks.json
    digits = re.split(r"([0-9]+)", name)
    natural: list[str | int] = [int(piece[:9]) if i % 2 else piece for i, piece in enumerate(digits)]
    return list(Role).index(role), path.count("/"), order, natural


def _tail(name: str) -> str:
    named = take_apart(name)
    return named.tail if named else name


def readable(name: str) -> str:
    """Make a name fit for people: valid UTF-8 in NFC, without control characters."""
    text = unicodedata.normalize("NFC", os.fsencode(name).decode("utf-8", "replace"))
    return "".join(" " if unicodedata.category(char) == "Cc" else char for char in text)


def numbered(stem: str, tail: str, number: int) -> str:
    """Put a name together, as `` (2)`` if it is not the first, cut to what a file system takes.

    The stem is cut between characters, so UTF-8 stays whole.
    """
    end = (f" ({number})" if number > 1 else "") + tail
    while stem and len(os.fsencode(stem + end)) > MAX_NAME_BYTES:
        stem = stem[:-1]
    return stem + end
