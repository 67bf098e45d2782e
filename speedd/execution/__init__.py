"""Run utterances through engine workers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from speedd.execution.base import Executor, ExecutorStatus, WorkerState
    from speedd.execution.pool import PoolTimes, WorkerPool, configured_pool
    from speedd.execution.takes import (
        TAKE_BYTES_PER_SECOND,
        chunk_seed,
        discard_partial_files,
        fallback_key,
        take_key,
        take_path,
    )

__all__ = [
    "TAKE_BYTES_PER_SECOND",
    "Executor",
    "ExecutorStatus",
    "PoolTimes",
    "WorkerPool",
    "WorkerState",
    "chunk_seed",
    "configured_pool",
    "discard_partial_files",
    "fallback_key",
    "take_key",
    "take_path",
]

# Loaded on first use: a worker needs neither the pool nor what the pool needs, 14 MB in each.
_HOMES = {
    "base": ("Executor", "ExecutorStatus", "WorkerState"),
    "pool": ("PoolTimes", "WorkerPool", "configured_pool"),
    "takes": (
        "TAKE_BYTES_PER_SECOND",
        "chunk_seed",
        "discard_partial_files",
        "fallback_key",
        "take_key",
        "take_path",
    ),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
