"""The books at work: each in a thread of its own, started, paused, interrupted, and brought to its end."""

from __future__ import annotations

import textwrap
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from queue import SimpleQueue

from speedd.daemon.app import App
from speedd.daemon.outcomes import Outcomes
from speedd.errors import DamagedInputError, InputError, SpeeddError, TryAgainError
from speedd.ledger import JobRecord, State
from speedd.model import Job
from speedd.pipeline.job_run import BookProgress, Cancelled, Interrupted, TurnOver

PAUSE_FIRST_S, PAUSE_LONGEST_S = 5.0, 300.0
"""A paused job is tried again after the first, then after twice as long each time, up to the longest."""
CRASHES_TO_FAIL = 3
"""A chunk in flight at so many crashes of the program in a row, with no take landing, is taken to be the cause."""
NEVER = float("inf")


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


class OpenBooks:
    """Keeps as many books at work as the configuration allows.

    Args:
        app: the open state directory.
        outcomes: concludes jobs.
        damaged_wait_s: how long a book that looks cut short waits for its rest.
        stop: set when the program is stopping.
        wake: rung when a book has ended.
        once: a job that has to pause is not tried again.
        say: told plain lines for a person at a terminal.
        on_progress: told whenever a book's `BookProgress` changed.
    """

    def __init__(
        self,
        app: App,
        *,
        outcomes: Outcomes,
        damaged_wait_s: float,
        stop: threading.Event,
        wake: threading.Event,
        once: bool,
        say: Callable[[str], None],
        on_progress: Callable[[BookProgress], None],
    ) -> None:
        self._ledger = app.ledger
        self._limits = app.config.limits
        self._log = app.log
        self._narrator = app.narrator(on_progress=self._look)
        self._outcomes = outcomes
        self._damaged_wait_s = damaged_wait_s
        self._stop = stop
        self._wake = wake
        self._once = once
        self._say = say
        self._on_progress = on_progress
        self._in_progress: dict[str, BookProgress] = {}
        self._controls: dict[str, BookControl] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._finished: SimpleQueue[str] = SimpleQueue()
        self._not_before: dict[str, float] = {}
        """When a job that waits is tried again; `NEVER`: not in this run."""
        self._pauses: dict[str, int] = {}
        self._turns: dict[str, int] = {}
        """How often each unfinished book made room for others: who had fewer turns goes first."""

    @property
    def at_work(self) -> bool:
        """Whether any book is."""
        return bool(self._threads)

    @property
    def in_progress(self) -> list[BookProgress]:
        """What is to be seen of the books at work."""
        return list(self._in_progress.values())

    @property
    def due_s(self) -> float:
        """Seconds until a job that waits is tried again, if there is room for it."""
        if len(self._threads) >= self._limits.open_books:
            return NEVER
        return min(list(self._not_before.values()), default=NEVER) - time.monotonic()  # books' threads write to it

    @property
    def startable(self) -> bool:
        """Whether any job is or will be started in this run."""
        return any(self._not_before.get(record.job.id) != NEVER for record in self._ledger.jobs.unfinished())

    def requeue_interrupted(self) -> None:
        """Queue what the last process died over, but not for ever what it died of."""
        for record, crashes in self._ledger.jobs.recover():
            chunk = self._ledger.jobs.poison_chunk(record.job.id)
            if crashes < CRASHES_TO_FAIL or chunk is None:
                self._log.info("job.resumed", job=record.job.id, book=record.job.name)
                continue
            number, text = chunk
            self._outcomes.conclude(
                record.job,
                State.FAILED,
                f"speedd itself ended {crashes} times in a row while it spoke chunk {number}"
                f" (“{textwrap.shorten(text, 60, placeholder=' …')}”).",
            )
        for record in self._ledger.jobs.all(State.WAITING):
            self._not_before[record.job.id] = time.monotonic() + self._damaged_wait_s

    def process_cancellations(self) -> None:
        """Cancel what its owner wishes away."""
        for record in self._ledger.jobs.unfinished():
            if record.cancelling:
                self._cancel(record)

    def _cancel(self, record: JobRecord) -> None:
        reason = "It was cancelled."
        self._not_before.pop(record.job.id, None)
        if control := self._controls.get(record.job.id):
            control.cancelled = reason
        else:
            self._outcomes.conclude(record.job, State.CANCELLED, reason)

    def supersede(self, record: JobRecord, reason: str) -> None:
        """End a job at once, at work or not: a newer one takes its place, and its source."""
        self._not_before.pop(record.job.id, None)
        control = self._controls.get(record.job.id)
        if control:
            control.superseded = True
            control.cancelled = reason
        self._ledger.jobs.set_state(record.job.id, State.SUPERSEDED, reason)
        if not control:  # else its thread says so when it has ended
            self._log.info("job.superseded", job=record.job.id, book=record.job.name)

    def start(self) -> None:
        """Start what is due, as far as there is room; where there is none, see that all have their turns."""
        now = time.monotonic()
        records = self._ledger.jobs.unfinished()  # running: its end was not recorded
        self._turns = {record.job.id: turns for record in records if (turns := self._turns.get(record.job.id))}
        for record in sorted(records, key=lambda record: self._turns.get(record.job.id, 0)):
            if record.job.id in self._threads or self._not_before.get(record.job.id, 0) > now:
                continue
            if self._stop.is_set():
                return
            if len(self._threads) >= self._limits.open_books:
                self._end_a_turn(now)
                return
            self._not_before.pop(record.job.id, None)
            control = self._controls[record.job.id] = BookControl(self._stop)
            self._ledger.jobs.set_state(record.job.id, State.RUNNING, record.reason)
            taken_up = replace(record, runs=record.runs + 1)
            thread = threading.Thread(target=self._work, args=(taken_up, control), name=f"book-{record.job.id}")
            self._threads[record.job.id] = thread
            thread.start()

    def _end_a_turn(self, now: float) -> None:
        """Others wait: ask the book that has been spoken longest to make room, if it has been long enough."""
        turn_s = self._limits.turn_s
        if not turn_s or any(control.turn_over for control in self._controls.values()):
            return
        spoken = [
            (self._controls[job_id].opened_s, job_id)
            for job_id, progress in list(self._in_progress.items())
            if job_id in self._threads
            and progress.stage == "narrating"
            and self._controls[job_id].opened_s + turn_s <= now
        ]
        if spoken:
            self._controls[min(spoken)[1]].turn_over = True

    def _work(self, record: JobRecord, control: BookControl) -> None:
        """Be the thread of one book."""
        try:
            self._narrate(record, control)
        except TryAgainError as error:  # how it ended cannot be recorded now: it is taken up again
            self._log.warning("job.paused", job=record.job.id, book=record.job.name, reason=str(error))
        finally:
            self._finished.put(record.job.id)
            self._wake.set()

    def _narrate(self, record: JobRecord, control: BookControl) -> None:
        """Narrate one book and record how it ended."""
        job = record.job
        try:
            folder = self._narrator.narrate(record, control)
        except Cancelled as error:
            if control.superseded:  # the ledger has that end already, and may have queued it anew
                self._log.info("job.superseded", job=job.id, book=job.name)
            else:
                self._outcomes.conclude(job, State.CANCELLED, error.message)
        except Interrupted:
            self._ledger.jobs.set_state(job.id, State.QUEUED)
        except TryAgainError as error:
            self._pause(job, str(error))
        except DamagedInputError as error:
            self._wait_for_rest(record, error)
        except InputError as error:
            self._outcomes.conclude(job, State.REFUSED, error.message, hint=error.hint)
        except SpeeddError as error:
            self._outcomes.conclude(job, State.FAILED, error.message, hint=error.hint)
        except Exception as error:  # noqa: BLE001 - the boundary of a job: the daemon goes on with the next book
            self._log.exception("job.failed", job=job.id, book=job.name, reason=repr(error))
            self._outcomes.conclude(
                job, State.FAILED, f"speedd itself failed ({type(error).__name__}: {error}). Please report it."
            )
        else:
            self._outcomes.conclude(job, State.PUBLISHED, "", published=folder)

    def _pause(self, job: Job, reason: str) -> None:
        """Something outside passes: try again later, burning no attempt."""
        pauses = self._pauses[job.id] = self._pauses.get(job.id, 0) + 1
        wait_s = min(PAUSE_FIRST_S * 2 ** (pauses - 1), PAUSE_LONGEST_S)
        self._not_before[job.id] = NEVER if self._once else time.monotonic() + wait_s
        self._ledger.jobs.set_state(job.id, State.QUEUED, reason)
        self._log.warning("job.paused", job=job.id, book=job.name, reason=reason, again_in_s=wait_s)
        self._say(f"{job.name}: paused: {reason}")

    def _wait_for_rest(self, record: JobRecord, error: DamagedInputError) -> None:
        """It looks cut short: wait for the rest, which would come as a changed source; refuse it if none comes."""
        job = record.job
        if record.state is State.WAITING:
            self._outcomes.conclude(job, State.REFUSED, error.message, hint=error.hint)
            return
        reason = str(error)
        self._not_before[job.id] = time.monotonic() + self._damaged_wait_s
        self._ledger.jobs.set_state(job.id, State.WAITING, reason)
        self._log.info("source.waiting", job=job.id, book=job.name, src_path=str(job.source), reason=reason)
        self._say(f"{job.name}: looks damaged, waiting for the rest of it")

    def clear_away(self) -> bool:
        """Clear away the books that have ended; return whether there were any."""
        any_ended = not self._finished.empty()
        while not self._finished.empty():
            job_id = self._finished.get()
            self._threads.pop(job_id).join()
            progress = self._in_progress.pop(job_id, None)
            if self._controls.pop(job_id).turn_over:
                self._turns[job_id] = self._turns.get(job_id, 0) + 1
                self._log.info("job.turn_over", job=job_id, book=progress.name if progress else job_id)
            if job_id not in self._not_before:
                self._pauses.pop(job_id, None)
        return any_ended

    def join(self) -> None:
        """Wait until all books have stopped, and clear them away."""
        for thread in list(self._threads.values()):
            thread.join()
        self.clear_away()

    def _look(self, progress: BookProgress) -> None:
        self._in_progress[progress.job] = progress
        self._on_progress(progress)
