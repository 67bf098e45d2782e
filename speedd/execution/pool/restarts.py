"""When a dead worker is replaced, and when its place is given up on. Pure: the clock is the caller's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from speedd.errors import EngineError

FAILED_STARTS_TO_GIVE_UP: Final = 5
FRUITLESS_DEATHS_TO_GIVE_UP: Final = 15
"""Deaths in a row without one answer. Five bad texts in a row reach it."""
FIRST_BACK_OFF_S: Final = 0.1
LONGEST_BACK_OFF_S: Final = 30.0
REST_S: Final = 600.0
"""How long a place is left alone that was given up on while others work."""


class Restarts:
    """Counts how the workers in one place die: each fruitless death doubles the wait for the next start."""

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
        """Take note of an answer: what is tried brings something."""
        self.deaths = 0

    def died(self, *, loading: bool) -> float:
        """Take note of a death; return the seconds to wait before the worker is replaced."""
        self.total += 1
        self._failed_starts += loading
        self.deaths += 1
        return min(math.ldexp(FIRST_BACK_OFF_S, min(self.deaths - 1, 16)), LONGEST_BACK_OFF_S)

    @property
    def gave_up(self) -> bool:
        """Whether it has come to the point where no book should wait for another try here."""
        return (
            self.refusal is not None
            or self._failed_starts >= FAILED_STARTS_TO_GIVE_UP
            or self.deaths >= FRUITLESS_DEATHS_TO_GIVE_UP
        )

    def forget(self) -> None:
        """Begin anew: the books that waited were told."""
        self._failed_starts = self.deaths = 0
        self.refusal = None
