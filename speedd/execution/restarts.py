"""When a dead worker is replaced, and when that is given up. Pure: the clock is the caller's."""

from __future__ import annotations

import math
from typing import Final

FAILED_STARTS_TO_GIVE_UP: Final = 5
FRUITLESS_DEATHS_TO_GIVE_UP: Final = 15
"""Deaths in a row, of whatever worker, without one answer. Five bad texts in a row reach it."""
FIRST_BACK_OFF_S: Final = 0.1
LONGEST_BACK_OFF_S: Final = 30.0


class Restarts:
    """Counts how workers die: each fruitless death doubles the wait for the next start."""

    def __init__(self) -> None:
        self.deaths = 0
        """In a row, of whatever worker, without one answer."""
        self._failed_starts = 0

    def loaded(self) -> None:
        """Take note that a worker has loaded its engine."""
        self._failed_starts = 0

    def answered(self) -> None:
        """Take note of an answer: what is tried brings something."""
        self.deaths = 0

    def died(self, *, loading: bool) -> float:
        """Take note of a death; return the seconds to wait before the worker is replaced."""
        self._failed_starts += loading
        self.deaths += 1
        return min(math.ldexp(FIRST_BACK_OFF_S, min(self.deaths - 1, 16)), LONGEST_BACK_OFF_S)

    @property
    def are_vain(self) -> bool:
        """Whether it has come to the point where no book should wait for another try."""
        return self._failed_starts >= FAILED_STARTS_TO_GIVE_UP or self.deaths >= FRUITLESS_DEATHS_TO_GIVE_UP

    def forget(self) -> None:
        """Begin anew: the books that waited were told."""
        self._failed_starts = self.deaths = 0
