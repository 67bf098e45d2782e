"""Read the inbox: one pass of scandir, nothing opened, no link followed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from speedd.errors import TryAgainError
from speedd.inbox import names

MAX_DEPTH: Final = 8
"""Levels of folders that are looked into, the inbox itself included. Calibre has three."""

_GONE: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_CLOSED: Final = (errno.EACCES, errno.EPERM)


class InboxUnavailableError(TryAgainError):
    """The inbox cannot be listed now. That says nothing about what lies in it: a share may only be away."""


class Stat(NamedTuple):
    """What tells one state of a file from another, as far as it shows without opening it."""

    ino: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stat:
        """Take it from the system's answer."""
        return cls(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class DirectoryEntry(NamedTuple):
    """One name in a folder. Two that are equal were not changed between two looks, nor was anything below them."""

    name: str
    mode: int
    """Type and permissions, as in ``st_mode``."""
    stat: Stat
    children: tuple[DirectoryEntry, ...] = ()
    closed: bool = False
    """A folder that we may not list."""

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.mode)

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder, not a link to one."""
        return stat.S_ISDIR(self.mode)


def list_inbox(inbox: Path) -> tuple[DirectoryEntry, ...]:
    """List what lies in the inbox, with everything below, by name.

    Raises:
        InboxUnavailableError: if the inbox or something in it cannot be listed for a reason outside of it.
    """
    try:
        return tuple(_walk(inbox, depth=1))
    except OSError as error:
        raise InboxUnavailableError(
            f"The inbox {names.readable(str(inbox))} cannot be looked into: {error.strerror}.",
            hint="If it lies on a share or a removable disk, connect that; if not, create the folder and let speedd"
            " read it. speedd goes on by itself as soon as it is there.",
        ) from error


def look_at(path: Path) -> DirectoryEntry | None:
    """Look at one file or folder with everything below; None if it is not there.

    Raises:
        OSError: if the file system fails.
    """
    try:
        status = path.lstat()
    except OSError as error:
        if error.errno in _GONE:
            return None
        raise
    return _entry(path, path.name, status, depth=1)


def _walk(folder: str | Path, *, depth: int) -> Iterator[DirectoryEntry]:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        # Of what is ignored, the files count for settling (a folder that holds a growing `.part` is still being
        # copied), but not the folders: a NAS keeps filling its `@eaDir` for hours.
        if names.ignored(entry.name, top=depth == 1) and (depth == 1 or entry.is_dir(follow_symlinks=False)):
            continue
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError as error:
            if error.errno in _GONE:
                continue
            raise
        listed = _entry(entry.path, entry.name, status, depth=depth)
        if listed is not None:
            yield listed


def _entry(path: str | Path, name: str, status: os.stat_result, *, depth: int) -> DirectoryEntry | None:
    if not stat.S_ISDIR(status.st_mode):
        return DirectoryEntry(name, status.st_mode, Stat.of(status))
    if depth >= MAX_DEPTH:
        return DirectoryEntry(name, status.st_mode, Stat(status.st_ino, 0, 0, 0))
    try:
        children = tuple(_walk(path, depth=depth + 1))
    except OSError as error:
        if error.errno in _GONE:
            return None
        if error.errno in _CLOSED:
            return DirectoryEntry(name, status.st_mode, Stat.of(status), closed=True)
        raise
    # A folder's own times are no news: they move when NAS software drops its thumbnails into it.
    return DirectoryEntry(name, status.st_mode, Stat(status.st_ino, 0, 0, 0), children)
