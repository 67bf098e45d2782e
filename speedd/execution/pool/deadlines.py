"""How patient a pool is, and when a worker is late."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from speedd.common.policies import END_DEADLINE_S, LOAD_DEADLINE_S
from speedd.execution.base import WorkerState
from speedd.execution.pool.pace import Pace

if TYPE_CHECKING:
    from speedd.execution.pool.work_queue import Task, WorkerSlot


@dataclass(frozen=True, slots=True)
class PoolTimes:
    """How patient a pool is, in seconds."""

    chunk_s: float = 60.0
    """What an engine has at least, from taking an utterance until its take is stored. Longer texts and slower engines
    get more (see `Pace`)."""
    load_s: float = LOAD_DEADLINE_S
    """What an engine has to load, and to get ready for a voice."""
    end_s: float = END_DEADLINE_S
    """What a worker has to end, once its engine is empty."""
    heartbeat_s: float = 1.0
    idle_release_s: float = 600.0
    """Workers without work for so long are ended. Only that gives their memory back."""


class Deadlines:
    """Knows by when each worker must have sent something.

    Args:
        times: how patient the pool is.
        s_per_char: how slow the engine may be, before anything is measured.
    """

    def __init__(self, times: PoolTimes, s_per_char: float) -> None:
        self._times = times
        self._pace = Pace(times.chunk_s, s_per_char)

    def note(self, task: Task, render_s: float) -> None:
        """Take note of what an utterance took."""
        self._pace.note(len(task.utterance.text), render_s)

    def of(self, slot: WorkerSlot) -> float:
        """Return when a worker must have sent something, on the monotonic clock. Infinite if nothing is due."""
        started = [(task, task.started_s) for task in slot.outstanding if task.started_s is not None]
        if slot.fault or (slot.leaving and not started):
            return slot.since_s + self._times.end_s
        if slot.state is WorkerState.LOADING or slot.warming:  # for a voice an engine may load its model anew
            return slot.since_s + self._times.load_s
        if not slot.outstanding:
            return math.inf
        if not started:
            return slot.since_s + self._allowed_s(slot.outstanding[0])
        return min(since_s + self._allowed_s(task) for task, since_s in started)

    def _allowed_s(self, task: Task) -> float:
        return self._pace.deadline_s(len(task.utterance.text))
