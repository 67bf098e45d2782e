"""How jobs end. The ledger records it first, then the source leaves the inbox."""

from __future__ import annotations

import contextlib
from datetime import datetime
from pathlib import Path

from speedd import inbox
from speedd.errors import TryAgainError
from speedd.ledger import Ledger, State
from speedd.model import Job
from speedd.pipeline.run_context import RunContext


class Outcomes:
    """Concludes jobs. Any thread may call it.

    Args:
        context: this run of the program.
        ledger: where outcomes are recorded.
    """

    def __init__(self, context: RunContext, ledger: Ledger) -> None:
        self.failed = False
        """Whether any job was refused or failed."""
        self._ledger = ledger
        self._inbox = context.config.paths.inbox.absolute()
        self._after_publish = context.config.inbox.after_publish
        self._log = context.log
        self._say = context.say

    def conclude(
        self,
        job: Job,
        state: State,
        reason: str,
        *,
        hint: str = "",
        published: Path | None = None,
        candidate: inbox.Candidate | None = None,
    ) -> None:
        """Record the end of a job, then move its source out of the inbox.

        Args:
            job: which.
            state: its end.
            reason: why, for its owner. Empty if it was published.
            hint: what to do about it.
            published: where its audiobook lies.
            candidate: its source. By default as the spool remembers it.

        Raises:
            TryAgainError: if the ledger cannot be written now. The source was not touched then.
        """
        why = f"{reason} {hint}".strip()
        self._ledger.jobs.set_state(job.id, state, why, published=published)
        if state is State.PUBLISHED:
            self._log.info("job.published", job=job.id, book=job.name, out_path=str(published))
            self._say(f"{job.name}: published in {published}")
        elif state in {State.REFUSED, State.FAILED}:
            self.failed = True
            log = self._log.warning if state is State.REFUSED else self._log.error
            log(f"job.{state}", job=job.id, book=job.name, src_path=str(job.source), reason=why)
            self._say(f"{job.name}: {state}: {why}")
        else:
            self._log.info(f"job.{state}", job=job.id, book=job.name, reason=why)
            self._say(f"{job.name}: {state}")
        if state is State.SUPERSEDED:
            return  # the source is the newer job's
        try:
            candidate = candidate or inbox.load_candidate(job.spool)
        except TryAgainError as error:
            self._log.warning("source.kept", job=job.id, src_path=str(job.source), reason=str(error))
        else:
            self.move_source(candidate, job, state, reason, hint)

    def move_source(self, candidate: inbox.Candidate, job: Job, state: State, reason: str = "", hint: str = "") -> None:
        """Move a source out of the inbox as its end and the configuration ask. A failure is logged."""
        if not candidate.source.is_relative_to(self._inbox):
            why = "it lies in another inbox than the one configured now"
            self._log.warning("source.kept", job=job.id, src_path=str(candidate.source), reason=why)
            self._ledger.sources.forget(candidate.source)
            return
        try:
            if state is not State.PUBLISHED:
                moved = self._reject(candidate, job, state, reason, hint)
            elif self._after_publish == "archive":
                moved = inbox.archive(candidate, self._inbox)
            elif self._after_publish == "delete":
                if inbox.delete(candidate, self._inbox):
                    self._ledger.sources.forget(candidate.source)
                return
            else:
                return
        except TryAgainError as error:
            self._log.warning("source.kept", job=job.id, src_path=str(candidate.source), reason=str(error))
            return
        if moved is None:
            why = "it changed, or the inbox cannot be written to"
            self._log.warning("source.kept", job=job.id, src_path=str(candidate.source), reason=why)
            return
        self._log.info("source.archived", job=job.id, book=job.name, out_path=str(moved))
        self._ledger.sources.forget(candidate.source)

    def _reject(self, candidate: inbox.Candidate, job: Job, state: State, reason: str, hint: str) -> Path | None:
        if state is not State.REFUSED:  # nothing is wrong with the book itself
            hint = f"{hint} Run `speedd retry {job.id}`, or put it into the inbox again.".strip()
        return inbox.reject(candidate, self._inbox, reason=reason, hint=hint, when=datetime.now().astimezone())

    def finish_pending_moves(self) -> None:
        """Move the sources of the jobs that ended just before the last process did."""
        keep = self._after_publish == "keep"
        for source, job_id in self._ledger.sources.all():
            record = self._ledger.jobs.get(job_id)
            if record is not None and (not record.state.ended or (keep and record.state is State.PUBLISHED)):
                continue
            if record is not None and record.state is State.SUPERSEDED:
                record = None
            candidate = None
            if record is not None and record.job.source == source:
                with contextlib.suppress(TryAgainError):
                    candidate = inbox.load_candidate(record.job.spool)
            if record is None or candidate is None:
                self._ledger.sources.forget(source)  # the next scan takes it anew, and its content is known
            else:
                self.move_source(candidate, record.job, record.state, record.reason)
