"""Give every utterance of a book a take: adopt stored takes, render the rest, turn down what sounds wrong."""

from __future__ import annotations

import hashlib
import json
import shutil
import textwrap
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from speedd import audio
from speedd.common.languages import primary_subtag
from speedd.common.policies import AUDIBLE_DBFS, MAX_ATTEMPTS
from speedd.config import Config
from speedd.engines.base import EngineInfo
from speedd.errors import EngineError, TryAgainError
from speedd.execution.base import Executor
from speedd.execution.takes import chunk_seed, fallback_key, take_key, take_path
from speedd.ledger import Ledger, PendingUtterance, Progress
from speedd.model import Failed, Rendered, Utterance
from speedd.pipeline.eta import EtaEstimator
from speedd.pipeline.job_run import JobRun
from speedd.pipeline.preparation import PlanSummary
from speedd.pipeline.run_context import RunContext

ADOPT_PAGE = 256
PROGRESS_S = 30.0
PROGRESS_SHARE = 0.05
"""How often progress is logged, whichever comes first."""
ROOM_S = 5.0
"""How often free space is checked."""


class TakeKeys:
    """Makes the utterances that an engine is asked for, each with the key of its take.

    Args:
        info: the engine, as it is loaded.
        summary: the book's voice and language.
        config: the book's settings.
    """

    def __init__(self, info: EngineInfo, summary: PlanSummary, config: Config) -> None:
        self._info = info
        self._voice = summary.voice
        self._seed = config.engine.seed
        self._language = primary_subtag(summary.metadata.language) or info.languages[0]
        shape = [asdict(info), summary.voice.digest, self._seed, self._language]
        self.fingerprint = hashlib.sha256(json.dumps(shape, sort_keys=True, default=str).encode()).hexdigest()

    def utterance(self, pending: PendingUtterance, attempt: int) -> Utterance:
        """Return what the engine is asked for at this attempt, 0 for the first."""
        seed = chunk_seed(self._seed, pending.text, pending.occurrence, attempt)
        key = take_key(
            self._info, text=pending.text, voice=self._voice, style=pending.style, seed=seed, language=self._language
        )
        return Utterance(key, pending.text, self._voice, pending.style, seed, self._language)


