"""Turn the takes of a book into one audiobook file: surveyed, levelled, encoded side by side, joined without a gap.

The book is walked three times, never held: a survey of every take fixes the timeline and the loudness; a few stretches
tell how much loudness the limiter takes away, which settles one gain for the whole book; then every stretch is made in
a thread and its frames are put in order. What was encoded is decoded again on the spot: the figures are a listener's.
"""

from __future__ import annotations

import math
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from speedd.audio.codecs import CODECS, ChapterMark, Labels
from speedd.audio.loudness import integrated_lufs
from speedd.audio.stretch import Made, Sound, Stretch, counted, level_stretch, make
from speedd.audio.timeline import (
    Placed,
    Survey,
    Track,
    cut_into_stretches,
    lay_out,
    read_take,
    silence_after,
    survey,
)
from speedd.common.levels import decibels
from speedd.config import OutputSettings
from speedd.errors import InputError
from speedd.model import Metadata

PIECES_PER_SURVEY = 6
SHORTEST_STRETCH_S = 20
LONGEST_STRETCH_S = 36
"""Short enough to hold many at once and to encode one again for a single peak, long enough that the frames it is
rendered with on both sides cost 1 %."""
PROBED_STRETCHES = 8
PROBED_ABOVE_DB = (0.0, 1.0, 3.0, 7.0)
"""Gains at which the limiter's cost is looked at, above what the loudness alone asks for."""
HIGHEST_GAIN_DB = 40.0
CLOSE_ENOUGH_LU = 0.3
MOST_PASSES = 3
NOTHING_TO_HEAR = "There is nothing in this book to be heard."
SURVEY_SHARE = 0.12
"""The survey's part of the work, for progress."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Mastered:
    """A finished audiobook file, and what was measured on it after decoding."""

    path: Path
    samples: int
    sample_rate_hz: int
    chapters: tuple[ChapterMark, ...]
    """Every track in order, also one that turned out empty."""
    spans: npt.NDArray[np.int64]
    """Where each piece is heard, without the pause after it; start and end sample, shape [n_pieces, 2], all tracks."""
    cuts: npt.NDArray[np.int64]
    """How many samples at the beginning of each piece's take were trimmed away, shape [n_pieces]."""
    loudness_lufs: float
    """Integrated, gated (BS.1770)."""
    true_peak_dbtp: float
    rms_dbfs: float
    """Over the whole file."""
    gain_db: float
    """What the takes were lifted by."""
    stretches: int
    encoded_again: int
    """How often a stretch had to be encoded again because a peak came out too high, or the loudness off."""
    seconds: dict[str, float]
    """CPU seconds of all threads per stage, and ``wall``."""

    @property
    def duration_s(self) -> float:
        """Length of the audio."""
        return self.samples / self.sample_rate_hz


def master(  # noqa: PLR0913 - what a book needs, by keyword
    tracks: Sequence[Track],
    out: Path,
    *,
    settings: OutputSettings,
    metadata: Metadata,
    cover_jpeg: bytes | None = None,
    threads: int = 1,
    ahead: int = 2,
    scratch: Path,
    progress: Callable[[float], None] = lambda _: None,
) -> Mastered:
    """Master a book.

    The same takes, settings and machine give the same bits, whatever the number of threads.

    Args:
        tracks: the chapters. Their pieces are walked from this thread alone, three times or more.
        out: the file to write, replaced if it exists and synced to the disk.
        settings: format, bit rate, coder, loudness and true peak.
        metadata: becomes the tags; `narrators` the composer, where audiobook servers look for them.
        cover_jpeg: the cover.
        threads: how many stretches are worked on at the same time.
        ahead: stretches for each thread that are being made or wait for those before them to be written.
        scratch: an existing folder for the encoded frames, which are as large as the audiobook.
        progress: called from this thread with the part done, 0 to 1; what it raises ends the work.

    Raises:
        TakeError: naming a take that is missing or damaged.
        InputError: if there is nothing to hear.
        OSError: if the disk is full, say.
    """
    begun = time.perf_counter()
    cpu_s: Counter[str] = Counter()
    first = next((piece.path for track in tracks for piece in track.pieces() if piece.path is not None), None)
    if first is None:
        raise InputError(NOTHING_TO_HEAR)
    rate = read_take(first)[1]
    codec = CODECS[settings.format](rate, settings)
    sound = Sound(rate, 0.0, settings.loudness_lufs, settings.true_peak_dbtp, codec)
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="master") as pool:
        workers = _Workers(pool, ahead * threads, cpu_s)
        timeline = _survey(tracks, sound, workers, lambda share: progress(share * SURVEY_SHARE))
        sound = replace(sound, gain_db=_find_gain(tracks, timeline, sound, workers))
        frames = scratch / f"{out.name}.frames"
        try:
            passes: list[_Encoded] = []
            while not passes or (len(passes) < MOST_PASSES and _is_off(passes[-1], settings)):
                if passes:
                    passes[-1].frame_bytes = array("H")  # they are written over
                    sound = replace(sound, gain_db=_better_gain(passes, settings.loudness_lufs))
                passes.append(_encode(tracks, timeline, sound, workers, frames, progress))
            made = passes[-1]
            assert (len(made.frame_bytes) - codec.lead_frames) * codec.frame == timeline.total
            with counted(cpu_s, "write"):
                codec.write(out, frames, made.frame_bytes, Labels(timeline.chapters, metadata, cover_jpeg))
        finally:
            frames.unlink(missing_ok=True)
    progress(1.0)
    return Mastered(
        path=out,
        samples=timeline.total,
        sample_rate_hz=rate,
        chapters=timeline.chapters,
        spans=timeline.spans,
        cuts=timeline.bounds[:, 0],
        loudness_lufs=made.loudness_lufs,
        true_peak_dbtp=decibels(made.true_peak),
        rms_dbfs=decibels(math.sqrt(made.square_sum / timeline.total)),
        gain_db=made.gain_db,
        stretches=len(timeline.stretches),
        encoded_again=sum(one.encoded for one in passes) - len(timeline.stretches),
        seconds={**cpu_s, "wall": time.perf_counter() - begun},
    )


