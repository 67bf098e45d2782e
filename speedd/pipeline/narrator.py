"""The story of one book, from a source in the spool to an audiobook in the outbox.

Start reading at `Narrator.narrate`. Every step leaves its result in the ledger or on disk before the next begins, so a
book that was interrupted anywhere goes on where it stopped: what has a take is not rendered again, and the master is
always made from stored takes.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from speedd import audio, engines
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
from speedd.pipeline.job_run import BookProgress, Control, Estimate, JobRun, cover_path, takes_folder
from speedd.pipeline.plan_source import read_book_settings
from speedd.pipeline.preparation import PlanSummary, dump_summary, load_chunks, load_summary, prepare
from speedd.pipeline.rendering import Rendering, TakeKeys

CHARS_PER_SECOND = 15.0
"""Pace of speech for estimates: hibari's heart reads The Time Machine at about 15 characters a second, with pauses."""
DEFAULT_REALTIME_FACTOR = 100.0
"""Seconds of audio per second of work, before this machine has narrated anything."""

MASTERING_REALTIME_FACTOR = 150.0
"""Seconds of audio that one core masters per second, before this run has mastered anything."""

MAX_REPAIRS = 100
"""Damaged takes that are mended in one run of a book; more than that, and the disk is failing."""


class Narrator:
    """Narrates books.

    Args:
        ledger: where every step is recorded.
        config: what holds for all books.
        executor: gives the executor for an engine's name.
        log: where events go.
        run_id: names this run of the program.
        pinned: what stands above a book's own settings (command line, environment).
        strict_voice: whether the pinned voice must speak, and no other may stand in for it.
        chapters: 0-based numbers of the chapters to narrate, for a preview; None for all.
        now: wall clock, seconds since the epoch.
        on_progress: told whenever a book's `BookProgress` changed.
    """

    def __init__(
        self,
        ledger: Ledger,
        config: Config,
        *,
        executor: Callable[[str], Executor],
        log: Any,
        run_id: str,
        pinned: Mapping[str, Any] | None = None,
        strict_voice: bool = False,
        chapters: range | None = None,
        now: Callable[[], float] = time.time,
        on_progress: Callable[[BookProgress], None] = lambda _: None,
    ) -> None:
        self._ledger = ledger
        self._config = config
        self._executor = executor
        self._log = log
        self._run_id = run_id
        self._pinned = pinned
        self._strict_voice = strict_voice
        self._chapters = chapters
        self._now = now
        self._on_progress = on_progress
        self._mastering_factor = MASTERING_REALTIME_FACTOR * len(os.sched_getaffinity(0))

    def narrate(self, record: JobRecord, control: Control) -> Path:
        """Turn a job into an audiobook and return its folder in the outbox.

        Raises:
            InputError: if the source is at fault.
            EngineError: if a chunk cannot be spoken, or the engine cannot run.
            UsageError: if the voice that must speak cannot.
            PublishError: if the outbox will not take it.
            Cancelled: if the book was cancelled.
            TryAgainError: if something outside passes, or the program is stopping: the job goes back into the queue.
        """
        run = f"{self._run_id}.{record.runs}"
        job_run = JobRun(record, control, BookProgress(record.job.id, record.job.name), self._now(), run)
        self._log.info("job.started", job=job_run.job_id, book=record.job.name, src_path=str(record.job.source))
        try:
            return self._narrate(job_run)
        except SpeeddError:
            control.check()  # somebody ended it meanwhile, and that counts
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
            return published  # the last run ended between the rename and the ledger
        audio_s = self._estimate(job_run, summary, config)
        while True:
            info = self._render(job_run, summary, config, audio_s)
            finishing = Finishing(
                job_run,
                ledger=self._ledger,
                summary=summary,
                config=config,
                info=info,
                run_id=self._run_id,
                now=self._now,
            )
            try:
                mastered = finishing.master(lambda: self._on_progress(job_run.progress))
            except audio.TakeError as error:
                self._repair(job_run, error)
            else:
                self._mastering_factor = mastered.duration_s / max(1e-3, mastered.seconds["wall"])
                self._tell(job_run, mastered)
                return finishing.publish(mastered)

    def _prepare(self, job_run: JobRun) -> tuple[PlanSummary, Config]:
        """Read and plan, unless an earlier run did; return what was found and the book's settings."""
        summary = _planned_before(job_run.record, self._config)
        if summary is None:
            self._warm_up(job_run.record.job)
            self._on_progress(job_run.progress)
            job = job_run.record.job
            folder = job.spool / "prepared"
            ended = _asks_to_end(job_run.control)
            summary = prepare(
                job, self._config, folder, pinned=self._pinned, strict_voice=self._strict_voice, ended=ended
            )
            job_run.control.check()
            chunks = load_chunks(folder)
            if self._chapters is not None:
                summary, chunks = _only(self._chapters, summary, chunks)
            self._ledger.plans.record(job_run.job_id, dump_summary(summary), summary.chapters, chunks)
            (folder / "chunks.jsonl").unlink()
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
        """Load the engine that the book asks for while it is read; its language may yet ask for another one."""
        try:
            config = with_book_settings(self._config, read_book_settings(job), pinned=self._pinned)
            self._executor(engines.choose(config.engine.name, engine_options(config))[0]).warm()
        except (ConfigError, EngineError, InputError):  # what is wrong with it is told when it is needed
            return

    def _estimate(self, job_run: JobRun, summary: PlanSummary, config: Config) -> float:
        """Say what the book will take, and wait if there is no room for it; return how long it will be, in seconds."""
        rendered = self._ledger.takes.progress(job_run.job_id)
        audio_s = rendered.total_chars / CHARS_PER_SECOND / config.speech.speed
        left = 1 - rendered.done_chars / max(1, rendered.total_chars)
        factor = self._ledger.jobs.realtime_factor() or DEFAULT_REALTIME_FACTOR
        published_bytes = audio_s * config.output.bitrate_kbps * 125
        disk_bytes = int(left * audio_s * TAKE_BYTES_PER_SECOND + 2 * published_bytes)
        job_run.progress.estimate = Estimate(audio_s, audio_s / factor, disk_bytes)
        self._on_progress(job_run.progress)
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
            room = shutil.disk_usage(place).free - config.limits.disk_reserve_mb * 2**20
            if room < disk_bytes:
                raise TryAgainError(
                    f"{place} has too little room: the book needs about {disk_bytes / 2**20:.0f} MB, and"
                    f" {max(0, room) / 2**20:.0f} MB are free above the reserve.",
                    hint="It goes on by itself when there is room.",
                )
        return audio_s

    def _repair(self, job_run: JobRun, error: audio.TakeError) -> None:
        """A stored take is missing or damaged: have it rendered again, but not for ever."""
        job_run.repairs += 1
        if job_run.repairs > MAX_REPAIRS:
            raise error
        self._log.warning("takes.missing", job=job_run.job_id, count=1, reason=str(error))
        error.path.unlink(missing_ok=True)
        self._ledger.takes.forget([error.path.stem])

    def _tell(self, job_run: JobRun, mastered: audio.Mastered) -> None:
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
        rendering = Rendering(
            job_run,
            ledger=self._ledger,
            executor=executor,
            keys=TakeKeys(info, summary, config),
            takes=takes_folder(config.paths.state),
            reserve_bytes=config.limits.disk_reserve_mb * 2**20,
            eta=EtaEstimator(mastering_s=audio_s / self._mastering_factor),
            log=self._log,
            on_progress=lambda: self._on_progress(job_run.progress),
        )
        rendering.run()
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
    """Return what an earlier run planned; None if none did, or if it was another version of speedd, to plan anew."""
    if record.summary is None:
        return None
    try:
        summary = load_summary(record.summary)
        book_config(config, summary)
    except (KeyError, TypeError, ValueError):  # pydantic's is a ValueError
        return None
    # With the private copy the cover may have been collected.
    return summary if not summary.cover or cover_path(record.job).exists() else None


