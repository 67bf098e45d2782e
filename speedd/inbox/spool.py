"""Take a settled source into the spool: a private copy, hashed on the way, complete or not there at all.

A job's folder in the spool has its id as its name and holds the parts under names of our own and ``job.json``, from
which the job can be rebuilt without anything else. It appears by one rename, after everything in it is on the disk.
"""

from __future__ import annotations

import errno
import hashlib
import os
import pwd
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from speedd.common.durable import sync_file, sync_folder
from speedd.errors import InputError, TryAgainError
from speedd.inbox import names
from speedd.inbox.grouping import Candidate, Member
from speedd.inbox.identity import digest_of
from speedd.inbox.listing import Stat
from speedd.inbox.manifest import load_own_job, write_manifest, writing
from speedd.model import Job, Part, Role

MAX_PART_BYTES: Final = 4 * 2**30
"""No book is larger; sparse files and disk images are."""

_ID_DIGITS: Final = 12
_PIECE_BYTES: Final = 2**20
_UNFINISHED: Final = ".accepting-"


class StillChangingError(TryAgainError):
    """A source changed between settling and the end of copying. It stays in the inbox and settles anew."""


def accept(candidate: Candidate, spool: Path, *, reserve_bytes: int = 0) -> Job:
    """Copy a source into the spool.

    Accepting the same content again (after a crash, or from another name) reuses the copy that is there.

    Args:
        candidate: what `Scanner.scan` returned.
        spool: the folder that holds one folder per job; made if it is missing.
        reserve_bytes: free space that must remain on the spool's disk.

    Raises:
        InputError: if it must not or cannot be read, with the reason for its owner.
        StillChangingError: if it changed since it settled; nothing is left in the spool.
        TryAgainError: if the disk is full or fails; nothing is left in the spool.
    """
    _refuse(candidate)
    with writing(spool):
        spool.mkdir(parents=True, exist_ok=True)
        free_bytes = shutil.disk_usage(spool).free
    if free_bytes - candidate.size_bytes < reserve_bytes:
        raise TryAgainError(
            f"There is not enough room to copy “{candidate.name}”: {free_bytes // 10**6} MB are free on the disk of"
            f" {spool}, {(candidate.size_bytes + reserve_bytes) // 10**6} MB are needed.",
            hint="Free some space there; speedd goes on by itself.",
        )
    with writing(spool):
        unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=spool))
    try:
        parts = tuple(_copy_all(candidate, unfinished))
        digest = digest_of(parts)
        return _move_in(candidate, parts, digest, unfinished, spool)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def sweep(spool: Path) -> None:
    """Remove what an interrupted `accept` left behind. To be called at start, while nothing is being accepted."""
    for leftover in spool.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _refuse(candidate: Candidate) -> None:
    if candidate.fault:
        raise InputError(candidate.fault)
    for member in candidate.members:
        if member.stat.size_bytes > MAX_PART_BYTES:
            raise InputError(
                f"“{names.readable(member.path)}” is {member.stat.size_bytes / 2**30:.1f} GiB, more than any book:"
                f" {MAX_PART_BYTES // 2**30} GiB is the most that speedd takes."
            )


def _copy_all(candidate: Candidate, folder: Path) -> Iterator[Part]:
    taken: dict[Role, int] = {}
    for member in candidate.members:
        taken[member.role] = number = taken.get(member.role, 0) + 1
        name = member.path.rpartition("/")[2]
        ending = names.suffix(name)
        safe = f".{ending}" if re.fullmatch(r"[a-z0-9]{1,10}", ending) else ""
        copy = folder / (f"{member.role}{safe}" if number == 1 else f"{member.role}-{number}{safe}")
        digest = _copy(candidate.base / member.path, member, copy)
        yield Part(member.role, names.readable(name), copy, digest, member.stat.size_bytes)
    if candidate.voice:
        yield _voice_noted(candidate.voice, folder)


