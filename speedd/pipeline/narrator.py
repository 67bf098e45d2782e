"""The story of one book, from a source in the spool to an audiobook in the outbox.

Start reading at `Narrator.narrate`. Every step leaves its result in the ledger or on disk before the next begins, so a
book that was interrupted goes on where it stopped. An utterance that has a take is not rendered again. The master is
always made from stored takes.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from speedd import audio, engines
from speedd.common.policies import MAX_REPAIRS
from speedd.common.state_directory import JobFolder
from speedd.config import Config, EngineSettings, OutputSettings, SpeechSettings, engine_options, with_book_settings
from speedd.engines.base import EngineInfo
from speedd.errors import PASSING, ConfigError, EngineError, InputError, SpeeddError, TryAgainError
from speedd.execution.base import Executor
from speedd.execution.takes import TAKE_BYTES_PER_SECOND
from speedd.ledger import JobRecord, Ledger
from speedd.model import Chunk, Job
from speedd.outbox.names import title_folder
from speedd.outbox.publishing import find_published
from speedd.pipeline.eta import EtaEstimator
from speedd.pipeline.finishing import Finishing
from speedd.pipeline.job_run import BookProgress, Control, Estimate, JobRun
from speedd.pipeline.plan_source import read_book_settings
from speedd.pipeline.preparation import PlanSummary, dump_summary, load_chunks, load_summary, prepare
from speedd.pipeline.rendering import Rendering, TakeKeys
from speedd.pipeline.run_context import RunContext

CHARS_PER_SECOND = 15.0
"""Pace of speech for estimates. hibari's heart reads The Time Machine at about 15 characters a second, with pauses."""
DEFAULT_REALTIME_FACTOR = 100.0
"""Seconds of audio per second of work, before this machine has narrated anything."""
MASTERING_REALTIME_FACTOR = 150.0
"""Seconds of audio that one core masters per second, before this run has mastered anything."""


