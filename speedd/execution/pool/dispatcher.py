"""The dispatcher: which utterance goes to which worker, and what their reports mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from structlog.typing import FilteringBoundLogger

from speedd.errors import EngineError, TryAgainError
from speedd.execution.base import WorkerState
from speedd.execution.pool.deadlines import Deadlines
from speedd.execution.pool.work_queue import Task, WorkerSlot, WorkQueue
from speedd.execution.protocol import (
    Broken,
    Done,
    Gauge,
    Heartbeat,
    NoRoom,
    NotStored,
    Ready,
    Refused,
    Returned,
    Speak,
    Started,
    Warming,
)
from speedd.execution.scheduler import window
from speedd.model import Failed, Rendered

if TYPE_CHECKING:
    from speedd.engines.base import EngineInfo

log: FilteringBoundLogger = structlog.get_logger()

TOKENS_SMOOTHING = 0.2
"""Share of the newest reading in the reported tokens per second."""


class Dispatcher:
    """Sends utterances to workers, and enters their reports into slots and queue. Expects the queue's lock to be held.

    Args:
        queue: where the work is.
        slots: of the workers.
        info: the engine, as it describes itself.
        takes: folder in which takes are stored.
        ahead: utterances beyond its rows that a worker of a GPU engine holds to choose from.
        deadlines: told how long utterances took.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        queue: WorkQueue,
        slots: Sequence[WorkerSlot],
        info: EngineInfo,
        *,
        takes: Path,
        ahead: int,
        deadlines: Deadlines,
        clock: Callable[[], float],
    ) -> None:
        self.info = info
        """The engine, as it describes itself until a worker has loaded it."""
        self.rendered = 0
        self.failed = 0
        self._queue = queue
        self._slots = slots
        self._takes = takes
        self._ahead = ahead
        self._deadlines = deadlines
        self._clock = clock

    @property
    def places(self) -> int:
        """How many utterances the workers may hold in all."""
        return sum(self._window(slot) for slot in self._slots)

    @property
    def in_flight(self) -> int:
        """How many they hold that they have not answered."""
        return sum(len(slot.outstanding) for slot in self._slots)

    def send(self) -> None:
        """Send waiting utterances to workers that may take on more, the least busy first."""
        while pair := self._next_pair():
            task, slot = pair
            if not slot.outstanding:
                slot.since_s = self._clock()
            slot.state = WorkerState.BUSY
            self._queue.assign(task, slot)
            assert slot.child is not None
            slot.child.send(Speak(task.utterance))

    def _next_pair(self) -> tuple[Task, WorkerSlot] | None:
        """Choose what is spoken next, and where. Suspects go first, each to a worker that has nothing else."""
        slots = [
            slot
            for slot in self._slots
            if slot.is_up
            and slot.state in {WorkerState.IDLE, WorkerState.BUSY}
            and slot.uncommitted < self._window(slot)
            and not any(task.died_on for task in slot.outstanding)  # a suspect runs alone
        ]
        for slot in sorted(slots, key=lambda slot: len(slot.outstanding)):
            suspects = self._queue.suspects
            if suspects and slot.outstanding:
                return None  # nothing new starts until a worker is empty
            suspect = next((task for task in suspects if self._may_try(slot, task)), None)
            if suspect is not None:
                suspects.remove(suspect)
                return suspect, slot
            if (task := self._queue.next_task()) is not None:
                return task, slot
        return None

    def _may_try(self, slot: WorkerSlot, suspect: Task) -> bool:
        """Whether a suspect may go to a worker. Slots where no worker died of it come first."""
        return slot not in suspect.died_on or not any(
            other.is_up for other in self._slots if other not in suspect.died_on
        )

    def _window(self, slot: WorkerSlot) -> int:
        if slot.restarts.deaths:
            return 1  # until it has answered, at most one utterance can become a suspect there
        rows = slot.gauge.rows_cap if slot.gauge else 1
        return window(rows, self.info.device, ahead=self._ahead)

    def hear(self, slot: WorkerSlot, report: object) -> None:
        """Take note of a worker's report."""
        match report:
            case Ready():
                slot.state = WorkerState.IDLE
                slot.gauge = report.gauge
                slot.rss_bytes = report.rss_bytes
                slot.since_s = self._clock()
                self.info = report.info
                slot.restarts.loaded()
                log.info("worker.ready", worker=slot.index, load_s=round(report.load_s, 3), rss_bytes=report.rss_bytes)
            case Warming():
                slot.warming = report.voice
                slot.since_s = self._clock()
            case Heartbeat():
                slot.rss_bytes = report.rss_bytes
                self._read(slot, report.gauge)
            case NoRoom():
                slot.no_room = report.reason
                self._end(slot, report.reason)
            case Broken():
                self._end(slot, report.reason)
                log.warning("worker.broke", worker=slot.index, reason=report.reason, trace=report.trace)
            case Refused():
                self._end(slot, report.message)
                slot.restarts.refusal = EngineError(report.message, hint=report.hint)
            case _:
                self._hear_of_work(slot, report)

    def _end(self, slot: WorkerSlot, fault: str) -> None:
        slot.fault = fault
        slot.since_s = self._clock()

    def _hear_of_work(self, slot: WorkerSlot, report: object) -> None:
        match report:
            case Started():
                for key in report.keys:
                    slot.find(key).started_s = self._clock()
            case Returned():
                self._read(slot, report.gauge)
                slot.since_s = self._clock()
                for key in report.keys:
                    slot.find(key).started_s = None
                log.warning(
                    "worker.gave_back",
                    worker=slot.index,
                    chunks=len(report.keys),
                    reason=report.why,
                    rows_cap=report.gauge.rows_cap,
                )
            case Done(Failed() as failed):
                self._read(slot, report.gauge)
                self.failed += 1
                self._queue.answer(self._take_from(slot, failed.key), failed)
            case Done(Rendered() as rendered):
                self._read(slot, report.gauge)
                self.rendered += 1
                task = self._take_from(slot, rendered.utterance_key)
                self._deadlines.note(task, rendered.render_s)
                self._queue.answer(task, rendered)
            case NotStored():
                task = self._take_from(slot, report.key)
                self._queue.release(task)
                message = f"A take cannot be stored in {self._takes}: {report.reason}."
                self._queue.fail(
                    task.run, TryAgainError(message, hint="Free some space there, or make it writable again.")
                )

    def _read(self, slot: WorkerSlot, gauge: Gauge) -> None:
        if slot.gauge and gauge.budget.tokens and self._clock() > slot.gauged_s:
            decoded = gauge.budget.tokens - slot.gauge.budget.tokens
            per_s = max(0, decoded) / (self._clock() - slot.gauged_s)
            slot.tokens_per_s += TOKENS_SMOOTHING * (per_s - slot.tokens_per_s)
        slot.gauge = gauge
        slot.gauged_s = self._clock()

    def _take_from(self, slot: WorkerSlot, key: str) -> Task:
        task = slot.find(key)
        slot.outstanding.remove(task)
        slot.since_s = self._clock()
        slot.restarts.answered()
        if not slot.outstanding:
            slot.state = WorkerState.IDLE
            slot.tokens_per_s = 0.0
        return task
