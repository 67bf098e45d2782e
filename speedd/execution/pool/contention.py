"""Makes a crew's workers obey the etiquette."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import structlog

from speedd.execution.pool.yield_policy import LOOK_S, Etiquette, Manners
from speedd.execution.protocol import Release, Stop

if TYPE_CHECKING:
    from speedd.execution.pool.process import Child
    from speedd.execution.pool.work_queue import Slot

log = structlog.get_logger()


class Neighbours:
    """Looks now and then at who needs the cards, and what the clock says.

    Args:
        etiquette: decides.
        slots: the places of the workers.
        clock: monotonic seconds.
    """

    def __init__(self, etiquette: Etiquette, slots: Sequence[Slot], clock: Callable[[], float]) -> None:
        self._etiquette = etiquette
        self._slots = slots
        self._clock = clock
        self._needed = etiquette.is_needed(on_cards=any(slot.card for slot in slots))
        self._look_at_s = -math.inf

    @property
    def due_s(self) -> float:
        """When it looks again, on the monotonic clock; infinite if there is nothing to look at."""
        return self._look_at_s if self._needed else math.inf

    def _tell(self, slot: Slot, child: Child, manners: Manners) -> None:
        """Tell a worker what its new manners ask of it."""
        if manners is Manners.LEAVE:
            child.send(Stop())
            slot.leaving = True
            slot.since_s = self._clock()
        elif manners > slot.manners or manners is Manners.WORK:
            child.send(Release(shrink=manners is not Manners.WORK))

    def mind(self) -> str:
        """Make room for others, or take it back; say why nobody may begin anything, if nobody may."""
        if self._clock() < self.due_s:
            return ""
        self._look_at_s = self._clock() + LOOK_S
        workers: dict[str, dict[int, int]] = {slot.card: {} for slot in self._slots}
        for slot in self._slots:
            if slot.child is not None:
                workers[slot.card][slot.child.pid] = slot.gauge.budget.used_bytes if slot.gauge else 0
        verdicts = {card: self._etiquette.judge(card, ours, self._clock()) for card, ours in workers.items()}
        for slot in self._slots:
            manners, slot.polite = verdicts[slot.card]
            if manners is slot.manners:
                continue
            log.info(
                "worker.manners", worker=slot.index, state=manners.name.lower(), reason=slot.polite or "all is free"
            )
            if slot.child is not None and not slot.leaving:
                self._tell(slot, slot.child, manners)
            slot.manners = manners
        able = [slot for slot in self._slots if not slot.restarts.are_vain]
        return able[0].polite if able and all(slot.manners >= Manners.PAUSE for slot in able) else ""
