"""What lies in the inbox and is known already, by place and look."""

from __future__ import annotations

import os
from pathlib import Path

from speedd.ledger.database import Database


class Sources:
    """The sources that were accepted or have met their end, and whose job each is."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def knows(self, source: Path, signature: str) -> bool:
        """Whether this source, looking like this, has been accepted or has met its end already."""
        found = self._database.rows(
            "SELECT 1 FROM sources WHERE path=? AND signature=?", os.fsencode(source), signature
        )
        return bool(found)

    def remember(self, source: Path, signature: str, job_id: str) -> None:
        """Note that this source, looking like this, belongs to a job."""
        with self._database.transaction() as db:
            values = (os.fsencode(source), signature, job_id)
            db.execute("REPLACE INTO sources (path, signature, job) VALUES (?, ?, ?)", values)

    def forget(self, source: Path) -> None:
        """Take a source that comes back as new."""
        with self._database.transaction() as db:
            db.execute("DELETE FROM sources WHERE path=?", (os.fsencode(source),))

    def all(self) -> list[tuple[Path, str]]:
        """Return the sources that are remembered, each with its job's id."""
        return [(Path(os.fsdecode(row["path"])), row["job"]) for row in self._database.rows("SELECT * FROM sources")]
