"""One book at work: what its steps share, what may interrupt them, and what others see of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from speedd.errors import SpeeddError, TryAgainError
from speedd.ledger import JobRecord


class Interrupted(TryAgainError):  # noqa: N818 - no fault, like KeyboardInterrupt
    """The program is stopping. The book goes on at the next start."""


class TurnOver(Interrupted):
    """The book had its turn while others waited. It goes on after them."""


class Cancelled(SpeeddError):  # noqa: N818
    """Somebody cancelled this book, or a newer one of its kind took its place."""


class Control(Protocol):
    """What may interrupt a book."""

    def check(self) -> None:
        """Return if the book may go on.

        Raises:
            Interrupted: if the program is stopping.
            TurnOver: if it has to let others go first.
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
    """How far a book at work is."""

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
    """Seconds of work until the book is mastered, without the time in which its engine makes room for others."""
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
    """Takes that mastering found damaged. They were rendered again."""
    warnings: list[str] = field(default_factory=list)

    @property
    def job_id(self) -> str:
        """The job's id."""
        return self.record.job.id
