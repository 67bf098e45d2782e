"""The ledger of one state directory."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from speedd.ledger.database import Database
from speedd.ledger.jobs import Jobs
from speedd.ledger.plans import Plans
from speedd.ledger.sources import Sources
from speedd.ledger.takes import Takes


class Ledger:
    """Everything that is recorded, by subject.

    Args:
        path: the SQLite file; it is made if it is not there.
        now: wall clock, in seconds since the epoch.

    Raises:
        LedgerError: if the file is damaged or was written by a newer speedd.
        TryAgainError: if the disk is full or fails.
    """

    def __init__(self, path: Path, *, now: Callable[[], float] = time.time) -> None:
        self._database = Database(path)
        self.sources = Sources(self._database)
        self.jobs = Jobs(self._database, now)
        self.plans = Plans(self._database)
        self.takes = Takes(self._database, now)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def check(self) -> None:
        """See that the file is sound.

        Raises:
            DamagedLedgerError: naming the first fault.
        """
        self._database.check()
