"""The file below the ledger: brought up to date step by step, and one that cannot be used says why."""

import json
import math
import os
import sqlite3
import threading
from pathlib import Path

import pytest
from ledger_rows import chunk, job, planned, take

from speedd.errors import LedgerError, TryAgainError
from speedd.ledger import ChunkTake, Ledger, State, migrations
from speedd.model import Boundary, Chunk, Job, Part, Rendered, Role, Segment, Style


def test_a_ledger_of_a_newer_speedd_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "ledger.sqlite"
    Ledger(path).close()
    newer = len(migrations.MIGRATIONS) + 1
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version={newer}")
    db.close()
    with pytest.raises(LedgerError, match=f"newer speedd .schema {newer}") as caught:
        Ledger(path)
    assert "Install that version" in caught.value.hint
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA user_version").fetchone()[0] == newer
    db.close()


def test_an_older_ledger_is_brought_up_to_date_step_by_step_and_keeps_its_jobs(tmp_path, monkeypatch):
    path = tmp_path / "ledger.sqlite"
    before = Ledger(path)
    before.jobs.add(job())
    before.close()

    def m2_notes(db):
        """A table more."""
        db.execute("CREATE TABLE notes (text TEXT)")

    monkeypatch.setattr("speedd.ledger.database.MIGRATIONS", (*migrations.MIGRATIONS, m2_notes))
    after = Ledger(path)
    assert after.jobs.get("0" * 12).job == job()
    assert after._database.rows("PRAGMA user_version")[0][0] == len(migrations.MIGRATIONS) + 1
    after.close()
    Ledger(path).close()  # the step is not taken twice


def test_the_jobs_and_chunks_of_the_oldest_ledger_are_brought_along(tmp_path, monkeypatch):
    path = tmp_path / "ledger.sqlite"
    monkeypatch.setattr("speedd.ledger.database.MIGRATIONS", migrations.MIGRATIONS[:2])
    before = Ledger(path)
    parts = [["book", b"B\xfcch.txt".hex(), "/state/spool/book.txt", "1" * 64, 12]]
    with before._database.transaction() as db:
        db.execute(
            "INSERT INTO jobs (id, digest, edition, name, source, spool, parts, state, reason, created_at, barren)"
            " VALUES ('a', 'ab', 1, X'42FC', X'2F42FC', '/state/spool', ?, 'published', '', 1.5, 2)",
            (json.dumps(parts),),
        )
        db.execute(
            "INSERT INTO chunks VALUES ('a', 0, 1, '“Late.”', 'period', 500, 0.1, -0.2, ?, ?, '[[0, 7]]')",
            ('{"speed": 1.5}', '{"mine": [1]}'),
        )
        db.execute("INSERT INTO utterances VALUES ('a', 0, 0, 'Late.', 20, 0, 1, 'key')")
        db.execute("INSERT INTO takes VALUES ('key', 9, 24000, -1, -9e999, 0.25, 'end', 99, '', 'a', 2.5)")
    before.close()
    monkeypatch.undo()
    after = Ledger(path)
    record = after.jobs.get("a")
    part = Part(Role.BOOK, os.fsdecode(b"B\xfcch.txt"), Path("/state/spool/book.txt"), "1" * 64, 12)
    source = Path(os.fsdecode(b"/B\xfc"))
    assert record.job == Job("a", "ab", os.fsdecode(b"B\xfc"), source, Path("/state/spool"), (part,))
    assert (record.state, record.runs, record.summary, record.cancelling) == (State.PUBLISHED, 0, None, False)
    (row,) = after.plans.chunks("a")
    said = (Segment("Late.", 20),)
    style = Style(speed=1.5)
    assert row.chunk == Chunk(0, 1, "“Late.”", said, Boundary.PERIOD, 500, 0.1, -0.2, style, {"mine": [1]})
    assert row.takes == (ChunkTake("key", "Late.", 0, 1, 0.25, "end", ""),)
    assert after.takes.stored("key") == Rendered("key", 9, 24_000, -1.0, -math.inf, True, 0.25, "end", 99, -1)
    after.close()


def test_a_step_that_fails_leaves_the_ledger_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "ledger.sqlite"
    Ledger(path).close()

    def m2_half(db):
        """Fails in its middle."""
        db.execute("CREATE TABLE half (text TEXT)")
        raise RuntimeError

    monkeypatch.setattr("speedd.ledger.database.MIGRATIONS", (*migrations.MIGRATIONS, m2_half))
    with pytest.raises(RuntimeError):
        Ledger(path)
    monkeypatch.undo()
    again = Ledger(path)
    assert again._database.rows("SELECT count(*) FROM sqlite_master WHERE name='half'")[0][0] == 0
    again.close()


def test_two_processes_may_make_the_ledger_at_once(tmp_path):
    faults = []

    def open_it():
        try:
            Ledger(tmp_path / "ledger.sqlite").close()
        except Exception as error:  # noqa: BLE001 - told to the test
            faults.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_a_file_that_is_no_ledger_is_refused(tmp_path):
    (tmp_path / "ledger.sqlite").write_text("These are my notes. " * 100)
    with pytest.raises(LedgerError, match="file is not a database") as caught:
        Ledger(tmp_path / "ledger.sqlite")
    assert "damaged" in caught.value.hint


def test_a_place_that_cannot_be_written_may_be_tried_again(tmp_path):
    with pytest.raises(TryAgainError, match="cannot be used now"):
        Ledger(tmp_path / "missing" / "ledger.sqlite")


def test_a_full_disk_passes_and_nothing_of_a_commit_stays_behind(ledger):
    planned(ledger, chunk(0, "It was late."))
    pages = ledger._database.rows("PRAGMA page_count")[0][0]
    ledger._database._db.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(TryAgainError, match="cannot be written now: database or disk is full"):
        ledger.takes.record("0" * 12, "run", [(0, take(f"{n:064}"), 0, "") for n in range(1000)])
    assert ledger.takes.progress("0" * 12).done == 0
    assert ledger.takes.stored(f"{0:064}") is None
    ledger._database._db.execute("PRAGMA max_page_count=1000000")
    ledger.takes.record("0" * 12, "run", [(0, take("a"), 0, "")])
    assert ledger.takes.progress("0" * 12).done == 1


def test_a_fault_of_ours_is_no_full_disk(ledger):
    with pytest.raises(sqlite3.IntegrityError):
        [ledger.jobs.add(job()) for _ in range(2)]
    assert len(ledger.jobs.all()) == 1
