"""The daemon: looks into the inbox, keeps books moving, brings each source to exactly one recorded end."""

from __future__ import annotations

import contextlib
import json
import os
import textwrap
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from speedd import inbox
from speedd.app import App, spool_folder
from speedd.ends import Ends
from speedd.errors import PASSING, DamagedInputError, InputError, SpeeddError, TryAgainError
from speedd.execution import ExecutorStatus
from speedd.ledger import JobRow, State
from speedd.model import Job, Role
from speedd.service.notify import Notifier
from speedd.story import Cancelled, Interrupted, TurnOver, Watch
from speedd.upkeep import collect

BUSY_TICK_S = 1.0
"""How often the daemon looks around while a book is at work."""
SCAN_GAP_S = 1.0
"""Events ring a hundred times a second while a folder is copied; a scan follows at most this often."""
PAUSE_FIRST_S, PAUSE_LONGEST_S = 5.0, 300.0
"""A paused job is tried again after the first, then after twice as long each time, up to the longest."""
STATUS_S = 2.0
"""How often the status file is written while a book is at work."""

CRASHES_TO_FAIL = 3
"""A chunk in flight at so many crashes of the program in a row, with no take landing, is taken to be the cause."""
DUPLICATE_S = 60.0
"""How often a second copy of a book at work is looked at again, where sources are deleted in the end."""
UPKEEP_S = 86_400.0
"""How often what nobody needs any more is removed."""


