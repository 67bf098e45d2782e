"""How a worker takes less memory when its device runs out of it, and more again later. Pure: the clock is passed in."""

from __future__ import annotations

import math
from enum import StrEnum

from speedd.common.policies import MOST_DOUBLINGS


class Answer(StrEnum):
    """What to do about a device without room."""

    TRY_AGAIN = "try again"
    FALL_BACK = "fall back"
    GIVE_UP = "give up"


class Throttle:
    """Rows that may run at once, and the fallbacks that hold.

    Out of memory with several rows halves them. One row is tried once more, because memory was released. If it fails
    again, the next fallback is taken. After the last fallback the worker can only wait. After a calm time the last
    fallback is dropped, then the rows grow by a half.

    Args:
        fallbacks: names, the mildest first.
        regrow_after_s: how long nothing must have gone wrong before it tries more.
    """

    def __init__(self, fallbacks: tuple[str, ...], *, regrow_after_s: float) -> None:
        self._fallbacks = fallbacks
        self._calm_s = regrow_after_s
        self._rows: int | None = None
        self._steps = 0
        self._doublings = -1
        self._most = 0
        self._failed_alone = False
        self._went_well = False
        self._since_s = -math.inf

    @property
    def rows(self) -> int | None:
        """Rows that may be in the engine. None for as many as fit."""
        return self._rows

    @property
    def steps(self) -> tuple[str, ...]:
        """The fallbacks that hold."""
        return self._fallbacks[: self._steps]

    def note_out_of_memory(self, rows: int, now_s: float) -> Answer:
        """Take note that so many rows were too many.

        Rows that had started before the last halving are no new evidence. They end first.
        """
        self._went_well = False
        self._since_s = now_s
        if self._rows is not None and rows > max(1, self._rows):
            return Answer.TRY_AGAIN
        self._doublings = min(self._doublings + 1, MOST_DOUBLINGS)
        if rows > 1:
            self._most = max(self._most, rows)
            self._rows = rows // 2
            return Answer.TRY_AGAIN
        self._rows = 1
        if not self._failed_alone:
            self._failed_alone = True
            return Answer.TRY_AGAIN
        if self._steps == len(self._fallbacks):
            return Answer.GIVE_UP
        self._steps += 1
        return Answer.FALL_BACK

    def note_success(self) -> None:
        """Take note that a row was spoken. More is tried only after one was, so that each try gains at least a take."""
        self._failed_alone = False
        self._went_well = True

    def may_drop_fallback(self, now_s: float) -> bool:
        """Whether it has been calm long enough to drop the last fallback. The engine must be empty."""
        return self._steps > 0 and self._is_calm(now_s)

    def drop_fallback(self, now_s: float) -> None:
        """Drop the last fallback."""
        self._steps -= 1
        self._since_s = now_s
        self._went_well = False

    def grow(self, now_s: float) -> None:
        """Allow more rows if it has been calm long enough."""
        if self._rows is None or self._steps or not self._is_calm(now_s):
            return
        self._rows += max(1, self._rows // 2)
        self._since_s = now_s
        self._went_well = False
        if self._rows > self._most:  # more than failed last time goes well now
            self._rows = None
            self._most = 0
            self._doublings = -1

    def _is_calm(self, now_s: float) -> bool:
        return self._went_well and now_s - self._since_s >= math.ldexp(self._calm_s, max(0, self._doublings))
