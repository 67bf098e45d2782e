"""The ends of a source: moved to ``_done`` or to ``_failed`` with a reason, or deleted.

Only what was accepted is ever touched: a member that changed since stays where it is and becomes a new candidate.
Moves are renames within the inbox. Nothing is overwritten: a name that exists gets " (2)".
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from speedd.common.durable import sync_file, sync_folder
from speedd.errors import TryAgainError
from speedd.inbox import names
from speedd.inbox.grouping import Candidate, Kind, Member, candidates_at
from speedd.inbox.listing import Stat

_READ_ONLY: Final = (errno.EROFS, errno.EACCES, errno.EPERM, errno.EXDEV)


def archive(candidate: Candidate, inbox: Path) -> Path | None:
    """Move a source to ``_done``, below the same folders that it lay in.

    Args:
        candidate: what was accepted.
        inbox: the folder it was found in.
    Returns:
        Where its file or folder lies now; None if nothing was moved: the inbox cannot be written to, or nothing of it
        is there any more as it was accepted.

    Raises:
        TryAgainError: if the file system fails.
    """
    inbox = inbox.absolute()
    with _moving(candidate):
        return _move(candidate, inbox / names.DONE / candidate.source.parent.relative_to(inbox), inbox)
    return None


def reject(candidate: Candidate, inbox: Path, *, reason: str, hint: str = "", when: datetime) -> Path | None:
    """Move a source to ``_failed/NAME`` and say why in ``REASON.txt``.

    Args:
        candidate: what was accepted or refused.
        inbox: the folder it was found in.
        reason: what is wrong, in words for its owner.
        hint: what to do about it.
        when: the time that is written down, with its zone.
    Returns:
        The folder in ``_failed``; None if the inbox cannot be written to or the source is gone: then the reason stands
        in the log alone.

    Raises:
        TryAgainError: if the file system fails.
    """
    inbox = inbox.absolute()
    with _moving(candidate):
        failed = inbox / names.FAILED
        moved = None
        if candidate.kind is Kind.FOLDER:
            moved = _move(candidate, failed, inbox)
        elif _unchanged(candidate):
            failed.mkdir(exist_ok=True)
            folder = _free(failed, candidate.name)
            try:
                moved = _move(candidate, folder, inbox) and folder
            finally:
                if not moved:
                    with suppress(OSError):
                        folder.rmdir()
        if moved:
            _write_reason(moved, candidate, reason, hint, when)
        return moved
    return None


def delete(candidate: Candidate, inbox: Path) -> bool:
    """Delete a source that was published: its members and the folders that are empty then, nothing else.

    Returns:
        Whether all of it is gone.

    Raises:
        TryAgainError: if the file system fails.
    """
    inbox = inbox.absolute()
    with _moving(candidate):
        for member in _unchanged(candidate):
            (candidate.base / member.path).unlink()
        _tidy(candidate, inbox)
        return not any(os.path.lexists(candidate.base / member.path) for member in candidate.members)
    return False


def _move(candidate: Candidate, target: Path, inbox: Path) -> Path | None:
    """Move what is still as it was accepted into ``target``; return the book's new place."""
    if candidate.kind is Kind.FOLDER and _whole(candidate):
        target.mkdir(parents=True, exist_ok=True)
        place = _free(target, candidate.source.name)
        with _by_parts_if_it_must_be():
            candidate.source.rename(place)
            _fsync(target, candidate.source.parent)
            _tidy(candidate, inbox)
            return place
    members = _unchanged(candidate)
    if not members:
        return None
    if candidate.kind is Kind.FOLDER:
        place = target = _free(target, candidate.source.name)
        moves = [(candidate.base / member.path, target / member.path) for member in members]
    else:
        target.mkdir(parents=True, exist_ok=True)
        tails = [_split(member.path) for member in members]
        number = _number(target, tails)
        named = [target / names.numbered(stem, tail, number) for stem, tail in tails]
        moves = list(zip((candidate.base / member.path for member in members), named, strict=True))
        place = named[0]
    # The book first: if a crash comes between, what is left behind waits as a partner without a book.
    for old, new in moves:
        new.parent.mkdir(parents=True, exist_ok=True)
        old.rename(new)
    _fsync(target, candidate.base)
    _tidy(candidate, inbox)
    return place


@contextmanager
def _by_parts_if_it_must_be() -> Iterator[None]:
    """Let pass that a folder cannot be renamed: overlayfs and mergerfs rename only the files of their lower layers."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise


def _whole(candidate: Candidate) -> bool:
    """Whether a folder is as it was accepted and holds no other book, so that it can go as it is."""
    return [each.signature for each in candidates_at(candidate.source)] == [candidate.signature]


def _unchanged(candidate: Candidate) -> list[Member]:
    members = []
    for member in candidate.members:
        with suppress(FileNotFoundError, NotADirectoryError):
            if Stat.of((candidate.base / member.path).lstat()) == member.stat:
                members.append(member)
    return members


def _split(name: str) -> tuple[str, str]:
    named = names.take_apart(name)
    return (named.stem, named.tail) if named else os.path.splitext(name)  # noqa: PTH122 - a name, no path


def _number(folder: Path, tails: list[tuple[str, str]]) -> int:
    """The first number under which a whole group is free in a folder."""
    number = 1
    while any(os.path.lexists(folder / names.numbered(stem, tail, number)) for stem, tail in tails):
        number += 1
    return number


def _free(folder: Path, stem: str, tail: str = "") -> Path:
    return folder / names.numbered(stem, tail, _number(folder, [(stem, tail)]))


def _tidy(candidate: Candidate, inbox: Path) -> None:
    """Remove the folders that a source left empty, up to the inbox."""
    below = {(candidate.base / member.path).parent for member in candidate.members} | {candidate.source.parent}
    for start in sorted(below, key=lambda path: len(path.parts), reverse=True):
        folder = start
        while folder != inbox and inbox in folder.parents:
            try:
                folder.rmdir()
            except FileNotFoundError:
                pass
            except OSError:
                break  # not empty, or not ours to remove
            folder = folder.parent


def _write_reason(folder: Path, candidate: Candidate, reason: str, hint: str, when: datetime) -> None:
    what = (candidate.source.name,) if candidate.kind is Kind.FOLDER else (member.path for member in candidate.members)
    advice = hint or "Mend or replace it, then put it into the inbox again (without this file)."
    text = (
        f"speedd could not make an audiobook of “{candidate.name}”.\n\n"
        f"Why: {reason}\n\n"
        f"What to do: {advice}\n\n"
        f"Files: {', '.join(names.readable(name) for name in what)}\n"
        f"When: {when:%Y-%m-%d %H:%M:%S %z}\n"
    )
    # It lies in its place already: if the disk is full, the ledger and the log still hold the reason.
    with suppress(OSError):
        stem, tail = _split(names.REASON_FILE)
        with _free(folder, stem, tail).open("x", encoding="utf-8", errors="replace") as file:
            file.write(text)
            sync_file(file)
        _fsync(folder)


def _fsync(*folders: Path) -> None:
    # Some network file systems cannot sync a folder. A move that a power cut undoes is done again: the ledger knows.
    for folder in folders:
        with suppress(OSError):
            sync_folder(folder)


@contextmanager
def _moving(candidate: Candidate) -> Iterator[None]:
    """Let an inbox that cannot be written to pass in silence; turn other failures into words."""
    try:
        yield
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise TryAgainError(f"“{candidate.name}” cannot be moved away now: {error.strerror}.") from error
