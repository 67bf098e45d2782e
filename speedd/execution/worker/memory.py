"""What a worker does about memory: it watches its engine's budget, gives way, falls back, and recovers."""

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
    """The engine's throttle, and the fallbacks that hold in it.

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
        """The engine's thread and the one of the heartbeat both use the throttle."""
        self._shrink = False
        self.holding: tuple[str, ...] = ()
        """The fallbacks that hold in the engine."""

    @property
    def fallback(self) -> str:
        """What differs from the engine's own numerics now, for `Rendered.fallback`."""
        return ", ".join(f"{name}={value}" for name, value in sorted(self._changed(self.holding).items()))

    @property
    def fallback_device(self) -> str:
        """The other device on which the engine works once it is settled; empty if it works where it was loaded."""
        device = self._changed(self._throttle.steps).get("device", self._device)
        return device if device != self._device else ""

    def rows_cap(self, most: int) -> int:
        """Rows that may be in the engine, of so many that it could hold; more than last time if it has been quiet."""
        if self._shrink and not isinstance(self._engine, ReleasesMemory):  # one that is has taken room for half as many
            most = max(1, most // 2)
        with self._lock:
            self._throttle.grow(self._clock())
            rows = self._throttle.rows
        return most if rows is None else min(rows, most)

    @property
    def is_due(self) -> bool:
        """Whether the engine has to be emptied so that `apply_fallbacks` can change its fallbacks."""
        return self._throttle.steps != self.holding or self._throttle.may_drop_fallback(self._clock())

    def review(self) -> None:
        """Decide whether to do without the last fallback from now on. Nothing may be in the engine."""
        if self._throttle.steps == self.holding and self._throttle.may_drop_fallback(self._clock()):
            self._throttle.drop_fallback(self._clock())

    def apply_fallbacks(self) -> None:
        """Let the fallbacks hold in the engine that were decided on. Nothing may be in the engine.

        Raises:
            DeviceFullError: if there is no room for that.
        """
        if self._throttle.steps != self.holding:
            assert isinstance(self._engine, HasFallbacks)
            self._engine.fall_back(self._throttle.steps)
            self.holding = self._throttle.steps

    def note_success(self) -> None:
        """Take note that a row was spoken."""
        self._throttle.note_success()

    def note_out_of_memory(self, rows: int) -> Answer:
        """Give way after so many rows were too many."""
        with self._lock:
            answer = self._throttle.note_out_of_memory(rows, self._clock())
        self._release()
        return answer

    def release(self, *, shrink: bool) -> None:
        """Give memory back, and take half as much from now on, or as much as fits. Nothing may be in the engine."""
        self._shrink = shrink
        self._release()

    def _changed(self, names: tuple[str, ...]) -> dict[str, str]:
        """What of the engine's numerics some fallbacks change; later ones win."""
        changed: dict[str, str] = {}
        for name in names:
            changed |= self._numerics[name]
        return changed

    def _release(self) -> None:
        if isinstance(self._engine, ReleasesMemory):
            self._engine.release_memory(shrink=self._shrink)
