"""The schema of the ledger, as an ordered list of named steps.

A ledger's ``user_version`` says how many of them it has seen. A step that was released is never changed: a new one is
added.
"""

import json
import os
import sqlite3
from collections.abc import Callable


def m1_initial(db: sqlite3.Connection) -> None:
    """Jobs and where they came from; their chapters, chunks and utterances; takes, shared by all jobs."""
    for statement in _INITIAL.split(";"):
        db.execute(statement)


_INITIAL = """
CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    edition INTEGER NOT NULL,
    name BLOB NOT NULL,         -- bytes, as the file system has it
    source BLOB NOT NULL,       -- likewise
    spool TEXT NOT NULL,
    parts TEXT NOT NULL,        -- JSON
    runs INTEGER NOT NULL DEFAULT 0,        -- how often it was taken up
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    created_at REAL NOT NULL,   -- seconds since the epoch, as all times
    started_at REAL,
    ended_at REAL,
    published TEXT,             -- the folder in the outbox
    head TEXT,                  -- JSON: what reading and planning found, NULL until the plan is whole
    fingerprint TEXT NOT NULL DEFAULT '',   -- what shapes the audio of its takes
    audio_s REAL,               -- length of the audiobook
    realtime_factor REAL,       -- seconds of audio per second of work, where all of it was rendered in one go
    cancelling INTEGER NOT NULL DEFAULT 0,
    in_flight INTEGER,          -- the first chunk sent to the engine since a take landed
    barren_chunk INTEGER,       -- the chunk that was in flight at the last crash
    barren INTEGER NOT NULL DEFAULT 0       -- crashes in a row with that chunk in flight and no take landing
);
CREATE INDEX jobs_by_digest ON jobs (digest, edition);
CREATE INDEX jobs_by_source ON jobs (source);
CREATE TABLE sources (
    path BLOB PRIMARY KEY,
    signature TEXT NOT NULL,    -- what it looked like when it was accepted
    job TEXT NOT NULL
);
CREATE TABLE chapters (
    job TEXT NOT NULL,
    idx INTEGER NOT NULL,
    title TEXT NOT NULL,
    PRIMARY KEY (job, idx)
) WITHOUT ROWID;
CREATE TABLE chunks (
    job TEXT NOT NULL,
    idx INTEGER NOT NULL,
    chapter INTEGER NOT NULL,
    text TEXT NOT NULL,
    boundary TEXT NOT NULL,
    pause_ms INTEGER NOT NULL,
    sentiment_raw REAL NOT NULL,
    sentiment_compound REAL NOT NULL,
    style TEXT NOT NULL,        -- JSON
    record TEXT,                -- JSON, as it came in a chunk JSON
    PRIMARY KEY (job, idx)
) WITHOUT ROWID;
CREATE INDEX chunks_by_chapter ON chunks (job, chapter, idx);
CREATE TABLE utterances (
    job TEXT NOT NULL,
    idx INTEGER NOT NULL,
    chunk INTEGER NOT NULL,
    text TEXT NOT NULL,         -- the spoken form, empty for silence alone
    pause_ms INTEGER NOT NULL,
    occurrence INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    take TEXT,                  -- key of the take that is kept
    PRIMARY KEY (job, idx)
) WITHOUT ROWID;
CREATE INDEX utterances_by_chunk ON utterances (job, chunk, idx);
CREATE INDEX utterances_by_take ON utterances (take);
CREATE TABLE takes (
    key TEXT PRIMARY KEY,
    samples INTEGER NOT NULL,
    sample_rate_hz INTEGER NOT NULL,
    peak_dbfs REAL NOT NULL,
    rms_dbfs REAL NOT NULL,
    render_s REAL NOT NULL,
    stop_reason TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    fault TEXT NOT NULL,        -- why it was turned down, empty: kept
    job TEXT NOT NULL,          -- which job had it rendered
    created_at REAL NOT NULL
) WITHOUT ROWID
"""


def m2_dialogue(db: sqlite3.Connection) -> None:
    """The direct speech in a chunk's text, as JSON; NULL for none, and for what was planned before."""
    db.execute("ALTER TABLE chunks ADD COLUMN dialogue TEXT")


def m3_fallbacks(db: sqlite3.Connection) -> None:
    """What a take's numerics differ in where the device was short of memory."""
    db.execute("ALTER TABLE takes ADD COLUMN fallback TEXT NOT NULL DEFAULT ''")


def m4_words(db: sqlite3.Connection) -> None:
    """When a take's words are spoken, as JSON; NULL where the engine does not tell, and for what was made before."""
    db.execute("ALTER TABLE takes ADD COLUMN words TEXT")


def m5_runs(db: sqlite3.Connection) -> None:
    """Which run of its job had an utterance's take rendered; empty if the take was there already."""
    db.execute("ALTER TABLE utterances ADD COLUMN rendered_in TEXT NOT NULL DEFAULT ''")


def m6_names(db: sqlite3.Connection) -> None:
    """Columns are called what the code calls them."""
    for old, new in (("head", "summary"), ("barren", "crashes"), ("barren_chunk", "poison_chunk")):
        db.execute(f"ALTER TABLE jobs RENAME COLUMN {old} TO {new}")


def m7_no_dialogue(db: sqlite3.Connection) -> None:
    """The direct speech in a chunk follows from its text."""
    db.execute("ALTER TABLE chunks DROP COLUMN dialogue")


def m8_named_parts(db: sqlite3.Connection) -> None:
    """A job's parts are objects with the fields of `Part`, where they were arrays with the name's bytes in hex."""
    for job, parts in db.execute("SELECT id, parts FROM jobs").fetchall():
        named = [
            {"role": role, "name": os.fsdecode(bytes.fromhex(name)), "path": path, "digest": digest, "size_bytes": size}
            for role, name, path, digest, size in json.loads(parts)
        ]
        db.execute("UPDATE jobs SET parts=? WHERE id=?", (json.dumps(named), job))


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    m1_initial,
    m2_dialogue,
    m3_fallbacks,
    m4_words,
    m5_runs,
    m6_names,
    m7_no_dialogue,
    m8_named_parts,
)
"""Applied in order."""