class Narrator:
    """Narrates books.

    Args:
        context: this run of the program.
        ledger: where every step is recorded.
        executor: gives the executor for an engine's name.
    """

    def __init__(self, context: RunContext, ledger: Ledger, *, executor: Callable[[str], Executor]) -> None:
        self._context = context
        self._config = context.config
        self._log = context.log
        self._ledger = ledger
        self._executor = executor
        self._mastering_factor = MASTERING_REALTIME_FACTOR * len(os.sched_getaffinity(0))

    def narrate(self, record: JobRecord, control: Control) -> Path:
        """Turn a job into an audiobook and return its folder in the outbox.

        Raises:
            InputError: if the source is at fault.
            EngineError: if a chunk cannot be spoken, or the engine cannot run.
            UsageError: if the voice that must speak cannot.
            PublishError: if the outbox will not take it.
            Cancelled: if the book was cancelled.
            TryAgainError: if the program is stopping, or something is in the way that passes. The job is queued again.
        """
        run_id = f"{self._context.run_id}.{record.runs}"
        progress = BookProgress(record.job.id, record.job.name)
        job_run = JobRun(record, control, progress, self._context.now(), run_id)
        self._log.info("job.started", job=job_run.job_id, book=record.job.name, src_path=str(record.job.source))
        try:
            return self._narrate(job_run)
        except SpeeddError:
            control.check()  # if somebody ended the book meanwhile, that counts
            raise
        except OSError as error:
            if reason := PASSING.get(error.errno or 0):
                where = f" ({error.filename})" if error.filename else ""
                raise TryAgainError(f"The book cannot go on now: {reason}{where}.") from error
            raise

    def _narrate(self, job_run: JobRun) -> Path:
        record = job_run.record
        summary, config = self._prepare(job_run)
        folder = title_folder(summary.metadata)
        if published := find_published(config.paths.outbox, folder, job_run.job_id, edition=record.edition):
            return published  # the last run died between the rename and the ledger
        audio_s = self._estimate(job_run, summary, config)
        while True:
            info = self._render(job_run, summary, config, audio_s)
            finishing = Finishing(
                self._context, job_run, ledger=self._ledger, summary=summary, config=config, info=info
            )
            try:
                mastered = finishing.master()
            except audio.TakeError as error:
                self._repair(job_run, error)
            else:
                self._mastering_factor = mastered.duration_s / max(1e-3, mastered.seconds["wall"])
                self._log_mastered(job_run, mastered)
                return finishing.publish(mastered)

    def _prepare(self, job_run: JobRun) -> tuple[PlanSummary, Config]:
        """Read and plan, unless an earlier run did. Return what was found and the book's settings."""
        summary = _planned_before(job_run.record, self._config)
        if summary is None:
            self._warm_up(job_run.record.job)
            self._context.on_progress(job_run.progress)
            request = self._context.request
            summary = prepare(job_run.record.job, self._config, request, should_stop=_should_stop(job_run.control))
            job_run.control.check()
            folder = JobFolder(job_run.record.job.spool)
            chunks = load_chunks(folder)
            if request.chapters is not None:
                summary, chunks = _select_chapters(request.chapters, summary, chunks)
            self._ledger.plans.record(job_run.job_id, dump_summary(summary), summary.chapters, chunks)
            folder.chunks.unlink()
        job_run.timings.read, job_run.timings.plan = summary.read_s, summary.plan_s
        job_run.progress.title = summary.metadata.title
        job_run.warnings += summary.warnings
        self._log.info(
            "engine.chosen",
            job=job_run.job_id,
            engine=summary.engine,
            voice=summary.voice.name,
            reason=summary.engine_why,
        )
        for warning in summary.warnings:
            self._log.warning("job.warned", job=job_run.job_id, book=job_run.record.job.name, reason=warning)
        return summary, book_config(self._config, summary)

    def _warm_up(self, job: Job) -> None:
        """Load the engine that the book asks for while it is read. Its language may yet need another one."""
        try:
            config = with_book_settings(self._config, read_book_settings(job), pinned=self._context.request.pinned)
            self._executor(engines.choose(config.engine.name, engine_options(config)).name).warm()
        except (ConfigError, EngineError, InputError):  # it is reported where the engine is needed
            return

    def _estimate(self, job_run: JobRun, summary: PlanSummary, config: Config) -> float:
        """Estimate what the book takes. Return how long it will be, in seconds.

        Raises:
            TryAgainError: if there is no room for it.
        """
        rendered = self._ledger.takes.progress(job_run.job_id)
        audio_s = rendered.total_chars / CHARS_PER_SECOND / config.speech.speed
        left = 1 - rendered.done_chars / max(1, rendered.total_chars)
        factor = self._ledger.jobs.realtime_factor() or DEFAULT_REALTIME_FACTOR
        published_bytes = audio_s * config.output.bitrate_kbps * 125
        disk_bytes = int(left * audio_s * TAKE_BYTES_PER_SECOND + 2 * published_bytes)
        job_run.progress.estimate = Estimate(audio_s, audio_s / factor, disk_bytes)
        self._context.on_progress(job_run.progress)
        self._log.info(
            "job.planned",
            job=job_run.job_id,
            book=job_run.record.job.name,
            title=summary.metadata.title,
            chapters=len(summary.chapters),
            chunks=summary.chunks,
            words=summary.words,
            skipped=[f"{part.title} ({part.reason})" for part in summary.skipped],
            audio_s=round(audio_s),
            work_s=round(audio_s / factor, 1),
            disk_mb=round(disk_bytes / 2**20, 1),
        )
        for place in (config.paths.state, config.paths.outbox):
            if not place.is_dir():
                raise TryAgainError(f"There is no folder {place}.", hint="Is its disk mounted? Else make the folder.")
            room = shutil.disk_usage(place).free - self._context.reserve_bytes
            if room < disk_bytes:
                raise TryAgainError(
                    f"{place} has too little room: the book needs about {disk_bytes / 2**20:.0f} MB, and"
                    f" {max(0, room) / 2**20:.0f} MB are free above the reserve.",
                    hint="It goes on by itself when there is room.",
                )
        return audio_s

    def _repair(self, job_run: JobRun, error: audio.TakeError) -> None:
        """Have a take rendered again that is missing or damaged. With too many of them the disk is failing."""
        job_run.repairs += 1
        if job_run.repairs > MAX_REPAIRS:
            raise error
        self._log.warning("takes.missing", job=job_run.job_id, count=1, reason=str(error))
        error.path.unlink(missing_ok=True)
        self._ledger.takes.forget([error.path.stem])

    def _log_mastered(self, job_run: JobRun, mastered: audio.Mastered) -> None:
        """Log what mastering made, and where its processor time went."""
        self._log.info(
            "job.mastered",
            job=job_run.job_id,
            book=job_run.record.job.name,
            audio_s=round(mastered.duration_s),
            loudness_lufs=round(mastered.loudness_lufs, 2),
            true_peak_dbtp=round(mastered.true_peak_dbtp, 2),
            stretches=mastered.stretches,
            encoded_again=mastered.encoded_again,
            cpu_s={stage: round(seconds, 2) for stage, seconds in mastered.seconds.items() if stage != "wall"},
        )

    def _render(self, job_run: JobRun, summary: PlanSummary, config: Config, audio_s: float) -> EngineInfo:
        """Give every utterance its take."""
        began = time.monotonic()
        executor = self._executor(summary.engine)
        info = executor.info
        if (unused := unused_style(info, config.speech)) and not job_run.repairs:
            job_run.warnings.append(unused)
            self._log.warning("style.unused", job=job_run.job_id, engine=info.name, reason=unused)
        keys = TakeKeys(info, summary, config)
        eta = EtaEstimator(mastering_s=audio_s / self._mastering_factor)
        Rendering(self._context, job_run, ledger=self._ledger, executor=executor, keys=keys, eta=eta).run()
        job_run.timings.narrate += time.monotonic() - began
        return info


