"""Take a settled source into the spool: a private copy, hashed on the way, complete or not there at all.

A job's folder in the spool has its id as its name and holds the parts under names of our own and ``job.json``, from
which the job can be rebuilt without anything else. It appears by one rename, after everything in it is on the disk.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pwd
import re
import shutil
import stat
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from speedd.errors import InputError, TryAgainError
from speedd.inbox import names
from speedd.inbox.grouping import Candidate, Kind, Member
from speedd.inbox.listing import Stat
from speedd.model import Job, Part, Role

MANIFEST: Final = "job.json"
MAX_PART_BYTES: Final = 4 * 2**30
"""No book is larger; sparse files and disk images are."""

_VERSION: Final = 1
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
    with _writing(spool):
        spool.mkdir(parents=True, exist_ok=True)
        free_bytes = shutil.disk_usage(spool).free
    if free_bytes - candidate.size_bytes < reserve_bytes:
        raise TryAgainError(
            f"There is not enough room to copy “{candidate.name}”: {free_bytes // 10**6} MB are free on the disk of"
            f" {spool}, {(candidate.size_bytes + reserve_bytes) // 10**6} MB are needed.",
            hint="Free some space there; speedd goes on by itself.",
        )
    with _writing(spool):
        unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=spool))
    try:
        parts = tuple(_copy_all(candidate, unfinished))
        digest = digest_of(parts)
        return _settle_in(candidate, parts, digest, unfinished, spool)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def digest_of(parts: Iterable[Part]) -> str:
    """Return what a source is known by: SHA-256, hex, over the roles and digests of its parts in any order.

    The format of a book counts, too: one that was refused as ``.text`` comes back as ``.txt``. So do the names of
    several files of one format: they are chapters, and in the order of their names.
    """
    parts = tuple(parts)
    formats = Counter(names.suffix(part.name) for part in parts if part.role is Role.BOOK)
    lines = []
    for part in parts:
        suffix = names.suffix(part.name)
        kind = f"{part.role}.{suffix}" if part.role is Role.BOOK else part.role
        if part.role is Role.BOOK and formats[suffix] > 1:
            kind += f" {part.name}"
        lines.append(f"{kind} {part.digest}\n")
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def load_job(folder: Path) -> Job:
    """Rebuild a job from its folder in the spool alone.

    Raises:
        TryAgainError: if the folder or its manifest cannot be read or is not whole; accepting the source again mends
            it.
    """
    return _job_of(_read_manifest(folder), folder)


def load_candidate(folder: Path) -> Candidate:
    """Rebuild from the spool what was accepted, so that its source can be moved away after a restart.

    Raises:
        TryAgainError: as `load_job`.
    """
    manifest = _read_manifest(folder)
    try:
        return _candidate_of(manifest)
    except (KeyError, TypeError, ValueError) as error:
        raise _broken(folder) from error


def readdress(job: Job, candidate: Candidate) -> None:
    """Note in a job's folder that its source came back, perhaps from another place: this is what its end moves away.

    Args:
        job: as `accept` returned it for this candidate.
        candidate: what was accepted.

    Raises:
        TryAgainError: if the disk is full or fails.
    """
    manifest = _read_manifest(job.spool)  # its parts stay: the job may have some of another folder too
    manifest |= {"source": str(candidate.source), "name": candidate.name} | _look(candidate)
    with _writing(job.spool.parent):
        _dump_manifest(job.spool, manifest)


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
        with _writing(copy.parent.parent):
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
                with _writing(copy.parent.parent):
                    target.write(piece)
            with _writing(copy.parent.parent):
                target.flush()
                os.fsync(target.fileno())
        # Few copiers sync: after a power cut their file would be empty, and look like a newer book than the one taken.
        with suppress(OSError):
            os.fsync(descriptor)
            _fsync_folder(source.parent)
        if left_bytes or not _is_still(descriptor, member.stat):
            raise changed
    finally:
        os.close(descriptor)
    return digest.hexdigest()


def _is_still(descriptor: int, settled: Stat) -> bool:
    status = os.fstat(descriptor)
    return stat.S_ISREG(status.st_mode) and Stat.of(status) == settled


def _settle_in(candidate: Candidate, parts: tuple[Part, ...], digest: str, unfinished: Path, spool: Path) -> Job:
    for digits in range(_ID_DIGITS, len(digest) + 1):
        folder = spool / digest[:digits]
        held = _held(folder)
        if held is None:  # not there, or a wreck
            job = Job(digest[:digits], digest, candidate.name, candidate.source, folder, parts)
            with _writing(spool):
                _write_manifest(unfinished, job, candidate)
                shutil.rmtree(folder, ignore_errors=True)
                unfinished.rename(folder)
                _fsync_folder(spool)
            return replace(job, parts=tuple(replace(part, path=folder / part.path.name) for part in parts))
        if held.digest == digest:
            with _writing(spool):
                _fsync_folder(spool)  # whoever put it there may have ended before this
            job = replace(held, name=candidate.name, source=candidate.source)
            if candidate.source == held.source:  # touched since: what may be moved away is what it is now
                with _writing(spool):
                    _write_manifest(folder, job, candidate)
            return job
        # Twelve digits in common with another source: no accident, but no reason to mix them up either.
    raise AssertionError(digest)


def _held(folder: Path) -> Job | None:
    """The job in a folder if it is there and whole."""
    try:
        job = load_job(folder)
        whole = all(part.path.stat().st_size == part.size_bytes for part in job.parts)
    except (TryAgainError, OSError):
        return None
    return job if whole else None


# --- the manifest ----------------------------------------------------------------------------------------------------


def _write_manifest(folder: Path, job: Job, candidate: Candidate) -> None:
    _dump_manifest(
        folder,
        {
            "version": _VERSION,
            "id": job.id,
            "digest": job.digest,
            "name": job.name,
            "source": str(job.source),
            "parts": [
                {
                    "role": part.role,
                    "name": part.name,
                    "file": part.path.name,
                    "digest": part.digest,
                    "size_bytes": part.size_bytes,
                }
                for part in job.parts
            ],
            **_look(candidate),
        },
    )


def _look(candidate: Candidate) -> dict[str, Any]:
    """What a source looked like when it was accepted: only what still does is moved away in the end."""
    return {
        "kind": candidate.kind,
        "signature": candidate.signature,
        "members": [[member.path, member.role, *member.stat] for member in candidate.members],
    }


def _dump_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    # JSON escapes the lone surrogates that stand for bytes outside UTF-8, so a source's path survives as it is.
    unfinished = folder / f"{MANIFEST}.tmp"
    with unfinished.open("w", encoding="ascii") as file:
        file.write(json.dumps(manifest, indent=1))
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(folder / MANIFEST)
    _fsync_folder(folder)


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise _broken(folder) from error
    if not isinstance(manifest, dict) or manifest.get("version") != _VERSION:
        raise _broken(folder)
    return manifest


def _job_of(manifest: dict[str, Any], folder: Path) -> Job:
    try:
        return Job(
            id=manifest["id"],
            digest=manifest["digest"],
            name=manifest["name"],
            source=Path(manifest["source"]),
            spool=folder,
            parts=tuple(
                Part(Role(part["role"]), part["name"], folder / part["file"], part["digest"], part["size_bytes"])
                for part in manifest["parts"]
            ),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _broken(folder) from error


def _candidate_of(manifest: dict[str, Any]) -> Candidate:
    return Candidate(
        source=Path(manifest["source"]),
        kind=Kind(manifest["kind"]),
        name=manifest["name"],
        members=tuple(Member(path, Role(role), Stat(*numbers)) for path, role, *numbers in manifest["members"]),
        signature=manifest["signature"],
    )


def _broken(folder: Path) -> TryAgainError:
    return TryAgainError(
        f"The private copy of a book in {folder} is missing or damaged.",
        hint="Drop the book into the inbox again.",
    )


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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


@contextmanager
def _writing(spool: Path) -> Iterator[None]:
    """Turn what goes wrong on the spool's side into words: none of it is the book's fault."""
    try:
        yield
    except OSError as error:
        raise TryAgainError(
            f"The private copy of a book cannot be written below {spool}: {error.strerror}.",
            hint="Nothing is lost; speedd tries again when there is room and the disk can be written to.",
        ) from error


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
