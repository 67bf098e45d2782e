"""Make candidates of what lies in the inbox: which files belong together, and which of them is the book.

Pure: it sees a listing and opens nothing. Directly in the inbox, files of one stem are one candidate. A folder that
directly holds a text or a chunk JSON is one candidate, unless it holds several e-books (or, without an e-book, several
documents that are not called like chapters): then it is a collection and its files group by stem as in the inbox. A
file with a suffix that we do not know (a sound, a picture) is a book of its own, so that reading refuses it with a
reason its owner can read.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from speedd.inbox import names
from speedd.inbox.listing import DirectoryEntry, Stat, look_at
from speedd.model import Role

MAX_MEMBERS: Final = 5000
"""A folder with more parts is no book; a bound for what one drop can make us copy."""

_SOURCES: Final = (Role.BOOK, Role.CHUNKS)
_PARTNERS_IN_FOLDER: Final = (Role.SETTINGS, Role.COVER, Role.NFO, Role.OPF)


class Kind(StrEnum):
    """What a source is on disk."""

    FILE = "file"  # a file and its partners of the same stem
    FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a candidate."""

    path: str
    """Relative to `Candidate.base`, with ``/``."""
    role: Role
    stat: Stat
    """As it was when it had settled."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A source in the inbox, not yet looked into."""

    source: Path
    """The book's file (without a book: the chunk JSON) or the folder."""
    kind: Kind
    name: str
    """For people: the stem of the file or the name of the folder."""
    members: tuple[Member, ...]
    """By role; of several with one role, the preferred first."""
    signature: str
    """SHA-256 over names and stats, hex: changes when anything of it changes."""
    fault: str = ""
    """Why it must not be touched, a sentence for its owner; empty if nothing is wrong with it."""
    voice: str = ""
    """The voice that the older tools spoke it with, where an earlier output beside its chunk JSON tells by its name."""

    @property
    def base(self) -> Path:
        """The folder that its members' paths are relative to."""
        return self.source if self.kind is Kind.FOLDER else self.source.parent

    @property
    def size_bytes(self) -> int:
        """The size of all members."""
        return sum(member.stat.size_bytes for member in self.members)


Unit = tuple[DirectoryEntry, ...]
"""What settles together: the files of one stem, or one folder with everything below."""


def units(listing: Iterable[DirectoryEntry]) -> dict[str, Unit]:
    """Group what lies directly in one folder by what settles together.

    Returns:
        Units by a key that stays the same while members come and go.
    """
    grouped: dict[str, list[DirectoryEntry]] = {}
    for entry in listing:
        named = names.take_apart(entry.name) if not entry.is_folder else None
        # "/" is in no name, so a folder's key is never a stem's.
        key = f"{named.stem}/stem" if named else f"{entry.name}/"
        grouped.setdefault(key, []).append(entry)
    return {key: tuple(entries) for key, entries in grouped.items()}


def candidates(unit: Unit, parent: Path, *, narrated: Callable[[str], bool] = lambda _: False) -> tuple[Candidate, ...]:
    """Return the candidates in a unit; none if there is no book in it.

    Args:
        unit: one value of `units`.
        parent: the folder that the unit lies in.
        narrated: whether a book of this stem was published from here and can be narrated again: then its partners are
            a candidate by themselves.
    """
    if unit[0].is_folder:
        return tuple(_in_folder(unit[0], parent / unit[0].name, below_book=False))
    candidate = _of_stem(unit, parent, narrated)
    return (candidate,) if candidate else ()


def candidates_at(path: Path) -> tuple[Candidate, ...]:
    """Return the candidates at a path that somebody named, settled or not: a file with its partners, or a folder.

    Of files with the same stem that hold the book in another format, only the named one counts.

    Raises:
        OSError: if the file system fails.
    """
    path = path.absolute()
    entry = look_at(path)
    if entry is None:
        return ()
    if entry.is_folder:
        return candidates((entry,), path.parent)
    named = names.take_apart(path.name)
    unit = [entry]
    if named:
        for other in os.listdir(path.parent):  # noqa: PTH208 - names are enough
            partner = names.take_apart(other)
            if not partner or partner.stem != named.stem or other == path.name or names.ignored(other, top=False):
                continue
            if named.role is partner.role is Role.BOOK:
                continue
            seen = look_at(path.parent / other)
            unit += [seen] if seen and not seen.is_folder else []
    return candidates(tuple(unit), path.parent)


def _of_stem(unit: Unit, parent: Path, narrated: Callable[[str], bool] = lambda _: False) -> Candidate | None:
    found = []
    for entry in unit:
        named = names.take_apart(entry.name)
        role = named.role if named else Role.BOOK
        found.append((entry.name, role, entry))
    found.sort(key=lambda each: names.rank(each[1], each[0]))
    first, role, entry = found[0]
    named = names.take_apart(first)
    stem = named.stem if named else os.path.splitext(first)[0]  # noqa: PTH122 - a name, no path
    # A link or a pipe gets its answer whatever it is called.
    if role not in _SOURCES and entry.is_file and not narrated(names.readable(stem)):
        return None
    return _candidate(parent / first, Kind.FILE, stem, found)


