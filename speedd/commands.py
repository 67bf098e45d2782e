"""What the commands do, without the command line around them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from speedd import __version__, engines, inbox, planning
from speedd.app import App, ledger_path, open_ledger, spool_folder
from speedd.config import Config, default_file, engine_options, load_config, pinned_values
from speedd.daemon import BookControl, Daemon
from speedd.daemon.status import describe, status_path
from speedd.display import Display, duration
from speedd.errors import InputError, SpeeddError, UsageError
from speedd.ledger import JobRow, Ledger, State
from speedd.service.logging import configure_logging, get_logger
from speedd.service.notify import Notifier
from speedd.service.signals import stop_on_signals
from speedd.source import read_and_plan
from speedd.story import Watch
from speedd.upkeep import collect

REBUILD_S = 60.0
"""How much more time systemd is asked for while a damaged ledger is rebuilt, again and again."""
LATEST = 10
"""How many books that ended ``status`` shows."""


class Stop(threading.Event):
    """An event that also wakes whoever sleeps on another one."""

    def __init__(self, wake: threading.Event) -> None:
        super().__init__()
        self._wake = wake

    def set(self) -> None:
        """Set it, and the other."""
        super().set()
        self._wake.set()


def run_daemon(file: Path | None, overrides: Mapping[str, Any], *, once: bool) -> int:
    """Run the daemon in the foreground; return its exit code."""
    config = load_config(file, overrides=overrides)
    wake = threading.Event()
    stop = Stop(wake)
    notifier = Notifier(os.environ)
    show = once or sys.stdout.isatty()

    def alive() -> None:
        notifier.extend_timeout(REBUILD_S)

    with _logging(config) as (log, run_id), Display(enabled=show) as display:
        restore = stop_on_signals(stop, rescan=wake)
        try:
            log.info("service.started", version=__version__, pid=os.getpid())
            with App(
                config,
                log=log,
                run_id=run_id,
                pinned=pinned_values(overrides, os.environ),
                alive=alive,
                waits=not once,
            ) as app:
                daemon = Daemon(
                    app,
                    stop=stop,
                    wake=wake,
                    notifier=notifier,
                    once=once,
                    say=display.say,
                    onlook=display.watch,
                )
                code = daemon.run()
            log.info("service.stopped")
        except SpeeddError as error:
            log.error("service.failed", reason=str(error))  # noqa: TRY400 - a plain reason, no traceback
            raise
        finally:
            restore()
            notifier.close()
    return code


@contextmanager
def _logging(config: Config) -> Iterator[tuple[Any, str]]:
    import secrets  # noqa: PLC0415

    run_id = secrets.token_hex(6)
    with configure_logging(config.log, run_id=run_id, environment=os.environ):
        yield get_logger(), run_id


# --- one book --------------------------------------------------------------------------------------------------------


def narrate_one(book: Path, file: Path | None, overrides: Mapping[str, Any], *, chapters: str | None) -> int:
    """Narrate one book into the outbox and say where it is; return the exit code.

    It keeps its own state below the daemon's, so that both can run at once, and so that a second try is quick.
    """
    config = load_config(file, overrides=overrides)
    paths = config.paths.model_copy(update={"state": config.paths.state / "narrate"})
    log = config.log.model_copy(update={"level": "error", "target": "stderr"})
    config = config.model_copy(update={"paths": paths, "log": log})
    wanted = chapter_range(chapters) if chapters else None
    candidate = the_candidate(book)
    wake = threading.Event()
    stop = Stop(wake)
    with _logging(config) as (logger, run_id), Display() as display:
        restore = stop_on_signals(stop)
        try:
            pinned = pinned_values(overrides, os.environ)
            with App(config, log=logger, run_id=run_id, pinned=pinned, make_inbox=False, waits=False) as app:
                collect(app.ledger, config)
                row = _enter(app, candidate, wanted)
                narrator = app.narrator(chapters=wanted, onlook=display.watch)
                began = time.monotonic()
                try:
                    folder = narrator.narrate(row, BookControl(stop))
                except SpeeddError as error:
                    app.ledger.jobs.set_state(row.job.id, State.FAILED, error.message)
                    raise
                app.ledger.jobs.set_state(row.job.id, State.PUBLISHED, published=folder)
                display.say(f"{folder}  (in {duration(time.monotonic() - began)})")
        finally:
            restore()
    return 0


def _enter(app: App, candidate: inbox.Candidate, chapters: range | None) -> JobRow:
    """Enter a book anew, whatever became of it before: who asks for it again wants it again."""
    job = inbox.accept(candidate, spool_folder(app.config))
    if chapters:
        job = replace(job, id=f"{job.id}-{chapters.start + 1}to{chapters.stop}")
    before = app.ledger.jobs.row(job.id)
    edition = before.edition + (before.published is not None) if before else 1
    app.ledger.jobs.remove(job.id)
    app.ledger.jobs.add(job, state=State.RUNNING, edition=edition)
    row = app.ledger.jobs.row(job.id)
    assert row is not None
    return row


def the_candidate(book: Path) -> inbox.Candidate:
    """Return the one source at a path.

    Raises:
        InputError: if there is none, or more than one.
    """
    if not book.exists():
        raise InputError(f"There is no {book}.")
    place = book.resolve()
    try:
        found = inbox.candidates_at(place)
    except OSError as error:
        raise InputError(f"{book} cannot be looked at: {error.strerror}.") from error
    if len(found) != 1:
        names = ", ".join(str(candidate.source.relative_to(place)) for candidate in found[:LATEST])
        raise InputError(
            f"{book} holds {len(found)} books: name one of {names}." if found else f"{book} holds no book."
        )
    if found[0].fault:
        raise InputError(found[0].fault)
    return found[0]


def chapter_range(text: str) -> range:
    """Read ``3`` or ``1-2`` as 0-based numbers.

    Raises:
        UsageError: if it is neither.
    """
    first, _, last = text.partition("-")
    try:
        start, end = int(first), int(last or first)
    except ValueError:
        start = end = 0
    if not 1 <= start <= end:
        raise UsageError(f"“{text}” names no chapters.", hint="Write one as 3, or several as 1-2.")
    return range(start - 1, end)


def plan_book(book: Path, out: Path | None, file: Path | None, overrides: Mapping[str, Any]) -> None:
    """Write a book's chunk JSON to a file (all at once) or to stdout."""
    import tempfile  # noqa: PLC0415

    config = load_config(file, overrides=overrides)
    candidate = the_candidate(book)
    with tempfile.TemporaryDirectory(prefix="speedd-plan-") as spool:
        job = inbox.accept(candidate, Path(spool))
        prepared = read_and_plan(job, config, pinned_values(overrides, os.environ))
        when = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")
        made = replace(prepared.plan, voice=prepared.plan.voice or prepared.voice.name)
        for warning in prepared.warnings:
            print(f"speedd: {warning}", file=sys.stderr)  # noqa: T201
        for part in prepared.skipped:
            print(f"speedd: not read: {part.title} ({part.reason}, {part.words} words)", file=sys.stderr)  # noqa: T201
        if out is None:
            planning.write_chunk_json(sys.stdout, made, generated=when)
            return
        unfinished = out.with_name(f".{out.name}.part")
        try:
            with unfinished.open("w", encoding="utf-8") as stream:
                count = planning.write_chunk_json(stream, made, generated=when)
            unfinished.replace(out)
        except OSError as error:
            raise UsageError(f"{out} cannot be written: {error.strerror}.") from error
        finally:
            unfinished.unlink(missing_ok=True)
        print(f"{out}: {count} chunks in {len(made.chapters)} chapters", file=sys.stderr)  # noqa: T201


