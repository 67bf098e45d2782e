"""The worker pool: shares a few engine workers among the books that are open, and survives the workers' deaths.

Callers of `WorkerPool.run` and the supervisor's thread meet at the queue: a caller pulls its utterances, puts them up
and waits for results; the supervisor's thread alone talks to workers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speedd.config import Config, GpuSettings, engine_options
from speedd.engines.base import EngineInfo, find
from speedd.errors import TryAgainError
from speedd.execution.base import ExecutorStatus
from speedd.execution.pool.deadlines import PoolTimes
from speedd.execution.pool.gpus import NvmlGpus, visible_cards
from speedd.execution.pool.supervisor import Supervisor
from speedd.execution.pool.work_queue import Run, Task, WorkQueue
from speedd.execution.pool.yield_policy import QuietHours, YieldPolicy
from speedd.execution.protocol import WorkerLimits
from speedd.execution.takes import discard_partial_files

if TYPE_CHECKING:
    from speedd.model import Failed, Rendered, Utterance

__all__ = ["PoolTimes", "WorkerPool", "configured_pool"]

EMPTY_BATCH_S = 5.0
"""A caller of `run` for whom nothing arrives gets an empty batch this often."""


def configured_pool(engine: str, config: Config, *, takes: Path, waits: bool) -> WorkerPool:
    """Make the pool of an engine as the configuration wants it.

    Args:
        engine: name of an installed engine.
        config: what holds for all books.
        takes: folder in which takes are stored.
        waits: see `WorkerPool`.
    Raises:
        EngineError: if there is no such engine, or it cannot run here.
    """
    settings = config.workers
    cards = visible_cards()
    quiet = QuietHours.read(settings.quiet_hours) if settings.quiet_hours else None
    return WorkerPool(
        engine,
        engine_options(config),
        takes=takes,
        workers=config.engine.workers,
        nice=settings.nice,
        times=PoolTimes(chunk_s=config.limits.chunk_deadline_s, idle_release_s=settings.idle_unload_s),
        limits=WorkerLimits(
            reserve_bytes=config.gpu.reserve_mb * 2**20,
            regrow_after_s=settings.regrow_after_s,
            fallbacks=None if settings.fallbacks == "all" else settings.fallbacks,
            store_takes=settings.store_takes,
            ahead=settings.ahead,
        ),
        cards=cards,
        yield_policy=YieldPolicy(config.gpu, cards=NvmlGpus() if cards else None, quiet=quiet),
        waits=waits,
    )


class WorkerPool:
    """Runs utterances through engine workers; implements `Executor`.

    Workers start when there is work. At any moment a CPU worker has at most one utterance more than its engine
    speaks at once that the caller of `run` has not committed, two with hibari: what a kill of everything costs.

    Args:
        engine: name of an installed engine.
        options: passed to the engine; picklable.
        takes: folder in which takes are stored.
        workers: how many; 0 for as many as there are cores for an engine that wants one core each, one for
            each graphics card, or one.
        nice: added to the nice value of workers while their engine works on the CPU, so that the rest of the machine
            goes first. One on a card only feeds that, and would let it idle.
        times: how patient it is.
        limits: what bounds each worker.
        cards: graphics cards, as ``CUDA_VISIBLE_DEVICES`` names them, one to a worker in turn; for a CUDA engine only.
        yield_policy: when workers make room for others; by default never.
        waits: whether books wait while all workers make room, or end with a `TryAgainError`.
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
        limits: WorkerLimits | None = None,
        cards: Sequence[str] = (),
        yield_policy: YieldPolicy | None = None,
        waits: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        info = find(engine).describe(options)
        on_cpu = info.device == "cpu"
        cards = cards if info.device.startswith("cuda") else ()
        limits = limits or WorkerLimits()
        self._queue = WorkQueue()
        self._supervisor = Supervisor(
            self._queue,
            info,
            options,
            engine=engine,
            takes=takes,
            workers=workers or (len(os.sched_getaffinity(0)) if on_cpu and info.shares_cores else max(1, len(cards))),
            nice=nice,
            times=times or PoolTimes(),
            limits=replace(limits, reserve_bytes=0) if on_cpu else limits,
            cards=cards,
            yield_policy=yield_policy or YieldPolicy(GpuSettings()),
            waits=waits,
            clock=clock,
        )
        discard_partial_files(takes)

    @property
    def info(self) -> EngineInfo:
        """The engine, as a worker loaded it, or as it describes itself until one has."""
        return self._supervisor.dispatch.info

    def warm(self) -> None:
        """Start the workers; see `Executor.warm`."""
        with self._queue.lock:
            self._supervisor.warm()
        self._supervisor.ring()

    def run(self, utterances: Iterable[Utterance]) -> Iterator[list[Rendered | Failed]]:
        """Render utterances; see `Executor.run`."""
        source = iter(utterances)
        with self._queue.lock:
            if self._supervisor.closing:
                raise TryAgainError("The workers were stopped.")
            run = self._queue.open()
        try:
            more = True
            while more or run.unanswered or run.ready:
                more = self._pull(run, source)
                batch = self._await_results(run)
                if batch or run.unanswered:
                    try:
                        yield [result for result, _ in batch]
                    finally:
                        self._commit(batch)
        finally:
            with self._queue.lock:
                self._queue.close(run)
            self._supervisor.ring()

    def status(self) -> ExecutorStatus:
        """Describe the pool at this moment."""
        with self._queue.lock:
            return ExecutorStatus(
                workers=self._supervisor.status(),
                runs=len(self._queue.runs),
                waiting=self._queue.waiting,
                in_flight=self._supervisor.dispatch.in_flight,
                rendered=self._supervisor.dispatch.rendered,
                failed=self._supervisor.dispatch.failed,
                broken=self._supervisor.is_broken,
            )

    def close(self) -> None:
        """Stop at once, within two seconds even in the middle of an utterance."""
        with self._queue.lock:
            self._supervisor.closing = True
            self._queue.fail_all(TryAgainError("The workers were stopped. Nothing that was stored is lost."))
        self._supervisor.stop()

    def _pull(self, run: Run, source: Iterator[Utterance]) -> bool:
        """Pull as much as the workers could take on; say whether the source may hold more."""
        try:
            while len(run.waiting) < self._supervisor.dispatch.places:
                utterance = next(source, None)
                if utterance is None:
                    return False
                with self._queue.lock:
                    self._queue.add(run, utterance)
            return True
        finally:
            self._supervisor.ring()

    def _await_results(self, run: Run) -> list[tuple[Rendered | Failed, Task]]:
        """Wait for results of what was pulled, for a while; an empty list if there are none."""
        with self._queue.lock:
            self._supervisor.begin()
            while not run.ready and run.unanswered and run.error is None:
                if not run.changed.wait(EMPTY_BATCH_S):
                    break
            if not run.ready and run.error is not None:
                raise run.error
            batch, run.ready = run.ready, []
            return batch

    def _commit(self, batch: list[tuple[Rendered | Failed, Task]]) -> None:
        with self._queue.lock:
            for _, task in batch:
                self._queue.release(task)
        self._supervisor.ring()
