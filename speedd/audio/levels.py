"""Bring speech to its level: one gain, quieter pauses, and peaks held under a ceiling.

Everything here looks only a few hundredths of a second around itself (`REACH_S`), so a book can be levelled in
stretches, in any order, and the result is the same as in one piece. Gains move on a grid of 1 ms blocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from speedd.audio.loudness import block_true_peaks
from speedd.common.levels import amplitude

if TYPE_CHECKING:
    from speedd.model import Waveform

REACH_S = 0.12
"""How far around itself levelling looks, at most."""
BLOCKS_PER_FRAME = 10
"""The pause detector works on frames of ten 1 ms blocks."""
PAUSE_BELOW_LOUDNESS_DB = 27.0
"""A frame this far below the programme's loudness holds no speech. Levels of hibari's frames have two humps, speech and
its noise between words, with the valley 28 to 32 dB below its loudness."""
PAUSE_CUT_DB = 18.0
"""How much pauses are lowered: hibari's noise at commas is at -60 dBFS (median; 5 % above -47) once the book has its
loudness."""
HOLD_BEFORE_FRAMES = 4
HOLD_AFTER_FRAMES = 5
"""Frames around speech that are left alone: weak consonants and the fall of a voice."""
SMOOTH_BLOCKS = 10
"""The limiter's gain is averaged over ±10 ms: about one period of a low voice, so that it does not follow the wave."""


def block_length(sample_rate_hz: int) -> int:
    """Return the samples in a 1 ms block, rounded down."""
    return sample_rate_hz // 1000


def frame_length(sample_rate_hz: int) -> int:
    """Return the samples in a frame of the pause detector: the grid on which stretches must start."""
    return block_length(sample_rate_hz) * BLOCKS_PER_FRAME


def _hann(radius: int) -> npt.NDArray[np.float32]:
    window = np.hanning(2 * radius + 3)[1:-1]
    return np.asarray(window / window.sum(), dtype=np.float32)


def _around(values: npt.NDArray[np.float32], before: int, after: int, outside: float) -> npt.NDArray[np.float32]:
    """Return a view [n, before + after + 1] of every value's neighbourhood."""
    padded = np.pad(values, (before, after), constant_values=outside)
    return np.lib.stride_tricks.sliding_window_view(padded, before + after + 1)


def _smooth(values: npt.NDArray[np.float32], radius: int) -> npt.NDArray[np.float32]:
    return np.convolve(np.pad(values, radius, mode="edge"), _hann(radius), mode="valid").astype(np.float32)


def _apply(wave: Waveform, gains: npt.NDArray[np.float32], block: int) -> None:
    """Multiply in place by gains that run in straight lines from one edge of a block to the next."""
    edges = np.empty(gains.size + 1, dtype=np.float32)
    edges[1:-1] = (gains[1:] + gains[:-1]) * np.float32(0.5)
    edges[0], edges[-1] = gains[0], gains[-1]
    moving = np.flatnonzero((edges[1:] != 1.0) | (edges[:-1] != 1.0))
    if moving.size == 0:
        return
    ramp = (np.arange(block, dtype=np.float32) + np.float32(0.5)) / np.float32(block)
    rows = wave.reshape(-1, block)
    rise = edges[1:] - edges[:-1]
    if moving.size == gains.size:
        rows *= edges[:-1, None] + rise[:, None] * ramp
    else:
        rows[moving] *= edges[moving, None] + rise[moving, None] * ramp


def pauses(wave: Waveform, frame: int, floor: float) -> npt.NDArray[np.bool_]:
    """Tell which frames are pauses: below ``floor`` (an RMS amplitude) and not next to speech.

    Returns:
        bool, shape [n_samples // frame].
    """
    rows = wave.reshape(-1, frame)
    energy = np.einsum("ij,ij->i", rows, rows)
    speech = (energy > floor * floor * frame).astype(np.float32)
    near = _around(speech, HOLD_AFTER_FRAMES, HOLD_BEFORE_FRAMES, 0.0)
    return np.asarray(near.max(axis=1) == 0.0)


def limiter_gains(
    peaks: npt.NDArray[np.float32], ceilings: npt.NDArray[np.float32] | np.float32
) -> npt.NDArray[np.float32]:
    """Return a gain per block that holds every block under its ceiling, and moves there and back smoothly.

    The lowest gain that a neighbour needs, averaged over a window one block shorter than that neighbourhood: the mean
    never exceeds what the block in the middle, or a line to the next block's gain, may have.

    Args:
        peaks: highest amplitude of each block, shape [n_blocks].
        ceilings: what it may be, shape [n_blocks] or one for all.
    """
    needed = np.minimum(np.float32(1.0), ceilings / np.maximum(peaks, np.float32(1e-9))).astype(np.float32)
    if float(needed.min(initial=1.0)) >= 1.0:
        return needed
    radius = SMOOTH_BLOCKS + 1
    return _smooth(_around(needed, radius, radius, 1.0).min(axis=1), SMOOTH_BLOCKS)


def level(
    wave: Waveform,
    sample_rate_hz: int,
    *,
    gain_db: float,
    loudness_lufs: float,
    ceilings: npt.NDArray[np.float32] | np.float32,
) -> Waveform:
    """Return the stretch at its level.

    Args:
        wave: float32 mono, shape [n_frames * frame_length].
        sample_rate_hz: its rate.
        gain_db: what lifts the book to its loudness.
        loudness_lufs: that loudness; pauses are told from speech by it.
        ceilings: highest true peak, one for all or per 1 ms block.
    """
    block, frame = block_length(sample_rate_hz), frame_length(sample_rate_hz)
    out = wave * np.float32(amplitude(gain_db))
    quiet = pauses(out, frame, amplitude(loudness_lufs - PAUSE_BELOW_LOUDNESS_DB))
    if quiet.any():
        cut = np.where(quiet, np.float32(amplitude(-PAUSE_CUT_DB)), np.float32(1.0))
        _apply(out, _smooth(np.repeat(cut, BLOCKS_PER_FRAME), BLOCKS_PER_FRAME), block)
    peaks = block_true_peaks(out, block, of_interest=float(np.min(ceilings)))
    _apply(out, limiter_gains(peaks, ceilings), block)
    return out
