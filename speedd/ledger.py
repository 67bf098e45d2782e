"""The ledger: the only truth about state, in one SQLite file.

WAL with ``synchronous=FULL``: a power cut on ext4 kept 200 of 200 acknowledged commits so, and none with NORMAL. A
take's file is durable before the row that names it; a row whose file is gone is rendered again.

One connection behind a lock serves all threads of the daemon; other processes (``status``, ``cancel``, ``retry``) open
their own.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass
from enum import StrEnum
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from speedd.errors import LedgerError, TryAgainError
from speedd.migrations import MIGRATIONS
from speedd.model import Boundary, Chunk, Job, Part, Quote, Rendered, Role, Segment, Style

BUSY_S = 30.0
"""How long a process waits for another that writes."""
PLAN_PAGE = 512
"""Chunks stored per transaction: about 10 ms of the lock."""


class DamagedLedgerError(LedgerError):
    """The file is no SQLite database any more, or fails its own check."""


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
class JobRow:
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
    head: dict[str, Any] | None
    """What reading and planning found (see `speedd.prepare`), None before."""
    cancelling: bool


@dataclass(frozen=True, slots=True)
class PendingUtterance:
    """An utterance that has no take yet."""

    id: int
    """Position in the book, over all chunks."""
    chunk: int
    text: str
    style: Style
    occurrence: int
    """How often this text came before in the book."""


@dataclass(frozen=True, slots=True)
class ChunkPiece:
    """One stretch of sound or silence of a chunk, in the order of the book."""

    chunk: int
    take: str
    """Key of the take, empty for silence alone."""
    pause_ms: int


@dataclass(frozen=True, slots=True)
class ChunkTake:
    """A take as a chunk uses it."""

    key: str
    """Empty if the engine found nothing to speak."""
    text: str
    occurrence: int
    attempt: int
    render_s: float
    stop_reason: str
    made_at: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """A chunk and what became of it."""

    chunk: Chunk
    takes: tuple[ChunkTake, ...]
    """One for each of its segments that has something to speak."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job's utterances are."""

    done: int
    total: int
    done_chars: int
    total_chars: int