# --- looking at a daemon ----------------------------------------------------------------------------------------------


def gather_status(file: Path | None, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Collect what is at work, what waits and what ended lately."""
    config = load_config(file, overrides=overrides)
    live = _live_status(config.paths.state)
    with open_ledger(config) as ledger:
        rows = ledger.jobs.rows()
        at_work = [row for row in rows if not row.state.ended]
        ended = sorted((row for row in rows if row.state.ended), key=lambda row: row.ended_at or 0)[-LATEST:]
        return {
            "running": live is not None,
            "daemon": live,
            "jobs": [_job_status(row, ledger) for row in at_work],
            "ended": [_job_status(row, ledger) for row in reversed(ended)],
        }


def _live_status(state: Path) -> dict[str, Any] | None:
    """What a running daemon last said of itself; None if none runs."""
    import fcntl  # noqa: PLC0415

    try:
        with (state / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        pass
    except OSError:
        return None
    else:
        return None
    try:
        status: dict[str, Any] = json.loads(status_path(state).read_text())
    except (OSError, ValueError):
        return {}
    return status


def _job_status(row: JobRow, ledger: Ledger) -> dict[str, Any]:
    progress = ledger.takes.progress(row.job.id)
    return {
        "job": row.job.id,
        "name": row.job.name.encode(errors="replace").decode(),
        "state": str(row.state),
        "reason": row.reason,
        "done": progress.done,
        "total": progress.total,
        "published": str(row.published) if row.published else None,
        "created_at": _iso(row.created_at),
        "ended_at": _iso(row.ended_at),
    }


def _iso(moment: float | None) -> str | None:
    return datetime.fromtimestamp(moment).astimezone().isoformat(timespec="seconds") if moment is not None else None


def print_status(found: Mapping[str, Any], out: TextIO | None = None) -> None:
    """Write a status for people."""

    def say(line: str) -> None:
        print(line, file=out or sys.stdout)

    daemon = found["daemon"] or {}
    say(f"speedd runs, pid {daemon.get('pid', '?')}." if found["running"] else "speedd is not running.")
    books = {watch["job"]: watch for watch in daemon.get("books", [])}
    for job in found["jobs"]:
        words = job["state"]
        if job["state"] == State.RUNNING and (watch := books.get(job["job"])):
            words = describe(Watch(**{**watch, "estimate": None, "title": watch["title"] or job["name"]}))
            say(f"  {job['job']}  {words}")
            continue
        say(f"  {job['job']}  {job['name']}: {words}" + (f" ({job['reason']})" if job["reason"] else ""))
    for waiting in daemon.get("waiting", []):
        say(f"  {'-' * 12}  {waiting['name']}: {waiting['why']}")
    for name, engine in daemon.get("engines", {}).items():
        workers = engine["workers"]
        memory = sum(worker["rss_bytes"] for worker in workers) / 2**20
        restarts = sum(worker["restarts"] for worker in workers)
        say(
            f"  engine {name}: {len(workers)} workers, {memory:.0f} MB, {engine['rendered']} takes, {restarts} restarts"
        )
        for worker in workers:
            words = [f"{worker['rows']} of {worker['rows_cap']} rows", f"{worker['free_bytes'] / 2**20:.0f} MB free"]
            words += [f"{worker['held_bytes'] / 2**20:.0f} MB in rows"] * (worker["held_bytes"] > 0)
            words += [f"{worker['tokens_per_s']:.0f} tokens/s"] * (worker["tokens_per_s"] > 0)
            words += [f"without {', '.join(worker['fallbacks'])}"] * bool(worker["fallbacks"])
            words = words * bool(worker["pid"]) + [worker["note"]] * bool(worker["note"])
            card = f", card {worker['card']}" if worker["card"] else ""
            if words:
                say(f"    worker {worker['index']}{card}: {worker['state']}, {', '.join(words)}")
    if found["ended"]:
        say("Latest:")
    for job in found["ended"]:
        what = job["published"] or job["reason"]
        say(f"  {job['job']}  {job['name']}: {job['state']}" + (f", {what}" if what else ""))


def retry_job(job: str, file: Path | None, overrides: Mapping[str, Any]) -> str:
    """Put a job that ended back into the queue; return what to tell."""
    config = load_config(file, overrides=overrides)
    with open_ledger(config) as ledger:
        row = _find(ledger, job)
        if not row.state.ended:
            raise UsageError(f"{row.job.name} is {row.state}; there is nothing to retry.")
        if not row.job.parts or not all(part.path.exists() for part in row.job.parts):
            raise UsageError(f"The copy of {row.job.name} is gone.", hint="Drop it into the inbox again.")
        ledger.takes.forget_faults()
        ledger.jobs.queue_again(row.job.id)
        return f"{row.job.name} is queued again. " + _when(config)


def cancel_job(job: str, file: Path | None, overrides: Mapping[str, Any]) -> str:
    """Wish a job away; return what to tell."""
    config = load_config(file, overrides=overrides)
    with open_ledger(config) as ledger:
        row = _find(ledger, job)
        if row.state.ended:
            raise UsageError(f"{row.job.name} is {row.state} already.")
        ledger.jobs.wish_cancelled(row.job.id)
        return f"{row.job.name} will be cancelled. " + _when(config)


def _when(config: Config) -> str:
    """Wake the daemon if it runs and is ours to wake; say when it will act."""
    live = _live_status(config.paths.state)
    if live is None:
        return "speedd is not running; it acts on this when it starts."
    try:
        os.kill(int(live["pid"]), signal.SIGHUP)
    except (KeyError, ValueError, OSError):
        return f"speedd acts on this within {config.inbox.scan_s:.0f} s."
    return ""


def _find(ledger: Ledger, job: str) -> JobRow:
    found = [row for row in ledger.jobs.rows() if row.job.id.startswith(job)] if job else []
    exact = [row for row in found if row.job.id == job]
    if len(exact or found) != 1:
        what = "several jobs" if found else "no job"
        raise UsageError(f"“{job}” names {what}.", hint="`speedd status` lists them.")
    return (exact or found)[0]


# --- looking at the machine ------------------------------------------------------------------------------------------


def list_voices(file: Path | None, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """List the voices of the configured engine and the samples in the voices folder."""
    config = load_config(file, overrides=overrides)
    engine, info, why = engines.choose(config.engine.name, engine_options(config))
    found = [
        {"name": voice.name, "engine": engine, "origin": "default" if number == 0 else "its own"}
        for number, voice in enumerate(info.voices)
    ]
    folder = config.paths.voices
    if info.clones_voices:
        found += [
            {"name": name, "engine": engine, "origin": str(path)} for name, path in engines.samples(folder).items()
        ]
    return {
        "engine": engine,
        "why": why,
        "clones_voices": info.clones_voices,
        "folder": str(folder),
        "voices": found,
    }


def fetch_weights(file: Path | None, overrides: Mapping[str, Any]) -> str:
    """Fetch the weights of Chatterbox; return what to tell."""
    from speedd.engines.chatterbox.download import download  # noqa: PLC0415

    return download(engine_options(load_config(file, overrides=overrides)))


def check_machine(file: Path | None, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Find out whether this machine and its configuration are fit to run. Changes nothing but probes writing."""
    findings: list[dict[str, Any]] = []

    def find(what: str, says: str, *, ok: bool = True) -> None:
        findings.append({"what": what, "ok": ok, "says": says})

    config = load_config(file, overrides=overrides)
    find("configuration", f"{file or default_file(os.environ) or 'the defaults'}, no faults")
    for name in ("inbox", "outbox", "state"):
        path: Path = getattr(config.paths, name)
        ok, says = _writable(path)
        if name == "inbox" and not ok and config.inbox.after_publish == "keep" and os.access(path, os.R_OK):
            ok, says = True, f"{path} is read-only; sources stay where they are"
        find(name, says, ok=ok)
    kind = inbox.file_system(_existing(config.paths.state))
    remote = inbox.network_file_system(_existing(config.paths.state))
    find(
        "state's disk",
        f"{kind or 'unknown'}" + (": put it on a local disk, SQLite needs one" if remote else ""),
        ok=not remote,
    )
    free = shutil.disk_usage(_existing(config.paths.state)).free
    reserve = config.limits.disk_reserve_mb * 2**20
    find("free space", f"{free / 2**30:.1f} GiB, of which {reserve / 2**30:.1f} stay free", ok=free > reserve)
    try:
        engine, info, why = engines.choose(config.engine.name, engine_options(config))
    except SpeeddError as error:
        find("engine", str(error), ok=False)
    else:
        find("engine", f"{engine} {info.version}: {why}")
        voice, warning = engines.choose_voice(info, config.engine.voice, config.paths.voices)
        find("voice", warning or voice.name, ok=warning is None)
    words = config.paths.pronunciations
    try:
        says = f"{len(planning.load_lexicon(words))} words in {words}" if words.exists() else f"none ({words})"
        find("pronunciations", says)
    except SpeeddError as error:
        find("pronunciations", str(error), ok=False)
    if ledger_path(config).exists():
        with open_ledger(config) as ledger:
            find("ledger", f"{len(ledger.jobs.rows())} jobs")
    return {"ok": all(finding["ok"] for finding in findings), "findings": findings}


def _existing(path: Path) -> Path:
    return next(place for place in (path, *path.parents) if place.exists())


def _writable(path: Path) -> tuple[bool, str]:
    place = _existing(path)
    if not place.is_dir():
        return False, f"{place} is no folder"
    if not os.access(place, os.W_OK | os.X_OK):
        return False, f"{place} cannot be written to by this user"
    return True, str(path) if place == path else f"{path} will be made"
