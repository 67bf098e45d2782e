"""Has the workers yield as the yield policy says."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import structlog
from structlog.typing import FilteringBoundLogger

from speedd.execution.pool.yield_policy import CHECK_S, YieldLevel, YieldPolicy
from speedd.execution.protocol import Release, Stop

if TYPE_CHECKING:
    from speedd.execution.pool.process import WorkerProcess
    from speedd.execution.pool.work_queue import WorkerSlot

log: FilteringBoundLogger = structlog.get_logger()


class ContentionMonitor:
    """Asks the yield policy now and then, and tells the workers.

    Args:
        yield_policy: decides.
        slots: the places of the workers.
        clock: monotonic seconds.
    """

    def __init__(self, yield_policy: YieldPolicy, slots: Sequence[WorkerSlot], clock: Callable[[], float]) -> None:
        self._yield_policy = yield_policy
        self._slots = slots
        self._clock = clock
        self._needed = yield_policy.is_needed(on_cards=any(slot.card for slot in slots))
        self._look_at_s = -math.inf

    @property
    def due_s(self) -> float:
        """When it looks again, on the monotonic clock. Infinite if there is nothing to look at."""
        return self._look_at_s if self._needed else math.inf

    def _send_level(self, slot: WorkerSlot, child: WorkerProcess, yield_level: YieldLevel) -> None:
        """Send a worker the order that goes with its new yield level."""
        if yield_level is YieldLevel.LEAVE:
            child.send(Stop())
            slot.leaving = True
            slot.since_s = self._clock()
        elif yield_level > slot.yield_level or yield_level is YieldLevel.WORK:
            child.send(Release(shrink=yield_level is not YieldLevel.WORK))

    def check(self) -> str:
        """Make room for others, or take it back. Return why no worker may start anything. Empty if one may."""
        if self._clock() < self.due_s:
            return ""
        self._look_at_s = self._clock() + CHECK_S
        workers: dict[str, dict[int, int]] = {slot.card: {} for slot in self._slots}
        for slot in self._slots:
            if slot.child is not None:
                workers[slot.card][slot.child.pid] = slot.gauge.budget.used_bytes if slot.gauge else 0
        verdicts = {card: self._yield_policy.judge(card, ours, self._clock()) for card, ours in workers.items()}
        for slot in self._slots:
            yield_level, slot.yield_reason = verdicts[slot.card]
            if yield_level is slot.yield_level:
                continue
            log.info(
                "worker.yielded",
                worker=slot.index,
                state=yield_level.name.lower(),
                reason=slot.yield_reason or "all is free",
            )
            if slot.child is not None and not slot.leaving:
                self._send_level(slot, slot.child, yield_level)
            slot.yield_level = yield_level
        able = [slot for slot in self._slots if not slot.restarts.gave_up]
        return able[0].yield_reason if able and all(slot.yield_level >= YieldLevel.PAUSE for slot in able) else ""
