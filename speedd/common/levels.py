"""Levels in decibels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def decibels(amplitude: float) -> float:
    """Return 20 log10 of an amplitude, -inf for zero."""
    return 20.0 * math.log10(amplitude) if amplitude > 0 else -math.inf


def amplitude(level_db: float) -> float:
    """Return the factor that a level in dB stands for."""
    return float(10.0 ** (level_db / 20.0))


def peak_dbfs(pcm: npt.NDArray[np.int16]) -> float:
    """Sample peak of 16-bit samples, shape [n_samples]; -inf for silence."""
    return decibels(max(int(pcm.max()), -int(pcm.min())) / 32768.0) if len(pcm) else -math.inf


def rms_dbfs(pcm: npt.NDArray[np.int16]) -> float:
    """RMS level of 16-bit samples, shape [n_samples]; -inf for silence."""
    wave = pcm.astype("float32")
    return decibels(math.sqrt(float(wave @ wave) / max(1, len(pcm))) / 32768.0)
