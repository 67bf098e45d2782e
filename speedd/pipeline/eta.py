"""How long a book will still take, from how fast it was spoken so far."""

from __future__ import annotations

import time
from collections.abc import Callable


class EtaEstimator:
    """Measures the pace of one run of a book.

    Only takes rendered in this run count, and only the time in which an engine spoke. The time in which it was loaded,
    or made room for others, does not count.

    Args:
        mastering_s: how long mastering will take once all is spoken, in seconds.
        clock: monotonic seconds.
    """

    def __init__(self, *, mastering_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._mastering_s = mastering_s
        self._clock = clock
        self._looked_s = clock()
        self._chars = 0
        self._fresh = False
        self.spoken_s = 0.0
        """For how long it was spoken, in seconds."""

    def note_rendered(self, chars: int) -> None:
        """Note that so many characters were rendered."""
        self._chars += chars
        self._fresh = True

    def look(self, *, speaking: bool) -> bool:
        """Count the time since the last look, unless nothing was spoken in it.

        Args:
            speaking: whether an engine is speaking anything now.

        Returns:
            Whether it was counted.
        """
        now_s = self._clock()
        counts = speaking or self._fresh
        if counts:
            self.spoken_s += now_s - self._looked_s
        self._looked_s, self._fresh = now_s, False
        return counts

    def left_s(self, chars: int) -> float | None:
        """Return how many seconds of work are left with so many characters to render. None while there is no pace."""
        if not chars:
            return self._mastering_s
        return chars * self.spoken_s / self._chars + self._mastering_s if self._chars else None