class BookControl:
    """Tells a book at work whether it may go on."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self.cancelled = ""
        """Why it was cancelled; empty while it was not."""
        self.superseded = False
        """Whether a newer job took its place."""
        self.opened_s = time.monotonic()
        self.turn_over = False
        """Whether other books come first now."""

    def check(self) -> None:
        """Return if the book may go on; raise `Cancelled`, `Interrupted` or `TurnOver` if not."""
        if self.cancelled:
            raise Cancelled(self.cancelled)
        if self._stop.is_set():
            raise Interrupted("speedd is stopping.")
        if self.turn_over:
            raise TurnOver("Other books come first for a while.")


class Daemon:
    """Runs on an open `App`.

    Args:
        app: the open state directory.
        stop: ends `run` when it is set.
        wake: rung from anywhere to have the daemon look around at once.
        notifier: tells systemd.
        once: take what is in the inbox, then end.
        say: told plain lines for a person at a terminal.
        onlook: told whenever a book's `Watch` changed.
    """

    def __init__(
        self,
        app: App,
        *,
        stop: threading.Event,
        wake: threading.Event,
        notifier: Notifier,
        once: bool = False,
        say: Callable[[str], None] = lambda _: None,
        onlook: Callable[[Watch], None] = lambda _: None,
    ) -> None:
        self._app = app
        self._ledger = app.ledger
        self._config = app.config
        self._log = app.log
        self._stop = stop
        self._wake = wake
        self._notifier = notifier
        self._once = once
        self._say = say
        self._onlook = onlook
        self._watches: dict[str, Watch] = {}
        self._controls: dict[str, BookControl] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._finished: SimpleQueue[str] = SimpleQueue()
        self._not_before: dict[str, float] = {}
        self._pauses: dict[str, int] = {}
        self._turns: dict[str, int] = {}
        """How often each unfinished book made room for others: who had fewer turns goes first."""
        self._unavailable = False
        self._put_off: set[str] = set()
        """With ``once``: signatures of what could not be copied for now."""
        self._rung = False
        self._changing = False
        """Whether something changed between settling and the end of copying: it has to settle anew."""
        self._doorbell_fault = ""
        self._last_scan = self._last_status = self._last_upkeep = float("-inf")
        self._narrator = app.narrator(onlook=self._look)
        self._ends = Ends(app.ledger, app.config, log=app.log, say=say)
        paths = self._config.paths
        self._cadence = inbox.cadence(paths.inbox, self._config.inbox)
        self._scanner = inbox.Scanner(
            paths.inbox, settle_s=self._cadence.settle_s, known=self._known, narrated=self._narrated
        )
        self._doorbell = inbox.Doorbell(paths.inbox, wake)

    def run(self) -> int:
        """Work until `stop` is set, or with ``once`` until nothing is left to do.

        Returns:
            0: all is published, or the daemon was stopped; 1: something failed; 75: something has to wait.
        """
        paths = self._config.paths
        self._write_status()  # what the last process left names a pid that is somebody else's by now
        self._take_up_again()
        for row in self._ledger.jobs.rows(State.WAITING):
            self._not_before[row.job.id] = time.monotonic() + self._damaged_wait_s()
        self._ends.bring_away_left()
        self._doorbell.start()
        self._log.info("service.ready", inbox=str(paths.inbox), outbox=str(paths.outbox))
        self._notifier.ready("Waiting for books.")
        try:
            while not self._stop.is_set():
                self._rung |= self._wake.is_set()
                self._wake.clear()
                try:
                    self._look_around()
                except (TryAgainError, OSError) as error:  # the ledger's disk is full, say, or a share has gone stale
                    if self._once or (isinstance(error, OSError) and error.errno not in PASSING):
                        raise
                    self._log.warning("service.waiting", reason=str(error))
                    self._stop.wait(PAUSE_FIRST_S)
                if self._once and self._is_done():
                    break
                self._wake.wait(self._tick_s())
        finally:
            self._shut_down()
        if not self._once:
            return 0
        left = self._ledger.jobs.unfinished()
        waits = left or self._put_off or self._unavailable
        return 1 if self._ends.failed else TryAgainError.exit_code if waits else 0

    def _take_up_again(self) -> None:
        """Queue what the last process died over, but not for ever what it died of."""
        for row, crashes in self._ledger.jobs.recover():
            chunk = self._ledger.jobs.barren_chunk(row.job.id)
            if crashes < CRASHES_TO_FAIL or chunk is None:
                self._log.info("job.resumed", job=row.job.id, book=row.job.name)
                continue
            number, text = chunk
            self._ends.conclude(
                row.job,
                State.FAILED,
                f"speedd itself ended {crashes} times in a row while it spoke chunk {number}"
                f" (“{textwrap.shorten(text, 60, placeholder=' …')}”).",
            )

    def _look_around(self) -> None:
        now = time.monotonic()
        if (
            now - self._last_scan >= (SCAN_GAP_S if self._rung or self._changing else self._cadence.scan_s)
            or self._scanner.due_s == 0
        ):
            self._rung = False
            self._scan()
        self._obey_wishes()
        self._collect()
        self._keep_up(now)
        self._start_jobs()
        self._report()

    def _keep_up(self, now: float) -> None:
        """Once a day, while no book is at work, remove what nobody needs any more."""
        if now - self._last_upkeep < UPKEEP_S or self._threads:
            return
        self._last_upkeep = now
        collected = collect(self._ledger, self._config)
        if collected.takes or collected.copies or collected.stages:
            self._log.info(
                "state.collected",
                takes=collected.takes,
                copies=collected.copies,
                stages=collected.stages,
                freed_mb=round(collected.freed_bytes / 2**20, 1),
            )

    def _tick_s(self) -> float:
        """How long to sleep unless the bell rings."""
        now = time.monotonic()
        waits = [(SCAN_GAP_S if self._rung or self._changing else self._cadence.scan_s) - (now - self._last_scan)]
        if self._threads:
            waits.append(BUSY_TICK_S)
        if (due := self._scanner.due_s) is not None:
            waits.append(due)
        if len(self._threads) < self._config.limits.open_books:
            waits += [at - now for at in list(self._not_before.values())]  # books' threads write to it
        if self._notifier.watchdog_s:
            waits.append(self._notifier.watchdog_s / 3)
        return max(0.05, min(waits))

    def _shut_down(self) -> None:
        self._notifier.stopping("Stopping; books at work go on at the next start.")
        self._log.info("service.stopping", reason="told to" if self._stop.is_set() else "all is done")
        self._stop.set()
        self._app.close_engines()  # first: no book waits for a chunk that takes a minute
        self._doorbell.stop()
        for thread in list(self._threads.values()):
            thread.join()
        self._collect()
        self._write_status()

    def _is_done(self) -> bool:
        """With ``once``: nothing is at work, nothing settles, and what is left is paused."""
        left = [row.job.id for row in self._ledger.jobs.unfinished()]
        startable = [job_id for job_id in left if self._not_before.get(job_id) != float("inf")]
        return not (self._threads or startable or self._changing or self._scanner.due_s is not None)

    # --- the inbox ---------------------------------------------------------------------------------------------------

    def _known(self, candidate: inbox.Candidate) -> bool:
        return candidate.signature in self._put_off or self._ledger.sources.knows(candidate.source, candidate.signature)

    def _scan(self) -> None:
        self._last_scan = time.monotonic()
        if not self._doorbell.healthy() and not self._doorbell.restart():
            if self._doorbell.fault != self._doorbell_fault:
                self._log.error("doorbell.failed", reason=self._doorbell.fault)
            self._doorbell_fault = self._doorbell.fault
        try:
            candidates = self._scanner.scan()
        except inbox.InboxUnavailableError as error:
            if not self._unavailable:
                self._log.warning("inbox.unavailable", src_path=str(self._config.paths.inbox), reason=str(error))
            self._unavailable = True
            return
        if self._unavailable:
            self._unavailable = False
            self._log.info("inbox.available", src_path=str(self._config.paths.inbox))
        self._changing = False
        for candidate in candidates:
            if self._stop.is_set():
                return
            self._enter(candidate)
            self._report()  # hundreds of books at once take minutes on a slow disk

    def _enter(self, candidate: inbox.Candidate) -> None:
        """Take a settled source: a new job, or one that is known by its content."""
        if candidate.fault:
            self._refuse_unread(candidate, InputError(candidate.fault))
            return
        try:
            reserve_bytes = self._config.limits.disk_reserve_mb * 2**20
            job = inbox.accept(candidate, spool_folder(self._config), reserve_bytes=reserve_bytes)
        except inbox.StillChangingError:
            self._changing = True
            return
        except TryAgainError as error:
            self._log.warning("job.paused", book=candidate.name, reason=str(error))
            self._say(f"{candidate.name}: paused: {error}")
            if self._once:
                self._put_off.add(candidate.signature)
            else:
                self._scanner.postpone(candidate, PAUSE_FIRST_S, error.message)
            return
        except InputError as error:
            self._refuse_unread(candidate, error)
            return
        job = self._with_its_book(job)
        # A chunk JSON at work whose book arrives is a member now, no source of its own any more.
        places = {candidate.source, *(candidate.base / member.path for member in candidate.members)}
        for row in (row for place in places for row in self._ledger.jobs.from_source(place)):
            if not row.state.ended and row.job.digest != job.digest:
                self._cancel(row, State.SUPERSEDED, "A partner was added or the source changed; a newer job took over.")
                self._ledger.sources.forget(row.job.source)
        self._ledger.sources.remember(candidate.source, candidate.signature, job.id)
        editions = self._ledger.jobs.editions(job.digest)
        if editions:
            self._meet_again(editions[-1], job, candidate)
        else:
            self._ledger.takes.forget_faults()  # what failed in an earlier edition may have been mended
            self._ledger.jobs.add(job)
            self._log.info("job.accepted", job=job.id, book=job.name, src_path=str(job.source))
            self._say(f"{job.name}: accepted")

    def _narrated(self, name: str) -> bool:
        return self._published_before(name, self._config.paths.inbox.absolute()) is not None

    def _published_before(self, name: str, folder: Path) -> JobRow | None:
        """Find the latest published job of a name and place whose private copy is still there."""
        for row in reversed(self._ledger.jobs.rows(State.PUBLISHED)):
            book = row.job.part(Role.BOOK) or row.job.part(Role.CHUNKS)
            if (row.job.name, row.job.source.parent) == (name, folder) and book and book.path.exists():
                return row
        return None

    def _with_its_book(self, job: Job) -> Job:
        """A partner that comes after its book was published makes a new edition of that book."""
        if job.part(Role.BOOK):
            return job
        old = self._published_before(job.name, job.source.parent)
        if old is None or not (old.job.part(Role.BOOK) or not job.part(Role.CHUNKS)):
            return job
        replaced = {part.role for part in job.parts}
        kept = [part for part in old.job.parts if part.role not in replaced and part.path.exists()]
        parts = (*kept, *job.parts)
        digest = inbox.digest_of(parts)
        return replace(job, id=digest[: len(job.id)], digest=digest, parts=parts)

    def _meet_again(self, row: JobRow, job: Job, candidate: inbox.Candidate) -> None:
        """A source whose content has been here before."""
        if row.state is State.PUBLISHED and row.published is not None and row.published.is_dir():
            self._log.info("job.duplicate", job=row.job.id, book=job.name, out_path=str(row.published))
            self._say(f"{job.name}: already published at {row.published}")
            self._ends.bring_away(candidate, row.job, State.PUBLISHED)
        elif row.state.ended:
            why = "its audiobook is gone" if row.state is State.PUBLISHED else f"it was {row.state} before"
            inbox.readdress(job, candidate)
            self._ledger.jobs.set_source(row.job.id, job.source)
            self._ledger.takes.forget_faults()
            if row.state is State.PUBLISHED:
                self._ledger.jobs.set_state(row.job.id, State.QUEUED)
            else:
                self._ledger.jobs.queue_again(row.job.id)  # planned anew: what made it fail may have been mended
            self._log.info("job.retried", job=row.job.id, book=job.name, reason=why)
        elif row.job.source == job.source:
            return
        elif not os.path.lexists(row.job.source):  # it was renamed while at work
            inbox.readdress(job, candidate)
            self._ledger.jobs.set_source(row.job.id, job.source)
        elif self._config.inbox.after_publish == "delete":  # nothing goes before there is an audiobook
            self._ledger.sources.forget(candidate.source)
            self._scanner.postpone(candidate, DUPLICATE_S, "the same book is at work")
        else:
            self._log.info("job.duplicate", job=row.job.id, book=job.name, out_path="")
            self._say(f"{job.name}: the same book is at work already")
            self._ends.bring_away(candidate, row.job, State.PUBLISHED)

    def _refuse_unread(self, candidate: inbox.Candidate, error: InputError) -> None:
        """Refuse a source that could not even be copied: it has no digest, so its look names it."""
        job_id = candidate.signature[:12]
        job = Job(job_id, "", candidate.name, candidate.source, spool_folder(self._config) / job_id, ())
        if self._ledger.jobs.row(job_id) is None:
            self._ledger.jobs.add(job)
        self._ledger.sources.remember(candidate.source, candidate.signature, job_id)
        self._ends.conclude(job, State.REFUSED, error.message, hint=error.hint, candidate=candidate)

    # --- jobs --------------------------------------------------------------------------------------------------------

    def _obey_wishes(self) -> None:
        for row in self._ledger.jobs.unfinished():
            if row.cancelling:
                self._cancel(row, State.CANCELLED, "It was cancelled.")

    def _cancel(self, row: JobRow, state: State, reason: str) -> None:
        self._not_before.pop(row.job.id, None)
        if control := self._controls.get(row.job.id):
            control.superseded |= state is State.SUPERSEDED
            control.cancelled = reason
            if state is State.SUPERSEDED:
                self._ledger.jobs.set_state(row.job.id, state, reason)
        elif state is State.SUPERSEDED:
            self._ledger.jobs.set_state(row.job.id, state, reason)
            self._log.info("job.superseded", job=row.job.id, book=row.job.name)
        else:
            self._ends.conclude(row.job, state, reason)

    def _start_jobs(self) -> None:
        now = time.monotonic()
        rows = self._ledger.jobs.unfinished()  # running: its end was not recorded
        self._turns = {row.job.id: turns for row in rows if (turns := self._turns.get(row.job.id))}
        for row in sorted(rows, key=lambda row: self._turns.get(row.job.id, 0)):
            if row.job.id in self._threads or self._not_before.get(row.job.id, 0) > now:
                continue
            if self._stop.is_set():
                return
            if len(self._threads) >= self._config.limits.open_books:
                self._end_a_turn(now)
                return
            self._not_before.pop(row.job.id, None)
            control = self._controls[row.job.id] = BookControl(self._stop)
            self._ledger.jobs.set_state(row.job.id, State.RUNNING, row.reason)
            taken_up = replace(row, runs=row.runs + 1)
            thread = threading.Thread(target=self._work, args=(taken_up, control), name=f"book-{row.job.id}")
            self._threads[row.job.id] = thread
            thread.start()

    def _end_a_turn(self, now: float) -> None:
        """Others wait: ask the book that has been spoken longest to make room, if it has been long enough."""
        turn_s = self._config.limits.turn_s
        if not turn_s or any(control.turn_over for control in self._controls.values()):
            return
        spoken = [
            (self._controls[job_id].opened_s, job_id)
            for job_id, watch in list(self._watches.items())
            if job_id in self._threads
            and watch.stage == "narrating"
            and self._controls[job_id].opened_s + turn_s <= now
        ]
        if spoken:
            self._controls[min(spoken)[1]].turn_over = True

    def _work(self, row: JobRow, control: BookControl) -> None:
        """Be the thread of one book."""
        try:
            self._narrate(row, control)
        except TryAgainError as error:  # how it ended cannot be recorded now: it is taken up again
            self._log.warning("job.paused", job=row.job.id, book=row.job.name, reason=str(error))
        finally:
            self._finished.put(row.job.id)
            self._wake.set()

    def _narrate(self, row: JobRow, control: BookControl) -> None:
        """Narrate one book and record how it ended."""
        job = row.job
        try:
            folder = self._narrator.narrate(row, control)
        except Cancelled as error:
            if control.superseded:  # the ledger has that end already, and may have queued it anew
                self._log.info("job.superseded", job=job.id, book=job.name)
            else:
                self._ends.conclude(job, State.CANCELLED, error.message)
        except Interrupted:
            self._ledger.jobs.set_state(job.id, State.QUEUED)
        except TryAgainError as error:
            self._pause(job, str(error))
        except DamagedInputError as error:
            self._wait_for_rest(row, error)
        except InputError as error:
            self._ends.conclude(job, State.REFUSED, error.message, hint=error.hint)
        except SpeeddError as error:
            self._ends.conclude(job, State.FAILED, error.message, hint=error.hint)
        except Exception as error:  # noqa: BLE001 - the boundary of a job: the daemon goes on with the next book
            self._log.exception("job.failed", job=job.id, book=job.name, reason=repr(error))
            self._ends.conclude(
                job, State.FAILED, f"speedd itself failed ({type(error).__name__}: {error}). Please report it."
            )
        else:
            self._ends.conclude(job, State.PUBLISHED, "", published=folder)

    def _collect(self) -> None:
        while not self._finished.empty():
            job_id = self._finished.get()
            self._last_status = float("-inf")  # what is told next is without it
            self._threads.pop(job_id).join()
            watch = self._watches.pop(job_id, None)
            if self._controls.pop(job_id).turn_over:
                self._turns[job_id] = self._turns.get(job_id, 0) + 1
                self._log.info("job.turn_over", job=job_id, book=watch.name if watch else job_id)
            if job_id not in self._not_before:
                self._pauses.pop(job_id, None)

    def _pause(self, job: Job, reason: str) -> None:
        """Something outside passes: try again later, burning no attempt."""
        pauses = self._pauses[job.id] = self._pauses.get(job.id, 0) + 1
        wait_s = min(PAUSE_FIRST_S * 2 ** (pauses - 1), PAUSE_LONGEST_S)
        self._not_before[job.id] = float("inf") if self._once else time.monotonic() + wait_s
        self._ledger.jobs.set_state(job.id, State.QUEUED, reason)
        self._log.warning("job.paused", job=job.id, book=job.name, reason=reason, again_in_s=wait_s)
        self._say(f"{job.name}: paused: {reason}")

    def _wait_for_rest(self, row: JobRow, error: DamagedInputError) -> None:
        """It looks cut short: wait for the rest, which would come as a changed source; refuse it if none comes."""
        job = row.job
        if row.state is State.WAITING:
            self._ends.conclude(job, State.REFUSED, error.message, hint=error.hint)
            return
        reason = str(error)
        self._not_before[job.id] = time.monotonic() + self._damaged_wait_s()
        self._ledger.jobs.set_state(job.id, State.WAITING, reason)
        self._log.info("source.waiting", job=job.id, book=job.name, src_path=str(job.source), reason=reason)
        self._say(f"{job.name}: looks damaged, waiting for the rest of it")

    def _damaged_wait_s(self) -> float:
        return max(1.0, self._cadence.settle_s) if self._once else self._config.inbox.damaged_wait_s

    # --- what others see ---------------------------------------------------------------------------------------------

    def _look(self, watch: Watch) -> None:
        self._watches[watch.job] = watch
        self._onlook(watch)

    def _report(self) -> None:
        if all(engine.healthy for engine in self._app.engines().values()):  # else systemd starts us anew
            self._notifier.watchdog()
        now = time.monotonic()
        if now - self._last_status < STATUS_S:
            return
        self._last_status = now
        watches = list(self._watches.values())
        engines = [words for status in self._app.engines().values() if (words := describe_engine(status))]
        told = [describe(watch) for watch in watches]
        self._notifier.status("; ".join(told + engines) if told else "Waiting for books.")
        self._write_status()

    def _write_status(self) -> None:
        """Leave what `speedd status` shows; not worth an fsync."""
        status: dict[str, Any] = {
            "pid": os.getpid(),
            "run_id": self._app.run_id,
            "books": [asdict(watch) for watch in list(self._watches.values())],
            "waiting": [asdict(waiting) for waiting in self._scanner.waiting],
            "engines": {name: asdict(each) for name, each in self._app.engines().items()},
        }
        path = status_path(self._config.paths.state)
        with contextlib.suppress(OSError):
            path.with_suffix(".tmp").write_text(json.dumps(status, default=str))
            path.with_suffix(".tmp").replace(path)


def status_path(state: Path) -> Path:
    """Where a daemon leaves what it is doing."""
    return state / "status.json"


def describe_engine(status: ExecutorStatus) -> str:
    """Say in a few words what an engine that works in batches, or that is held up, is doing; empty for others."""
    running = [worker for worker in status.workers if worker.pid]
    words = []
    if sum(worker.rows_cap for worker in running) > len(running):
        rows, cap = sum(worker.rows for worker in running), sum(worker.rows_cap for worker in running)
        words.append(f"{rows}/{cap} rows, {min(worker.free_bytes for worker in running) / 2**30:.1f} GiB free")
    if tokens_per_s := sum(worker.tokens_per_s for worker in running):
        words.append(f"{tokens_per_s:.0f} tokens/s")
    words += sorted({f"without {', '.join(worker.fallbacks)}" for worker in running if worker.fallbacks})
    words += sorted({worker.note for worker in status.workers if worker.note})
    return ", ".join(words)


def describe(watch: Watch) -> str:
    """Say in a few words how far a book is."""
    words = f"{watch.title or watch.name}: {watch.stage} {watch.share:.0%}"
    if watch.stage == "narrating" and watch.total:
        words += f", chunk {watch.done}/{watch.total}"
    if watch.eta_s is not None:
        words += f", {watch.eta_s:.0f} s left"
    if watch.realtime_factor:
        words += f", {watch.realtime_factor:.0f} × realtime"
    return words
