"""Cut the silence that an engine leaves around what it speaks, so that pauses are ours to set.

Measured on 400 sentences of hibari: 280 to 340 ms of silence before (digital zero), 390 to 530 ms after, 10 to 20 ms
from the first trace of sound to -45 dBFS, up to 50 ms from -45 dBFS to the last trace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from speedd.model import Waveform

MARGIN_MS = 30
"""Silence kept on each side: an unvoiced consonant rises within 20 ms of the first trace of sound."""
FADE_MS = 4
FRAME_MS = 5
RANGE_DB = 45.0
"""What lies further than this below a take's loudest 5 ms is silence: -62 dBFS for hibari, its own noise is at -68."""


def speech_bounds(wave: Waveform, sample_rate_hz: int) -> tuple[int, int]:
    """Return the first and the past-the-last sample to keep: the sound and `MARGIN_MS` on each side.

    Args:
        wave: float32 mono, shape [n_samples].
        sample_rate_hz: its rate.

    Returns:
        ``(0, 0)`` if the take is digital silence.
    """
    frame = sample_rate_hz * FRAME_MS // 1000
    count = -(-wave.size // frame)
    padded = np.zeros(count * frame, dtype=np.float32)
    padded[: wave.size] = wave
    frames = padded.reshape(-1, frame)
    energy = np.einsum("ij,ij->i", frames, frames)
    loudest = float(energy.max(initial=0.0))
    if loudest <= 0.0:
        return 0, 0
    sounding = np.flatnonzero(energy > loudest * 10.0 ** (-RANGE_DB / 10.0))
    margin = sample_rate_hz * MARGIN_MS // 1000
    start = max(0, int(sounding[0]) * frame - margin)
    stop = min(wave.size, (int(sounding[-1]) + 1) * frame + margin)
    return start, stop


def faded(wave: Waveform, sample_rate_hz: int) -> Waveform:
    """Return a copy whose first and last `FADE_MS` rise from and fall to zero, so that a cut does not click."""
    out = wave.copy()
    length = min(out.size // 2, sample_rate_hz * FADE_MS // 1000)
    if length:
        ramp = np.linspace(0.0, 1.0, length, endpoint=False, dtype=np.float32)
        out[:length] *= ramp
        out[-length:] *= ramp[::-1]
    return out
