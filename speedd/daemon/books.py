"""The books at work, each in a thread of its own: started, paused, interrupted, ended."""

from __future__ import annotations

import textwrap
import threading
import time
from dataclasses import replace
from queue import SimpleQueue

from speedd.common.policies import CRASHES_TO_FAIL, PAUSE_FIRST_S, PAUSE_LONGEST_S
from speedd.daemon.app import App
from speedd.daemon.outcomes import Outcomes
from speedd.errors import DamagedInputError, InputError, SpeeddError, TryAgainError
from speedd.ledger import JobRecord, State
from speedd.model import Job
from speedd.pipeline.job_run import BookProgress, Cancelled, Interrupted, TurnOver

NEVER = float("inf")


class BookControl:
    """Tells a book at work whether it may go on."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self.cancelled = ""
        """Why it was cancelled. Empty if it was not."""
        self.superseded = False
        """Whether a newer job took its place."""
        self.opened_s = time.monotonic()
        self.turn_over = False
        """Whether it has to let other books go first."""

    def check(self) -> None:
        """Return if the book may go on, else raise `Cancelled`, `Interrupted` or `TurnOver`."""
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
        outcomes: records how jobs end.
        damaged_wait_s: how long a book that looks cut short waits for its rest.
    """

    def __init__(self, app: App, outcomes: Outcomes, *, damaged_wait_s: float) -> None:
        self._context = app.context
        self._ledger = app.ledger
        self._limits = app.context.config.limits
        self._log = app.context.log
        self._narrator = app.narrator(replace(app.context, on_progress=self._note_progress))
        self._outcomes = outcomes
        self._damaged_wait_s = damaged_wait_s
        self._in_progress: dict[str, BookProgress] = {}
        self._controls: dict[str, BookControl] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._finished: SimpleQueue[str] = SimpleQueue()
        self._not_before: dict[str, float] = {}
        """When a waiting job is tried again. `NEVER`: not in this run."""
        self._pauses: dict[str, int] = {}
        self._turns: dict[str, int] = {}
        """How many turns each unfinished book has had. The one with the fewest goes first."""

    @property
    def at_work(self) -> bool:
        """Whether any book is."""
        return bool(self._threads)

    @property
    def in_progress(self) -> list[BookProgress]:
        """How far the books at work are."""
        return list(self._in_progress.values())

    @property
    def due_s(self) -> float:
        """Seconds until the next waiting job is tried again. `NEVER` if there is no room for it."""
        if len(self._threads) >= self._limits.open_books:
            return NEVER
        return min(list(self._not_before.values()), default=NEVER) - time.monotonic()  # books' threads write to it

    @property
    def startable(self) -> bool:
        """Whether any job is or will be started in this run."""
        return any(self._not_before.get(record.job.id) != NEVER for record in self._ledger.jobs.unfinished())

    def requeue_interrupted(self) -> None:
        """Queue the jobs that the last process died over. Fail one whose chunk seems to be the cause."""
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
        """Cancel the jobs for which somebody asked that."""
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
        """End a job at once, at work or not. A newer one takes its place and its source."""
        self._not_before.pop(record.job.id, None)
        control = self._controls.get(record.job.id)
        if control:
            control.superseded = True
            control.cancelled = reason
        self._ledger.jobs.set_state(record.job.id, State.SUPERSEDED, reason)
        if not control:  # else its thread says so when it has ended
            self._log.info("job.superseded", job=record.job.id, book=record.job.name)

    def start(self) -> None:
        """Start the jobs that are due while there is room. Where there is none, see that each gets a turn."""
        now = time.monotonic()
        records = self._ledger.jobs.unfinished()  # one in state running ended without a record of it
        self._turns = {record.job.id: turns for record in records if (turns := self._turns.get(record.job.id))}
        for record in sorted(records, key=lambda record: self._turns.get(record.job.id, 0)):
            if record.job.id in self._threads or self._not_before.get(record.job.id, 0) > now:
                continue
            if self._context.stop.is_set():
                return
            if len(self._threads) >= self._limits.open_books:
                self._end_a_turn(now)
                return
            self._not_before.pop(record.job.id, None)
            control = self._controls[record.job.id] = BookControl(self._context.stop)
            self._ledger.jobs.set_state(record.job.id, State.RUNNING, record.reason)
            started = replace(record, runs=record.runs + 1)
            thread = threading.Thread(target=self._run, args=(started, control), name=f"book-{record.job.id}")
            self._threads[record.job.id] = thread
            thread.start()

    def _end_a_turn(self, now: float) -> None:
        """End the turn of the book that has been narrated longest, if that was long enough. Others wait."""
        turn_s = self._limits.turn_s
        if not turn_s or any(control.turn_over for control in self._controls.values()):
            return
        narrated = [
            (self._controls[job_id].opened_s, job_id)
            for job_id, progress in list(self._in_progress.items())
            if job_id in self._threads
            and progress.stage == "narrating"
            and self._controls[job_id].opened_s + turn_s <= now
        ]
        if narrated:
            self._controls[min(narrated)[1]].turn_over = True

    def _run(self, record: JobRecord, control: BookControl) -> None:
        """Run one book. This is its thread."""
        try:
            self._narrate(record, control)
        except TryAgainError as error:  # its end cannot be recorded now, so it is started again
            self._log.warning("job.paused", job=record.job.id, book=record.job.name, reason=str(error))
        finally:
            self._finished.put(record.job.id)
            self._context.wake.set()

    def _narrate(self, record: JobRecord, control: BookControl) -> None:
        """Narrate one book and record how it ended."""
        job = record.job
        try:
            folder = self._narrator.narrate(record, control)
        except Cancelled as error:
            if control.superseded:  # the ledger has this end already, and may have queued the job anew
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
        """Try again later. What stands in the way passes, so no attempt is counted."""
        pauses = self._pauses[job.id] = self._pauses.get(job.id, 0) + 1
        wait_s = min(PAUSE_FIRST_S * 2 ** (pauses - 1), PAUSE_LONGEST_S)
        self._not_before[job.id] = NEVER if self._context.once else time.monotonic() + wait_s
        self._ledger.jobs.set_state(job.id, State.QUEUED, reason)
        self._log.warning("job.paused", job=job.id, book=job.name, reason=reason, again_in_s=wait_s)
        self._context.say(f"{job.name}: paused: {reason}")

    def _wait_for_rest(self, record: JobRecord, error: DamagedInputError) -> None:
        """Wait for the rest of a book that looks cut short. Refuse it if it has waited before."""
        job = record.job
        if record.state is State.WAITING:
            self._outcomes.conclude(job, State.REFUSED, error.message, hint=error.hint)
            return
        reason = str(error)
        self._not_before[job.id] = time.monotonic() + self._damaged_wait_s
        self._ledger.jobs.set_state(job.id, State.WAITING, reason)
        self._log.info("source.waiting", job=job.id, book=job.name, src_path=str(job.source), reason=reason)
        self._context.say(f"{job.name}: looks damaged, waiting for the rest of it")

    def collect_ended(self) -> bool:
        """Join the threads of the books that have ended. Return whether there were any."""
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
        """Wait until all books have stopped."""
        for thread in list(self._threads.values()):
            thread.join()
        self.collect_ended()

    def _note_progress(self, progress: BookProgress) -> None:
        self._in_progress[progress.job] = progress
        self._context.on_progress(progress)
