"""The inbox's side of the daemon: what has settled there becomes a job, or belongs to one that is known."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from speedd import inbox
from speedd.daemon.app import App, spool_folder
from speedd.daemon.outcomes import Outcomes
from speedd.errors import InputError, TryAgainError
from speedd.ledger import JobRecord, State
from speedd.model import Job, Role

SCAN_GAP_S = 1.0
"""Events ring a hundred times a second while a folder is copied; a scan follows at most this often."""
COPY_AGAIN_S = 5.0
"""When a source is tried again that could not be copied for now."""
DUPLICATE_S = 60.0
"""How often a second copy of a book at work is looked at again, where sources are deleted in the end."""


class Intake:
    """Enters into the ledger what is dropped.

    Args:
        app: the open state directory.
        cadence: how often to look, and how long a source must rest.
        outcomes: concludes what cannot be taken.
        supersede: outcomes a job whose place a newer one takes, with the reason.
        stop: set when no more is to be taken.
        wake: rung by whatever is dropped.
        once: what cannot be copied now is put off for good.
        say: told plain lines for a person at a terminal.
        alive: called after each source: hundreds of books at once take minutes on a slow disk.
    """

    def __init__(
        self,
        app: App,
        *,
        cadence: inbox.Cadence,
        outcomes: Outcomes,
        supersede: Callable[[JobRecord, str], None],
        stop: threading.Event,
        wake: threading.Event,
        once: bool,
        say: Callable[[str], None],
        alive: Callable[[], None],
    ) -> None:
        self._ledger = app.ledger
        self._config = app.config
        self._log = app.log
        self._cadence = cadence
        self._outcomes = outcomes
        self._supersede = supersede
        self._stop = stop
        self._once = once
        self._say = say
        self._alive = alive
        self._rung = False
        self._unavailable = False
        self._changing = False
        """Whether something changed between settling and the end of copying: it has to settle anew."""
        self._put_off: set[str] = set()
        """With ``once``: signatures of what could not be copied for now."""
        self._doorbell_fault = ""
        self._last_scan_s = float("-inf")
        place = self._config.paths.inbox
        self._scanner = inbox.Scanner(place, settle_s=cadence.settle_s, known=self._known, narrated=self._narrated)
        self._watcher = inbox.InboxWatcher(place, wake)

    @property
    def due_s(self) -> float:
        """Seconds until the inbox is to be looked at; 0 or less: now."""
        gap_s = SCAN_GAP_S if self._rung or self._changing else self._cadence.scan_s
        next_s = self._last_scan_s + gap_s - time.monotonic()
        return next_s if self._scanner.due_s is None else min(next_s, self._scanner.due_s)

    @property
    def settling(self) -> bool:
        """Whether something lies in the inbox that is going to be taken."""
        return self._changing or self._scanner.due_s is not None

    @property
    def left_something(self) -> bool:
        """Whether something lies there that cannot be taken for now, or the inbox cannot be looked into at all."""
        return bool(self._put_off) or self._unavailable

    @property
    def waiting(self) -> Sequence[inbox.WaitingSource]:
        """What has not settled yet."""
        return self._scanner.waiting

    def start(self) -> None:
        """Start watching."""
        self._watcher.start()

    def close(self) -> None:
        """Listen no more."""
        self._watcher.stop()

    def ring(self) -> None:
        """Something happened in the inbox: look soon."""
        self._rung = True

    def scan(self) -> None:
        """Look into the inbox, and take what has settled."""
        self._rung = False
        self._last_scan_s = time.monotonic()
        if not self._watcher.healthy() and not self._watcher.restart():
            if self._watcher.fault != self._doorbell_fault:
                self._log.error("inbox.watch_failed", reason=self._watcher.fault)
            self._doorbell_fault = self._watcher.fault
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
            self._alive()

    def _known(self, candidate: inbox.Candidate) -> bool:
        return candidate.signature in self._put_off or self._ledger.sources.knows(candidate.source, candidate.signature)

    def _narrated(self, name: str) -> bool:
        return self._published_before(name, self._config.paths.inbox.absolute()) is not None

    def _enter(self, candidate: inbox.Candidate) -> None:
        """Take a settled source: a new job, or one that is known by its content."""
        if candidate.fault:
            self._refuse_unread(candidate, InputError(candidate.fault))
            return
        try:
            reserve_bytes = self._config.limits.disk_reserve_mb * 2**20
            job = inbox.accept(candidate, spool_folder(self._config), reserve_bytes=reserve_bytes)
            job = self._with_its_book(job)
        except inbox.StillChangingError:
            self._changing = True
            return
        except TryAgainError as error:
            self._log.warning("job.paused", book=candidate.name, reason=str(error))
            self._say(f"{candidate.name}: paused: {error}")
            if self._once:
                self._put_off.add(candidate.signature)
            else:
                self._scanner.postpone(candidate, COPY_AGAIN_S, error.message)
            return
        except InputError as error:
            self._refuse_unread(candidate, error)
            return
        # A chunk JSON at work whose book arrives is a member now, no source of its own any more.
        places = {candidate.source, *(candidate.base / member.path for member in candidate.members)}
        for record in (record for place in places for record in self._ledger.jobs.from_source(place)):
            if not record.state.ended and record.job.digest != job.digest:
                self._supersede(record, "A partner was added or the source changed; a newer job took over.")
                self._ledger.sources.forget(record.job.source)
        self._ledger.sources.remember(candidate.source, candidate.signature, job.id)
        editions = self._ledger.jobs.editions(job.digest)
        if editions:
            self._meet_again(editions[-1], job, candidate)
        else:
            self._ledger.takes.forget_faults()  # what failed in an earlier edition may have been mended
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

    def _with_its_book(self, job: Job) -> Job:
        """A partner that comes after its book was published makes a new edition of that book."""
        if job.part(Role.BOOK):
            return job
        old = self._published_before(job.name, job.source.parent)
        if old is None or not (old.job.part(Role.BOOK) or not job.part(Role.CHUNKS)):
            return job
        replaced = {part.role for part in job.parts}
        kept = [part for part in old.job.parts if part.role not in replaced and part.path.exists()]
        return inbox.join(job, kept)

    def _meet_again(self, record: JobRecord, job: Job, candidate: inbox.Candidate) -> None:
        """A source whose content has been here before."""
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
                self._ledger.jobs.queue_again(record.job.id)  # planned anew: what made it fail may have been mended
            self._log.info("job.retried", job=record.job.id, book=job.name, reason=why)
        elif record.job.source == job.source:
            return
        elif not os.path.lexists(record.job.source):  # it was renamed while at work
            inbox.readdress(job, candidate)
            self._ledger.jobs.set_source(record.job.id, job.source)
        elif self._config.inbox.after_publish == "delete":  # nothing goes before there is an audiobook
            self._ledger.sources.forget(candidate.source)
            self._scanner.postpone(candidate, DUPLICATE_S, "the same book is at work")
        else:
            self._log.info("job.duplicate", job=record.job.id, book=job.name, out_path="")
            self._say(f"{job.name}: the same book is at work already")
            self._outcomes.move_source(candidate, record.job, State.PUBLISHED)

    def _refuse_unread(self, candidate: inbox.Candidate, error: InputError) -> None:
        """Refuse a source that could not even be copied: it has no digest, so its look names it."""
        job_id = candidate.signature[:12]
        job = Job(job_id, "", candidate.name, candidate.source, spool_folder(self._config) / job_id, ())
        if self._ledger.jobs.get(job_id) is None:
            self._ledger.jobs.add(job)
        self._ledger.sources.remember(candidate.source, candidate.signature, job_id)
        self._outcomes.conclude(job, State.REFUSED, error.message, hint=error.hint, candidate=candidate)
