"""What an engine may take on, and in which order. Pure: no clock, no queue, no engine.

Admission keeps three promises. What starts fits into the free memory beside the reserve and beside what the running
rows will still take. Texts of similar length start together, because a batch is as slow as its longest row. No text
waits for ever: it is overtaken at most `MAX_TIMES_PASSED_OVER` times, then memory is kept free until it fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from speedd.engines.base import Budget
    from speedd.model import TextLimits

MAX_TIMES_PASSED_OVER = 16
"""How many later utterances may start before an utterance. More would pack no better (in simulation the occupancy is
within 1 % from 8 on), and early chapters should be finished early."""


@dataclass(slots=True)
class QueuedRow:
    """An utterance that has not started."""

    chars: int
    overtaken: int = 0
    """How many that came later have started before it."""


def row_cost_bytes(chars: int, budget: Budget, limits: TextLimits) -> int:
    """Return what a row comes to hold: a base and a part by its text, at least a quarter of a best-length row."""
    by_length = (budget.row_bytes - budget.row_base_bytes) * chars // limits.best_chars
    return max(budget.row_base_bytes + by_length, budget.row_bytes // 4)


def room_bytes(running_chars: Sequence[int], budget: Budget, limits: TextLimits, reserve_bytes: int) -> int:
    """Return what new rows may come to hold. Negative if the running rows will take more than there is.

    Args:
        running_chars: lengths of the texts in the engine.
        budget: what the engine says now.
        limits: its text limits.
        reserve_bytes: what stays free for others and for what the budget does not foresee.
    """
    room = budget.free_bytes + budget.idle_bytes - budget.workspace_bytes - reserve_bytes
    if budget.held_bytes is not None:
        room -= max(0, sum(row_cost_bytes(chars, budget, limits) for chars in running_chars) - budget.held_bytes)
    return room


def choose(
    waiting: Sequence[QueuedRow],
    running_chars: Sequence[int],
    *,
    max_rows: int,
    rows_cap: int,
    budget: Budget,
    limits: TextLimits,
    reserve_bytes: int = 0,
) -> list[int]:
    """Choose what starts now, and count for the others how often they were overtaken.

    Args:
        waiting: in the order in which they came. Their counts are updated.
        running_chars: lengths of the texts in the engine.
        max_rows: what the engine asked for.
        rows_cap: rows that may be in the engine at all.
        budget: what it can take on.
        limits: the engine's text limits.
        reserve_bytes: what stays free on the device.
    Returns:
        Indices into ``waiting``. An empty engine always gets the oldest, however long it is, since waiting would free
        nothing.
    """
    places = min(max_rows, min(rows_cap, budget.rows) - len(running_chars))
    room = room_bytes(running_chars, budget, limits, reserve_bytes)
    left = list(range(len(waiting)))
    chosen: list[int] = []
    while left:
        oldest = waiting[left[0]]
        if not (running_chars or chosen):
            pick = 0
        elif len(chosen) >= places:
            break
        else:
            like = max(running_chars, default=waiting[chosen[0]].chars if chosen else oldest.chars)
            # None that came after one that was overtaken often enough. One that was given back may stand before it.
            last = next(
                (place for place, index in enumerate(left) if waiting[index].overtaken >= MAX_TIMES_PASSED_OVER),
                len(left),
            )
            among = left[: last + 1]
            fitting = [
                (abs(waiting[index].chars - like), place)
                for place, index in enumerate(among)
                if row_cost_bytes(waiting[index].chars, budget, limits) <= room
            ]
            if not fitting:
                break
            pick = min(fitting)[1]
        for index in left[:pick]:
            waiting[index].overtaken += 1
        index = left.pop(pick)
        chosen.append(index)
        room -= row_cost_bytes(waiting[index].chars, budget, limits)
    return chosen


def window(rows: int, device: str, *, ahead: int = 2) -> int:
    """Return how many utterances a worker may hold that are not committed yet.

    On a CPU one is spoken while the one before is stored. That is rows + 1, the bound that is stated for a crash. A
    GPU's batch must never run dry, and needs texts of similar length to choose from, so it gets ``ahead`` more.
    """
    return rows + (1 if device == "cpu" else ahead)
