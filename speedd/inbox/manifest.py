"""What a job's folder in the spool says: enough to rebuild the job and to find its source."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from speedd.common.durable import write_whole
from speedd.common.state_directory import JobFolder
from speedd.errors import TryAgainError
from speedd.inbox.grouping import Candidate, Kind, Member
from speedd.inbox.identity import digest_of
from speedd.inbox.listing import Stat
from speedd.model import Job, Part, Role


@dataclass(frozen=True, slots=True)
class _Copy:
    """A part of a job; ``file`` is relative to the job's folder, because it may lie in another job's."""

    role: Role
    name: str
    file: str
    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Content:
    id: str
    digest: str
    parts: tuple[_Copy, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Manifest(_Content):
    version: Literal[1] = 1
    source: Path
    name: str
    kind: Kind
    signature: str
    members: tuple[tuple[str, Role, int, int, int, int], ...]
    """Path, role and `Stat` of each file, when it was accepted: only what still looks so is moved away in the end."""
    joined: _Content | None = None
    """What the job became when a partner came late."""


def load_job(folder: Path) -> Job:
    """Rebuild a job from its folder in the spool alone, with the parts that it was joined with.

    Raises:
        TryAgainError: if the folder or its manifest cannot be read or is not whole; accepting the source again mends
            it.
    """
    manifest = _read(folder)
    return _job_of(manifest, manifest.joined or manifest, folder)


def load_own_job(folder: Path) -> Job:
    """Rebuild a job as `load_job`, with what was accepted for it alone.

    Raises:
        TryAgainError: as `load_job`.
    """
    manifest = _read(folder)
    return _job_of(manifest, manifest, folder)


def load_candidate(folder: Path) -> Candidate:
    """Rebuild from the spool what was accepted, so that its source can be moved away after a restart.

    Raises:
        TryAgainError: as `load_job`.
    """
    manifest = _read(folder)
    members = (Member(path, role, Stat(*numbers)) for path, role, *numbers in manifest.members)
    return Candidate(manifest.source, manifest.kind, manifest.name, tuple(members), manifest.signature)


def join(job: Job, others: Iterable[Part]) -> Job:
    """Make one job of a partner that came late and of what it goes with, and note that in its folder.

    Args:
        job: as `accept` returned it for the partner.
        others: the parts of another job, which stay in that one's folder.

    Returns:
        The job with all parts, known by all of them together.

    Raises:
        TryAgainError: if the disk is full or fails.
    """
    parts = (*others, *job.parts)
    digest = digest_of(parts)
    joined = replace(job, id=digest[: len(job.id)], digest=digest, parts=parts)
    manifest = replace(_read(job.spool), joined=_content_of(joined, job.spool))
    with writing(job.spool.parent):
        _write(job.spool, manifest)
    return joined


def readdress(job: Job, candidate: Candidate) -> None:
    """Note in a job's folder that its source came back, perhaps from another place: this is what its end moves away.

    Args:
        job: as `accept` returned it for this candidate.
        candidate: what was accepted.

    Raises:
        TryAgainError: if the disk is full or fails.
    """
    manifest = _read(job.spool)  # its parts stay: the job may have some of another folder too
    with writing(job.spool.parent):
        _write(job.spool, _manifest_of(candidate, manifest, manifest.joined))


def write_manifest(folder: Path, job: Job, candidate: Candidate) -> None:
    """Write down a job with what was accepted for it; durable when it returns."""
    _write(folder, _manifest_of(candidate, _content_of(job, folder)))


@contextmanager
def writing(spool: Path) -> Iterator[None]:
    """Turn what goes wrong on the spool's side into words: none of it is the book's fault."""
    try:
        yield
    except OSError as error:
        raise TryAgainError(
            f"The private copy of a book cannot be written below {spool}: {error.strerror}.",
            hint="Nothing is lost; speedd tries again when there is room and the disk can be written to.",
        ) from error


@cache
def _codec() -> TypeAdapter[_Manifest]:
    return TypeAdapter(_Manifest)


def _manifest_of(candidate: Candidate, content: _Content, joined: _Content | None = None) -> _Manifest:
    return _Manifest(
        content.id,
        content.digest,
        content.parts,
        source=candidate.source,
        name=candidate.name,
        kind=candidate.kind,
        signature=candidate.signature,
        members=tuple((member.path, member.role, *member.stat) for member in candidate.members),
        joined=joined,
    )


def _content_of(job: Job, folder: Path) -> _Content:
    copies = (
        _Copy(part.role, part.name, os.path.relpath(part.path, folder), part.digest, part.size_bytes)
        for part in job.parts
    )
    return _Content(job.id, job.digest, tuple(copies))


def _job_of(manifest: _Manifest, content: _Content, folder: Path) -> Job:
    parts = (
        Part(copy.role, copy.name, Path(os.path.normpath(folder / copy.file)), copy.digest, copy.size_bytes)
        for copy in content.parts
    )
    return Job(content.id, content.digest, manifest.name, manifest.source, folder, tuple(parts))


def _write(folder: Path, manifest: _Manifest) -> None:
    # JSON escapes the lone surrogates that stand for bytes outside UTF-8, so a source's path survives as it is.
    text = json.dumps(_codec().dump_python(manifest, mode="json"), indent=1)
    write_whole(JobFolder(folder).manifest, text.encode("ascii"))


def _read(folder: Path) -> _Manifest:
    try:
        return _codec().validate_python(json.loads(JobFolder(folder).manifest.read_text(encoding="ascii")))
    except (OSError, ValueError) as error:  # pydantic's is a ValueError
        raise _broken(folder) from error


def _broken(folder: Path) -> TryAgainError:
    return TryAgainError(
        f"The private copy of a book in {folder} is missing or damaged.",
        hint="Drop the book into the inbox again.",
    )