@dataclass(frozen=True, slots=True)
class _Timeline:
    bounds: npt.NDArray[np.int64]
    spans: npt.NDArray[np.int64]
    total: int
    chapters: tuple[ChapterMark, ...]
    stretches: list[tuple[int, int]]
    cells: npt.NDArray[np.float32]


@dataclass(slots=True)
class _Encoded:
    """What a pass over all stretches adds up to."""

    gain_db: float
    frame_bytes: array[int]
    """Two bytes for each of 84,000 frames an hour."""
    loudness_lufs: float = -math.inf
    true_peak: float = 0.0
    square_sum: float = 0.0
    encoded: int = 0


def _in_order(pool: ThreadPoolExecutor, jobs: Iterable[Callable[[], T]], most: int) -> Iterator[T]:
    """Run jobs in the pool and give their results in order; at most so many are drawn beside the one given next."""
    waiting: deque[Future[T]] = deque()
    try:
        for job in jobs:
            waiting.append(pool.submit(job))
            if len(waiting) > most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


@dataclass(frozen=True, slots=True)
class _Workers:
    """The threads, how many jobs they may be ahead of who takes the results, and the account of their CPU time."""

    pool: ThreadPoolExecutor
    most: int
    cpu_s: Counter[str]

    def in_order(self, stage: str, jobs: Iterable[Callable[[], T]]) -> Iterator[T]:
        """Run jobs, count their time as a stage's, and give their results in order."""

        def counting(job: Callable[[], T]) -> tuple[T, Counter[str]]:
            spent_s: Counter[str] = Counter()
            with counted(spent_s, stage):
                result = job()
            return result, spent_s

        for result, spent_s in _in_order(self.pool, (partial(counting, job) for job in jobs), self.most):
            self.cpu_s.update(spent_s)
            yield result