def unused_style(info: EngineInfo, speech: SpeechSettings) -> str:
    """Say which of the style that somebody asked for an engine leaves unused; empty if none."""
    unused = []
    if speech.preset != "default" and "exaggeration" not in info.style_fields:
        unused.append(f"the preset {speech.preset}")
    if asked := [name for name, value in speech.style if value is not None and name not in info.style_fields]:
        unused.append(", ".join(asked))
    if speech.speed != 1.0 and "speed" not in info.style_fields:
        unused.append(f"the speed {speech.speed}")
    return f"The engine {info.name} does not use {' and '.join(unused)}." if unused else ""


def _asks_to_end(control: Control) -> Callable[[], bool]:
    def ended() -> bool:
        try:
            control.check()
        except SpeeddError:
            return True
        return False

    return ended


def _only(wanted: range, summary: PlanSummary, chunks: Iterator[Chunk]) -> tuple[PlanSummary, Iterator[Chunk]]:
    """Keep some chapters of a plan."""
    kept = range(wanted.start, min(wanted.stop, len(summary.chapters)))
    if not kept:
        raise InputError(f"The book has {len(summary.chapters)} chapters; there is none of those asked for.")
    chosen = (chunk for chunk in chunks if chunk.chapter in kept)
    moved = (replace(chunk, index=i, chapter=chunk.chapter - kept.start) for i, chunk in enumerate(chosen))
    return replace(summary, chapters=tuple(summary.chapters[number] for number in kept)), moved
