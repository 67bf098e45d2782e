"""The inbox's side of the daemon: a settled source becomes a job, or belongs to one that is known."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from speedd import inbox
from speedd.common.policies import COPY_AGAIN_S, DUPLICATE_S
from speedd.daemon.app import App
from speedd.daemon.outcomes import Outcomes
from speedd.errors import InputError, TryAgainError
from speedd.ledger import JobRecord, State
from speedd.model import Job, Role

SCAN_GAP_S = 1.0
"""How often events lead to a scan at most. While a folder is copied there are a hundred a second."""


class Intake:
    """Enters settled sources into the ledger.

    Args:
        app: the open state directory.
        outcomes: records the end of a source that cannot be taken.
        cadence: how often to scan, and how long a source must rest.
        supersede: ends a job, with the reason, whose place a newer one takes.
        alive: called after each source. Hundreds of books at once take minutes on a slow disk.
    """

    def __init__(
        self,
        app: App,
        outcomes: Outcomes,
        *,
        cadence: inbox.Cadence,
        supersede: Callable[[JobRecord, str], None],
        alive: Callable[[], None],
    ) -> None:
        self._context = app.context
        self._ledger = app.ledger
        self._log = app.context.log
        self._say = app.context.say
        self._cadence = cadence
        self._outcomes = outcomes
        self._supersede = supersede
        self._alive = alive
        self._notified = False
        self._unavailable = False
        self._changing = False
        """Whether a source changed between settling and the end of copying. It has to settle anew."""
        self._put_off: set[str] = set()
        """With ``once``: signatures of the sources that could not be copied for now."""
        self._watch_fault = ""
        self._last_scan_s = float("-inf")
        self._inbox = app.context.config.paths.inbox
        self._scanner = inbox.Scanner(
            self._inbox, settle_s=cadence.settle_s, known=self._is_known, narrated=self._is_narrated
        )
        self._watcher = inbox.InboxWatcher(self._inbox, app.context.wake)

    @property
    def due_s(self) -> float:
        """Seconds until the next scan. 0 or less: now."""
        gap_s = SCAN_GAP_S if self._notified or self._changing else self._cadence.scan_s
        next_s = self._last_scan_s + gap_s - time.monotonic()
        return next_s if self._scanner.due_s is None else min(next_s, self._scanner.due_s)

    @property
    def settling(self) -> bool:
        """Whether a source in the inbox is going to be taken."""
        return self._changing or self._scanner.due_s is not None

    @property
    def left_something(self) -> bool:
        """Whether a source could not be taken for now, or the inbox cannot be read."""
        return bool(self._put_off) or self._unavailable

    @property
    def waiting(self) -> Sequence[inbox.WaitingSource]:
        """The sources that have not settled yet."""
        return self._scanner.waiting

    def start(self) -> None:
        """Start the file watcher."""
        self._watcher.start()

    def close(self) -> None:
        """Stop the file watcher."""
        self._watcher.stop()

    def notify(self) -> None:
        """Have a scan soon: something happened in the inbox."""
        self._notified = True

    def scan(self) -> None:
        """Scan the inbox and take what has settled."""
        self._notified = False
        self._last_scan_s = time.monotonic()
        if not self._watcher.healthy() and not self._watcher.restart():
            if self._watcher.fault != self._watch_fault:
                self._log.error("inbox.watch_failed", reason=self._watcher.fault)
            self._watch_fault = self._watcher.fault
        try:
            candidates = self._scanner.scan()
        except inbox.InboxUnavailableError as error:
            if not self._unavailable:
                self._log.warning("inbox.unavailable", src_path=str(self._inbox), reason=str(error))
            self._unavailable = True
            return
        if self._unavailable:
            self._unavailable = False
            self._log.info("inbox.available", src_path=str(self._inbox))
        self._changing = False
        for candidate in candidates:
            if self._context.stop.is_set():
                return
            self._enter(candidate)
            self._alive()

    def _is_known(self, candidate: inbox.Candidate) -> bool:
        return candidate.signature in self._put_off or self._ledger.sources.knows(candidate.source, candidate.signature)

    def _is_narrated(self, name: str) -> bool:
        return self._published_before(name, self._inbox.absolute()) is not None

    def _enter(self, candidate: inbox.Candidate) -> None:
        """Take a settled source. It becomes a job unless its content is known."""
        if candidate.fault:
            self._refuse_unread(candidate, InputError(candidate.fault))
            return
        try:
            job = inbox.accept(candidate, self._context.state.spool, reserve_bytes=self._context.reserve_bytes)
            job = self._join_published_book(job)
        except inbox.StillChangingError:
            self._changing = True
            return
        except TryAgainError as error:
            self._log.warning("job.paused", book=candidate.name, reason=str(error))
            self._say(f"{candidate.name}: paused: {error}")
            if self._context.once:
                self._put_off.add(candidate.signature)
            else:
                self._scanner.postpone(candidate, COPY_AGAIN_S, error.message)
            return
        except InputError as error:
            self._refuse_unread(candidate, error)
            return
        # When the book of a chunk JSON arrives, the chunk JSON becomes a member of it and is no longer a source.
        places = {candidate.source, *(candidate.base / member.path for member in candidate.members)}
        for record in (record for place in places for record in self._ledger.jobs.from_source(place)):
            if not record.state.ended and record.job.digest != job.digest:
                self._supersede(record, "A partner was added or the source changed; a newer job took over.")
                self._ledger.sources.forget(record.job.source)
        self._ledger.sources.remember(candidate.source, candidate.signature, job.id)
        editions = self._ledger.jobs.editions(job.digest)
        if editions:
            self._enter_known(editions[-1], job, candidate)
        else:
            self._ledger.takes.forget_faults()  # the cause of an earlier failure may have been mended
            self._ledger.jobs.add(job)
            self._log.info("job.accepted", job=job.id, book=job.name, src_path=str(job.source))
            self._say(f"{job.name}: accepted")

    def _published_before(self, name: str, folder: Path) -> JobRecord | None:
        """Find the latest published job of a name and place whose private copy is still there."""
        for record in reversed(self._ledger.jobs.all(State.PUBLISHED)):
            book = record.job.part(Role.BOOK) or record.job.part(Role.CHUNKS)
            if (record.job.name, record.job.source.parent) == (name, folder) and book and book.path.exists():
                return record
        return None

    def _join_published_book(self, job: Job) -> Job:
        """Join a file that came after its book was published with that book, for a new edition."""
        if job.part(Role.BOOK):
            return job
        old = self._published_before(job.name, job.source.parent)
        if old is None or not (old.job.part(Role.BOOK) or not job.part(Role.CHUNKS)):
            return job
        replaced = {part.role for part in job.parts}
        kept = [part for part in old.job.parts if part.role not in replaced and part.path.exists()]
        return inbox.join(job, kept)

    def _enter_known(self, record: JobRecord, job: Job, candidate: inbox.Candidate) -> None:
        """Take a source whose content a job has had before."""
        if record.state is State.PUBLISHED and record.published is not None and record.published.is_dir():
            self._log.info("job.duplicate", job=record.job.id, book=job.name, out_path=str(record.published))
            self._say(f"{job.name}: already published at {record.published}")
            self._outcomes.move_source(candidate, record.job, State.PUBLISHED)
        elif record.state.ended:
            why = "its audiobook is gone" if record.state is State.PUBLISHED else f"it was {record.state} before"
            inbox.readdress(job, candidate)
            self._ledger.jobs.set_source(record.job.id, job.source)
            self._ledger.takes.forget_faults()
            if record.state is State.PUBLISHED:
                self._ledger.jobs.set_state(record.job.id, State.QUEUED)
            else:
                self._ledger.jobs.queue_again(record.job.id)  # planned anew, since the cause may have been mended
            self._log.info("job.retried", job=record.job.id, book=job.name, reason=why)
        elif record.job.source == job.source:
            return
        elif not os.path.lexists(record.job.source):  # it was renamed while at work
            inbox.readdress(job, candidate)
            self._ledger.jobs.set_source(record.job.id, job.source)
        elif self._context.config.inbox.after_publish == "delete":  # not before there is an audiobook
            self._ledger.sources.forget(candidate.source)
            self._scanner.postpone(candidate, DUPLICATE_S, "the same book is at work")
        else:
            self._log.info("job.duplicate", job=record.job.id, book=job.name, out_path="")
            self._say(f"{job.name}: the same book is at work already")
            self._outcomes.move_source(candidate, record.job, State.PUBLISHED)

    def _refuse_unread(self, candidate: inbox.Candidate, error: InputError) -> None:
        """Refuse a source that could not be copied. It has no digest, so its job has its signature as id."""
        job_id = candidate.signature[:12]
        job = Job(job_id, "", candidate.name, candidate.source, self._context.state.spool / job_id, ())
        if self._ledger.jobs.get(job_id) is None:
            self._ledger.jobs.add(job)
        self._ledger.sources.remember(candidate.source, candidate.signature, job_id)
        self._outcomes.conclude(job, State.REFUSED, error.message, hint=error.hint, candidate=candidate)