def book_config(config: Config, summary: PlanSummary) -> Config:
    """Return the configuration that a book was planned with: its own settings over what holds for all books."""
    return config.model_copy(
        update={
            "engine": EngineSettings.model_validate(summary.config["engine"]),
            "speech": SpeechSettings.model_validate(summary.config["speech"]),
            "output": OutputSettings.model_validate(summary.config["output"]),
        }
    )


def _planned_before(record: JobRecord, config: Config) -> PlanSummary | None:
    """Return what an earlier run planned. None if none did, or if another version of speedd did."""
    if record.summary is None:
        return None
    try:
        summary = load_summary(record.summary)
        book_config(config, summary)
    except (KeyError, TypeError, ValueError):  # pydantic's is a ValueError
        return None
    # The cover may have been removed with the private copy.
    return summary if not summary.cover or JobFolder(record.job.spool).cover.exists() else None


def unused_style(info: EngineInfo, speech: SpeechSettings) -> str:
    """Say which settings of the style an engine does not use. Empty if it uses all."""
    unused = []
    if speech.preset != "default" and "exaggeration" not in info.style_fields:
        unused.append(f"the preset {speech.preset}")
    if asked := [name for name, value in speech.style if value is not None and name not in info.style_fields]:
        unused.append(", ".join(asked))
    if speech.speed != 1.0 and "speed" not in info.style_fields:
        unused.append(f"the speed {speech.speed}")
    return f"The engine {info.name} does not use {' and '.join(unused)}." if unused else ""


def _should_stop(control: Control) -> Callable[[], bool]:
    def should_stop() -> bool:
        try:
            control.check()
        except SpeeddError:
            return True
        return False

    return should_stop


def _select_chapters(
    wanted: range, summary: PlanSummary, chunks: Iterator[Chunk]
) -> tuple[PlanSummary, Iterator[Chunk]]:
    """Keep some chapters of a plan."""
    kept = range(wanted.start, min(wanted.stop, len(summary.chapters)))
    if not kept:
        raise InputError(f"The book has {len(summary.chapters)} chapters; there is none of those asked for.")
    chosen = (chunk for chunk in chunks if chunk.chapter in kept)
    moved = (replace(chunk, index=i, chapter=chunk.chapter - kept.start) for i, chunk in enumerate(chosen))
    return replace(summary, chapters=tuple(summary.chapters[number] for number in kept)), moved
