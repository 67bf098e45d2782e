"""The supervisor: engine workers in their slots, and the one thread that starts, reads and reaps them."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

import structlog
from structlog.typing import FilteringBoundLogger

from speedd.common.policies import DEATHS_TO_FAIL, NO_ROOM_PAUSE_S, OVERDUE_S, REST_S, STOP_S
from speedd.errors import PASSING, EngineError, SpeeddError, TryAgainError
from speedd.execution.base import WorkerState, WorkerStatus
from speedd.execution.pool.contention import ContentionMonitor
from speedd.execution.pool.deadlines import Deadlines
from speedd.execution.pool.dispatcher import Dispatcher
from speedd.execution.pool.process import WorkerProcess
from speedd.execution.pool.settings import PoolSettings
from speedd.execution.pool.work_queue import Task, WorkerSlot, WorkQueue
from speedd.execution.pool.yield_policy import YieldLevel, YieldPolicy
from speedd.execution.protocol import Release, Setup, Stop
from speedd.execution.takes import discard_partial_files
from speedd.model import Failed

if TYPE_CHECKING:
    from speedd.engines.base import EngineInfo

log: FilteringBoundLogger = structlog.get_logger()


class Supervisor:
    """Engine workers. Its public methods expect the queue's lock to be held, except `notify`, `stop` and `step`.

    Args:
        queue: where the work is.
        info: the engine, as it describes itself.
        settings: what to run, with the number of workers.
        yield_policy: when workers make room for others.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        queue: WorkQueue,
        info: EngineInfo,
        settings: PoolSettings,
        *,
        yield_policy: YieldPolicy,
        clock: Callable[[], float],
    ) -> None:
        self.closing = False
        """Set to end the thread. The thread sets it itself when it fails."""
        self._queue = queue
        self._setup = Setup(
            0,
            settings.engine,
            settings.options,
            settings.takes,
            info.device,
            settings.nice,
            settings.times.heartbeat_s,
            settings.limits,
        )
        self._times = settings.times
        self._deadlines = Deadlines(settings.times, info.patient_s_per_char)
        self._clock = clock
        cards = settings.cards or ("",)
        self._slots = [WorkerSlot(index, cards[index % len(cards)]) for index in range(settings.workers)]
        self.dispatch = Dispatcher(
            queue,
            self._slots,
            info,
            takes=settings.takes,
            ahead=settings.limits.ahead,
            deadlines=self._deadlines,
            clock=clock,
        )
        self._contention = ContentionMonitor(yield_policy, self._slots, clock)
        self._waits = settings.waits
        self._thread: threading.Thread | None = None
        self._expected = 0
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._broken = False

    @property
    def is_broken(self) -> bool:
        """Whether the thread has ended without being told to."""
        return self._broken or (self._thread is not None and not (self.closing or self._thread.is_alive()))

    def status(self) -> tuple[WorkerStatus, ...]:
        """Describe each worker."""
        now_s = self._clock()
        return tuple(slot.describe(now_s > self._deadlines.of(slot) + OVERDUE_S) for slot in self._slots)

    def begin(self) -> None:
        """Start the thread, if it has not been started."""
        # PDEATHSIG fires when the thread that started a child ends, so one thread starts them all and stays.
        if self._thread is None and not self.closing:
            self._thread = threading.Thread(target=self._supervise, name="workers", daemon=True)
            self._thread.start()

    def warm(self) -> None:
        """Start the workers before there is work for them."""
        self._expected = len(self._slots)
        self.begin()

    def notify(self) -> None:
        """Tell the thread that the queue has changed."""
        with self._queue.lock:
            if self._wake >= 0:
                os.eventfd_write(self._wake, 1)

    def stop(self) -> None:
        """End the workers and the thread. All runs must have been failed before."""
        self.notify()
        if self._thread is not None:
            self._thread.join()
        with self._queue.lock:
            if self._wake >= 0:
                os.close(self._wake)
            self._wake = -1

    # --- the thread ------------------------------------------------------------------------------------------------

    def _supervise(self) -> None:
        # Children inherit the mask. Without it a Ctrl-C would kill one that does not ignore the signal yet.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            while self.step():
                pass
        except Exception as error:  # the boundary of the thread. Callers must not wait for ever
            with self._queue.lock:
                self.closing = self._broken = True
                self._queue.fail_all(_error_for_books(error))
            log.exception("executor.failed")
        finally:
            self._stop_all()

    def step(self) -> bool:
        """Do what can be done, then wait until something happens. Return False at the end."""
        with self._queue.lock:
            if self.closing:
                return False
            held_up = self._contention.check()
            if held_up and not self._waits:
                self._queue.fail_all(TryAgainError(f"The engine makes room for others: {held_up}."))
            self._start_workers()
            self.dispatch.send()
            connections = {slot.child.connection: slot for slot in self._slots if slot.child}
            timeout_s = self._timeout_s()
        ready = wait([self._wake, *connections], timeout_s)
        with self._queue.lock:
            if self._wake in ready:
                os.eventfd_read(self._wake)
            for connection, slot in connections.items():
                if connection in ready:
                    self._receive(slot)
            self._end_overdue()
            self._release_idle()
        return True

    def _timeout_s(self) -> float | None:
        """How long nothing is due unless a worker or a caller does something."""
        now_s = self._clock()
        moments = [self._deadlines.of(slot) for slot in self._slots if slot.child]
        if self._queue.waiting:
            moments += [slot.start_at_s for slot in self._slots if slot.child is None and slot.start_at_s > now_s]
        moments += [self._idle_since_s(slot) + self._times.idle_release_s for slot in self._slots]
        if self._queue.runs or any(slot.child for slot in self._slots):
            moments.append(self._contention.due_s)
        soonest_s = min(moments, default=math.inf)
        return None if soonest_s == math.inf else max(0.0, soonest_s - now_s) + 0.001

    def _receive(self, slot: WorkerSlot) -> None:
        """Read all that a worker has sent, its end included."""
        assert slot.child is not None
        try:
            while slot.child.connection.poll():
                self.dispatch.hear(slot, slot.child.connection.recv())
                if slot.restarts.refusal:
                    self._reap(slot)
                    return
        except (EOFError, OSError):
            self._reap(slot)

    # --- starts and ends --------------------------------------------------------------------------------------------

    def _start_workers(self) -> None:
        """Start workers for which there is work, unless they died just now."""
        wanted = max(self._queue.waiting + self.dispatch.in_flight, self._expected)
        self._expected = 0
        alive = sum(slot.child is not None for slot in self._slots)
        for slot in self._slots:
            may_start = slot.yield_level < YieldLevel.PAUSE and self._clock() >= slot.start_at_s
            if slot.child is None and alive < wanted and may_start:
                setup = replace(self._setup, index=slot.index)
                try:
                    alone = self.dispatch.info.device == "cpu" and self.dispatch.info.shares_cores
                    slot.child = WorkerProcess(setup, single_threaded=alone, card=slot.card)
                except OSError as error:  # no memory, processes or files are left, which passes
                    self._queue.fail_all(TryAgainError(f"No engine can be started now: {error.strerror}."))
                    return
                slot.state = WorkerState.LOADING
                slot.since_s = self._clock()
                slot.fault = slot.no_room = ""
                if slot.yield_level is YieldLevel.SHRINK:
                    slot.child.send(Release(shrink=True))
                alive += 1
                log.debug("worker.started", worker=slot.index, pid=slot.child.pid)

    def _reap(self, slot: WorkerSlot) -> None:
        """Put a dead worker's work back into the queue, and plan its replacement."""
        assert slot.child is not None
        end = slot.child.reap()
        reason = slot.fault or end
        discard_partial_files(self._setup.takes, pid=slot.child.pid)
        orphans, slot.outstanding = slot.outstanding, []
        loading = slot.state is WorkerState.LOADING
        left = slot.leaving
        slot.empty(WorkerState.STOPPED if left else WorkerState.WAITING)
        innocent = left or slot.no_room or slot.restarts.refusal
        for task in reversed(orphans):
            if self._queue.put_back(task):
                if innocent or task.started_s is None:
                    task.run.waiting.appendleft(task)
                else:
                    self._retry_or_fail(task, slot, reason)
        if left:
            return
        if slot.no_room:
            self._wait_for_room(slot)
            return
        log.warning("worker.died", worker=slot.index, reason=reason, in_flight=len(orphans))
        slot.fault = reason
        back_off_s = slot.restarts.died(loading=loading)
        slot.start_at_s = self._clock() + back_off_s
        if slot.restarts.gave_up:
            self._give_up_on(slot, back_off_s)

    def _give_up_on(self, slot: WorkerSlot, back_off_s: float) -> None:
        """Set a slot aside for a long while. If no other slot can work, fail the runs."""
        if not all(other.child is None and other.restarts.gave_up for other in self._slots):
            slot.start_at_s = self._clock() + REST_S
            log.warning("worker.set_aside", worker=slot.index, reason=slot.fault, again_in_s=REST_S)
            return
        deaths = sum(other.restarts.deaths for other in self._slots)
        message = (
            f"The engine {self._setup.engine} stopped working {deaths} times in a row; the last time {slot.fault}."
        )
        self._queue.fail_all(slot.restarts.refusal or EngineError(message, hint="Try: speedd check"))
        for other in self._slots:
            other.restarts.forget()
            other.start_at_s = self._clock() + back_off_s

    def _wait_for_room(self, slot: WorkerSlot) -> None:
        """Leave a full device alone for a while. If there is no other worker, the books wait as well."""
        slot.start_at_s = self._clock() + NO_ROOM_PAUSE_S
        log.warning("worker.no_room", worker=slot.index, reason=slot.no_room, again_in_s=NO_ROOM_PAUSE_S)
        if not any(other.child for other in self._slots):
            message = f"The engine {self._setup.engine} has no room on its device: {slot.no_room}"
            hint = "It goes on by itself when other programs need less memory."
            self._queue.fail_all(TryAgainError(message, hint=hint))

    def _retry_or_fail(self, task: Task, slot: WorkerSlot, reason: str) -> None:
        """Try an utterance again alone that was in the engine of a dead worker. Fail it if that happened too often."""
        task.died_on.append(slot)
        if len(task.died_on) < DEATHS_TO_FAIL:
            self._queue.suspects.appendleft(task)
            return
        self.dispatch.failed += 1
        text = f"The engine stopped working {len(task.died_on)} times while it spoke this text; the last time {reason}."
        self._queue.answer(task, Failed(task.utterance.key, text, final=True))

    def _end_overdue(self) -> None:
        for slot in self._slots:
            if slot.child is not None and self._clock() > self._deadlines.of(slot):
                slot.fault = slot.fault or f"it had not answered after {self._clock() - slot.since_s:.0f} s"
                slot.child.kill()

    def _release_idle(self) -> None:
        for slot in self._slots:
            if slot.child is not None and self._clock() >= self._idle_since_s(slot) + self._times.idle_release_s:
                slot.child.reap()
                slot.empty(WorkerState.STOPPED)
                log.debug("worker.released", worker=slot.index)

    def _idle_since_s(self, slot: WorkerSlot) -> float:
        """Since when a worker has had no work, if none is to be expected. Else infinite."""
        waits = self._queue.runs and slot.yield_level < YieldLevel.PAUSE
        return slot.since_s if slot.state is WorkerState.IDLE and not waits else math.inf

    def _stop_all(self) -> None:
        """End the workers. Kill those that do not end at once."""
        with self._queue.lock:
            children = [slot.child for slot in self._slots if slot.child]
            for child in children:
                child.send(Stop())
        give_up_s = time.monotonic() + STOP_S
        for child in children:
            child.has_ended(max(0.0, give_up_s - time.monotonic()))
        with self._queue.lock:
            for child in children:
                child.reap()
                discard_partial_files(self._setup.takes, pid=child.pid)
            for slot in self._slots:
                slot.empty(WorkerState.STOPPED)


def _error_for_books(error: Exception) -> SpeeddError:
    """Return what books are told when the supervisor fails. If the cause passes, they wait for another supervisor."""
    if isinstance(error, MemoryError):
        return TryAgainError("The machine is out of memory.")
    if isinstance(error, OSError) and (reason := PASSING.get(error.errno or 0)):
        return TryAgainError(f"The workers cannot go on now: {reason}.")
    return EngineError(f"The worker pool failed: {type(error).__name__}.")
