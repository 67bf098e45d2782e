"""Takes: which are stored, which utterance of which job has which, and which were turned down.

A take's file is durable before the row that names it; a row whose file is gone is rendered again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from speedd.ledger.database import Database, into
from speedd.model import Rendered, Style, Word

_FACTS = tuple(field.name for field in fields(Rendered) if field.name not in {"finite", "worker", "asked"})
"""Those facts of a take that are columns; the others are of one rendering, or the same for all that are stored."""
_INTO_TAKES = into("takes", (*_FACTS, "job", "created_at"))


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
class Progress:
    """How far a job's utterances are."""

    done: int
    total: int
    done_chars: int
    total_chars: int


class Takes:
    """The takes, shared by all jobs, and how far each job is with its own."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now

    def begin(self, job_id: str, fingerprint: str) -> None:
        """Start or go on with a job's takes; where what shapes the audio has changed, none of the old ones is kept."""
        with self._database.transaction() as db:
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
            rows = self._database.rows(
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

    def progress(self, job_id: str) -> Progress:
        """Count what is done and what there is to do."""
        row = self._database.rows(
            "SELECT count(take) AS done, count(*) AS total, coalesce(sum(length(text)), 0) AS total_chars,"
            " coalesce(sum(CASE WHEN take IS NULL THEN 0 ELSE length(text) END), 0) AS done_chars"
            " FROM utterances WHERE job=? AND text!=''",
            job_id,
        )[0]
        return Progress(row["done"], row["total"], row["done_chars"], row["total_chars"])

    def stored(self, key: str) -> Rendered | None:
        """Return the facts of a stored take."""
        rows = self._database.rows("SELECT * FROM takes WHERE key=?", key)
        return _rendered(rows[0]) if rows else None

    def fault_of(self, key: str) -> str | None:
        """Return why a take with this key was turned down before; empty if it was kept, None if there is none."""
        rows = self._database.rows("SELECT fault FROM takes WHERE key=?", key)
        return rows[0]["fault"] if rows else None

    def record(self, job_id: str, run: str, takes: Iterable[tuple[int, Rendered, int, str]]) -> None:
        """Record a batch of takes in one commit.

        Args:
            job_id: the job.
            run: names the run of the job that had them rendered.
            takes: for each the id of its utterance, its facts, the attempt, and why it is turned down (empty: kept).
        """
        with self._database.transaction() as db:
            for utterance, rendered, attempt, fault in takes:
                values = _values(rendered, fault=fault, job=job_id, created_at=self._now())
                db.execute(f"REPLACE {_INTO_TAKES}", values)
                if not fault:
                    take = rendered.key if rendered.samples else ""
                    db.execute(
                        "UPDATE utterances SET take=?, attempt=?, rendered_in=? WHERE job=? AND idx=?",
                        (take, attempt, run, job_id, utterance),
                    )
            db.execute("UPDATE jobs SET in_flight=NULL, crashes=0, poison_chunk=NULL WHERE id=?", (job_id,))

    def adopt(self, job_id: str, takes: Iterable[tuple[int, str, int]]) -> None:
        """Give utterances takes that exist already: for each its id, the key and the attempt that made it."""
        with self._database.transaction() as db:
            db.executemany(
                "UPDATE utterances SET take=?2, attempt=?3, rendered_in='' WHERE job=?4 AND idx=?1",
                ((utterance, key, attempt, job_id) for utterance, key, attempt in takes),
            )

    def add(self, takes: Iterable[Rendered]) -> None:
        """Enter takes found on disk, as when a damaged ledger is rebuilt."""
        now = self._now()
        with self._database.transaction() as db:
            values = (_values(take, fault="", job="", created_at=now) for take in takes)
            db.executemany(f"INSERT OR IGNORE {_INTO_TAKES}", values)

    def forget(self, keys: Iterable[str]) -> None:
        """Strike takes whose files are gone or damaged: they will be rendered again."""
        with self._database.transaction() as db:
            for key in keys:
                db.execute("DELETE FROM takes WHERE key=?", (key,))
                db.execute("UPDATE utterances SET take=NULL WHERE take=?", (key,))

    def forget_faults(self) -> None:
        """Strike all takes that were turned down, so that they are tried again."""
        with self._database.transaction() as db:
            db.execute("DELETE FROM takes WHERE fault!=''")

    def used_by(self, job_id: str) -> Iterator[str]:
        """Yield the keys of the takes that a job uses."""
        query = "SELECT take FROM utterances WHERE job=? AND take IS NOT NULL AND take!=''"
        for row in self._database.rows(query, job_id):
            yield row["take"]

    def idle(self) -> list[tuple[str, int, float]]:
        """Return the takes that no unfinished job may want: key, size in bytes and when they were last used.

        The longest unused come first. A take that was turned down, or one that an edit left without a user,
        counts from when it was made.
        """
        rows = self._database.rows(
            "SELECT t.key, t.size_bytes, max(t.created_at, coalesce(max(j.ended_at), 0)) AS used_at FROM takes t"
            " LEFT JOIN utterances u ON u.take=t.key LEFT JOIN jobs j ON j.id=u.job"
            " WHERE t.job NOT IN (SELECT id FROM jobs WHERE ended_at IS NULL)"
            " GROUP BY t.key HAVING sum(j.id IS NOT NULL AND j.ended_at IS NULL)=0 ORDER BY used_at"
        )
        return [(row["key"], row["size_bytes"], row["used_at"]) for row in rows]

    def count_fallbacks(self, job_id: str) -> dict[str, int]:
        """Count the takes a job uses that were made with other numerics than the engine's own, by what differs."""
        rows = self._database.rows(
            "SELECT t.fallback, count(*) AS takes FROM utterances u JOIN takes t ON t.key=u.take"
            " WHERE u.job=? AND t.fallback!='' GROUP BY t.fallback ORDER BY t.fallback",
            job_id,
        )
        return {row["fallback"]: row["takes"] for row in rows}

    def count_rendered(self, job_id: str, run: str) -> tuple[int, int]:
        """Count the chunks that have a take of this run, and those whose takes were all there before."""
        rows = self._database.rows(
            "SELECT max(rendered_in=?) AS fresh FROM utterances WHERE job=? AND take IS NOT NULL AND take!=''"
            " GROUP BY chunk",
            run,
            job_id,
        )
        fresh = sum(row["fresh"] for row in rows)
        return fresh, len(rows) - fresh


def _values(rendered: Rendered, **more: Any) -> dict[str, Any]:
    return {name: getattr(rendered, name) for name in _FACTS} | {"words": _words_text(rendered.words)} | more


def _rendered(row: sqlite3.Row) -> Rendered:
    facts: dict[str, Any] = {name: row[name] for name in _FACTS} | {"words": words_of(row["words"])}
    return Rendered(**facts, finite=True, worker=-1)


def words_of(text: str | None) -> tuple[Word, ...]:
    """Read what the ledger holds of a take's words: ``[[text, start, end], …]``, in milliseconds."""
    return tuple(Word(word, start / 1000, end / 1000) for word, start, end in json.loads(text or "[]"))


def _words_text(words: Iterable[Word]) -> str | None:
    rows = [[word.text, round(word.start_s * 1000), round(word.end_s * 1000)] for word in words]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":")) if rows else None
