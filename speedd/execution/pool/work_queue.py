"""The work queue: the open runs, their waiting tasks, and the credits that bound what a crash can cost.

It is shared by the callers' threads and the supervisor's. Every method expects the lock to be held.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from speedd.execution.base import WorkerState, WorkerStatus
from speedd.execution.pool.restarts import Restarts
from speedd.execution.pool.yield_policy import YieldLevel

if TYPE_CHECKING:
    from speedd.errors import SpeeddError
    from speedd.execution.pool.process import WorkerProcess
    from speedd.execution.protocol import Gauge
    from speedd.model import Failed, Rendered, Utterance


@dataclass(slots=True, eq=False)
class Task:
    """An utterance to be spoken."""

    utterance: Utterance
    run: Run
    slot: WorkerSlot | None = None
    """The slot whose credit it holds."""
    died_on: list[WorkerSlot] = field(default_factory=list)
    """The slots whose workers died while their engine had it, once for each death."""
    started_s: float | None = None
    """Monotonic time at which an engine took it."""


@dataclass(slots=True, eq=False)
class Run:
    """One call of `WorkerPool.run`."""

    changed: threading.Condition
    waiting: deque[Task] = field(default_factory=deque)
    ready: list[tuple[Rendered | Failed, Task]] = field(default_factory=list)
    unanswered: int = 0
    """Pulled from the caller and not in `ready` yet."""
    held: int = 0
    """Sent to workers and not committed."""
    served: int = 0
    """The count of assignments at its last one. The run that waited longest goes first."""
    error: SpeeddError | None = None
    closed: bool = False


@dataclass(slots=True, eq=False)
class WorkerSlot:
    """A slot for a worker. It outlives its worker processes, whose takes may still have to be committed."""

    index: int
    card: str = ""
    """The graphics card of its workers. Empty where the engine decides."""
    child: WorkerProcess | None = None
    state: WorkerState = WorkerState.STOPPED
    outstanding: list[Task] = field(default_factory=list)
    """Sent and not answered."""
    uncommitted: int = 0
    """Sent and not committed by the caller of `run`."""
    gauge: Gauge | None = None
    gauged_s: float = 0.0
    """Monotonic time of `gauge`."""
    tokens_per_s: float = 0.0
    rss_bytes: int = 0
    restarts: Restarts = field(default_factory=Restarts)
    since_s: float = 0.0
    """Monotonic time of the last step: started, ready, an answer, work sent to an idle worker, or that it ends."""
    start_at_s: float = 0.0
    """When it may be filled again."""
    fault: str = ""
    """Why its worker is about to end or has ended, where that is known. Empty once it is started again."""
    no_room: str = ""
    """Why there was no memory on its device. Empty once it is started again."""
    yield_level: YieldLevel = YieldLevel.WORK
    yield_reason: str = ""
    """Why it makes room for others. Empty if it does not."""
    leaving: bool = False
    """Whether its worker was told to end, so that others have its memory."""
    warming: str = ""
    """The voice for which its engine gets ready. Empty if it is ready."""

    @property
    def is_up(self) -> bool:
        """Whether it has a worker that speaks or soon will."""
        return self.child is not None and not (self.fault or self.leaving) and self.yield_level < YieldLevel.PAUSE

    def empty(self, state: WorkerState) -> None:
        """Note that its worker is gone."""
        self.child = self.gauge = None
        self.leaving = False
        self.warming = ""
        self.tokens_per_s = 0.0
        self.state = state

    def describe(self, overdue: bool) -> WorkerStatus:
        """Describe its worker."""
        gauge = self.gauge
        return WorkerStatus(
            index=self.index,
            card=self.card,
            pid=self.child.pid if self.child else None,
            state=self.state,
            rss_bytes=self.rss_bytes if self.child else 0,
            restarts=self.restarts.total,
            in_flight=len(self.outstanding),
            uncommitted=self.uncommitted,
            overdue=overdue,
            rows=gauge.rows if gauge else 0,
            rows_cap=gauge.rows_cap if gauge else 0,
            free_bytes=gauge.budget.free_bytes if gauge else 0,
            used_bytes=(gauge.budget.used_bytes or self.rss_bytes) if gauge else 0,
            held_bytes=(gauge.budget.held_bytes or 0) if gauge else 0,
            tokens_per_s=round(self.tokens_per_s, 1),
            fallbacks=gauge.fallbacks if gauge else (),
            note=self._note(),
        )

    def _note(self) -> str:
        if self.state is WorkerState.LOADING:
            return "loading the engine"
        if self.warming:
            return f"getting ready for the voice {self.warming}"
        if self.yield_reason or self.state is not WorkerState.WAITING:
            return self.yield_reason
        how = "left alone for a while" if self.restarts.gave_up else "to be started again when there is work"
        return self.no_room or (f"{how}: {self.fault}" if self.fault else "")

    def find(self, key: str) -> Task:
        """Find an utterance that the worker has. Two of one key sound the same, so either will do."""
        return next(task for task in self.outstanding if task.utterance.key == key)


class WorkQueue:
    """The open runs of a pool."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.runs: list[Run] = []
        self.suspects: deque[Task] = deque()
        """Tasks in an engine when its worker died. They go first and alone, until the cause is known."""
        self._assigned = 0

    def open(self) -> Run:
        """Add a run."""
        run = Run(threading.Condition(self.lock))
        self.runs.append(run)
        return run

    def close(self, run: Run) -> None:
        """Drop what is left of a run. Results of what workers still speak are dropped later."""
        run.closed = True
        run.waiting.clear()
        self.suspects = deque(task for task in self.suspects if task.run is not run)
        for _, task in run.ready:
            self.release(task)
        run.ready.clear()
        self.runs.remove(run)

    @property
    def waiting(self) -> int:
        """Utterances that no worker has."""
        return len(self.suspects) + sum(len(run.waiting) for run in self.runs if run.error is None)

    def add(self, run: Run, utterance: Utterance) -> None:
        """Queue an utterance."""
        run.waiting.append(Task(utterance, run))
        run.unanswered += 1

    def next_task(self) -> Task | None:
        """Take the next task of the run with the fewest uncommitted tasks, or of these the one served longest ago."""
        runs = [run for run in self.runs if run.waiting and run.error is None]
        return min(runs, key=lambda run: (run.held, run.served)).waiting.popleft() if runs else None

    def assign(self, task: Task, slot: WorkerSlot) -> None:
        """Give a task to a worker, on the worker's credit."""
        self._assigned += 1
        task.run.served = self._assigned
        task.run.held += 1
        task.slot = slot
        task.started_s = None
        slot.uncommitted += 1
        slot.outstanding.append(task)

    def answer(self, task: Task, result: Rendered | Failed) -> None:
        """Hand a result to its run. Its credit comes back when the caller has committed it."""
        task.run.unanswered -= 1
        if task.run.closed:
            self.release(task)
        else:
            task.run.ready.append((result, task))
            task.run.changed.notify()

    def release(self, task: Task) -> None:
        """Give the worker's credit back, so that it can take another utterance."""
        if task.slot is not None:
            task.slot.uncommitted -= 1
            task.slot = None
            task.run.held -= 1

    def put_back(self, task: Task) -> bool:
        """Take a task from a dead worker. Return whether its run still wants it."""
        self.release(task)
        return not task.run.closed and task.run.error is None

    def fail(self, run: Run, error: SpeeddError) -> None:
        """End a run with an error, after the results that are ready."""
        run.error = run.error or error
        run.waiting.clear()
        self.suspects = deque(task for task in self.suspects if task.run is not run)
        run.changed.notify()

    def fail_all(self, error: SpeeddError) -> None:
        """End all runs with an error."""
        for run in self.runs:
            self.fail(run, error)
