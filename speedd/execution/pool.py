"""The worker pool: shares a few engine workers among the books that are open, and survives the workers' deaths.

Callers of `WorkerPool.run` and one supervisor thread meet under one lock. A caller pulls its utterances, hands them
over and waits for results; the supervisor alone starts workers, talks to them, and buries them.
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from speedd.engines.base import EngineInfo, find
from speedd.errors import EngineError, SpeeddError, TryAgainError
from speedd.execution.base import ExecutorStatus, WorkerState, WorkerStatus
from speedd.execution.child import Child
from speedd.execution.messages import Broken, Done, Heartbeat, NotStored, Ready, Refused, Setup, Speak, Started, Stop
from speedd.execution.scheduler import window
from speedd.execution.takes import discard_partial_files
from speedd.model import Failed, Rendered, Utterance

if TYPE_CHECKING:
    from speedd.engines.base import Budget

log = structlog.get_logger()

DEATHS_TO_FAIL = 3
"""An utterance in the engine at so many deaths of a worker is taken to be the cause."""
FAILED_STARTS_TO_GIVE_UP = 5
FRUITLESS_DEATHS_TO_GIVE_UP = 15
"""Deaths in a row, of whatever worker, without one answer. Five bad texts in a row reach it."""
FIRST_BACK_OFF_S = 0.1
LONGEST_BACK_OFF_S = 30.0
STOP_S = 0.7
"""How long a worker may take to end by itself before it is killed."""


def default_deadline_s(utterance: Utterance) -> float:
    """Allow a minute and a quarter of a second per character: some thirty times what the slowest machine needs."""
    return 60.0 + 0.25 * len(utterance.text)


@dataclass(frozen=True, slots=True)
class PoolTimes:
    """How patient a pool is, in seconds."""

    deadline_s: Callable[[Utterance], float] = default_deadline_s
    """From the moment an engine takes an utterance until its take is stored."""
    load_s: float = 600.0
    heartbeat_s: float = 1.0
    idle_release_s: float = 600.0
    """Workers without work for so long are ended: only that gives their memory back."""


@dataclass(slots=True, eq=False)
class _Item:
    """An utterance on its way."""

    utterance: Utterance
    run: _Run
    slot: _Slot | None = None
    deaths: int = 0
    started_s: float | None = None


@dataclass(slots=True, eq=False)
class _Run:
    """One call of `WorkerPool.run`."""

    changed: threading.Condition
    waiting: deque[_Item] = field(default_factory=deque)
    ready: list[tuple[Rendered | Failed, _Item]] = field(default_factory=list)
    unanswered: int = 0
    """Pulled from the caller and not in `ready` yet."""
    held: int = 0
    """Sent to workers and not committed."""
    served: int = 0
    """When it was last served, as a count: the one that waited longest goes first."""
    error: SpeeddError | None = None
    closed: bool = False


@dataclass(slots=True, eq=False)
class _Slot:
    """A place for a worker. It outlives the processes that fill it: what they stored still waits to be committed."""

    index: int
    child: Child | None = None
    state: WorkerState = WorkerState.STOPPED
    outstanding: list[_Item] = field(default_factory=list)
    """Sent and not answered."""
    uncommitted: int = 0
    """Sent and not committed by the caller of `run`."""
    budget: Budget | None = None
    rss_bytes: int = 0
    restarts: int = 0
    since_s: float = 0.0
    """Monotonic time of the last step forward: started, ready, an answer, or work sent to an idle worker."""
    start_at_s: float = 0.0
    fault: str = ""
    """Why it is about to end, where that is known."""


class WorkerPool:
    """Runs utterances through engine workers; implements `Executor`.

    Args:
        engine: name of an installed engine.
        options: passed to the engine; picklable.
        takes: folder in which takes are stored.
        workers: how many; 0 for as many as there are cores for a CPU engine, one otherwise.
        nice: added to the nice value of the workers of a CPU engine, so that the rest of the machine goes first.
        times: how patient it is.
        clock: monotonic seconds.
    Raises:
        EngineError: if there is no such engine, or it cannot run here.
    """

    def __init__(
        self,
        engine: str,
        options: Mapping[str, Any],
        *,
        takes: Path,
        workers: int = 0,
        nice: int = 0,
        times: PoolTimes | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._options = dict(options)
        self._takes = takes
        self._times = times or PoolTimes()
        self._clock = clock
        self._info = find(engine).describe(options)
        on_cpu = self._info.device == "cpu"
        self._nice = nice if on_cpu else 0
        count = workers or (len(os.sched_getaffinity(0)) if on_cpu else 1)
        self._slots = [_Slot(index) for index in range(count)]
        self._lock = threading.Lock()
        self._runs: list[_Run] = []
        self._suspects: deque[_Item] = deque()
        self._supervisor: threading.Thread | None = None
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._closing = False
        self._turn = 0
        self._failed_starts = 0
        self._fruitless_deaths = 0
        self._rendered = 0
        self._failed = 0
        discard_partial_files(takes)

    @property
    def info(self) -> EngineInfo:
        """The engine, as a worker loaded it, or as it describes itself until one has."""
        return self._info

    def run(self, utterances: Iterable[Utterance]) -> Iterator[list[Rendered | Failed]]:
        """Render utterances; see `Executor.run`."""
        run = _Run(threading.Condition(self._lock))
        source = iter(utterances)
        try:
            with self._lock:
                self._refuse_if_closed()
                self._runs.append(run)
            while True:
                more = self._pull(run, source)
                with self._lock:
                    self._ensure_supervisor()
                    while not run.ready:
                        if run.error is not None:
                            raise run.error
                        if not run.unanswered:
                            break
                        run.changed.wait()
                    batch, run.ready = run.ready, []
                if batch:
                    try:
                        yield [result for result, _ in batch]
                    finally:
                        with self._lock:
                            for _, item in batch:
                                self._return_credit(item)
                elif not more:
                    return
        finally:
            with self._lock:
                self._forget(run)
            self._ring()

    def status(self) -> ExecutorStatus:
        """Describe the pool at this moment."""
        with self._lock:
            now_s = self._clock()
            return ExecutorStatus(
                workers=tuple(
                    WorkerStatus(
                        index=slot.index,
                        pid=slot.child.pid if slot.child else None,
                        state=slot.state,
                        rss_bytes=slot.rss_bytes if slot.child else 0,
                        restarts=slot.restarts,
                        in_flight=len(slot.outstanding),
                        uncommitted=slot.uncommitted,
                        overdue=now_s > self._deadline_s(slot) + 10.0,  # the supervisor gets its chance
                    )
                    for slot in self._slots
                ),
                runs=len(self._runs),
                waiting=len(self._suspects) + sum(len(run.waiting) for run in self._runs),
                in_flight=sum(len(slot.outstanding) for slot in self._slots),
                rendered=self._rendered,
                failed=self._failed,
            )

    def close(self) -> None:
        """Stop at once, within two seconds even in the middle of an utterance."""
        with self._lock:
            self._closing = True
            self._fail_runs(TryAgainError("The workers were stopped. Nothing that was stored is lost."))
            supervisor = self._supervisor
        self._ring()
        if supervisor is not None:
            supervisor.join()
        with self._lock:
            wake, self._wake = self._wake, -1
        if wake >= 0:
            os.close(wake)

    # --- in the callers' threads -----------------------------------------------------------------------------------

    def _pull(self, run: _Run, source: Iterator[Utterance]) -> bool:
        """Pull as much as the workers could take on; say whether the source may hold more."""
        places = sum(self._window(slot) for slot in self._slots)
        more = True
        while len(run.waiting) < places:
            utterance = next(source, None)
            if utterance is None:
                more = False
                break
            with self._lock:
                run.waiting.append(_Item(utterance, run))
                run.unanswered += 1
        self._ring()
        return more

    def _return_credit(self, item: _Item) -> None:
        """Let a worker take on another utterance in place of this one."""
        if item.slot is not None:
            item.slot.uncommitted -= 1
            item.slot = None
            item.run.held -= 1

    def _forget(self, run: _Run) -> None:
        """Drop what is left of a run. What workers are speaking of it comes to nothing when it is done."""
        run.closed = True
        run.waiting.clear()
        self._suspects = deque(item for item in self._suspects if item.run is not run)
        for _, item in run.ready:
            self._return_credit(item)
        run.ready.clear()
        if run in self._runs:
            self._runs.remove(run)

    def _ensure_supervisor(self) -> None:
        # PDEATHSIG fires when the thread that started a child ends, so one thread starts them all and stays.
        if self._supervisor is None and not self._closing:
            self._supervisor = threading.Thread(target=self._supervise, name="workers", daemon=True)
            self._supervisor.start()

    def _refuse_if_closed(self) -> None:
        if self._closing:
            raise TryAgainError("The workers were stopped.")

    def _ring(self) -> None:
        with self._lock:
            if self._wake >= 0:
                os.eventfd_write(self._wake, 1)

    # --- in the supervisor's thread --------------------------------------------------------------------------------

    def _supervise(self) -> None:
        # Children inherit the mask: a Ctrl-C at their birth, before they can ignore it, would kill them.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            while True:
                with self._lock:
                    if self._closing:
                        return
                    self._start_workers()
                    self._dispatch()
                    lines = {slot.child.connection: slot for slot in self._slots if slot.child}
                    timeout_s = self._timeout_s()
                heard = wait([self._wake, *lines], timeout_s)
                with self._lock:
                    if self._wake in heard:
                        os.eventfd_read(self._wake)
                    for line, slot in lines.items():
                        if line in heard:
                            self._receive(slot)
                    self._end_overdue_and_idle()
        except Exception as error:  # the boundary of the thread: callers must not wait for it for ever
            with self._lock:
                self._closing = True
                self._fail_runs(EngineError(f"The worker pool failed: {type(error).__name__}."))
            log.exception("executor.failed")
        finally:
            self._stop_all()

    def _start_workers(self) -> None:
        """Start workers for which there is work, unless they died just now."""
        wanted = len(self._suspects) + sum(len(run.waiting) for run in self._open_runs())
        wanted += sum(len(slot.outstanding) for slot in self._slots)
        alive = sum(slot.child is not None for slot in self._slots)
        for slot in self._slots:
            if slot.child is None and alive < wanted and self._clock() >= slot.start_at_s:
                setup = Setup(slot.index, self._engine, self._options, self._takes, self._nice, self._times.heartbeat_s)
                slot.child = Child(setup, single_threaded=self._info.device == "cpu")
                slot.state = WorkerState.LOADING
                slot.since_s = self._clock()
                slot.fault = ""
                alive += 1
                log.debug("worker.started", worker=slot.index, pid=slot.child.pid)

    def _dispatch(self) -> None:
        """Send waiting utterances to workers that may take on more, the least busy first."""
        while True:
            slots = [
                slot
                for slot in self._slots
                if slot.state in {WorkerState.IDLE, WorkerState.BUSY}
                and slot.uncommitted < self._window(slot)
                and not any(item.deaths for item in slot.outstanding)  # a suspect runs alone
            ]
            if not slots:
                return
            slot = min(slots, key=lambda slot: len(slot.outstanding))
            if self._suspects:
                if slot.outstanding:
                    return  # nothing new starts until a worker is empty
                item = self._suspects.popleft()
            else:
                runs = [run for run in self._open_runs() if run.waiting]
                if not runs:
                    return
                item = min(runs, key=lambda run: (run.held, run.served)).waiting.popleft()
            self._send(slot, item)

    def _send(self, slot: _Slot, item: _Item) -> None:
        assert slot.child is not None
        if not slot.outstanding:
            slot.since_s = self._clock()
        self._turn += 1
        item.run.served = self._turn
        item.run.held += 1
        item.slot = slot
        item.started_s = None
        slot.uncommitted += 1
        slot.outstanding.append(item)
        slot.state = WorkerState.BUSY
        slot.child.send(Speak(item.utterance))

    def _receive(self, slot: _Slot) -> None:
        """Read all that a worker has to say, its death included."""
        assert slot.child is not None
        try:
            while slot.child.connection.poll():
                self._hear(slot, slot.child.connection.recv())
        except (EOFError, OSError):
            self._bury(slot)

    def _hear(self, slot: _Slot, report: object) -> None:
        now_s = self._clock()
        match report:
            case Ready():
                slot.state = WorkerState.IDLE
                slot.budget = report.budget
                slot.rss_bytes = report.rss_bytes
                slot.since_s = now_s
                self._info = report.info
                self._failed_starts = 0
                log.info("worker.ready", worker=slot.index, load_s=round(report.load_s, 3), rss_bytes=report.rss_bytes)
            case Started():
                for key in report.keys:
                    self._outstanding(slot, key).started_s = now_s
            case Done():
                slot.budget = report.budget
                self._fruitless_deaths = 0
                if isinstance(report.result, Failed):
                    self._failed += 1
                else:
                    self._rendered += 1
                self._answer(self._taken_back(slot, report.result.key), report.result)
            case NotStored():
                item = self._taken_back(slot, report.key)
                self._return_credit(item)
                self._fail_run(
                    item.run,
                    TryAgainError(
                        f"A take cannot be stored in {self._takes}: {report.reason}.",
                        hint="Free some space there, or make it writable.",
                    ),
                )
            case Heartbeat():
                slot.rss_bytes = report.rss_bytes
            case Broken():
                slot.fault = report.reason
                log.warning("worker.broke", worker=slot.index, reason=report.reason, trace=report.trace)
            case Refused():
                self._fail_runs(EngineError(report.message, hint=report.hint))

    def _outstanding(self, slot: _Slot, key: str) -> _Item:
        """Find an utterance that a worker has; two of one key sound the same, so either may stand for the other."""
        return next(item for item in slot.outstanding if item.utterance.key == key)

    def _taken_back(self, slot: _Slot, key: str) -> _Item:
        item = self._outstanding(slot, key)
        slot.outstanding.remove(item)
        slot.since_s = self._clock()
        if not slot.outstanding:
            slot.state = WorkerState.IDLE
        return item

    def _answer(self, item: _Item, result: Rendered | Failed) -> None:
        item.run.unanswered -= 1
        if item.run.closed:
            self._return_credit(item)
        else:
            item.run.ready.append((result, item))
            item.run.changed.notify()

    def _bury(self, slot: _Slot) -> None:
        """Give a dead worker's work to others, and plan its replacement."""
        assert slot.child is not None
        was_loading = slot.state is WorkerState.LOADING
        end = slot.child.bury()
        reason = slot.fault or end
        discard_partial_files(self._takes, pid=slot.child.pid)
        log.warning(
            "worker.died", worker=slot.index, pid=slot.child.pid, reason=reason, in_flight=len(slot.outstanding)
        )
        orphans, slot.outstanding = slot.outstanding, []
        slot.child = None
        slot.budget = None
        slot.restarts += 1
        for item in reversed(orphans):
            self._return_credit(item)
            if item.run.closed or item.run.error:
                continue
            if item.started_s is None:
                item.run.waiting.appendleft(item)
                continue
            item.deaths += 1
            if item.deaths < DEATHS_TO_FAIL:
                self._suspects.appendleft(item)
            else:
                self._failed += 1
                text = (
                    f"The engine stopped working {item.deaths} times while it spoke this text; the last time {reason}."
                )
                self._answer(item, Failed(item.utterance.key, text))
        self._failed_starts += was_loading
        self._fruitless_deaths += 1
        slot.state = WorkerState.WAITING
        slot.start_at_s = self._clock() + min(FIRST_BACK_OFF_S * 2 ** (self._fruitless_deaths - 1), LONGEST_BACK_OFF_S)
        if self._failed_starts >= FAILED_STARTS_TO_GIVE_UP or self._fruitless_deaths >= FRUITLESS_DEATHS_TO_GIVE_UP:
            count = self._fruitless_deaths
            self._failed_starts = self._fruitless_deaths = 0
            self._fail_runs(
                EngineError(
                    f"The engine {self._engine} stopped working {count} times in a row; the last time {reason}.",
                    hint="Try: speedd check",
                )
            )

    def _end_overdue_and_idle(self) -> None:
        now_s = self._clock()
        idle = not self._runs
        for slot in self._slots:
            if slot.child is None or slot.fault:
                continue
            if now_s > self._deadline_s(slot):
                slot.fault = f"it did not answer within {self._deadline_s(slot) - slot.since_s:.0f} s"
                slot.child.kill()
            elif idle and slot.state is WorkerState.IDLE and now_s >= slot.since_s + self._times.idle_release_s:
                slot.child.bury()
                slot.child = None
                slot.state = WorkerState.STOPPED
                log.debug("worker.released", worker=slot.index)

    def _deadline_s(self, slot: _Slot) -> float:
        """When a worker must have shown something, on the monotonic clock."""
        if slot.state is WorkerState.LOADING:
            return slot.since_s + self._times.load_s
        if not slot.outstanding:
            return math.inf
        deadline_s = self._times.deadline_s
        started = [item for item in slot.outstanding if item.started_s is not None]
        if not started:
            return slot.since_s + deadline_s(slot.outstanding[0].utterance)
        return min((item.started_s or 0.0) + deadline_s(item.utterance) for item in started)

    def _timeout_s(self) -> float | None:
        """How long nothing can happen unless a worker or a caller does something."""
        now_s = self._clock()
        moments = [self._deadline_s(slot) for slot in self._slots if slot.child]
        if self._open_runs():
            moments += [slot.start_at_s for slot in self._slots if slot.child is None and slot.start_at_s > now_s]
        if not self._runs:
            release_s = self._times.idle_release_s
            moments += [slot.since_s + release_s for slot in self._slots if slot.state is WorkerState.IDLE]
        soonest_s = min(moments, default=math.inf)
        return None if soonest_s == math.inf else max(0.0, soonest_s - now_s) + 0.001

    def _open_runs(self) -> list[_Run]:
        return [run for run in self._runs if run.error is None]

    def _window(self, slot: _Slot) -> int:
        return window(slot.budget.rows if slot.budget else 1, self._info.device)

    def _fail_run(self, run: _Run, error: SpeeddError) -> None:
        run.error = run.error or error
        run.waiting.clear()
        run.changed.notify()

    def _fail_runs(self, error: SpeeddError) -> None:
        self._suspects.clear()
        for run in self._runs:
            self._fail_run(run, error)

    def _stop_all(self) -> None:
        """End the workers: those that speak after a moment, whatever they do."""
        with self._lock:
            children = [slot.child for slot in self._slots if slot.child]
            for child in children:
                child.send(Stop())
        give_up_s = time.monotonic() + STOP_S
        for child in children:
            child.has_ended(max(0.0, give_up_s - time.monotonic()))
        with self._lock:
            for child in children:
                child.bury()
                discard_partial_files(self._takes, pid=child.pid)
            for slot in self._slots:
                slot.child = None
                slot.state = WorkerState.STOPPED
