"""``status``, ``retry`` and ``cancel``: look at a daemon's jobs, and leave it a request."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from speedd.common.state_directory import StateDirectory
from speedd.config import Config, load_config
from speedd.daemon.app import open_ledger
from speedd.daemon.status import describe
from speedd.errors import UsageError
from speedd.execution.base import WorkerState
from speedd.ledger import JobRecord, Ledger, State
from speedd.pipeline.job_run import BookProgress

LATEST = 10
"""How many books that ended ``status`` shows."""


def gather_status(file: Path | None, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Collect what is at work, what waits and what ended lately."""
    config = load_config(file, overrides=overrides)
    live = _live_status(StateDirectory(config.paths.state))
    with open_ledger(config) as ledger:
        records = ledger.jobs.all()
        at_work = [record for record in records if not record.state.ended]
        ended = sorted((record for record in records if record.state.ended), key=lambda record: record.ended_at or 0)[
            -LATEST:
        ]
        etas_s = {progress["job"]: progress["eta_s"] for progress in (live or {}).get("books", [])}
        return {
            "running": live is not None,
            "daemon": live,
            "jobs": [_job_status(record, ledger, etas_s.get(record.job.id)) for record in at_work],
            "ended": [_job_status(record, ledger, None) for record in reversed(ended)],
        }


def _live_status(state: StateDirectory) -> dict[str, Any] | None:
    """What a running daemon last wrote about itself. None if none runs."""
    try:
        with state.lock.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        pass
    except OSError:
        return None
    else:
        return None
    try:
        status: dict[str, Any] = json.loads(state.status.read_text())
    except (OSError, ValueError):
        return {}
    return status


def _job_status(record: JobRecord, ledger: Ledger, eta_s: float | None) -> dict[str, Any]:
    progress = ledger.takes.progress(record.job.id)
    return {
        "job": record.job.id,
        "name": record.job.name.encode(errors="replace").decode(),
        "state": str(record.state),
        "reason": record.reason,
        "done": progress.done,
        "total": progress.total,
        "eta_s": eta_s,
        "published": str(record.published) if record.published else None,
        "created_at": _iso(record.created_at),
        "ended_at": _iso(record.ended_at),
    }


def _iso(moment: float | None) -> str | None:
    return datetime.fromtimestamp(moment).astimezone().isoformat(timespec="seconds") if moment is not None else None


def print_status(found: Mapping[str, Any], out: TextIO | None = None) -> None:
    """Write a status for people."""

    def say(line: str) -> None:
        print(line, file=out or sys.stdout)

    daemon = found["daemon"] or {}
    say(f"speedd runs, pid {daemon.get('pid', '?')}." if found["running"] else "speedd is not running.")
    books = {progress["job"]: progress for progress in daemon.get("books", [])}
    for job in found["jobs"]:
        words = job["state"]
        if job["state"] == State.RUNNING and (progress := books.get(job["job"])):
            words = describe(BookProgress(**{**progress, "estimate": None, "title": progress["title"] or job["name"]}))
            say(f"  {job['job']}  {words}")
            continue
        say(f"  {job['job']}  {job['name']}: {words}" + (f" ({job['reason']})" if job["reason"] else ""))
    for waiting in daemon.get("waiting", []):
        say(f"  {'-' * 12}  {waiting['name']}: {waiting['why']}")
    for name, engine in daemon.get("engines", {}).items():
        workers = engine["workers"]
        resident = _gib(sum(worker["rss_bytes"] for worker in workers))
        restarts = sum(worker["restarts"] for worker in workers)
        counts = ((len(workers), "worker"), (engine["rendered"], "take"), (restarts, "restart"))
        told = [f"{count} {what}{'s' * (count != 1)}" for count, what in counts]
        say(f"  engine {name}: {', '.join(told)}, {resident} of the machine's memory")
        for worker in workers:
            if words := _describe_worker(worker):
                card = f", card {worker['card']}" if worker["card"] else ""
                say(f"    worker {worker['index']}{card}: {words}")
    if found["ended"]:
        say("Latest:")
    for job in found["ended"]:
        what = job["published"] or job["reason"]
        say(f"  {job['job']}  {job['name']}: {job['state']}" + (f", {what}" if what else ""))


def _describe_worker(worker: Mapping[str, Any]) -> str:
    """Describe a worker. Empty if there is nothing to tell."""
    words = []
    if worker["rows_cap"]:
        words += [worker["state"], f"{worker['rows']} of {worker['rows_cap']} rows"]
        words += [f"{_gib(worker['used_bytes'])} used", f"{_gib(worker['free_bytes'])} free"]
        words += [f"{_gib(worker['held_bytes'])} in rows"] * (worker["held_bytes"] > 0)
        words += [f"{worker['tokens_per_s']:.0f} tokens/s"] * (worker["tokens_per_s"] > 0)
        words += [f"without {', '.join(worker['fallbacks'])}"] * bool(worker["fallbacks"])
    elif worker["state"] != WorkerState.LOADING and worker["note"]:
        words.append(worker["state"])
    return ", ".join(words + [worker["note"]] * bool(worker["note"]))


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / 2**30:.1f} GiB"


def retry_job(job: str, file: Path | None, overrides: Mapping[str, Any]) -> str:
    """Put a job that ended back into the queue. Return what to print."""
    config = load_config(file, overrides=overrides)
    with open_ledger(config) as ledger:
        record = _find(ledger, job)
        if not record.state.ended:
            raise UsageError(f"{record.job.name} is {record.state}; there is nothing to retry.")
        if not record.job.parts or not all(part.path.exists() for part in record.job.parts):
            raise UsageError(f"The copy of {record.job.name} is gone.", hint="Drop it into the inbox again.")
        ledger.takes.forget_faults()
        ledger.jobs.queue_again(record.job.id)
        return f"{record.job.name} is queued again. " + _when(config)


def cancel_job(job: str, file: Path | None, overrides: Mapping[str, Any]) -> str:
    """Ask for the end of a job. Return what to print."""
    config = load_config(file, overrides=overrides)
    with open_ledger(config) as ledger:
        record = _find(ledger, job)
        if record.state.ended:
            raise UsageError(f"{record.job.name} is {record.state} already.")
        ledger.jobs.request_cancel(record.job.id)
        return f"{record.job.name} will be cancelled. " + _when(config)


def _when(config: Config) -> str:
    """Wake the daemon if it runs and we may. Say when it will act."""
    live = _live_status(StateDirectory(config.paths.state))
    if live is None:
        return "speedd is not running; it acts on this when it starts."
    try:
        os.kill(int(live["pid"]), signal.SIGHUP)
    except (KeyError, ValueError, OSError):
        return f"speedd acts on this within {config.inbox.scan_s:.0f} s."
    return ""


def _find(ledger: Ledger, job: str) -> JobRecord:
    found = [record for record in ledger.jobs.all() if record.job.id.startswith(job)] if job else []
    exact = [record for record in found if record.job.id == job]
    if len(exact or found) != 1:
        what = "several jobs" if found else "no job"
        raise UsageError(f"“{job}” names {what}.", hint="`speedd status` lists them.")
    return (exact or found)[0]
