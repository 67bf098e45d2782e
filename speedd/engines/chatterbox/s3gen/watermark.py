"""Resemble AI's Perth: an inaudible mark in every waveform that says it was made by a machine.

Stock Chatterbox marks everything it makes, and so do we unless a setting says otherwise. It works offline on the CPU,
in threads of its own, so that a GPU need not wait for it: one thread marks 80 s of audio in a second (on a core of an
AMD EPYC), and a large card speaks several times as much. Where the model runs on the CPU too, it is such a thread which
would make the model wait: 0.1 s of marking beside it cost nano 0.4 to 0.7 s of a chunk, for two sets of threads then
wait for each other at every product. There it is done at once.
"""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from speedd.errors import EngineError

if TYPE_CHECKING:
    from speedd.model import Waveform

MOST_THREADS = 8
SHORTEST_SAMPLES = 960
"""Perth fails on less (at 24,000 Hz); what is shorter is marked with silence behind it."""


class Watermark:
    """Marks waveforms, or lets them pass.

    Args:
        enabled: whether to mark.
        sample_rate_hz: of the waveforms.
    Raises:
        EngineError: if they are to be marked and Perth cannot be loaded.
    """

    def __init__(self, *, enabled: bool, sample_rate_hz: int) -> None:
        self._rate_hz = sample_rate_hz
        self._perth: Any = _load() if enabled else None
        # They start when there is something for them, so none does where the model runs on a CPU.
        count = max(1, min(MOST_THREADS, len(os.sched_getaffinity(0)) // 2))
        self._threads = ThreadPoolExecutor(count, "watermark", _alone) if enabled else None

    def submit(self, wave: Waveform, *, aside: bool) -> Future[Waveform]:
        """Mark a waveform, which stays as it is; the marked one has the same length and lies in [-1, 1].

        With ``aside`` that is done in another thread, else it is done on return.

        One that holds what is no number comes back unmarked: Perth refuses it, and it will be rendered again.
        """
        marks = self._perth is not None and bool(np.isfinite(wave).all())
        if marks and aside and self._threads is not None:
            return self._threads.submit(self._mark, wave)
        done: Future[Waveform] = Future()
        done.set_result(self._mark(wave) if marks else wave)
        return done

    def close(self) -> None:
        """Finish what was submitted, and end the threads."""
        if self._threads is not None:
            self._threads.shutdown()

    def _mark(self, wave: Waveform) -> Waveform:
        samples = len(wave)
        if not samples:
            return wave
        padded = np.pad(wave, (0, max(0, SHORTEST_SAMPLES - samples)))
        with torch.inference_mode():
            marked = np.asarray(self._perth.apply_watermark(padded, sample_rate=self._rate_hz), np.float32)
        # It resamples to 32,000 Hz and back, which can add or take a sample.
        marked = np.pad(marked, (0, max(0, samples - len(marked))))[:samples]
        return np.clip(marked, -1, 1)


def _alone() -> None:
    """Let a thread compute on no more than itself: each is busy with a waveform of its own."""
    torch.set_num_threads(1)


def _load() -> Any:
    """Load Perth without what it says about itself.

    Raises:
        EngineError: if it is not usable, with what to install.
    """
    hint = "Install it with pip install resemble-perth 'setuptools<81', or set [engines.chatterbox] watermark = false."
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            import perth
        except ImportError as error:
            raise EngineError(f"The watermark cannot be loaded: {error}.", hint=hint) from error
        if getattr(perth, "PerthImplicitWatermarker", None) is None:  # so it is where pkg_resources is missing
            raise EngineError("The watermark cannot be loaded: Perth finds no pkg_resources.", hint=hint)
        return perth.PerthImplicitWatermarker()
