"""The executor: utterances go in, facts about stored takes come out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from speedd.engines.base import EngineInfo
    from speedd.model import Failed, Rendered, Utterance


class WorkerState(StrEnum):
    """What a worker is doing."""

    STOPPED = "stopped"  # not started yet, or ended after a time without work
    WAITING = "waiting"  # died, and will be started again after a pause
    LOADING = "loading"
    IDLE = "idle"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One engine worker, seen from outside."""

    index: int
    pid: int | None
    state: WorkerState
    rss_bytes: int
    """Resident memory as the worker last reported it. 0 if it is not running."""
    restarts: int
    """How often it died."""
    in_flight: int
    """Utterances sent to it that are not spoken and stored yet."""
    uncommitted: int
    """Utterances sent to it that the caller of `run` has not committed yet, those in flight included."""
    overdue: bool
    """Whether it is past its deadline and has not been replaced."""
    card: str = ""
    """Its graphics card, as ``CUDA_VISIBLE_DEVICES`` names it. Empty where the engine decides."""
    rows: int = 0
    """Utterances in its engine."""
    rows_cap: int = 0
    """How many could be, by its memory and by what went wrong so far. 0 if it is not running."""
    free_bytes: int = 0
    """Free memory of its device, other programs counted, as the engine last read it."""
    used_bytes: int = 0
    """What it has taken of that memory. On a CPU its resident memory."""
    held_bytes: int = 0
    """What its rows hold, where the engine tells."""
    tokens_per_s: float = 0.0
    """What its engine decodes, where it counts tokens."""
    fallbacks: tuple[str, ...] = ()
    """What it does without because its device is short of memory."""
    note: str = ""
    """In words, why it is not speaking."""


@dataclass(frozen=True, slots=True)
class ExecutorStatus:
    """An executor at one moment."""

    workers: tuple[WorkerStatus, ...]
    runs: int
    """Calls of `run` that are open."""
    waiting: int
    """Utterances pulled from callers and not sent to a worker yet."""
    in_flight: int
    rendered: int
    """Takes stored since the start."""
    failed: int
    broken: bool = False
    """Whether its supervisor has failed. It takes no more work, and another executor has to take its place."""

    @property
    def healthy(self) -> bool:
        """False if a worker is stuck and was not replaced, or the supervisor has failed."""
        return not (self.broken or any(worker.overdue for worker in self.workers))


class Executor(Protocol):
    """Renders utterances. Several threads may call `run` at once."""

    @property
    def info(self) -> EngineInfo:
        """The engine that speaks."""

    def warm(self) -> None:
        """Say that work will come soon, so that it finds the engine loaded. Returns at once."""

    def run(self, utterances: Iterable[Utterance]) -> Iterator[list[Rendered | Failed]]:
        """Render utterances in any order, one result for each, and yield results as they arrive.

        While nothing arrives it yields an empty batch now and then, so that the caller can check other things.

        The iterable is pulled lazily, in the caller's thread. **Asking for the next batch says that the one before is
        committed**. Only then does the executor take on more, which bounds what a crash can cost. Closing the iterator
        drops what is left of this run.

        Raises:
            EngineError: if no worker can load the engine, or all keep dying without speaking anything.
            TryAgainError: if a take cannot be stored (disk full, read-only, gone), or the executor is closed. Nothing
                that was stored is lost.
        """

    def status(self) -> ExecutorStatus:
        """Describe it at this moment. Cheap, from any thread."""

    def close(self) -> None:
        """Stop at once. What is being spoken is lost, what is stored stays. Open runs end with a TryAgainError."""
