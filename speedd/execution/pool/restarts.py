"""When a dead worker is replaced, and when its slot is given up. Pure: the clock is the caller's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from speedd.common.policies import (
    FAILED_STARTS_TO_GIVE_UP,
    FIRST_BACK_OFF_S,
    FRUITLESS_DEATHS_TO_GIVE_UP,
    LONGEST_BACK_OFF_S,
)

if TYPE_CHECKING:
    from speedd.errors import EngineError


class Restarts:
    """Counts how the workers of one slot die. Each death without an answer doubles the pause before the next start."""

    def __init__(self) -> None:
        self.total = 0
        self.deaths = 0
        """In a row, without one answer."""
        self.refusal: EngineError | None = None
        """Why the engine will not work here, where it said so itself."""
        self._failed_starts = 0

    def loaded(self) -> None:
        """Take note that a worker has loaded its engine."""
        self._failed_starts = 0
        self.refusal = None

    def answered(self) -> None:
        """Take note of an answer."""
        self.deaths = 0

    def died(self, *, loading: bool) -> float:
        """Take note of a death. Return the seconds to wait before the worker is replaced."""
        self.total += 1
        self._failed_starts += loading
        self.deaths += 1
        return min(math.ldexp(FIRST_BACK_OFF_S, min(self.deaths - 1, 16)), LONGEST_BACK_OFF_S)

    @property
    def gave_up(self) -> bool:
        """Whether no book should wait for another start in this slot."""
        return (
            self.refusal is not None
            or self._failed_starts >= FAILED_STARTS_TO_GIVE_UP
            or self.deaths >= FRUITLESS_DEATHS_TO_GIVE_UP
        )

    def forget(self) -> None:
        """Count anew, once the books that waited were told."""
        self._failed_starts = self.deaths = 0
        self.refusal = None