def _voice_noted(voice: str, folder: Path) -> Part:
    """Note the voice as a log of the older tools would: what its name tells is all that is wanted of an old output."""
    said = f"Voice: {names.readable(voice)}\n".encode()
    copy = folder / "voice-before.log"
    with writing(folder.parent), copy.open("xb") as out:
        out.write(said)
        sync_file(out)
    return Part(Role.LOG, copy.name, copy, hashlib.sha256(said).hexdigest(), len(said))


def _copy(source: Path, member: Member, copy: Path) -> str:
    """Copy one file that must still be what it was when it settled; return its SHA-256, hex."""
    digest = hashlib.sha256()
    changed = StillChangingError(f"“{names.readable(member.path)}” is still being changed.")
    with _reading(source):
        # Non-blocking, because opening a pipe that took the file's place would wait for its writer.
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not _is_still(descriptor, member.stat):
            raise changed
        with writing(copy.parent.parent):
            target = copy.open("xb")
        with target:
            left_bytes = member.stat.size_bytes
            while left_bytes >= 0:
                with _reading(source):
                    piece = os.read(descriptor, _PIECE_BYTES)
                if not piece:
                    break
                left_bytes -= len(piece)
                digest.update(piece)
                with writing(copy.parent.parent):
                    target.write(piece)
            with writing(copy.parent.parent):
                sync_file(target)
        # Few copiers sync: after a power cut their file would be empty, and look like a newer book than the one taken.
        with suppress(OSError):
            os.fsync(descriptor)
            sync_folder(source.parent)
        if left_bytes or not _is_still(descriptor, member.stat):
            raise changed
    finally:
        os.close(descriptor)
    return digest.hexdigest()


def _is_still(descriptor: int, settled: Stat) -> bool:
    status = os.fstat(descriptor)
    return stat.S_ISREG(status.st_mode) and Stat.of(status) == settled


def _move_in(candidate: Candidate, parts: tuple[Part, ...], digest: str, unfinished: Path, spool: Path) -> Job:
    for digits in range(_ID_DIGITS, len(digest) + 1):
        folder = spool / digest[:digits]
        held = _held(folder)
        if held is None:  # not there, or a wreck
            job = Job(digest[:digits], digest, candidate.name, candidate.source, folder, parts)
            with writing(spool):
                write_manifest(unfinished, job, candidate)
                shutil.rmtree(folder, ignore_errors=True)
                unfinished.rename(folder)
                sync_folder(spool)
            return replace(job, parts=tuple(replace(part, path=folder / part.path.name) for part in parts))
        if held.digest == digest:
            with writing(spool):
                sync_folder(spool)  # whoever put it there may have ended before this
            job = replace(held, name=candidate.name, source=candidate.source)
            if candidate.source == held.source:  # touched since: what may be moved away is what it is now
                with writing(spool):
                    write_manifest(folder, job, candidate)
            return job
        # Twelve digits in common with another source: no accident, but no reason to mix them up either.
    raise AssertionError(digest)


def _held(folder: Path) -> Job | None:
    """The job in a folder if it is there and whole."""
    try:
        job = load_own_job(folder)
        whole = all(part.path.stat().st_size == part.size_bytes for part in job.parts)
    except (TryAgainError, OSError):
        return None
    return job if whole else None


# --- what can go wrong -----------------------------------------------------------------------------------------------


@contextmanager
def _reading(source: Path) -> Iterator[None]:
    """Turn what goes wrong on the inbox's side into words."""
    name = f"“{names.readable(source.name)}”"
    try:
        yield
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            raise _unreadable(source) from error
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise StillChangingError(f"{name} was there a moment ago and is not now.") from error
        raise TryAgainError(f"{name} cannot be read now: {error.strerror}.") from error


def _unreadable(source: Path) -> InputError:
    us = _user(os.geteuid())
    whose = ""
    with suppress(OSError):
        status = source.lstat()
        rights = stat.filemode(status.st_mode)
        whose = f" It belongs to the user {_user(status.st_uid)}, and its permissions are {rights}."
    return InputError(
        f"“{names.readable(source.name)}” cannot be read by the user {us}, as whom speedd runs.{whose}",
        hint="Let that user read it (chmod a+r on the file, or set the right group), then put it into the inbox again.",
    )


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
