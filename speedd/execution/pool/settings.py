"""What a pool is to run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from speedd.engines.base import EngineOptions
from speedd.execution.pool.deadlines import PoolTimes
from speedd.execution.protocol import WorkerLimits


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """What a pool is to run, and within which bounds."""

    engine: str
    """Name of an installed engine."""
    takes: Path
    """Folder in which takes are stored."""
    options: EngineOptions[Any] = field(default_factory=lambda: EngineOptions(None))
    """Passed to the engine."""
    workers: int = 0
    """How many. 0: one for each core for an engine that wants one core each, one for each graphics card, or one."""
    nice: int = 0
    """Added to the nice value of workers while their engine works on the CPU. One on a card only feeds that."""
    cards: Sequence[str] = ()
    """Graphics cards, as ``CUDA_VISIBLE_DEVICES`` names them, one to a worker in turn. For a CUDA engine only."""
    times: PoolTimes = field(default_factory=PoolTimes)
    limits: WorkerLimits = field(default_factory=WorkerLimits)
    waits: bool = True
    """Whether books wait while all workers make room for others. Else they end with a `TryAgainError`."""
