"""What a job's folder in the spool says: enough to rebuild the job and to find its source."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from speedd.common.durable import sync_folder
from speedd.common.state_directory import JobFolder
from speedd.errors import TryAgainError
from speedd.inbox.grouping import Candidate, Kind, Member
from speedd.inbox.identity import digest_of
from speedd.inbox.listing import Stat
from speedd.model import Job, Part, Role

_VERSION: Final = 1


def load_job(folder: Path) -> Job:
    """Rebuild a job from its folder in the spool alone, with the parts that it was joined with.

    Raises:
        TryAgainError: if the folder or its manifest cannot be read or is not whole; accepting the source again mends
            it.
    """
    manifest = _read_manifest(folder)
    return _job_of(manifest | manifest.get("joined", {}), folder)


def load_own_job(folder: Path) -> Job:
    """Rebuild a job as `load_job`, with what was accepted for it alone.

    Raises:
        TryAgainError: as `load_job`.
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
    manifest = _read_manifest(job.spool)
    manifest["joined"] = {"id": joined.id, "digest": digest, "parts": _dump_parts(parts, job.spool)}
    with writing(job.spool.parent):
        _dump_manifest(job.spool, manifest)
    return joined


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
    with writing(job.spool.parent):
        _dump_manifest(job.spool, manifest)


def write_manifest(folder: Path, job: Job, candidate: Candidate) -> None:
    """Write down a job with what was accepted for it; durable when it returns."""
    _dump_manifest(
        folder,
        {
            "version": _VERSION,
            "id": job.id,
            "digest": job.digest,
            "name": job.name,
            "source": str(job.source),
            "parts": _dump_parts(job.parts, folder),
            **_look(candidate),
        },
    )


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


def _look(candidate: Candidate) -> dict[str, Any]:
    """What a source looked like when it was accepted: only what still does is moved away in the end."""
    return {
        "kind": candidate.kind,
        "signature": candidate.signature,
        "members": [[member.path, member.role, *member.stat] for member in candidate.members],
    }


def _dump_parts(parts: Iterable[Part], folder: Path) -> list[dict[str, Any]]:
    return [
        {
            "role": part.role,
            "name": part.name,
            "file": part.path.name if part.path.parent == folder else f"../{part.path.parent.name}/{part.path.name}",
            "digest": part.digest,
            "size_bytes": part.size_bytes,
        }
        for part in parts
    ]


def _dump_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    # JSON escapes the lone surrogates that stand for bytes outside UTF-8, so a source's path survives as it is.
    path = JobFolder(folder).manifest
    unfinished = path.with_name(f"{path.name}.tmp")
    with unfinished.open("w", encoding="ascii") as file:
        file.write(json.dumps(manifest, indent=1))
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    sync_folder(folder)


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(JobFolder(folder).manifest.read_text(encoding="ascii"))
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
                Part(
                    Role(part["role"]),
                    part["name"],
                    Path(os.path.normpath(folder / part["file"])),
                    part["digest"],
                    part["size_bytes"],
                )
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
