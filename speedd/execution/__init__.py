"""Run utterances through engine workers."""

from speedd.execution.base import Executor, ExecutorStatus
from speedd.execution.pool import PoolTimes, WorkerPool
from speedd.execution.takes import TAKE_BYTES_PER_SECOND, chunk_seed, discard_partial_files, take_key, take_path

__all__ = [
    "TAKE_BYTES_PER_SECOND",
    "Executor",
    "ExecutorStatus",
    "PoolTimes",
    "WorkerPool",
    "chunk_seed",
    "discard_partial_files",
    "take_key",
    "take_path",
]
