"""Plans: what is to be said, chapter by chapter and chunk by chunk, and what became of it."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from hashlib import sha256
from itertools import islice
from typing import Any

from pydantic import TypeAdapter

from speedd.ledger.database import Database, into
from speedd.ledger.takes import words_of
from speedd.model import Chunk, Segment, Word

PLAN_PAGE = 512
"""Chunks stored per transaction: about 10 ms of the lock."""

_CHUNK_FIELDS = tuple(field.name for field in fields(Chunk) if field.name not in {"index", "segments"})
"""Those that are columns of the same name; ``index`` is a word of SQL, and segments are rows of ``utterances``."""
_INTO_CHUNKS = into("chunks", ("job", "idx", *_CHUNK_FIELDS))
_SEGMENT_FIELDS = tuple(field.name for field in fields(Segment))
_INTO_UTTERANCES = into("utterances", ("job", "idx", "chunk", *_SEGMENT_FIELDS, "occurrence", "attempt"))


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
    rendered_in: str
    """The run of the job that had it rendered; empty if it was there already."""
    words: tuple[Word, ...] = ()
    """When its words are spoken, where the engine told."""


@dataclass(frozen=True, slots=True)
class ChunkRecord:
    """A chunk and what became of it."""

    chunk: Chunk
    takes: tuple[ChunkTake, ...]
    """One for each of its segments that has something to speak."""


class Plans:
    """The plans of all jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, job_id: str, summary: dict[str, Any], chapters: Sequence[str], chunks: Iterable[Chunk]) -> None:
        """Store a plan, replacing an earlier one of the same job.

        `chunks` is walked once and stored in pages, so that other books go on meanwhile; the summary, which says that
        the plan is whole, comes last.
        """
        with self._database.transaction() as db:
            db.execute("UPDATE jobs SET summary=NULL, fingerprint='' WHERE id=?", (job_id,))
            delete_plan(db, job_id)
            titles = ((job_id, at, title) for at, title in enumerate(chapters))
            db.executemany("INSERT INTO chapters (job, idx, title) VALUES (?, ?, ?)", titles)
        seen: Counter[bytes] = Counter()
        number = 0
        walk = iter(chunks)
        while page := list(islice(walk, PLAN_PAGE)):
            utterances: list[dict[str, Any]] = []
            for chunk in page:
                for segment in chunk.segments:
                    mark = sha256(segment.text.encode()).digest()[:12]
                    place = {"job": job_id, "idx": number, "chunk": chunk.index, "occurrence": seen[mark], "attempt": 0}
                    utterances.append(asdict(segment) | place)
                    seen[mark] += 1
                    number += 1
            with self._database.transaction() as db:
                db.executemany(f"INSERT {_INTO_CHUNKS}", (_chunk_values(job_id, chunk) for chunk in page))
                db.executemany(f"INSERT {_INTO_UTTERANCES}", utterances)
        with self._database.transaction() as db:
            db.execute("UPDATE jobs SET summary=? WHERE id=?", (json.dumps(summary), job_id))

    def remove(self, job_id: str) -> None:
        """Forget the plan of a job that has ended; it is planned anew if it comes back."""
        with self._database.transaction() as db:
            delete_plan(db, job_id)
            db.execute("UPDATE jobs SET summary=NULL WHERE id=?", (job_id,))

    def chapters(self, job_id: str) -> list[str]:
        """Return the titles of the chapters."""
        return [
            row["title"] for row in self._database.rows("SELECT title FROM chapters WHERE job=? ORDER BY idx", job_id)
        ]

    def chunks(self, job_id: str, *, page: int = 256) -> Iterator[ChunkRecord]:
        """Yield the chunks in order with what became of them, reading a page at a time."""
        last = -1
        while True:
            chunks = self._database.rows(
                "SELECT * FROM chunks WHERE job=? AND idx>? ORDER BY idx LIMIT ?", job_id, last, page
            )
            if not chunks:
                return
            spoken: dict[int, list[sqlite3.Row]] = {}
            for row in self._database.rows(
                "SELECT u.*, coalesce(u.take, '') AS key, coalesce(t.render_s, 0) AS render_s, t.words,"
                " coalesce(t.stop_reason, 'nothing_to_speak') AS stop_reason"
                " FROM utterances u INDEXED BY utterances_by_chunk LEFT JOIN takes t ON t.key=u.take"
                " WHERE u.job=? AND u.chunk BETWEEN ? AND ? ORDER BY u.idx",
                job_id,
                chunks[0]["idx"],
                chunks[-1]["idx"],
            ):
                spoken.setdefault(row["chunk"], []).append(row)
            for row in chunks:
                yield _chunk_record(row, spoken.get(row["idx"], []))
            last = chunks[-1]["idx"]

    def pieces(self, job_id: str, chapter: int) -> Iterator[ChunkPiece]:
        """Yield a chapter's sound and silence in order. A chunk's own pause follows its last piece."""
        # Left to itself, SQLite looks through the whole book for each chunk.
        rows = self._database.rows(
            "SELECT c.idx, c.pause_ms AS after_ms, u.take, coalesce(u.pause_ms, 0) AS inner_ms,"
            " u.idx IS NULL OR u.idx=(SELECT max(idx) FROM utterances WHERE job=c.job AND chunk=c.idx) AS last"
            " FROM chunks c INDEXED BY chunks_by_chapter"
            " LEFT JOIN utterances u INDEXED BY utterances_by_chunk ON u.job=c.job AND u.chunk=c.idx"
            " WHERE c.job=? AND c.chapter=? ORDER BY c.idx, u.idx",
            job_id,
            chapter,
        )
        for row in rows:
            yield ChunkPiece(row["idx"], row["take"] or "", row["inner_ms"] + (row["after_ms"] if row["last"] else 0))


def delete_plan(db: sqlite3.Connection, job_id: str) -> None:
    """Take a job's plan out of its tables, inside a transaction."""
    for table in ("utterances", "chunks", "chapters"):
        db.execute(f"DELETE FROM {table} WHERE job=?", (job_id,))  # noqa: S608 - names of our own tables


@cache
def _codec() -> TypeAdapter[ChunkRecord]:
    return TypeAdapter(ChunkRecord)


def _chunk_values(job_id: str, chunk: Chunk) -> dict[str, Any]:
    values = {name: getattr(chunk, name) for name in _CHUNK_FIELDS}
    return values | {
        "job": job_id,
        "idx": chunk.index,
        "style": json.dumps(asdict(chunk.style)),
        "record": json.dumps(chunk.record) if chunk.record is not None else None,
    }


def _chunk_record(row: sqlite3.Row, utterances: Sequence[sqlite3.Row]) -> ChunkRecord:
    spoken = [{**one, "words": words_of(one["words"])} for one in utterances]
    nested = {"style": json.loads(row["style"]), "record": json.loads(row["record"] or "null"), "segments": spoken}
    takes = [one for one in spoken if one["text"]]
    return _codec().validate_python({"chunk": {**row, "index": row["idx"], **nested}, "takes": takes})
