"""Jobs: where each one stands, from being accepted to its recorded end."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from speedd.ledger.database import Database, into
from speedd.ledger.plans import delete_plan
from speedd.model import Job


class State(StrEnum):
    """Where a job stands."""

    WAITING = "waiting"  # damaged: more of it may still come
    QUEUED = "queued"
    RUNNING = "running"
    PUBLISHED = "published"
    REFUSED = "refused"  # its own fault
    FAILED = "failed"  # ours, or the engine's
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"  # a partner arrived before it was published: a newer job took over

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self not in {State.WAITING, State.QUEUED, State.RUNNING}


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job and what the ledger knows of it."""

    job: Job
    state: State
    reason: str
    edition: int
    runs: int
    """How often it was taken up."""
    created_at: float
    started_at: float | None
    ended_at: float | None
    published: Path | None
    summary: dict[str, Any] | None
    """What reading and planning found (see `speedd.pipeline.preparation`), None before."""
    cancelling: bool


class Jobs:
    """All jobs that ever were, with their states."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now

    def add(self, job: Job, *, edition: int = 1, state: State = State.QUEUED, reason: str = "") -> None:
        """Enter a new job."""
        values = {
            "id": job.id,
            "digest": job.digest,
            "edition": edition,
            "name": os.fsencode(job.name),
            "source": os.fsencode(job.source),
            "spool": str(job.spool),
            "parts": json.dumps([asdict(part) for part in job.parts], default=str),
            "state": state,
            "reason": reason,
            "created_at": self._now(),
            "ended_at": self._now() if state.ended else None,
        }
        with self._database.transaction() as db:
            db.execute(f"INSERT {into('jobs', values)}", values)

    def get(self, job_id: str) -> JobRecord | None:
        """Return the job with this id."""
        rows = self._database.rows("SELECT * FROM jobs WHERE id=?", job_id)
        return _job_record(rows[0]) if rows else None

    def all(self, *states: State) -> list[JobRecord]:
        """Return the jobs in any of these states (all, if none is given), oldest first."""
        marks = ",".join("?" * len(states))
        where = f"WHERE state IN ({marks})" if states else ""
        query = f"SELECT * FROM jobs {where} ORDER BY created_at, rowid"  # noqa: S608 - only question marks are put in
        return [_job_record(row) for row in self._database.rows(query, *states)]

    def unfinished(self) -> list[JobRecord]:
        """Return the jobs that have not met their end, oldest first."""
        return self.all(*(state for state in State if not state.ended))

    def editions(self, digest: str) -> list[JobRecord]:
        """Return all jobs of one content, the latest last."""
        rows = self._database.rows("SELECT * FROM jobs WHERE digest=? ORDER BY edition", digest)
        return [_job_record(row) for row in rows]

    def from_source(self, source: Path) -> list[JobRecord]:
        """Return all jobs that came from one place in the inbox, the latest last."""
        query = "SELECT * FROM jobs WHERE source=? ORDER BY created_at, rowid"
        return [_job_record(row) for row in self._database.rows(query, os.fsencode(source))]

    def set_state(self, job_id: str, state: State, reason: str = "", *, published: Path | None = None) -> None:
        """Move a job to a state. An end clears what was wished of it."""
        values = {
            "id": job_id,
            "state": state,
            "reason": reason,
            "published": str(published) if published else None,
            "now": self._now(),
            "runs": state is State.RUNNING,
            "ends": state.ended,
        }
        with self._database.transaction() as db:
            db.execute(
                "UPDATE jobs SET state=:state, reason=:reason, published=coalesce(:published, published),"
                " cancelling=cancelling AND NOT :ends, in_flight=CASE WHEN :runs THEN in_flight END, runs=runs+:runs,"
                " started_at=CASE WHEN :runs THEN :now ELSE started_at END, ended_at=CASE WHEN :ends THEN :now END"
                " WHERE id=:id",
                values,
            )

    def queue_again(self, job_id: str) -> None:
        """Queue a job that ended, to be published once more, planned anew with the settings of now; takes are kept."""
        with self._database.transaction() as db:
            db.execute(
                "UPDATE jobs SET state='queued', reason='', ended_at=NULL, cancelling=0, summary=NULL,"
                " in_flight=NULL, crashes=0, poison_chunk=NULL,"
                " edition=edition+(published IS NOT NULL), published=NULL WHERE id=?",
                (job_id,),
            )

    def remove(self, job_id: str) -> None:
        """Forget a job and its plan; its takes stay."""
        with self._database.transaction() as db:
            delete_plan(db, job_id)
            db.execute("DELETE FROM jobs WHERE id=?", (job_id,))

    def set_source(self, job_id: str, source: Path) -> None:
        """Note that a job's source came back at another place."""
        with self._database.transaction() as db:
            db.execute("UPDATE jobs SET source=? WHERE id=?", (os.fsencode(source), job_id))

    def request_cancel(self, job_id: str) -> None:
        """Ask the daemon to cancel a job; one that has ended meanwhile is left alone."""
        with self._database.transaction() as db:
            db.execute("UPDATE jobs SET cancelling=1 WHERE id=? AND ended_at IS NULL", (job_id,))

    def record_pace(self, job_id: str, audio_s: float, realtime_factor: float | None) -> None:
        """Note how long the audiobook is, and how fast it was made if all of it was made in one go."""
        with self._database.transaction() as db:
            db.execute("UPDATE jobs SET audio_s=?, realtime_factor=? WHERE id=?", (audio_s, realtime_factor, job_id))

    def realtime_factor(self) -> float | None:
        """Return how fast this machine was with its latest book: seconds of audio per second of work."""
        query = "SELECT realtime_factor FROM jobs WHERE realtime_factor IS NOT NULL ORDER BY ended_at DESC LIMIT 1"
        rows = self._database.rows(query)
        return rows[0]["realtime_factor"] if rows else None

    def recover(self) -> list[tuple[JobRecord, int]]:
        """Put jobs that were running when the last process died back into the queue.

        Returns:
            Each with how many crashes in a row came while the same chunk was in flight and no take had landed.
        """
        with self._database.transaction() as db:
            db.execute(
                "UPDATE jobs SET crashes=CASE WHEN poison_chunk IS in_flight THEN crashes+1 ELSE 1 END,"
                " poison_chunk=in_flight, in_flight=NULL WHERE state='running' AND in_flight IS NOT NULL"
            )
            found = db.execute("SELECT * FROM jobs WHERE state='running'").fetchall()
            db.execute("UPDATE jobs SET state='queued' WHERE state='running'")
        return [(_job_record(row), row["crashes"]) for row in found]

    def note_in_flight(self, job_id: str, chunk: int) -> None:
        """Note the first chunk that goes to the engine; the next take that lands strikes the note."""
        with self._database.transaction() as db:
            db.execute("UPDATE jobs SET in_flight=? WHERE id=?", (chunk, job_id))

    def poison_chunk(self, job_id: str) -> tuple[int, str] | None:
        """Return the number and the text of the chunk that was in flight at the last crash, if there is one."""
        rows = self._database.rows(
            "SELECT c.idx, c.text FROM jobs j JOIN chunks c ON c.job=j.id AND c.idx=j.poison_chunk WHERE j.id=?", job_id
        )
        return (rows[0]["idx"], rows[0]["text"]) if rows else None


@cache
def _codec() -> TypeAdapter[JobRecord]:
    return TypeAdapter(JobRecord)


def _job_record(row: sqlite3.Row) -> JobRecord:
    text = {name: os.fsdecode(row[name]) for name in ("name", "source")}
    job = {**row, **text, "parts": json.loads(row["parts"])}
    return _codec().validate_python({**row, "job": job, "summary": json.loads(row["summary"] or "null")})
