"""Where every take lies in the finished audio, and how to render any stretch of it.

A first walk over the takes surveys them (how much silence to cut, how loud they are); from that the timeline is fixed
to the sample. After it, a stretch can be rendered from the few takes that overlap it, alone and in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import soundfile

from speedd.audio.loudness import cell_energies
from speedd.audio.trim import MARGIN_MS, faded, speech_bounds
from speedd.errors import EngineError

if TYPE_CHECKING:
    from speedd.model import Waveform

SURVEYED_PAUSE_MS = 400
"""Silence that a survey lays after a take: longer ones change nothing, the loudness gate shuts after 400 ms."""


class TakeError(EngineError):
    """A stored take is missing or damaged. `path` says which: rendering it again mends it."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"The stored take {path} cannot be used: {why}.", hint="It has to be spoken again.")
        self.path = path


@dataclass(frozen=True, slots=True)
class Piece:
    """One stored take and the pause that follows it, or a pause alone."""

    path: Path | None
    pause_ms: int


@dataclass(frozen=True, slots=True)
class Track:
    """A chapter. `pieces` may be called more than once and gives the same pieces every time."""

    title: str
    pieces: Callable[[], Iterable[Piece]]


@dataclass(frozen=True, slots=True)
class Survey:
    """What a batch of pieces turned out to hold."""

    sample_rate_hz: int
    """0 if the batch holds pauses alone."""
    bounds: npt.NDArray[np.int64]
    """First and past-the-last sample to keep of every take, ``(0, 0)`` for pauses, shape [n_pieces, 2]."""
    cells: npt.NDArray[np.float32]
    """K-weighted energy per 100 ms, takes and pauses in order."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A take at its place."""

    path: Path
    start: int
    """Its first kept sample's place in the book."""
    keep_from: int
    keep_to: int

    @property
    def stop(self) -> int:
        """The place after its last sample."""
        return self.start + self.keep_to - self.keep_from


def read_take(path: Path, sample_rate_hz: int = 0) -> tuple[Waveform, int]:
    """Read a take.

    Args:
        path: a mono FLAC or WAV file.
        sample_rate_hz: the rate it must have, 0 for any.

    Returns:
        float32 mono, shape [n_samples], and its rate.

    Raises:
        TakeError: if it is missing, damaged, or not of that rate.
    """
    try:
        wave, rate = soundfile.read(str(path), dtype="float32")
    except (OSError, RuntimeError) as error:  # soundfile's own errors are RuntimeErrors
        raise TakeError(path, "it is damaged" if path.exists() else "it is missing") from error
    if wave.ndim != 1:
        raise TakeError(path, f"it has {wave.shape[1]} channels instead of one")
    if sample_rate_hz and rate != sample_rate_hz:
        raise TakeError(path, f"its sample rate is {rate} Hz, the book's is {sample_rate_hz} Hz")
    return wave, int(rate)


def silence_after(piece: Piece, sample_rate_hz: int) -> int:
    """Return the samples of silence that follow a piece.

    The margins that trimming leaves at the end of a take and at the start of the next are part of the pause.
    """
    pause_ms = piece.pause_ms if piece.path is None else max(0, piece.pause_ms - 2 * MARGIN_MS)
    return pause_ms * sample_rate_hz // 1000


def survey(pieces: Sequence[Piece], sample_rate_hz: int = 0) -> Survey:
    """Look at the takes of a batch of pieces.

    Args:
        pieces: some that follow each other.
        sample_rate_hz: the book's rate, 0 if it is not known yet.

    Raises:
        TakeError: if a take is missing or damaged, or its sample rate is not the book's.
    """
    bounds = np.zeros((len(pieces), 2), dtype=np.int64)
    waves: list[Waveform] = []
    for place, piece in enumerate(pieces):
        if piece.path is not None:
            wave, sample_rate_hz = read_take(piece.path, sample_rate_hz)
            bounds[place] = start, stop = speech_bounds(wave, sample_rate_hz)
            waves.append(wave[start:stop])
        if waves:
            silence = min(silence_after(piece, sample_rate_hz), SURVEYED_PAUSE_MS * sample_rate_hz // 1000)
            waves.append(np.zeros(silence, dtype=np.float32))
    if not waves:
        return Survey(sample_rate_hz, bounds, np.zeros(0, dtype=np.float32))
    joined = np.concatenate(waves)
    short = -joined.size % (sample_rate_hz // 10)
    return Survey(sample_rate_hz, bounds, cell_energies(np.pad(joined, (0, short)), sample_rate_hz))


def lay_out(bounds: npt.NDArray[np.int64], silences: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the first and the past-the-last sample of every piece in the book, shape [n_pieces, 2]."""
    lengths = bounds[:, 1] - bounds[:, 0]
    ends = np.cumsum(lengths + silences)
    starts = ends - lengths - silences
    return np.stack((starts, starts + lengths), axis=1)


def cut_into_stretches(
    spans: npt.NDArray[np.int64], total: int, *, grid: int, shortest: int, longest: int
) -> list[tuple[int, int]]:
    """Cut the book into stretches that begin and end on a grid, each in the middle of the longest pause in reach.

    The cuts depend on the timeline alone: any number of threads works on the same stretches.

    Args:
        spans: where the takes lie, in order, shape [n_pieces, 2].
        total: length of the book in samples, a multiple of ``grid``.
        grid: samples between the places where a cut may lie.
        shortest: samples that a stretch has at least, but for the last.
        longest: samples that a stretch has at most.
    """
    sounding = spans[spans[:, 1] > spans[:, 0]]
    # Silence runs from the end of each take to the start of the next, and from the last to the end of the book.
    gap_starts = sounding[:, 1]
    gap_stops = np.append(sounding[1:, 0], total) if sounding.size else np.zeros(0, dtype=np.int64)
    middles = (gap_starts + gap_stops) // 2 // grid * grid
    usable = (middles >= gap_starts) & (gap_stops > gap_starts)
    middles, widths = middles[usable], (gap_stops - gap_starts)[usable]
    cuts = [0]
    while total - cuts[-1] > longest:
        low, high = np.searchsorted(middles, (cuts[-1] + shortest, cuts[-1] + longest + 1))
        if high > low:
            cuts.append(int(middles[low + int(np.argmax(widths[low:high]))]))
        else:
            cuts.append(cuts[-1] + longest // grid * grid)
    cuts.append(total)
    return list(pairwise(cuts))


def render(takes: Iterable[Placed], start: int, stop: int, sample_rate_hz: int) -> Waveform:
    """Render a stretch of the book from the takes that overlap it; the rest is silence.

    Args:
        takes: in any order; those outside the stretch are not read.
        start: first sample, may be negative (silence before the book).
        stop: the sample after the last.
        sample_rate_hz: the book's rate.

    Returns:
        float32 mono, shape [stop - start].

    Raises:
        TakeError: if a take is missing or damaged.
    """
    out = np.zeros(stop - start, dtype=np.float32)
    for take in takes:
        if take.start >= stop or take.stop <= start:
            continue
        wave, _ = read_take(take.path, sample_rate_hz)
        if wave.size < take.keep_to:
            raise TakeError(take.path, "it has changed while the book was being made")
        wave = faded(wave[take.keep_from : take.keep_to], sample_rate_hz)
        first, last = max(start, take.start), min(stop, take.stop)
        out[first - start : last - start] = wave[first - take.start : last - take.start]
    return out
