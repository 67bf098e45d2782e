"""The last steps of a book: master its takes, lay the files out, publish them by one rename."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from pathlib import Path

from speedd import __version__, audio, planning
from speedd.common.state_directory import JobFolder
from speedd.config import Config
from speedd.engines.base import EngineInfo
from speedd.execution.takes import chunk_seed, take_path
from speedd.ledger import Ledger
from speedd.model import Plan, Role
from speedd.outbox import runlog
from speedd.outbox.captions import write_vtt
from speedd.outbox.layout import CHUNKS_NAME, COVER_NAME, METADATA_NAME, RUN_LOG_NAME, file_names
from speedd.outbox.metadata import ChapterSpan, metadata_json
from speedd.outbox.names import title_folder
from speedd.outbox.publishing import make_staging, plain_errors, publish, write_json
from speedd.outbox.runlog import write_run_log
from speedd.pipeline.alignment import AlignedChunk, AlignedSegment
from speedd.pipeline.job_run import JobRun
from speedd.pipeline.preparation import PlanSummary
from speedd.pipeline.run_context import RunContext


class Finishing:
    """Turns a book's takes into a published folder.

    Args:
        context: this run of the program.
        job_run: the book at work.
        ledger: where its chunks and takes stand.
        summary: what reading and planning found.
        config: the book's settings.
        info: the engine that spoke.
    """

    def __init__(
        self,
        context: RunContext,
        job_run: JobRun,
        *,
        ledger: Ledger,
        summary: PlanSummary,
        config: Config,
        info: EngineInfo,
    ) -> None:
        self._context = context
        self._job_run = job_run
        self._ledger = ledger
        self._summary = summary
        self._config = config
        self._info = info
        self._cover = JobFolder(job_run.record.job.spool).cover
        self._names = file_names(summary.metadata, config.output.format, source_name=self._source_name())
        self._staging = make_staging(config.paths.outbox, job_run.job_id)

    def master(self) -> audio.Mastered:
        """Join the takes into the audiobook's file, in the staging folder."""
        began = time.monotonic()
        book = self._job_run.progress
        book.stage, book.share = "mastering", 0.0  # the estimate holds until mastering has a pace

        def progress(share: float) -> None:
            self._job_run.control.check()
            book.share = share
            if share:
                book.eta_s = (time.monotonic() - began) * (1 - share) / share
            self._context.on_progress(book)

        tracks = [
            audio.Track(title, partial(self._pieces, number)) for number, title in enumerate(self._summary.chapters)
        ]
        scratch = self._staging / "scratch"
        with plain_errors(f"write into {self._staging}"):
            scratch.mkdir()
            mastered = audio.master(
                tracks,
                self._staging / self._names.audio,
                settings=self._config.output,
                metadata=self._summary.metadata,
                cover_jpeg=self._cover.read_bytes() if self._summary.cover else None,
                threads=max(1, len(os.sched_getaffinity(0))),
                ahead=self._config.limits.stretches_ahead,
                scratch=scratch,
                progress=progress,
            )
            shutil.rmtree(scratch)
        _give_memory_back()
        self._job_run.timings.master += time.monotonic() - began
        return mastered

    def publish(self, mastered: audio.Mastered) -> Path:
        """Write what lies beside the audio, then move the folder into place."""
        began = time.monotonic()
        progress = self._job_run.progress
        progress.stage, progress.share, progress.eta_s = "publishing", 0.0, None
        staging, rate = self._staging, mastered.sample_rate_hz
        chapters = [ChapterSpan(mark.title, mark.start / rate, mark.stop / rate) for mark in mastered.chapters]
        with plain_errors(f"write into {staging}"):
            write_json(staging / METADATA_NAME, metadata_json(self._summary.metadata, chapters))
            with (staging / self._names.captions).open("w", encoding="utf-8") as out:
                write_vtt(out, (cue for chunk in self._aligned(mastered) for cue in chunk.cues()))
            with (staging / CHUNKS_NAME).open("w", encoding="utf-8") as out:
                planning.write_chunk_json(
                    out, self._plan(), generated=self._planned_at(), total_chunks=self._summary.chunks
                )
            if self._summary.cover:
                shutil.copyfile(self._cover, staging / COVER_NAME)
            if self._names.source:
                book = self._job_run.record.job.part(Role.BOOK)
                assert book is not None
                shutil.copyfile(book.path, staging / self._names.source)
            self._job_run.timings.publish = time.monotonic() - began
            with (staging / RUN_LOG_NAME).open("w", encoding="utf-8") as out:
                write_run_log(out, self._run_log(mastered, chapters), self._chunk_logs(mastered))
        self._job_run.control.check()
        published = publish(staging, self._config.paths.outbox, title_folder(self._summary.metadata))
        audio_s = mastered.samples / rate
        alone = self._job_run.reused == 0 and self._job_run.rendered > 0
        self._ledger.jobs.record_pace(
            self._job_run.job_id, audio_s, audio_s / self._job_run.timings.total if alone else None
        )
        return published

    def _source_name(self) -> str:
        books = [part for part in self._job_run.record.job.parts if part.role is Role.BOOK]
        # Of several chapters the first would be mistaken for the whole book.
        chapters = books and sum(Path(part.name).suffix == Path(books[0].name).suffix for part in books) > 1
        return books[0].name if books and not chapters and self._config.output.include_source else ""

    def _pieces(self, chapter: int) -> Iterator[audio.Piece]:
        takes = self._context.state.takes
        for piece in self._ledger.plans.pieces(self._job_run.job_id, chapter):
            yield audio.Piece(take_path(takes, piece.take) if piece.take else None, piece.pause_ms)

    def _aligned(self, mastered: audio.Mastered) -> Iterator[AlignedChunk]:
        """Yield every chunk with where it lies in the audio."""
        rate = mastered.sample_rate_hz
        numbers = (
            piece.chunk
            for chapter in range(len(self._summary.chapters))
            for piece in self._ledger.plans.pieces(self._job_run.job_id, chapter)
        )
        places = groupby(zip(numbers, mastered.spans, mastered.cuts, strict=True), key=lambda place: place[0])
        for record, (number, own) in zip(self._ledger.plans.chunks(self._job_run.job_id), places, strict=True):
            assert record.chunk.index == number
            takes = iter(record.takes)
            spoken = [next(takes) if segment.text else None for segment in record.chunk.segments] or [None]
            yield AlignedChunk(
                record,
                tuple(
                    AlignedSegment(float(span[0]) / rate, float(span[1]) / rate, float(cut) / rate, take)
                    for (_, span, cut), take in zip(own, spoken, strict=True)
                ),
            )

    def _plan(self) -> Plan:
        summary = self._summary
        chunks = (record.chunk for record in self._ledger.plans.chunks(self._job_run.job_id))
        # A chunk JSON keeps the voice that it asks for, also where another had to speak.
        voice = str((summary.header or {}).get("voice_used") or summary.voice.name)
        return Plan(summary.metadata, summary.chapters, chunks, voice=voice, header=summary.header)

    def _planned_at(self) -> str:
        given = (self._summary.header or {}).get("generation_timestamp")
        return str(given or datetime.fromtimestamp(self._context.now()).astimezone().strftime("%Y-%m-%d %H:%M:%S"))

    def _chunk_logs(self, mastered: audio.Mastered) -> Iterator[runlog.ChunkLog]:
        seed = self._config.engine.seed
        for aligned in self._aligned(mastered):
            record = aligned.record
            reasons = [take.stop_reason for take in record.takes]
            yield runlog.ChunkLog(
                index=record.chunk.index,
                chapter=record.chunk.chapter,
                text_digest=hashlib.sha256(record.chunk.text.encode()).hexdigest(),
                start_s=aligned.start_s,
                duration_s=aligned.end_s - aligned.start_s,
                attempts=sum(take.attempt + 1 for take in record.takes),
                render_s=sum(take.render_s for take in record.takes),
                stop_reason=next((reason for reason in reasons if reason != "end"), "end" if reasons else ""),
                reused=all(take.rendered_in != self._job_run.run_id for take in record.takes),
                takes=tuple(
                    runlog.TakeLog(
                        key=one.take.key,
                        seed=chunk_seed(seed, one.take.text, one.take.occurrence, one.take.attempt),
                        stop_reason=one.take.stop_reason,
                        word_starts_s=one.word_starts_s,
                    )
                    for one in aligned.segments
                    if one.take and one.take.key
                ),
            )

    def _run_log(self, mastered: audio.Mastered, chapters: list[ChapterSpan]) -> runlog.RunLog:
        job_run, summary = self._job_run, self._summary
        audio_s = mastered.samples / mastered.sample_rate_hz
        rendered, reused = self._ledger.takes.count_rendered(job_run.job_id, job_run.run_id)
        known = {name: value for name, value in asdict(summary.metadata).items() if name in runlog.BookLog.model_fields}
        values = {
            "job_id": job_run.job_id,
            "edition": job_run.record.edition,
            "run_id": self._context.run_id,
            "speedd_version": __version__,
            "started_at": datetime.fromtimestamp(job_run.started_at, UTC),
            "finished_at": datetime.fromtimestamp(self._context.now(), UTC),
            "end": {"state": runlog.State.PUBLISHED},
            "job_attempts": max(1, job_run.record.runs),
            "source": job_run.record.job,
            "settings": self._config.model_dump(mode="json", include={"engine", "speech", "output"}),
            "seed": self._config.engine.seed,
            "engine": self._info,
            "voice": summary.voice,
            "book": known | {"words": summary.words, "chapters": chapters},
            "skipped": summary.skipped,
            "warnings": job_run.warnings,
            "stages_s": job_run.timings,
            "audio_s": audio_s,
            "realtime_factor": audio_s / job_run.timings.total if job_run.timings.total else None,
            "loudness": {
                "integrated_lufs": mastered.loudness_lufs,
                "true_peak_dbtp": mastered.true_peak_dbtp,
                "rms_dbfs": mastered.rms_dbfs,
                "gain_db": mastered.gain_db,
            },
            "chunks_rendered": rendered,
            "chunks_reused": reused,
            "hardware": {
                "cpu_count": len(os.sched_getaffinity(0)),
                "platform": f"{platform.system()} {platform.machine()}",
            },
        }
        return runlog.RunLog.model_validate(values, from_attributes=True)


def _give_memory_back() -> None:
    """Have glibc return the memory of mastering, of which it keeps some 30 MB. Other C libraries lack the call."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