class Ledger:
    """The ledger of one state directory.

    Args:
        path: the SQLite file; it is made if it is not there.
        now: wall clock, in seconds since the epoch.

    Raises:
        LedgerError: if the file is damaged or was written by a newer speedd.
        TryAgainError: if the disk is full or fails.
    """

    def __init__(self, path: Path, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._lock = threading.RLock()
        with _plain_errors(f"The ledger {path} cannot be used"):
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_S)
        try:
            with _plain_errors(f"The ledger {path} cannot be used"):
                self._db.row_factory = sqlite3.Row
                self._enter_wal()
                for pragma in ("synchronous=FULL", "foreign_keys=ON", "cache_size=-4000"):
                    self._db.execute(f"PRAGMA {pragma}")
            self._migrate()
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def check(self) -> None:
        """See that the file is sound.

        Raises:
            DamagedLedgerError: naming the first fault.
        """
        first = self._rows("PRAGMA integrity_check(1)")[0][0]
        if first != "ok":
            raise DamagedLedgerError(f"The ledger is damaged: {first}.")

    def _enter_wal(self) -> None:
        """Switch to WAL; while another process does, SQLite refuses at once, whatever the timeout."""
        give_up_s = time.monotonic() + BUSY_S
        while True:
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_s:
                    raise
                time.sleep(0.02)
            else:
                return

    def _migrate(self) -> None:
        if self._version() == len(MIGRATIONS):
            return
        with self._transaction() as db:
            version = self._version()  # once more: another process may have been faster
            if version > len(MIGRATIONS):
                raise LedgerError(
                    f"The ledger was written by a newer speedd (schema {version}, this one knows {len(MIGRATIONS)}).",
                    hint="Install that version again.",
                )
            for migrate in MIGRATIONS[version:]:
                migrate(db)
            db.execute(f"PRAGMA user_version={len(MIGRATIONS)}")

    def _version(self) -> int:
        with _plain_errors("The ledger cannot be read"):
            return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                with _plain_errors("The ledger cannot be written"):
                    self._db.execute("BEGIN IMMEDIATE")
                    yield self._db
                    self._db.execute("COMMIT")
            except BaseException:
                self._rollback()
                raise

    def _rollback(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock, _plain_errors("The ledger cannot be read"):
            return self._db.execute(query, values).fetchall()

    # --- sources -----------------------------------------------------------------------------------------------------

    def knows(self, source: Path, signature: str) -> bool:
        """Whether this source, looking like this, has been accepted or has met its end already."""
        found = self._rows("SELECT 1 FROM sources WHERE path=? AND signature=?", os.fsencode(source), signature)
        return bool(found)

    def remember(self, source: Path, signature: str, job_id: str) -> None:
        """Note that this source, looking like this, belongs to a job."""
        with self._transaction() as db:
            db.execute("REPLACE INTO sources VALUES (?, ?, ?)", (os.fsencode(source), signature, job_id))

    def forget(self, source: Path) -> None:
        """Take a source that comes back as new."""
        with self._transaction() as db:
            db.execute("DELETE FROM sources WHERE path=?", (os.fsencode(source),))

    def sources(self) -> list[tuple[Path, str]]:
        """Return the sources that are remembered, each with its job's id."""
        return [(Path(os.fsdecode(row["path"])), row["job"]) for row in self._rows("SELECT * FROM sources")]

    # --- jobs --------------------------------------------------------------------------------------------------------

    def add(self, job: Job, *, edition: int = 1, state: State = State.QUEUED, reason: str = "") -> None:
        """Enter a new job."""
        parts = json.dumps(
            [[p.role, os.fsencode(p.name).hex(), str(p.path), p.digest, p.size_bytes] for p in job.parts]
        )
        ended = self._now() if state.ended else None
        with self._transaction() as db:
            db.execute(
                "INSERT INTO jobs (id, digest, edition, name, source, spool, parts, state, reason,"
                " created_at, ended_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    job.id,
                    job.digest,
                    edition,
                    os.fsencode(job.name),
                    os.fsencode(job.source),
                    str(job.spool),
                    parts,
                    state,
                    reason,
                    self._now(),
                    ended,
                ),
            )

    def job(self, job_id: str) -> JobRow | None:
        """Return the job with this id."""
        rows = self._rows("SELECT * FROM jobs WHERE id=?", job_id)
        return _job_row(rows[0]) if rows else None

    def jobs(self, *states: State) -> list[JobRow]:
        """Return the jobs in any of these states (all, if none is given), oldest first."""
        marks = ",".join("?" * len(states))
        where = f"WHERE state IN ({marks})" if states else ""
        return [_job_row(row) for row in self._rows(f"SELECT * FROM jobs {where} ORDER BY created_at, rowid", *states)]  # noqa: S608 - only question marks are put in

    def editions(self, digest: str) -> list[JobRow]:
        """Return all jobs of one content, the latest last."""
        return [_job_row(row) for row in self._rows("SELECT * FROM jobs WHERE digest=? ORDER BY edition", digest)]

    def jobs_from(self, source: Path) -> list[JobRow]:
        """Return all jobs that came from one place in the inbox, the latest last."""
        query = "SELECT * FROM jobs WHERE source=? ORDER BY created_at, rowid"
        return [_job_row(row) for row in self._rows(query, os.fsencode(source))]

    def set_state(self, job_id: str, state: State, reason: str = "", *, published: Path | None = None) -> None:
        """Move a job to a state. An end clears what was wished of it."""
        now = self._now()
        with self._transaction() as db:
            db.execute(
                "UPDATE jobs SET state=?, reason=?, published=coalesce(?, published),"
                " cancelling=CASE WHEN ? THEN 0 ELSE cancelling END,"
                " in_flight=CASE WHEN ?='running' THEN in_flight ELSE NULL END,"
                " runs=runs+(?='running'), started_at=CASE WHEN ?='running' THEN ? ELSE started_at END, ended_at=?"
                " WHERE id=?",
                (
                    state,
                    reason,
                    str(published) if published else None,
                    state.ended,
                    state,
                    state,
                    state,
                    now,
                    now if state.ended else None,
                    job_id,
                ),
            )

    def queue_again(self, job_id: str) -> None:
        """Queue a job that ended, to be published once more, planned anew with the settings of now; takes are kept."""
        with self._transaction() as db:
            db.execute(
                "UPDATE jobs SET state='queued', reason='', ended_at=NULL, cancelling=0, head=NULL,"
                " in_flight=NULL, barren=0, barren_chunk=NULL,"
                " edition=edition+(published IS NOT NULL), published=NULL WHERE id=?",
                (job_id,),
            )

    def remove(self, job_id: str) -> None:
        """Forget a job and its plan; its takes stay."""
        with self._transaction() as db:
            for table in ("utterances", "chunks", "chapters"):
                db.execute(f"DELETE FROM {table} WHERE job=?", (job_id,))  # noqa: S608 - names of our own tables
            db.execute("DELETE FROM jobs WHERE id=?", (job_id,))

    def set_source(self, job_id: str, source: Path) -> None:
        """Note that a job's source came back at another place."""
        with self._transaction() as db:
            db.execute("UPDATE jobs SET source=? WHERE id=?", (os.fsencode(source), job_id))

    def record_pace(self, job_id: str, audio_s: float, realtime_factor: float | None) -> None:
        """Note how long the audiobook is, and how fast it was made if all of it was made in one go."""
        with self._transaction() as db:
            db.execute("UPDATE jobs SET audio_s=?, realtime_factor=? WHERE id=?", (audio_s, realtime_factor, job_id))

    def realtime_factor(self) -> float | None:
        """Return how fast this machine was with its latest book: seconds of audio per second of work."""
        query = "SELECT realtime_factor FROM jobs WHERE realtime_factor IS NOT NULL ORDER BY ended_at DESC LIMIT 1"
        rows = self._rows(query)
        return rows[0]["realtime_factor"] if rows else None

    def wish_cancelled(self, job_id: str) -> None:
        """Ask the daemon to cancel a job; one that has ended meanwhile is left alone."""
        with self._transaction() as db:
            db.execute("UPDATE jobs SET cancelling=1 WHERE id=? AND ended_at IS NULL", (job_id,))

    def recover(self) -> list[tuple[JobRow, int]]:
        """Put jobs that were running when the last process died back into the queue.

        Returns:
            Each with how many crashes in a row came while the same chunk was in flight and no take had landed.
        """
        with self._transaction() as db:
            db.execute(
                "UPDATE jobs SET barren=CASE WHEN barren_chunk IS in_flight THEN barren+1 ELSE 1 END,"
                " barren_chunk=in_flight, in_flight=NULL WHERE state='running' AND in_flight IS NOT NULL"
            )
            found = db.execute("SELECT * FROM jobs WHERE state='running'").fetchall()
            db.execute("UPDATE jobs SET state='queued' WHERE state='running'")
        return [(_job_row(row), row["barren"]) for row in found]

    def remove_plan(self, job_id: str) -> None:
        """Forget the plan of a job that has ended; it is planned anew if it comes back."""
        with self._transaction() as db:
            for table in ("utterances", "chunks", "chapters"):
                db.execute(f"DELETE FROM {table} WHERE job=?", (job_id,))  # noqa: S608 - names of our own tables
            db.execute("UPDATE jobs SET head=NULL WHERE id=?", (job_id,))

    def note_in_flight(self, job_id: str, chunk: int) -> None:
        """Note the first chunk that goes to the engine; the next take that lands strikes the note."""
        with self._transaction() as db:
            db.execute("UPDATE jobs SET in_flight=? WHERE id=?", (chunk, job_id))

    def barren_chunk(self, job_id: str) -> tuple[int, str] | None:
        """Return the number and the text of the chunk that was in flight at the last crash, if there is one."""
        rows = self._rows(
            "SELECT c.idx, c.text FROM jobs j JOIN chunks c ON c.job=j.id AND c.idx=j.barren_chunk WHERE j.id=?", job_id
        )
        return (rows[0]["idx"], rows[0]["text"]) if rows else None

    # --- plan --------------------------------------------------------------------------------------------------------

    def record_plan(self, job_id: str, head: dict[str, Any], chapters: Sequence[str], chunks: Iterable[Chunk]) -> None:
        """Store a plan, replacing an earlier one of the same job.

        `chunks` is walked once and stored in pages, so that other books go on meanwhile; the head, which says that the
        plan is whole, comes last.
        """
        with self._transaction() as db:
            db.execute("UPDATE jobs SET head=NULL, fingerprint='' WHERE id=?", (job_id,))
            for table in ("utterances", "chunks", "chapters"):
                db.execute(f"DELETE FROM {table} WHERE job=?", (job_id,))  # noqa: S608 - names of our own tables
            db.executemany("INSERT INTO chapters VALUES (?, ?, ?)", ((job_id, i, t) for i, t in enumerate(chapters)))
        seen: Counter[bytes] = Counter()
        number = 0
        walk = iter(chunks)
        while page := list(islice(walk, PLAN_PAGE)):
            utterances: list[tuple[Any, ...]] = []
            for chunk in page:
                for segment in chunk.segments:
                    mark = sha256(segment.text.encode()).digest()[:12]
                    utterances.append((job_id, number, chunk.index, segment.text, segment.pause_ms, seen[mark]))
                    seen[mark] += 1
                    number += 1
            with self._transaction() as db:
                db.executemany(
                    "INSERT INTO chunks VALUES (?,?,?,?,?,?,?,?,?,?,?)", (_chunk_values(job_id, c) for c in page)
                )
                db.executemany("INSERT INTO utterances VALUES (?,?,?,?,?,?,0,NULL)", utterances)
        with self._transaction() as db:
            db.execute("UPDATE jobs SET head=? WHERE id=?", (json.dumps(head), job_id))

    def chapters(self, job_id: str) -> list[str]:
        """Return the titles of the chapters."""
        return [row["title"] for row in self._rows("SELECT title FROM chapters WHERE job=? ORDER BY idx", job_id)]

    # --- takes -------------------------------------------------------------------------------------------------------

    def begin_takes(self, job_id: str, fingerprint: str) -> None:
        """Start or go on with a job's takes; where what shapes the audio has changed, none of the old ones is kept."""
        with self._transaction() as db:
            db.execute(
                "UPDATE utterances SET attempt=0, take=NULL WHERE job=?1"
                " AND (SELECT fingerprint FROM jobs WHERE id=?1) != ?2",
                (job_id, fingerprint),
            )
            db.execute("UPDATE jobs SET fingerprint=? WHERE id=?", (fingerprint, job_id))

    def pending(self, job_id: str, *, page: int = 256) -> Iterator[PendingUtterance]:
        """Yield what is to be spoken and has no take, in the order of the book, reading a page at a time."""
        last = -1
        while True:
            rows = self._rows(
                "SELECT u.*, c.style FROM utterances u JOIN chunks c ON c.job=u.job AND c.idx=u.chunk"
                " WHERE u.job=? AND u.idx>? AND u.text!='' AND u.take IS NULL ORDER BY u.idx LIMIT ?",
                job_id,
                last,
                page,
            )
            for row in rows:
                style = Style(**json.loads(row["style"]))
                yield PendingUtterance(row["idx"], row["chunk"], row["text"], style, row["occurrence"])
            if len(rows) < page:
                return
            last = rows[-1]["idx"]

    def take(self, key: str) -> Rendered | None:
        """Return the facts of a stored take."""
        rows = self._rows("SELECT * FROM takes WHERE key=?", key)
        return _rendered(rows[0]) if rows else None

    def fault_of(self, key: str) -> str | None:
        """Return why a take with this key was turned down before; empty if it was kept, None if there is none."""
        rows = self._rows("SELECT fault FROM takes WHERE key=?", key)
        return rows[0]["fault"] if rows else None

    def record_takes(self, job_id: str, takes: Iterable[tuple[int, Rendered, int, str]]) -> None:
        """Record a batch of takes in one commit.

        Args:
            job_id: the job.
            takes: for each the id of its utterance, its facts, the attempt, and why it is turned down (empty: kept).
        """
        with self._transaction() as db:
            for utterance, rendered, attempt, fault in takes:
                db.execute(
                    "REPLACE INTO takes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        rendered.key,
                        rendered.samples,
                        rendered.sample_rate_hz,
                        rendered.peak_dbfs,
                        rendered.rms_dbfs,
                        rendered.render_s,
                        rendered.stop_reason,
                        rendered.size_bytes,
                        fault,
                        job_id,
                        self._now(),
                        rendered.fallback,
                    ),
                )
                if not fault:
                    take = rendered.key if rendered.samples else ""
                    db.execute(
                        "UPDATE utterances SET take=?, attempt=? WHERE job=? AND idx=?",
                        (take, attempt, job_id, utterance),
                    )
            db.execute("UPDATE jobs SET in_flight=NULL, barren=0, barren_chunk=NULL WHERE id=?", (job_id,))

    def forget_faults(self) -> None:
        """Strike all takes that were turned down, so that they are tried again."""
        with self._transaction() as db:
            db.execute("DELETE FROM takes WHERE fault!=''")

    def adopt(self, job_id: str, takes: Iterable[tuple[int, str, int]]) -> None:
        """Give utterances takes that exist already: for each its id, the key and the attempt that made it."""
        with self._transaction() as db:
            db.executemany(
                "UPDATE utterances SET take=?2, attempt=?3 WHERE job=?4 AND idx=?1",
                ((utterance, key, attempt, job_id) for utterance, key, attempt in takes),
            )

    def forget_takes(self, keys: Iterable[str]) -> None:
        """Strike takes whose files are gone or damaged: they will be rendered again."""
        with self._transaction() as db:
            for key in keys:
                db.execute("DELETE FROM takes WHERE key=?", (key,))
                db.execute("UPDATE utterances SET take=NULL WHERE take=?", (key,))

    def add_takes(self, takes: Iterable[Rendered]) -> None:
        """Enter takes found on disk, as when a damaged ledger is rebuilt."""
        now = self._now()
        with self._transaction() as db:
            db.executemany(
                "INSERT OR IGNORE INTO takes VALUES (?,?,?,?,?,?,?,?,'','',?,?)",
                (
                    (
                        t.key,
                        t.samples,
                        t.sample_rate_hz,
                        t.peak_dbfs,
                        t.rms_dbfs,
                        t.render_s,
                        t.stop_reason,
                        t.size_bytes,
                        now,
                        t.fallback,
                    )
                    for t in takes
                ),
            )

    def idle_takes(self) -> list[tuple[str, int, float]]:
        """Return the takes that no unfinished job may want: key, size in bytes and when they were last used.

        The longest unused come first. A take that was turned down, or one that an edit left without a user,
        counts from when it was made.
        """
        rows = self._rows(
            "SELECT t.key, t.size_bytes, max(t.created_at, coalesce(max(j.ended_at), 0)) AS used_at FROM takes t"
            " LEFT JOIN utterances u ON u.take=t.key LEFT JOIN jobs j ON j.id=u.job"
            " WHERE t.job NOT IN (SELECT id FROM jobs WHERE ended_at IS NULL)"
            " GROUP BY t.key HAVING sum(j.id IS NOT NULL AND j.ended_at IS NULL)=0 ORDER BY used_at"
        )
        return [(row["key"], row["size_bytes"], row["used_at"]) for row in rows]

    def take_keys(self, job_id: str) -> Iterator[str]:
        """Yield the keys of the takes that a job uses."""
        for row in self._rows("SELECT take FROM utterances WHERE job=? AND take IS NOT NULL AND take!=''", job_id):
            yield row["take"]

    def progress(self, job_id: str) -> Progress:
        """Count what is done and what there is to do."""
        row = self._rows(
            "SELECT count(take) AS done, count(*) AS total, coalesce(sum(length(text)), 0) AS total_chars,"
            " coalesce(sum(CASE WHEN take IS NULL THEN 0 ELSE length(text) END), 0) AS done_chars"
            " FROM utterances WHERE job=? AND text!=''",
            job_id,
        )[0]
        return Progress(row["done"], row["total"], row["done_chars"], row["total_chars"])

    # --- what mastering and the run log read -------------------------------------------------------------------------

    def pieces(self, job_id: str, chapter: int) -> Iterator[ChunkPiece]:
        """Yield a chapter's sound and silence in order. A chunk's own pause follows its last piece."""
        rows = self._rows(
            "SELECT c.idx, c.pause_ms AS after_ms, u.take, coalesce(u.pause_ms, 0) AS inner_ms,"
            " u.idx IS NULL OR u.idx=(SELECT max(idx) FROM utterances WHERE job=c.job AND chunk=c.idx) AS last"
            " FROM chunks c LEFT JOIN utterances u ON u.job=c.job AND u.chunk=c.idx"
            " WHERE c.job=? AND c.chapter=? ORDER BY c.idx, u.idx",
            job_id,
            chapter,
        )
        for row in rows:
            yield ChunkPiece(row["idx"], row["take"] or "", row["inner_ms"] + (row["after_ms"] if row["last"] else 0))

    def count_fallbacks(self, job_id: str) -> dict[str, int]:
        """Count the takes a job uses that were made with other numerics than the engine's own, by what differs."""
        rows = self._rows(
            "SELECT t.fallback, count(*) AS takes FROM utterances u JOIN takes t ON t.key=u.take"
            " WHERE u.job=? AND t.fallback!='' GROUP BY t.fallback ORDER BY t.fallback",
            job_id,
        )
        return {row["fallback"]: row["takes"] for row in rows}

    def count_rendered(self, job_id: str, since: float) -> tuple[int, int]:
        """Count the chunks that have a take made since then, and those whose takes are all older."""
        rows = self._rows(
            "SELECT max(t.created_at)>=? AS fresh FROM utterances u JOIN takes t ON t.key=u.take WHERE u.job=?"
            " GROUP BY u.chunk",
            since,
            job_id,
        )
        fresh = sum(row["fresh"] for row in rows)
        return fresh, len(rows) - fresh

    def chunks(self, job_id: str, *, page: int = 256) -> Iterator[ChunkRow]:
        """Yield the chunks in order with what became of them, reading a page at a time."""
        last = -1
        while True:
            chunks = self._rows("SELECT * FROM chunks WHERE job=? AND idx>? ORDER BY idx LIMIT ?", job_id, last, page)
            if not chunks:
                return
            spoken: dict[int, list[sqlite3.Row]] = {}
            for row in self._rows(
                "SELECT u.*, t.render_s, t.stop_reason, t.created_at FROM utterances u"
                " LEFT JOIN takes t ON t.key=u.take WHERE u.job=? AND u.chunk BETWEEN ? AND ? ORDER BY u.idx",
                job_id,
                chunks[0]["idx"],
                chunks[-1]["idx"],
            ):
                spoken.setdefault(row["chunk"], []).append(row)
            for row in chunks:
                yield _chunk_row(row, spoken.get(row["idx"], []))
            last = chunks[-1]["idx"]


