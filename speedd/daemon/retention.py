"""Remove what no job needs any more: old takes, private copies and staging folders."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from speedd.common.state_directory import StateDirectory
from speedd.config import Config
from speedd.errors import SpeeddError
from speedd.execution.takes import take_files, take_path
from speedd.ledger import JobRecord, Ledger
from speedd.outbox.publishing import abandon, stale_staging

DAY_S = 86_400.0
STALE_S = DAY_S
"""How long a staging folder or a take that no job knows must have been left alone. Another speedd may own it."""
FORGET_PAGE = 256


@dataclass(slots=True)
class Collected:
    """What was removed."""

    takes: int = 0
    copies: int = 0
    stages: int = 0
    freed_bytes: int = 0


def collect(ledger: Ledger, config: Config, *, now: Callable[[], float] = time.time) -> Collected:
    """Remove what is older than the configuration keeps, never what an unfinished job uses.

    Args:
        ledger: of the state directory.
        config: says what is kept for how long, and where it lies.
        now: wall clock, seconds since the epoch.
    """
    collected = Collected()
    _collect_takes(ledger, config, now(), collected)
    _collect_orphans(ledger, StateDirectory(config.paths.state).takes, now(), collected)
    limit = now() - config.limits.keep_days * DAY_S
    records = ledger.jobs.all()
    for record in records:
        if (
            record.state.ended
            and (record.ended_at or 0) < limit
            and _is_own_copy(record, records)
            and record.job.spool.is_dir()
        ):
            shutil.rmtree(record.job.spool, ignore_errors=True)
            ledger.plans.remove(record.job.id)
            collected.copies += 1
    _collect_stages(
        config.paths.outbox, {record.job.id for record in records if not record.state.ended}, now(), collected
    )
    return collected


def _collect_takes(ledger: Ledger, config: Config, now: float, collected: Collected) -> None:
    """Remove takes by age, then by size. The file goes first, so that a crash leaves a row that is rendered again."""
    takes = StateDirectory(config.paths.state).takes
    idle = ledger.takes.idle()
    limit = now - config.limits.keep_days * DAY_S
    excess = sum(size for _, size, _ in idle) - config.limits.keep_gb * 2**30
    removed: list[str] = []
    for key, size, used_at in idle:
        if used_at >= limit and excess <= 0:
            break
        with suppress(OSError):
            take_path(takes, key).unlink(missing_ok=True)
            removed.append(key)
            excess -= size
            collected.takes += 1
            collected.freed_bytes += size
        if len(removed) >= FORGET_PAGE:
            ledger.takes.forget(removed)
            removed.clear()
    ledger.takes.forget(removed)


def _collect_orphans(ledger: Ledger, takes: Path, now: float, collected: Collected) -> None:
    """Remove takes that no row names. The program died between the file and the row."""
    for path in take_files(takes):
        with suppress(OSError):
            status = path.stat()
            if now - status.st_mtime > STALE_S and ledger.takes.stored(path.stem) is None:
                path.unlink()
                collected.takes += 1
                collected.freed_bytes += status.st_size


def _is_own_copy(record: JobRecord, records: list[JobRecord]) -> bool:
    """Whether no unfinished job reads from this job's private copy."""
    parts = {part.path.parent for other in records if not other.state.ended for part in other.job.parts}
    return record.job.spool not in parts


def _collect_stages(place: Path, live: set[str], now: float, collected: Collected) -> None:
    with suppress(SpeeddError, OSError):
        for staging in stale_staging(place, live):
            if now - max(path.lstat().st_mtime for path in _with_all_below(staging)) > STALE_S:
                abandon(staging)
                collected.stages += 1


def _with_all_below(folder: Path) -> Iterator[Path]:
    yield folder
    yield from folder.rglob("*")
