"""``narrate`` and ``plan``: one book at once, without a daemon."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from speedd import inbox, planning
from speedd.commands.display import Display
from speedd.commands.foreground import logging_to
from speedd.common.durations import duration
from speedd.common.state_directory import StateDirectory
from speedd.config import load_config, pinned_values
from speedd.daemon import BookControl
from speedd.daemon.app import App
from speedd.daemon.retention import collect
from speedd.errors import InputError, SpeeddError, UsageError
from speedd.ledger import JobRecord, State
from speedd.pipeline.plan_source import read_and_plan
from speedd.pipeline.run_context import NarrationRequest, RunContext
from speedd.service.signals import stop_on_signals

NAMES_TOLD = 10
"""How many of a folder's books are named where one was asked for."""


def narrate_one(book: Path, file: Path | None, overrides: Mapping[str, Any], *, chapters: str | None) -> int:
    """Narrate one book into the outbox and print where it is. Return the exit code.

    It has a state directory of its own below the daemon's. So both can run at once, and a second try is quick.
    """
    config = load_config(file, overrides=overrides)
    paths = config.paths.model_copy(update={"state": StateDirectory(config.paths.state).narrate})
    log = config.log.model_copy(update={"level": "error", "target": "stderr"})
    config = config.model_copy(update={"paths": paths, "log": log})
    wanted = chapter_range(chapters) if chapters else None
    candidate = the_candidate(book)
    named = "voice" in overrides.get("engine", {})
    request = NarrationRequest(pinned_values(overrides, os.environ), strict_voice=named, chapters=wanted)
    with logging_to(config.log) as (logger, run_id), Display() as display:
        context = RunContext(
            config=config, log=logger, run_id=run_id, request=request, once=True, on_progress=display.show
        )
        restore = stop_on_signals(context.stop)
        try:
            with App(context, make_inbox=False) as app:
                collect(app.ledger, config)
                record = _enter(app, candidate, wanted)
                began = time.monotonic()
                try:
                    folder = app.narrator().narrate(record, BookControl(context.stop))
                except SpeeddError as error:
                    app.ledger.jobs.set_state(record.job.id, State.FAILED, error.message)
                    raise
                app.ledger.jobs.set_state(record.job.id, State.PUBLISHED, published=folder)
                display.say(f"{folder}  (in {duration(time.monotonic() - began)})")
        finally:
            restore()
    return 0


def _enter(app: App, candidate: inbox.Candidate, chapters: range | None) -> JobRecord:
    """Enter a book anew, even if it was narrated before."""
    job = inbox.accept(candidate, app.context.state.spool)
    if chapters:
        job = replace(job, id=f"{job.id}-{chapters.start + 1}to{chapters.stop}")
    before = app.ledger.jobs.get(job.id)
    edition = before.edition + (before.published is not None) if before else 1
    app.ledger.jobs.remove(job.id)
    app.ledger.jobs.add(job, state=State.RUNNING, edition=edition)
    record = app.ledger.jobs.get(job.id)
    assert record is not None
    return record


def plan_book(book: Path, out: Path | None, file: Path | None, overrides: Mapping[str, Any]) -> None:
    """Write a book's chunk JSON to a file (all at once) or to stdout."""
    config = load_config(file, overrides=overrides)
    candidate = the_candidate(book)
    with tempfile.TemporaryDirectory(prefix="speedd-plan-") as spool:
        job = inbox.accept(candidate, Path(spool))
        prepared = read_and_plan(job, config, NarrationRequest(pinned_values(overrides, os.environ)))
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
        names = ", ".join(str(candidate.source.relative_to(place)) for candidate in found[:NAMES_TOLD])
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
