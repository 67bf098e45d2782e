"""When a worker makes room for others, by what they use of its card and by the hour."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, time
from enum import IntEnum
from typing import TYPE_CHECKING

from speedd.common.policies import CALM_S
from speedd.execution.pool.gpus import Cards, CardUse

if TYPE_CHECKING:
    from speedd.config import GpuSettings

CHECK_S = 2.0
"""How often the cards are looked at."""


class YieldLevel(IntEnum):
    """What a worker may do, from all to nothing."""

    WORK = 0
    SHRINK = 1  # half of the rows
    PAUSE = 2  # what it has is finished, nothing new is sent
    LEAVE = 3  # it ends, so that all of its memory is free


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A span of the day in local time. It may go past midnight."""

    start: time
    end: time

    @classmethod
    def read(cls, text: str) -> QuietHours:
        """Read ``22:00-07:30``.

        Raises:
            ValueError: if it is no such span.
        """
        first, _, last = text.partition("-")
        hours = cls(time.fromisoformat(first.strip()), time.fromisoformat(last.strip()))
        if hours.start == hours.end:
            raise ValueError("it begins and ends at the same time")
        return hours

    def cover(self, moment: time) -> bool:
        """Whether a moment lies in it. The end does not."""
        if self.start < self.end:
            return self.start <= moment < self.end
        return moment >= self.start or moment < self.end


class YieldPolicy:
    """Decides for each card. Workers take less at once, and more only after a calm time.

    Args:
        settings: from which share of a card in others' use a worker shrinks, pauses and leaves.
        cards: looks at them.
        quiet: the hours in which nothing is spoken, if there are any.
        now: local wall clock.
    """

    def __init__(
        self,
        settings: GpuSettings,
        *,
        cards: Cards | None = None,
        quiet: QuietHours | None = None,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._settings = settings
        self._cards = cards
        self._quiet = quiet
        self._now = now
        self._held: dict[str, tuple[YieldLevel, float]] = {}
        self._least_bytes: dict[str, int] = {}
        """The least that others have used of a card since our workers took what was free there."""

    def is_needed(self, on_cards: bool) -> bool:
        """Whether there is anything to look at, for workers on graphics cards or for others."""
        return self._quiet is not None or (on_cards and self._cards is not None)

    def judge(self, card: str, workers: Mapping[int, int], now_s: float) -> tuple[YieldLevel, str]:
        """Return what the workers on a card may do, and why if not all.

        Args:
            card: their card. Empty for CPU workers.
            workers: those that run, as `Cards.look` wants them.
            now_s: monotonic clock.
        """
        if self._quiet is not None and self._quiet.cover(self._now().time()):
            return YieldLevel.LEAVE, f"quiet hours until {self._quiet.end:%H:%M}"
        use = self._cards.look(card, workers) if self._cards is not None and card else None
        wanted = self._wanted(card, use, workers) if use else YieldLevel.WORK
        held, until_s = self._held.get(card, (YieldLevel.WORK, -math.inf))
        if wanted < held and now_s >= until_s:
            self._least_bytes.pop(card, None)  # what is free now will be taken
        if wanted >= held or now_s >= until_s:
            held, until_s = wanted, now_s + CALM_S
        self._held[card] = held, until_s
        return held, f"other programs use {use.others if use else 0:.0%} of the card" if held else ""

    def _wanted(self, card: str, use: CardUse, workers: Mapping[int, int]) -> YieldLevel:
        settings = self._settings
        if use.others > settings.leave_above:
            return YieldLevel.LEAVE
        if use.others > settings.pause_above:
            return YieldLevel.PAUSE
        squeezed = self._is_squeezed(card, use, workers)
        return YieldLevel.SHRINK if squeezed or use.others > settings.shrink_above else YieldLevel.WORK

    def _is_squeezed(self, card: str, use: CardUse, workers: Mapping[int, int]) -> bool:
        """Whether others have taken some of the reserve. On a card whose other memory is ours they cannot use more."""
        if not workers or use.told:  # figures of different moments cannot tell some hundred MB
            self._least_bytes.pop(card, None)
            return False
        least_bytes = self._least_bytes[card] = min(use.others_bytes, self._least_bytes.get(card, use.others_bytes))
        reserve_bytes = self._settings.reserve_mb * 2**20
        return use.free < reserve_bytes and use.others_bytes - least_bytes > reserve_bytes // 2
