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
from speedd.ledger import JobRow, Ledger
from speedd.model import Chunk, Job
from speedd.outbox.names import title_folder
from speedd.outbox.publishing import find_published
from speedd.pipeline.eta import Forecast
from speedd.pipeline.finishing import Finishing
from speedd.pipeline.job_run import Control, Estimate, Story, Watch, cover_path, takes_folder
from speedd.pipeline.plan_source import read_book_settings
from speedd.pipeline.preparation import Head, dump_head, load_chunks, load_head, prepare
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
        onlook: told whenever a book's `Watch` changed.
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
        onlook: Callable[[Watch], None] = lambda _: None,
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
        self._onlook = onlook
        self._mastering_factor = MASTERING_REALTIME_FACTOR * len(os.sched_getaffinity(0))

    def narrate(self, row: JobRow, control: Control) -> Path:
        """Turn a job into an audiobook and return its folder in the outbox.

        Raises:
            InputError: if the source is at fault.
            EngineError: if a chunk cannot be spoken, or the engine cannot run.
            UsageError: if the voice that must speak cannot.
            PublishError: if the outbox will not take it.
            Cancelled: if the book was cancelled.
            TryAgainError: if something outside passes, or the program is stopping: the job goes back into the queue.
        """
        run = f"{self._run_id}.{row.runs}"
        story = Story(row, control, Watch(row.job.id, row.job.name), self._now(), run)
        self._log.info("job.started", job=story.id, book=row.job.name, src_path=str(row.job.source))
        try:
            return self._tell_story(story)
        except SpeeddError:
            control.check()  # somebody ended it meanwhile, and that counts
            raise
        except OSError as error:
            if reason := PASSING.get(error.errno or 0):
                where = f" ({error.filename})" if error.filename else ""
                raise TryAgainError(f"The book cannot go on now: {reason}{where}.") from error
            raise

    def _tell_story(self, story: Story) -> Path:
        row = story.row
        head, config = self._prepare(story)
        folder = title_folder(head.metadata)
        if published := find_published(config.paths.outbox, folder, story.id, edition=row.edition):
            return published  # the last run ended between the rename and the ledger
        audio_s = self._estimate(story, head, config)
        while True:
            info = self._render(story, head, config, audio_s)
            finishing = Finishing(
                story, ledger=self._ledger, head=head, config=config, info=info, run_id=self._run_id, now=self._now
            )
            try:
                mastered = finishing.master(lambda: self._onlook(story.watch))
            except audio.TakeError as error:
                self._repair(story, error)
            else:
                self._mastering_factor = mastered.duration_s / max(1e-3, mastered.seconds["wall"])
                self._tell(story, mastered)
                return finishing.publish(mastered)

    def _prepare(self, story: Story) -> tuple[Head, Config]:
        """Read and plan, unless an earlier run did; return what was found and the book's settings."""
        head = _planned_before(story.row, self._config)
        if head is None:
            self._warm_up(story.row.job)
            self._onlook(story.watch)
            job = story.row.job
            folder = job.spool / "prepared"
            ended = _asks_to_end(story.control)
            head = prepare(job, self._config, folder, pinned=self._pinned, strict_voice=self._strict_voice, ended=ended)
            story.control.check()
            chunks = load_chunks(folder)
            if self._chapters is not None:
                head, chunks = _only(self._chapters, head, chunks)
            self._ledger.plans.record(story.id, dump_head(head), head.chapters, chunks)
            (folder / "chunks.jsonl").unlink()
        story.timings.read, story.timings.plan = head.read_s, head.plan_s
        story.watch.title = head.metadata.title
        story.warnings += head.warnings
        self._log.info("engine.chosen", job=story.id, engine=head.engine, voice=head.voice.name, reason=head.engine_why)
        for warning in head.warnings:
            self._log.warning("job.warned", job=story.id, book=story.row.job.name, reason=warning)
        return head, book_config(self._config, head)

    def _warm_up(self, job: Job) -> None:
        """Load the engine that the book asks for while it is read; its language may yet ask for another one."""
        try:
            config = with_book_settings(self._config, read_book_settings(job), pinned=self._pinned)
            self._executor(engines.choose(config.engine.name, engine_options(config))[0]).warm()
        except (ConfigError, EngineError, InputError):  # what is wrong with it is told when it is needed
            return

    def _estimate(self, story: Story, head: Head, config: Config) -> float:
        """Say what the book will take, and wait if there is no room for it; return how long it will be, in seconds."""
        progress = self._ledger.takes.progress(story.id)
        audio_s = progress.total_chars / CHARS_PER_SECOND / config.speech.speed
        left = 1 - progress.done_chars / max(1, progress.total_chars)
        factor = self._ledger.jobs.realtime_factor() or DEFAULT_REALTIME_FACTOR
        published_bytes = audio_s * config.output.bitrate_kbps * 125
        disk_bytes = int(left * audio_s * TAKE_BYTES_PER_SECOND + 2 * published_bytes)
        story.watch.estimate = Estimate(audio_s, audio_s / factor, disk_bytes)
        self._onlook(story.watch)
        self._log.info(
            "job.planned",
            job=story.id,
            book=story.row.job.name,
            title=head.metadata.title,
            chapters=len(head.chapters),
            chunks=head.chunks,
            words=head.words,
            skipped=[f"{part.title} ({part.reason})" for part in head.skipped],
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

    def _repair(self, story: Story, error: audio.TakeError) -> None:
        """A stored take is missing or damaged: have it rendered again, but not for ever."""
        story.repairs += 1
        if story.repairs > MAX_REPAIRS:
            raise error
        self._log.warning("takes.missing", job=story.id, count=1, reason=str(error))
        error.path.unlink(missing_ok=True)
        self._ledger.takes.forget([error.path.stem])

    def _tell(self, story: Story, mastered: audio.Mastered) -> None:
        """Log what mastering made, and where its processor time went."""
        self._log.info(
            "job.mastered",
            job=story.id,
            book=story.row.job.name,
            audio_s=round(mastered.duration_s),
            loudness_lufs=round(mastered.loudness_lufs, 2),
            true_peak_dbtp=round(mastered.true_peak_dbtp, 2),
            stretches=mastered.stretches,
            encoded_again=mastered.encoded_again,
            cpu_s={stage: round(seconds, 2) for stage, seconds in mastered.seconds.items() if stage != "wall"},
        )

    def _render(self, story: Story, head: Head, config: Config, audio_s: float) -> EngineInfo:
        """Give every utterance its take."""
        began = time.monotonic()
        executor = self._executor(head.engine)
        info = executor.info
        if (unused := unused_style(info, config.speech)) and not story.repairs:
            story.warnings.append(unused)
            self._log.warning("style.unused", job=story.id, engine=info.name, reason=unused)
        rendering = Rendering(
            story,
            ledger=self._ledger,
            executor=executor,
            keys=TakeKeys(info, head, config),
            takes=takes_folder(config.paths.state),
            reserve_bytes=config.limits.disk_reserve_mb * 2**20,
            forecast=Forecast(mastering_s=audio_s / self._mastering_factor),
            log=self._log,
            onlook=lambda: self._onlook(story.watch),
        )
        rendering.run()
        story.timings.narrate += time.monotonic() - began
        return info


def book_config(config: Config, head: Head) -> Config:
    """Return the configuration that a book was planned with: its own settings over what holds for all books."""
    return config.model_copy(
        update={
            "engine": EngineSettings.model_validate(head.config["engine"]),
            "speech": SpeechSettings.model_validate(head.config["speech"]),
            "output": OutputSettings.model_validate(head.config["output"]),
        }
    )


def _planned_before(row: JobRow, config: Config) -> Head | None:
    """Return what an earlier run planned; None if none did, or if it was another version of speedd, to plan anew."""
    if row.head is None:
        return None
    try:
        head = load_head(row.head)
        book_config(config, head)
    except (KeyError, TypeError, ValueError):  # pydantic's is a ValueError
        return None
    # With the private copy the cover may have been collected.
    return head if not head.cover or cover_path(row.job).exists() else None


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


def _only(wanted: range, head: Head, chunks: Iterator[Chunk]) -> tuple[Head, Iterator[Chunk]]:
    """Keep some chapters of a plan."""
    kept = range(wanted.start, min(wanted.stop, len(head.chapters)))
    if not kept:
        raise InputError(f"The book has {len(head.chapters)} chapters; there is none of those asked for.")
    chosen = (chunk for chunk in chunks if chunk.chapter in kept)
    moved = (replace(chunk, index=i, chapter=chunk.chapter - kept.start) for i, chunk in enumerate(chosen))
    return replace(head, chapters=tuple(head.chapters[number] for number in kept)), moved