_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    }
)
"""Primary result codes of what passes: https://sqlite.org/rescode.html."""


@contextmanager
def _plain_errors(what: str) -> Iterator[None]:
    """Tell what passes (a full disk, a lock) from what does not (damage); anything else is a fault of ours."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in _PASSING:
            raise TryAgainError(f"{what} now: {error}.") from error
        if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            raise DamagedLedgerError(
                f"{what}: {error}.", hint="The file is damaged. Put a copy of it back, or move it away to begin anew."
            ) from error
        raise


def _chunk_values(job_id: str, chunk: Chunk) -> tuple[Any, ...]:
    return (
        job_id,
        chunk.index,
        chunk.chapter,
        chunk.text,
        chunk.boundary,
        chunk.pause_ms,
        chunk.sentiment_raw,
        chunk.sentiment_compound,
        json.dumps(asdict(chunk.style)),
        json.dumps(dict(chunk.record)) if chunk.record is not None else None,
        json.dumps([astuple(quote) for quote in chunk.dialogue]) if chunk.dialogue else None,
    )


def _chunk_row(row: sqlite3.Row, utterances: Sequence[sqlite3.Row]) -> ChunkRow:
    chunk = Chunk(
        index=row["idx"],
        chapter=row["chapter"],
        text=row["text"],
        segments=tuple(Segment(u["text"], u["pause_ms"]) for u in utterances),
        boundary=Boundary(row["boundary"]),
        pause_ms=row["pause_ms"],
        sentiment_raw=row["sentiment_raw"],
        sentiment_compound=row["sentiment_compound"],
        style=Style(**json.loads(row["style"])),
        dialogue=tuple(Quote(*quote) for quote in json.loads(row["dialogue"] or "[]")),
        record=json.loads(row["record"]) if row["record"] is not None else None,
    )
    takes = tuple(
        ChunkTake(
            key=u["take"] or "",
            text=u["text"],
            occurrence=u["occurrence"],
            attempt=u["attempt"],
            render_s=u["render_s"] or 0.0,
            stop_reason=u["stop_reason"] or "nothing_to_speak",
            made_at=u["created_at"] or 0.0,
        )
        for u in utterances
        if u["text"]
    )
    return ChunkRow(chunk, takes)


def _rendered(row: sqlite3.Row) -> Rendered:
    return Rendered(
        key=row["key"],
        samples=row["samples"],
        sample_rate_hz=row["sample_rate_hz"],
        peak_dbfs=row["peak_dbfs"],
        rms_dbfs=row["rms_dbfs"],
        finite=True,
        render_s=row["render_s"],
        stop_reason=row["stop_reason"],
        size_bytes=row["size_bytes"],
        worker=-1,
        fallback=row["fallback"],
    )


def _job_row(row: sqlite3.Row) -> JobRow:
    spool = Path(row["spool"])
    parts = tuple(
        Part(Role(role), os.fsdecode(bytes.fromhex(name)), Path(path), digest, size)
        for role, name, path, digest, size in json.loads(row["parts"])
    )
    job = Job(row["id"], row["digest"], os.fsdecode(row["name"]), Path(os.fsdecode(row["source"])), spool, parts)
    return JobRow(
        job=job,
        state=State(row["state"]),
        reason=row["reason"],
        edition=row["edition"],
        runs=row["runs"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        published=Path(row["published"]) if row["published"] else None,
        head=json.loads(row["head"]) if row["head"] else None,
        cancelling=bool(row["cancelling"]),
    )