def _survey(tracks: Sequence[Track], sound: Sound, workers: _Workers, progress: Callable[[float], None]) -> _Timeline:
    """Walk the book once: look at every take, fix where it lies, and how loud the book is."""
    rate, frame = sound.sample_rate_hz, sound.codec.frame
    counts = [0] * len(tracks)
    silences = array("q")

    def batches() -> Iterator[Callable[[], Survey]]:
        numbered = ((number, piece) for number, track in enumerate(tracks) for piece in track.pieces())
        while batch := list(islice(numbered, PIECES_PER_SURVEY)):
            for number, piece in batch:
                counts[number] += 1
                silences.append(silence_after(piece, rate))
            yield partial(survey, [piece for _, piece in batch], rate)
            progress(batch[-1][0] / len(tracks))

    bounds, cells = [np.zeros((0, 2), dtype=np.int64)], [np.zeros(0, dtype=np.float32)]
    for seen in workers.in_order("survey", batches()):
        bounds.append(seen.bounds)
        cells.append(seen.cells)
    all_bounds, all_silences = np.concatenate(bounds), np.frombuffer(silences, dtype=np.int64)
    spans = lay_out(all_bounds, all_silences)
    end = int(spans[-1, 1] + all_silences[-1])
    if end == 0 or not (all_bounds[:, 1] > all_bounds[:, 0]).any():
        raise InputError(NOTHING_TO_HEAR)
    total = -(-end // frame) * frame
    starts = [int(spans[at, 0]) if at < len(spans) else total for at in np.cumsum([0, *counts]).tolist()]
    starts[-1] = total
    marks = (ChapterMark(track.title, *starts[at : at + 2]) for at, track in enumerate(tracks))
    stretches = cut_into_stretches(
        spans, total, grid=frame, shortest=SHORTEST_STRETCH_S * rate, longest=LONGEST_STRETCH_S * rate
    )
    return _Timeline(all_bounds, spans, total, tuple(marks), stretches, np.concatenate(cells))


def _with_takes(
    tracks: Sequence[Track], timeline: _Timeline, stretches: Sequence[tuple[int, int]], reach: int
) -> Iterator[Stretch]:
    """Walk the book once more and give the wanted stretches, in order, each with the takes in or near it."""
    wanted = deque(stretches)
    near: deque[Placed] = deque()
    pieces = (piece for track in tracks for piece in track.pieces())
    for piece, (start, stop), (keep_from, keep_to) in zip(
        pieces, timeline.spans.tolist(), timeline.bounds.tolist(), strict=True
    ):
        while wanted and start >= wanted[0][1] + reach:
            yield Stretch(*wanted.popleft(), tuple(near))
            while wanted and near and near[0].stop <= wanted[0][0] - reach:
                near.popleft()
        if not wanted:
            return
        if piece.path is not None and stop > wanted[0][0] - reach:
            near.append(Placed(piece.path, start, keep_from, keep_to))
    while wanted:
        yield Stretch(*wanted.popleft(), tuple(near))


def _find_gain(tracks: Sequence[Track], timeline: _Timeline, sound: Sound, workers: _Workers) -> float:
    """Return the gain that brings the book to its loudness, with what the limiter takes away made up for.

    The limiter's cost is measured on a few stretches spread over the book, at a few gains, and read off between them.
    """
    raw_lufs = integrated_lufs(timeline.cells)
    if not math.isfinite(raw_lufs):
        return HIGHEST_GAIN_DB  # fainter than the gate of loudness metering opens for
    plain_db = min(HIGHEST_GAIN_DB, sound.loudness_lufs - raw_lufs)
    gains_db = [plain_db + above for above in PROBED_ABOVE_DB]
    step = max(1, len(timeline.stretches) // PROBED_STRETCHES)
    chosen = timeline.stretches[step // 2 :: step][:PROBED_STRETCHES]
    unlimited = replace(sound, true_peak_dbtp=200.0)

    def probe(stretch: Stretch) -> list[npt.NDArray[np.float32]]:
        return level_stretch(stretch, unlimited, gains_db[:1]) + level_stretch(stretch, sound, gains_db)

    jobs = (partial(probe, s) for s in _with_takes(tracks, timeline, chosen, sound.sample_rate_hz))
    columns = zip(*workers.in_order("probe", jobs), strict=True)
    free_lufs, *limited_lufs = (integrated_lufs(np.concatenate(column)) for column in columns)
    if not all(map(math.isfinite, (free_lufs, *limited_lufs))):
        return plain_db  # what was probed is silence
    reached = np.asarray(limited_lufs) - free_lufs + sound.loudness_lufs
    return float(min(HIGHEST_GAIN_DB, np.interp(sound.loudness_lufs, np.maximum.accumulate(reached), gains_db)))


def _is_off(made: _Encoded, settings: OutputSettings) -> bool:
    off_lu = abs(made.loudness_lufs - settings.loudness_lufs)
    return math.isfinite(off_lu) and off_lu > CLOSE_ENOUGH_LU and made.gain_db < HIGHEST_GAIN_DB


def _better_gain(passes: Sequence[_Encoded], wanted_lufs: float) -> float:
    """Return the gain for another pass; how much of a step the limiter leaves is read off the last two."""
    last, slope = passes[-1], 1.0
    if len(passes) > 1:
        risen_db = last.gain_db - passes[-2].gain_db
        slope = min(1.0, max(0.2, (last.loudness_lufs - passes[-2].loudness_lufs) / risen_db)) if risen_db else 1.0
    return min(HIGHEST_GAIN_DB, last.gain_db + (wanted_lufs - last.loudness_lufs) / slope)


def _encode(
    tracks: Sequence[Track],
    timeline: _Timeline,
    sound: Sound,
    workers: _Workers,
    frames: Path,
    progress: Callable[[float], None],
) -> _Encoded:
    """Make every stretch and put the frames into a file, in order."""
    result = _Encoded(sound.gain_db, array("H"))
    cells: list[npt.NDArray[np.float32]] = []
    jobs: Iterator[Callable[[], Made]] = (
        partial(make, stretch, sound)
        for stretch in _with_takes(tracks, timeline, timeline.stretches, sound.sample_rate_hz)
    )
    with frames.open("wb") as file:
        for made, (_, stop) in zip(_in_order(workers.pool, jobs, workers.most), timeline.stretches, strict=True):
            file.writelines(made.frames)
            result.frame_bytes.extend(map(len, made.frames))
            result.true_peak = max(result.true_peak, made.true_peak)
            result.square_sum += made.square_sum
            result.encoded += made.rounds
            cells.append(made.cells)
            workers.cpu_s.update(made.cpu_s)
            progress(SURVEY_SHARE + (0.99 - SURVEY_SHARE) * stop / timeline.total)
    result.loudness_lufs = integrated_lufs(np.concatenate(cells))
    return result