def _in_folder(folder: DirectoryEntry, path: Path, *, below_book: bool) -> Iterator[Candidate]:
    if folder.closed:
        yield _candidate(path, Kind.FOLDER, folder.name, [("", Role.BOOK, folder)])
        return
    files = [child for child in folder.children if not child.is_folder and not names.ignored(child.name, top=False)]
    texts = [file.name for file in files if names.is_text(file.name)]
    # Below a book lies what goes with it; only an e-book there is surely one of its own.
    counting = [text for text in texts if not below_book or names.text_class(text) is names.EBOOKS]
    if len(set(_whole_books(counting))) > 1:
        for unit in units(files).values():
            if any(entry.name in counting for entry in unit) and (candidate := _of_stem(unit, path)):
                yield candidate
    else:
        found = sorted(_parts(folder, files, texts), key=lambda each: names.rank(each[1], each[0]))
        if any(role in _SOURCES for _, role, _ in found) and (counting or not below_book):
            has_chunks = any(role is Role.CHUNKS for _, role, _ in found)
            yield _candidate(path, Kind.FOLDER, folder.name, found, voice=_voice_before(files) if has_chunks else "")
            below_book = True
    for child in folder.children:
        if child.is_folder:
            yield from _in_folder(child, path / child.name, below_book=below_book)


def _whole_books(texts: Iterable[str]) -> Iterator[str]:
    """The stems of the files that are each a whole book: of e-books if there are any, else of documents.

    Documents that are all called like chapters are one book.
    """
    for formats in (names.EBOOKS, names.DOCUMENTS):
        of_class = [text for text in texts if names.text_class(text) is formats]
        if formats is names.DOCUMENTS and all(map(names.is_chapter, of_class)):
            of_class = []
        if of_class:
            yield from (named.stem for text in of_class if (named := names.take_apart(text)))
            return


def _parts(
    folder: DirectoryEntry, files: list[DirectoryEntry], texts: list[str]
) -> Iterator[tuple[str, Role, DirectoryEntry]]:
    stems = {named.stem for text in texts if (named := names.take_apart(text))}
    for file in files:
        role = names.role_in_folder(file.name)
        named = names.take_apart(file.name)
        if role is None and named and named.stem in stems and named.role in _PARTNERS_IN_FOLDER:
            role = named.role
        if role:
            yield file.name, role, file
    # The older tool keeps the chunk JSON two levels down.
    chunks = _below(_below(_below(folder, "tts"), "text_chunks"), "chunks_info.json")
    if chunks:
        tts, text_chunks = _below(folder, "tts"), _below(_below(folder, "tts"), "text_chunks")
        assert tts
        assert text_chunks
        yield f"{tts.name}/{text_chunks.name}/{chunks.name}", Role.CHUNKS, chunks


def _voice_before(files: list[DirectoryEntry]) -> str:
    """The voice of the latest output of the older tools among the files."""
    told = [(file.stat.mtime_ns, voice) for file in files if (voice := names.voice_of_output(file.name))]
    return max(told)[1] if told else ""


def _below(folder: DirectoryEntry | None, name: str) -> DirectoryEntry | None:
    children = folder.children if folder else ()
    return next((child for child in children if child.name.lower() == name), None)


def _candidate(
    source: Path, kind: Kind, name: str, found: list[tuple[str, Role, DirectoryEntry]], *, voice: str = ""
) -> Candidate:
    digest = hashlib.sha256(os.fsencode(source))
    for path, role, entry in found:
        digest.update(b"\0" + os.fsencode(path) + b"\0" + f"{role}{tuple(entry.stat)}".encode())
    faults = (_fault(path or source.name, entry) for path, _, entry in found)
    fault = next(filter(None, faults), "")
    if len(found) > MAX_MEMBERS:
        fault = f"It has {len(found)} parts; {MAX_MEMBERS} is the most that speedd takes for one book."
    return Candidate(
        source=source,
        kind=kind,
        name=names.readable(name),
        members=tuple(Member(path, role, entry.stat) for path, role, entry in found if path),
        signature=digest.hexdigest(),
        fault=fault,
        voice=voice,
    )


def _fault(path: str, entry: DirectoryEntry) -> str:
    name = f"“{names.readable(path)}”"
    if entry.closed:
        return f"The folder {name} cannot be opened by the user that speedd runs as. Allow reading it: chmod a+rx."
    if entry.is_file:
        return ""
    if stat.S_ISLNK(entry.mode):
        return f"{name} is a symbolic link, and speedd follows none. Copy the file itself."
    kinds = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a folder"}
    return f"{name} is {kinds.get(stat.S_IFMT(entry.mode), 'a device')}, not a file. Copy the book itself."
