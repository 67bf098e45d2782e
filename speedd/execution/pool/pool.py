"""The worker pool: shares a few engine workers among the open books, and survives the workers' deaths.

Callers of `WorkerPool.run` and the supervisor's thread share the work queue. A caller adds its utterances and waits for
results. Only the supervisor's thread talks to workers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from speedd.config import Config, GpuSettings, engine_options
from speedd.engines.base import EngineInfo, find
from speedd.errors import TryAgainError
from speedd.execution.base import ExecutorStatus
from speedd.execution.pool.deadlines import PoolTimes
from speedd.execution.pool.gpus import NvmlGpus, visible_cards
from speedd.execution.pool.settings import PoolSettings
from speedd.execution.pool.supervisor import Supervisor
from speedd.execution.pool.work_queue import Run, Task, WorkQueue
from speedd.execution.pool.yield_policy import QuietHours, YieldPolicy
from speedd.execution.protocol import WorkerLimits
from speedd.execution.takes import discard_partial_files

if TYPE_CHECKING:
    from speedd.model import Failed, Rendered, Utterance

EMPTY_BATCH_S = 5.0
"""A caller of `run` for whom nothing arrives gets an empty batch this often."""


def configured_pool(engine: str, config: Config, *, takes: Path, waits: bool) -> WorkerPool:
    """Make the pool of an engine as the configuration wants it.

    Args:
        engine: name of an installed engine.
        config: what holds for all books.
        takes: folder in which takes are stored.
        waits: see `PoolSettings`.
    Raises:
        EngineError: if there is no such engine, or it cannot run here.
    """
    settings = config.workers
    cards = visible_cards()
    quiet = QuietHours.read(settings.quiet_hours) if settings.quiet_hours else None
    pool = PoolSettings(
        engine,
        takes,
        engine_options(config)(engine),
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
        waits=waits,
    )
    return WorkerPool(pool, YieldPolicy(config.gpu, cards=NvmlGpus() if cards else None, quiet=quiet))


class WorkerPool:
    """Runs utterances through engine workers. Implements `Executor`.

    Workers start when there is work. Of what a CPU worker has been sent, the caller of `run` has at most one utterance
    more not committed than the engine speaks at once. A kill of everything costs that: with hibari two a worker.

    Args:
        settings: what to run.
        yield_policy: when workers make room for others. By default never.
        clock: monotonic seconds.
    Raises:
        EngineError: if there is no such engine, or it cannot run here.
    """

    def __init__(
        self,
        settings: PoolSettings,
        yield_policy: YieldPolicy | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        info = find(settings.engine).describe(settings.options)
        on_cpu = info.device == "cpu"
        cards = settings.cards if info.device.startswith("cuda") else ()
        workers = len(os.sched_getaffinity(0)) if on_cpu and info.shares_cores else max(1, len(cards))
        settings = replace(
            settings,
            workers=settings.workers or workers,
            cards=cards,
            limits=replace(settings.limits, reserve_bytes=0) if on_cpu else settings.limits,
        )
        self._queue = WorkQueue()
        policy = yield_policy or YieldPolicy(GpuSettings())
        self._supervisor = Supervisor(self._queue, info, settings, yield_policy=policy, clock=clock)
        discard_partial_files(settings.takes)

    @property
    def info(self) -> EngineInfo:
        """The engine, as it describes itself until a worker has loaded it."""
        return self._supervisor.dispatch.info

    def warm(self) -> None:
        """Start the workers. See `Executor.warm`."""
        with self._queue.lock:
            self._supervisor.warm()
        self._supervisor.notify()

    def run(self, utterances: Iterable[Utterance]) -> Iterator[list[Rendered | Failed]]:
        """Render utterances. See `Executor.run`."""
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
            self._supervisor.notify()

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
        """Pull as much as the workers could take on. Return whether the source may hold more."""
        try:
            while len(run.waiting) < self._supervisor.dispatch.places:
                utterance = next(source, None)
                if utterance is None:
                    return False
                with self._queue.lock:
                    self._queue.add(run, utterance)
            return True
        finally:
            self._supervisor.notify()

    def _await_results(self, run: Run) -> list[tuple[Rendered | Failed, Task]]:
        """Wait a while for results of what was pulled. An empty list if there are none."""
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
        self._supervisor.notify()
