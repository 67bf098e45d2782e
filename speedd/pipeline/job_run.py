"""One book at work: what its steps share, what may interrupt them, and what an onlooker sees."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from speedd.errors import SpeeddError, TryAgainError
from speedd.ledger import JobRecord
from speedd.model import Job


class Interrupted(TryAgainError):  # noqa: N818 - no fault, like KeyboardInterrupt
    """The program is stopping; the book goes on at the next start."""


class TurnOver(Interrupted):
    """The book was spoken for long enough while others waited; it goes on after them."""


class Cancelled(SpeeddError):  # noqa: N818
    """Somebody cancelled this book, or a newer one of its kind took its place."""


class Control(Protocol):
    """What may interrupt a book."""

    def check(self) -> None:
        """Return if the book may go on.

        Raises:
            Interrupted: if the program is stopping.
            TurnOver: if others come first now.
            Cancelled: if this book was cancelled.
        """


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a book will take, guessed before it starts."""

    audio_s: float
    work_s: float
    disk_bytes: int
    """At the worst moment: takes, scratch and the staged audiobook."""


@dataclass(slots=True)
class BookProgress:
    """What an onlooker sees of a book at work."""

    job: str
    name: str
    title: str = ""
    stage: str = "reading"
    """``reading``, ``narrating``, ``mastering`` or ``publishing``."""
    share: float = 0.0
    """How much of the stage is done, 0 to 1."""
    done: int = 0
    """Utterances that have a take."""
    total: int = 0
    eta_s: float | None = None
    """Seconds of work until the book is mastered; time in which its engine makes room for others is not in it."""
    realtime_factor: float | None = None
    estimate: Estimate | None = None


@dataclass(slots=True)
class Timings:
    """Seconds per stage, in this run of the job."""

    read: float = 0.0
    plan: float = 0.0
    narrate: float = 0.0
    master: float = 0.0
    publish: float = 0.0

    @property
    def total(self) -> float:
        """All stages together."""
        return self.read + self.plan + self.narrate + self.master + self.publish


@dataclass(slots=True)
class JobRun:
    """One book at work."""

    record: JobRecord
    control: Control
    progress: BookProgress
    started_at: float
    """Seconds since the epoch."""
    run_id: str
    """Names this run of the job."""
    timings: Timings = field(default_factory=Timings)
    rendered: int = 0
    """Takes made in this run."""
    reused: int = 0
    """Takes that were there already."""
    repairs: int = 0
    """Takes that turned out damaged when they were mastered, and were rendered again."""
    warnings: list[str] = field(default_factory=list)

    @property
    def job_id(self) -> str:
        """The job's id."""
        return self.record.job.id


def cover_path(job: Job) -> Path:
    """Where reading leaves the cover of a book that has one."""
    return job.spool / "prepared" / "cover.jpg"


def takes_folder(state: Path) -> Path:
    """Where a state directory keeps its takes."""
    return state / "takes"
