"""Which waiting utterances an engine may take on. Pure: no clock, no queue, no engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from speedd.engines.base import Budget
    from speedd.model import TextLimits


def row_cost_bytes(chars: int, budget: Budget, limits: TextLimits) -> int:
    """Say what a row costs: in proportion to its text, and never less than a quarter of a row of the best length."""
    return budget.row_bytes * max(4 * chars, limits.best_chars) // (4 * limits.best_chars)


def admit(waiting_chars: Sequence[int], *, running_rows: int, max_rows: int, budget: Budget, limits: TextLimits) -> int:
    """Decide how many of the waiting utterances start now, first come first served.

    Args:
        waiting_chars: length of each waiting text, in characters, in order.
        running_rows: rows that the engine holds now; their memory is no longer in ``free_bytes``.
        max_rows: what the engine asked for.
        budget: what it can take on.
        limits: the engine's text limits.
    Returns:
        How many to hand out from the front. The first is always handed out if nothing runs, however long it is:
        nothing would become free by waiting.
    """
    places = min(max_rows, budget.rows - running_rows)
    free_bytes = budget.free_bytes
    admitted = 0
    for chars in waiting_chars:
        cost = row_cost_bytes(chars, budget, limits)
        alone = running_rows + admitted == 0
        if not alone and (admitted >= places or cost > free_bytes):
            break
        if admitted >= max_rows:
            break
        free_bytes -= cost
        admitted += 1
    return admitted


def window(rows: int, device: str) -> int:
    """Say how many utterances a worker may hold that are not committed yet.

    On a CPU one is spoken while the one before is stored: rows + 1, the bound that is stated for a crash. A GPU's batch
    must never run dry, so it gets one more.
    """
    return rows + (1 if device == "cpu" else 2)
