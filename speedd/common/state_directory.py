"""Where everything lies that speedd keeps for itself. No other module spells these names."""

from __future__ import annotations

from pathlib import Path
from typing import Final


class StateDirectory:
    """The paths in a state directory.

    Args:
        root: ``paths.state`` of the configuration.
    """

    def __init__(self, root: Path) -> None:
        self.root: Final = root
        self.lock: Final = root / "lock"
        """Locked by the one process that works here."""
        self.status: Final = root / "status.json"
        """What the running daemon tells ``speedd status``."""
        self.ledger: Final = root / "ledger.sqlite"
        """The ledger. SQLite keeps ``-wal`` and ``-shm`` files beside it."""
        self.rebuilding_ledger: Final = root / "ledger.rebuilding.sqlite"
        """A ledger that is being rebuilt from the files."""
        self.takes: Final = root / "takes"
        """The takes. `speedd.execution.takes` names the files in it."""
        self.spool: Final = root / "spool"
        """A `JobFolder` for each job, by its id."""
        self.engines: Final = root / "engines"
        """A folder for each engine, where the configuration names no other place."""
        self.narrate: Final = root / "narrate"
        """The state directory of ``speedd narrate``."""

    def damaged_ledger(self, when: str) -> Path:
        """Return where a damaged ledger is put aside."""
        return self.root / f"ledger.damaged-{when}.sqlite"


class JobFolder:
    """The paths in the private copy of a job's source. The parts lie beside them: `Job.parts` has their paths.

    Args:
        root: `Job.spool`.
    """

    def __init__(self, root: Path) -> None:
        self.root: Final = root
        self.manifest: Final = root / "job.json"
        """From it the job can be rebuilt without the ledger."""
        self.prepared: Final = root / "prepared"
        """What the child leaves that reads and plans."""
        self.summary: Final = self.prepared / "summary.json"
        self.chunks: Final = self.prepared / "chunks.jsonl"
        """Removed once the ledger has the chunks."""
        self.fault: Final = self.prepared / "fault.json"
        self.cover: Final = self.prepared / "cover.jpg"