class Rendering:
    """The rendering of one book.

    Args:
        context: this run of the program.
        job_run: the book at work.
        ledger: where takes are recorded.
        executor: renders.
        keys: gives utterances their keys.
        eta: measures the pace.
    """

    def __init__(
        self,
        context: RunContext,
        job_run: JobRun,
        *,
        ledger: Ledger,
        executor: Executor,
        keys: TakeKeys,
        eta: EtaEstimator,
    ) -> None:
        self._context = context
        self._log = context.log
        self._takes = context.state.takes
        self._job_run = job_run
        self._ledger = ledger
        self._executor = executor
        self._keys = keys
        self._eta = eta
        self._room_checked_s = float("-inf")
        self._asked: dict[str, tuple[PendingUtterance, int]] = {}
        self._progress = Progress(0, 0, 0, 0)
        self._rendered_s = 0.0
        self._logged = (time.monotonic(), 0.0)
        """When progress was last logged, and the share then."""

    def run(self) -> None:
        """Render in rounds until every utterance has its take. What one round turns down, the next renders again.

        Raises:
            EngineError: if an utterance cannot be spoken; the message names its chunk.
            TryAgainError: if the program is stopping.
            Cancelled: if the book was cancelled.
        """
        self._ledger.takes.begin(self._job_run.job_id, self._keys.fingerprint)
        missing = [key for key in self._ledger.takes.used_by(self._job_run.job_id) if not self._path(key).exists()]
        if missing:
            self._ledger.takes.forget(missing)
            self._log.warning("takes.missing", job=self._job_run.job_id, count=len(missing))
        self._job_run.progress.stage = "narrating"
        self._progress = self._ledger.takes.progress(self._job_run.job_id)
        if not self._job_run.repairs:
            self._job_run.reused = self._progress.done
        self._report_progress()
        self._adopt_stored()
        while self._round():
            pass
        for fallback, takes in self._ledger.takes.count_fallbacks(self._job_run.job_id).items():
            warning = f"{takes} takes were made with {fallback}, because the engine's device was short of memory."
            self._job_run.warnings.append(warning)
            self._log.warning("takes.fallback", job=self._job_run.job_id, count=takes, reason=fallback)

    def _round(self) -> bool:
        """Go once over the utterances without a take. Return whether anything was rendered."""
        rendered = False
        for batch in self._executor.run(self._to_render()):
            if batch:
                rendered = True
                self._record(batch)
            self._report_progress()
            self._job_run.control.check()
            self._check_room()
        self._job_run.control.check()
        return rendered

    def _check_room(self) -> None:
        """Pause the book before the disk is full. Others use it too."""
        now_s = time.monotonic()
        if now_s - self._room_checked_s < ROOM_S:
            return
        self._room_checked_s = now_s
        free = shutil.disk_usage(self._takes).free
        if free < self._context.reserve_bytes:
            raise TryAgainError(
                f"The disk of {self._takes} is almost full: {free / 2**20:.0f} MB are free, and"
                f" {self._context.reserve_bytes / 2**20:.0f} MB are to stay free (limits.disk_reserve_mb).",
                hint="It goes on by itself when there is room.",
            )

    def _adopt_stored(self) -> None:
        """Adopt stored takes before anything is rendered, so that it is known how much is left to render."""
        adopted: list[tuple[PendingUtterance, str, int]] = []
        for pending in self._ledger.takes.pending(self._job_run.job_id):
            utterance, attempt = self._next_attempt(pending)
            key = self._stored_key(utterance, pending) if utterance else None
            if key is not None:
                adopted.append((pending, key, attempt))
            if len(adopted) >= ADOPT_PAGE:
                self._adopt(adopted)
                self._job_run.control.check()
        self._adopt(adopted)

    def _to_render(self) -> Iterator[Utterance]:
        """Yield what must be rendered. Adopt on the way what was stored meanwhile, and what may not be tried again."""
        adopted: list[tuple[PendingUtterance, str, int]] = []
        noted = False
        for pending in self._ledger.takes.pending(self._job_run.job_id):
            utterance, attempt = self._next_attempt(pending)
            if utterance is None:
                adopted.append((pending, self._best_key(pending), attempt))
            elif (key := self._stored_key(utterance, pending)) is not None:
                adopted.append((pending, key, attempt))
            else:
                self._asked[utterance.key] = pending, attempt
                if not noted:  # so that a chunk is found which crashes the whole program again and again
                    self._ledger.jobs.note_in_flight(self._job_run.job_id, pending.chunk)
                    noted = True
                yield utterance
            if len(adopted) >= ADOPT_PAGE:
                self._adopt(adopted)
        self._adopt(adopted)

    def _next_attempt(self, pending: PendingUtterance) -> tuple[Utterance | None, int]:
        for attempt in range(MAX_ATTEMPTS):
            utterance = self._keys.utterance(pending, attempt)
            if not self._ledger.takes.fault_of(utterance.key):
                return utterance, attempt
        return None, MAX_ATTEMPTS - 1

    def _best_key(self, pending: PendingUtterance) -> str:
        """Return the first attempt that can be heard. All of them were turned down.

        Raises:
            EngineError: if none can be heard.
        """
        fault = ""
        for attempt in range(MAX_ATTEMPTS):
            key = self._keys.utterance(pending, attempt).key
            stored = self._ledger.takes.stored(key)
            fault = self._ledger.takes.fault_of(key) or fault
            key = fallback_key(key, stored.fallback if stored else "")
            if stored and stored.samples and stored.peak_dbfs > AUDIBLE_DBFS and self._path(key).exists():
                warning = f"Chunk {pending.chunk} is kept although {MAX_ATTEMPTS} takes of it were turned down: {fault}"
                self._job_run.warnings.append(warning)
                self._log.warning("chunk.doubtful", job=self._job_run.job_id, chunk=pending.chunk, reason=fault)
                return key
        raise _cannot_be_spoken(pending, fault)

    def _stored_key(self, utterance: Utterance, pending: PendingUtterance) -> str | None:
        """Return the key of a good stored take. Empty if the take has no audio, None if there is no take."""
        stored = self._ledger.takes.stored(utterance.key)
        if stored is None or (stored.samples and not self._path(stored.key).exists()):
            return None
        if audio.fault_of(stored, pending.text, speed=pending.style.speed) is not None:
            return None
        return stored.key if stored.samples else ""

    def _adopt(self, adopted: list[tuple[PendingUtterance, str, int]]) -> None:
        if adopted:
            self._ledger.takes.adopt(
                self._job_run.job_id, ((pending.id, key, attempt) for pending, key, attempt in adopted)
            )
            self._job_run.reused += len(adopted)
            for pending, _, _ in adopted:
                self._count(pending)
            adopted.clear()
            self._report_progress()

    def _record(self, batch: list[Rendered | Failed]) -> None:
        """Check what came back and record it in one commit."""
        recorded: list[tuple[int, Rendered, int, str]] = []
        for result in batch:
            asked = result.key if isinstance(result, Failed) else result.utterance_key
            pending, attempt = self._asked.pop(asked)
            if isinstance(result, Failed):
                if result.final:
                    raise _cannot_be_spoken(pending, result.reason)
                fault, rendered = result.reason, _no_take(result.key)
            else:
                rendered = result
                fault = audio.fault_of(result, pending.text, speed=pending.style.speed) or ""
                self._rendered_s += result.duration_s
            if fault:
                self._log.warning(
                    "chunk.retried", job=self._job_run.job_id, chunk=pending.chunk, attempt=attempt + 1, reason=fault
                )
            else:
                self._job_run.rendered += 1
                self._eta.note_rendered(len(pending.text))
                self._count(pending)
                self._log.debug(
                    "chunk.rendered",
                    job=self._job_run.job_id,
                    chunk=pending.chunk,
                    attempt=attempt + 1,
                    audio_s=round(rendered.duration_s, 3),
                    duration_ms=round(rendered.render_s * 1000),
                    worker=rendered.worker,
                )
            recorded.append((pending.id, rendered, attempt, fault))
            if fault and rendered.asked:  # so that the next attempt has another seed
                recorded.append((pending.id, replace(rendered, key=asked, size_bytes=0), attempt, fault))
        self._ledger.takes.record(self._job_run.job_id, self._job_run.run_id, recorded)

    def _count(self, done: PendingUtterance) -> None:
        old = self._progress
        self._progress = replace(old, done=old.done + 1, done_chars=old.done_chars + len(done.text))

    def _report_progress(self) -> None:
        book, progress = self._job_run.progress, self._progress
        now = time.monotonic()
        book.done, book.total = progress.done, progress.total
        book.share = progress.done_chars / max(1, progress.total_chars)
        status = self._executor.status()
        going = self._eta.look(speaking=status.in_flight > 0)
        book.eta_s = self._eta.left_s(progress.total_chars - progress.done_chars)
        book.realtime_factor = self._rendered_s / max(1e-6, self._eta.spoken_s) if self._rendered_s else None
        self._context.on_progress(book)
        due = going and now - self._logged[0] >= PROGRESS_S  # quiet hours need no line each half minute
        if due or book.share - self._logged[1] >= PROGRESS_SHARE:
            self._logged = (now, book.share)
            workers = status.workers
            self._log.info(
                "job.progress",
                job=self._job_run.job_id,
                book=self._job_run.record.job.name,
                chunk=progress.done,
                chunks=progress.total,
                share=round(book.share, 3),
                eta_s=round(book.eta_s) if book.eta_s is not None else None,
                realtime_factor=round(book.realtime_factor, 1) if book.realtime_factor else None,
                rows=sum(worker.rows for worker in workers),
                rows_cap=sum(worker.rows_cap for worker in workers),
                free_mb=min((worker.free_bytes for worker in workers if worker.pid), default=0) >> 20,
                used_mb=sum(worker.used_bytes for worker in workers) >> 20,
                tokens_per_s=round(sum(worker.tokens_per_s for worker in workers)),
                restarts=sum(worker.restarts for worker in workers),
            )

    def _path(self, key: str) -> Path:
        return take_path(self._takes, key)


def _no_take(key: str) -> Rendered:
    nothing = float("-inf")
    return Rendered(
        key, 0, 1, nothing, nothing, finite=True, render_s=0.0, stop_reason="failed", size_bytes=0, worker=-1
    )


def _cannot_be_spoken(pending: PendingUtterance, reason: str) -> EngineError:
    beginning = textwrap.shorten(pending.text, 60, placeholder=" …")
    return EngineError(f"Chunk {pending.chunk} (“{beginning}”) cannot be spoken: {reason}")
