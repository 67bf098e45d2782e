"""What a running daemon tells others: a file in its state directory, and a line for systemd."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from speedd import inbox
from speedd.common.durations import duration
from speedd.execution.base import ExecutorStatus
from speedd.pipeline.job_run import BookProgress


def write_status(
    path: Path,
    *,
    run_id: str,
    books: Iterable[BookProgress],
    waiting: Iterable[inbox.WaitingSource],
    engines: Mapping[str, ExecutorStatus],
) -> None:
    """Write what ``speedd status`` shows. It is not worth an fsync, and a failure is not worth a message."""
    status: dict[str, Any] = {
        "pid": os.getpid(),
        "run_id": run_id,
        "books": [asdict(progress) for progress in books],
        "waiting": [asdict(each) for each in waiting],
        "engines": {name: asdict(each) for name, each in engines.items()},
    }
    with contextlib.suppress(OSError):
        path.with_suffix(".tmp").write_text(json.dumps(status, default=str))
        path.with_suffix(".tmp").replace(path)


def describe_engine(status: ExecutorStatus) -> str:
    """Say in a few words what an engine does. Empty if no worker runs and none has anything to say."""
    running = [worker for worker in status.workers if worker.rows_cap]
    words = []
    if running:
        rows, cap = sum(worker.rows for worker in running), sum(worker.rows_cap for worker in running)
        used, free = sum(worker.used_bytes for worker in running), min(worker.free_bytes for worker in running)
        words.append(f"{rows}/{cap} rows, {used / 2**30:.1f} GiB used, {free / 2**30:.1f} GiB free")
    if tokens_per_s := sum(worker.tokens_per_s for worker in running):
        words.append(f"{tokens_per_s:.0f} tokens/s")
    if restarts := sum(worker.restarts for worker in status.workers):
        words.append(f"{restarts} restart{'s' * (restarts > 1)}")
    words += sorted({f"without {', '.join(worker.fallbacks)}" for worker in running if worker.fallbacks})
    words += sorted({worker.note for worker in status.workers if worker.note})
    return ", ".join(words)


def describe(progress: BookProgress) -> str:
    """Say in a few words how far a book is."""
    words = f"{progress.title or progress.name}: {progress.stage} {progress.share:.0%}"
    if progress.stage == "narrating" and progress.total:
        words += f", chunk {progress.done}/{progress.total}"
    if progress.eta_s is not None:
        words += f", {duration(progress.eta_s)} left"
    if progress.stage == "narrating" and progress.realtime_factor:
        words += f", {progress.realtime_factor:.0f} × realtime"
    return words
