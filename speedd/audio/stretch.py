"""Make one stretch of the book: render, level, encode, listen to what was encoded, and encode again if it is too loud.

A stretch depends on nothing but the timeline, the takes and the gain. It is rendered with a few frames of what comes
before and after, so that its frames fit those of its neighbours, and only its own frames are kept.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from speedd.audio import levels
from speedd.audio.codecs import Codec
from speedd.audio.loudness import CELLS_PER_S, block_true_peaks, cell_energies
from speedd.audio.timeline import Placed, render
from speedd.common.levels import amplitude

if TYPE_CHECKING:
    from speedd.model import Waveform

HEADROOM_DB = 1.5
"""How far under the allowed true peak the limiter stays, because the coder adds noise to every peak. Of 91 stretches of
hibari at 64 kbit/s, 1 had to be encoded again with 1.5 dB, 8 with 1.2 dB; more headroom gains nothing."""
GUARD_DB = 0.35
"""How far under it the decoded audio must stay by our meter, which may read so much too little."""
MOST_ROUNDS = 8
DIP_BLOCKS = 4
"""A peak that came out too high is lowered together with this many ms on each side."""


@dataclass(frozen=True, slots=True)
class Sound:
    """What holds for every stretch of a book."""

    sample_rate_hz: int
    gain_db: float
    loudness_lufs: float
    true_peak_dbtp: float
    codec: Codec

    @property
    def run_frames(self) -> int:
        """Frames of its neighbours that a stretch is rendered with: a loudness cell must fit."""
        return -(-(self.sample_rate_hz // CELLS_PER_S) // self.codec.frame) + self.codec.lead_frames


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of the book and the takes in it."""

    start: int
    stop: int
    takes: tuple[Placed, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """A finished stretch, and what was measured on it after decoding."""

    frames: tuple[bytes, ...]
    cells: npt.NDArray[np.float32]
    """K-weighted energies of the 100 ms that begin in this stretch."""
    true_peak: float
    square_sum: float
    rounds: int
    """How often it was encoded."""
    cpu_s: Counter[str]


@contextmanager
def counted(cpu_s: Counter[str], stage: str) -> Iterator[None]:
    """Add this thread's CPU time to a stage's account."""
    begun = time.thread_time()
    try:
        yield
    finally:
        cpu_s[stage] += time.thread_time() - begun  # type: ignore[assignment]  # a Counter of seconds


class _Window:
    """The samples around a stretch, on the grid of the levelling frames."""

    def __init__(self, stretch: Stretch, sound: Sound) -> None:
        self.frame = levels.frame_length(sound.sample_rate_hz)
        reach = int(levels.REACH_S * sound.sample_rate_hz)
        run = sound.run_frames * sound.codec.frame
        self.coded_start, self.coded_stop = stretch.start - run, stretch.stop + run
        self.start = (self.coded_start - reach) // self.frame * self.frame
        self.stop = -(-(self.coded_stop + reach) // self.frame) * self.frame

    @property
    def coded(self) -> slice:
        return slice(self.coded_start - self.start, self.coded_stop - self.start)


def level_stretch(stretch: Stretch, sound: Sound, gains_db: Sequence[float]) -> list[npt.NDArray[np.float32]]:
    """Return the loudness cells that a stretch has at each of some gains, before coding."""
    window = _Window(stretch, sound)
    raw = render(stretch.takes, window.start, window.stop, sound.sample_rate_hz)
    ceiling = np.float32(amplitude(sound.true_peak_dbtp - HEADROOM_DB))
    cells = []
    for gain_db in gains_db:
        wave = levels.level(
            raw, sound.sample_rate_hz, gain_db=gain_db, loudness_lufs=sound.loudness_lufs, ceilings=ceiling
        )
        cells.append(_own_cells(wave[window.coded], stretch, window, sound))
    return cells


def make(stretch: Stretch, sound: Sound) -> Made:
    """Render, level and encode a stretch, and measure what a listener will get.

    Raises:
        TakeError: if a take is missing or damaged.
    """
    cpu_s: Counter[str] = Counter()
    rate, codec = sound.sample_rate_hz, sound.codec
    window = _Window(stretch, sound)
    block = levels.block_length(rate)
    allowed = amplitude(sound.true_peak_dbtp - GUARD_DB)
    with counted(cpu_s, "assemble"):
        raw = render(stretch.takes, window.start, window.stop, rate)
    ceilings = np.full(raw.size // block, amplitude(sound.true_peak_dbtp - HEADROOM_DB), dtype=np.float32)
    own_blocks = slice((stretch.start - window.start) // block, -(-(stretch.stop - window.start) // block))
    rounds = 0
    while True:
        rounds += 1
        with counted(cpu_s, "level"):
            wave = levels.level(raw, rate, gain_db=sound.gain_db, loudness_lufs=sound.loudness_lufs, ceilings=ceilings)
        reached = np.abs(wave.reshape(-1, block)).max(axis=1)
        with counted(cpu_s, "encode"):
            frames = codec.encode(wave[window.coded])
        with counted(cpu_s, "verify"):
            wave[:] = 0.0
            coded = wave[window.coded]
            coded[:] = codec.decode(frames)[: coded.size]
            peaks = block_true_peaks(wave, block, of_interest=allowed)
            true_peak = float(peaks[own_blocks].max())
        if true_peak <= allowed or rounds == MOST_ROUNDS:
            break
        ceilings = _lowered(ceilings, reached, peaks, allowed)
    with counted(cpu_s, "verify"):
        cells = _own_cells(coded, stretch, window, sound)
        own = wave[stretch.start - window.start : stretch.stop - window.start]
        square_sum = float(np.einsum("i,i->", own, own, dtype=np.float64))
    # What went in is heard `lead_frames` later; the book's first stretch also brings those that prime the decoder.
    first = sound.run_frames + (codec.lead_frames if stretch.start else 0)
    last = sound.run_frames + codec.lead_frames + (stretch.stop - stretch.start) // codec.frame
    return Made(tuple(frames[first:last]), cells, true_peak, square_sum, rounds, cpu_s)


def _own_cells(coded: Waveform, stretch: Stretch, window: _Window, sound: Sound) -> npt.NDArray[np.float32]:
    """Return the energies of the book's 100 ms cells that begin in this stretch; the last may reach into the next."""
    cell = sound.sample_rate_hz // CELLS_PER_S
    first, last = -(-stretch.start // cell) * cell, -(-stretch.stop // cell) * cell
    return cell_energies(coded[first - window.coded_start : last - window.coded_start], sound.sample_rate_hz)


def _lowered(
    ceilings: npt.NDArray[np.float32], reached: npt.NDArray[np.float32], peaks: npt.NDArray[np.float32], allowed: float
) -> npt.NDArray[np.float32]:
    """Return ceilings that are lower where a decoded peak was too high, by as much as it was and a little more.

    Lower than what the block had reached: where the coder put a peak on top of something quieter, a ceiling above that
    would change nothing.
    """
    under = np.minimum(ceilings, reached) * (allowed / np.maximum(peaks, allowed)) * 0.97
    wanted = np.where(peaks > allowed, under, ceilings)
    padded = np.pad(wanted.astype(np.float32), DIP_BLOCKS, mode="edge")
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, 2 * DIP_BLOCKS + 1).min(axis=1))
