"""What a worker does when memory gets short: fewer rows, then fallbacks, and back again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from speedd.engines.base import HasFallbacks, ReleasesMemory
from speedd.execution.worker.throttle import Answer, Throttle

if TYPE_CHECKING:
    from speedd.engines.base import Engine
    from speedd.execution.protocol import WorkerLimits


class WorkerMemory:
    """The engine's throttle, and its active fallbacks.

    Args:
        engine: a loaded engine.
        limits: what bounds this worker.
        clock: monotonic seconds.
    """

    def __init__(self, engine: Engine, limits: WorkerLimits, *, clock: Callable[[], float]) -> None:
        declared = engine.info.fallbacks if isinstance(engine, HasFallbacks) else ()
        allowed = [one for one in declared if limits.fallbacks is None or one.name in limits.fallbacks]
        self._engine = engine
        self._device = engine.info.device
        self._clock = clock
        self._numerics = {one.name: one.numerics for one in allowed}
        self._throttle = Throttle(tuple(one.name for one in allowed), regrow_after_s=limits.regrow_after_s)
        self._lock = threading.Lock()
        """The engine's thread and the heartbeat's both use the throttle."""
        self._shrink = False
        self.active: tuple[str, ...] = ()
        """The fallbacks that the engine uses."""

    @property
    def fallback(self) -> str:
        """The numerics that differ from the engine's own now, for `Rendered.fallback`."""
        return ", ".join(f"{name}={value}" for name, value in sorted(self._changed(self.active).items()))

    @property
    def fallback_device(self) -> str:
        """The device to which a fallback takes the engine. Empty if it works where it was loaded."""
        device = self._changed(self._throttle.steps).get("device", self._device)
        return device if device != self._device else ""

    def rows_cap(self, most: int) -> int:
        """Rows that may be in the engine, of so many that fit. More than last time if it has been calm."""
        if self._shrink and not isinstance(self._engine, ReleasesMemory):  # else it has taken room for half as many
            most = max(1, most // 2)
        with self._lock:
            self._throttle.grow(self._clock())
            rows = self._throttle.rows
        return most if rows is None else min(rows, most)

    @property
    def is_due(self) -> bool:
        """Whether the engine must be emptied for `apply_fallbacks`."""
        return self._throttle.steps != self.active or self._throttle.may_drop_fallback(self._clock())

    def review(self) -> None:
        """Drop the last fallback if it has been calm long enough. The engine must be empty."""
        if self._throttle.steps == self.active and self._throttle.may_drop_fallback(self._clock()):
            self._throttle.drop_fallback(self._clock())

    def apply_fallbacks(self) -> None:
        """Have the engine use the fallbacks that were decided on. It must be empty.

        Raises:
            DeviceFullError: if there is no room for that.
        """
        if self._throttle.steps != self.active:
            assert isinstance(self._engine, HasFallbacks)
            self._engine.fall_back(self._throttle.steps)
            self.active = self._throttle.steps

    def note_success(self) -> None:
        """Take note that a row was spoken."""
        self._throttle.note_success()

    def note_out_of_memory(self, rows: int) -> Answer:
        """Take less after so many rows were too many."""
        with self._lock:
            answer = self._throttle.note_out_of_memory(rows, self._clock())
        self._release()
        return answer

    def release(self, *, shrink: bool) -> None:
        """Give memory back, and take half as much from now on, or as much as fits. The engine must be empty."""
        self._shrink = shrink
        self._release()

    def _changed(self, names: tuple[str, ...]) -> dict[str, str]:
        """The numerics of the engine that these fallbacks change. Later ones win."""
        changed: dict[str, str] = {}
        for name in names:
            changed |= self._numerics[name]
        return changed

    def _release(self) -> None:
        if isinstance(self._engine, ReleasesMemory):
            self._engine.release_memory(shrink=self._shrink)
