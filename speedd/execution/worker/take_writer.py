"""How a take gets to disk so that it stays there."""

from __future__ import annotations

import io
import os
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from speedd.common.durable import make_folder, write_whole
from speedd.common.levels import peak_dbfs, rms_dbfs
from speedd.execution.protocol import Done, Gauge, NotStored, Setup
from speedd.execution.takes import PARTIAL_FOLDER, fallback_key, take_path
from speedd.model import Rendered, Take

if TYPE_CHECKING:
    import numpy.typing as npt

    from speedd.execution.worker.connection import ParentConnection


class TakeWriter:
    """Stores takes in a thread of its own and reports each when it is safe on disk."""

    def __init__(self, setup: Setup, gauge: Callable[[], Gauge], connection: ParentConnection) -> None:
        self._setup = setup
        self._gauge = gauge
        self._connection = connection
        self._takes: queue.Queue[tuple[Take, float, str] | None] = queue.Queue(setup.limits.store_takes)
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def put(self, take: Take, render_s: float, fallback: str) -> None:
        """Hand over a take; waits while the disk is behind.

        Args:
            take: of the utterance with its key.
            render_s: what it took.
            fallback: what of the numerics was different, see `Rendered.fallback`.
        """
        self._takes.put((take, render_s, fallback))

    def finish(self) -> None:
        """Store what was handed over."""
        self._takes.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while (job := self._takes.get()) is not None:
                self._connection.send(self._stored(*job))
        except Exception as error:  # noqa: BLE001  # the boundary of a thread
            self._connection.break_down(error)

    def _stored(self, take: Take, render_s: float, fallback: str) -> Done | NotStored:
        key = fallback_key(take.key, fallback)
        finite = bool(np.isfinite(take.wave).all())
        pcm = to_pcm16(take.wave if finite else take.wave[np.isfinite(take.wave)])
        size_bytes = 0
        if finite and len(pcm):
            try:
                size_bytes = write_take(self._setup.takes, key, pcm, take.sample_rate_hz)
            except OSError as error:
                return NotStored(take.key, error.strerror or type(error).__name__)
        return Done(
            Rendered(
                key=key,
                samples=len(take.wave),
                sample_rate_hz=take.sample_rate_hz,
                peak_dbfs=peak_dbfs(pcm),
                rms_dbfs=rms_dbfs(pcm),
                finite=finite,
                render_s=render_s,
                stop_reason=take.stop_reason,
                size_bytes=size_bytes,
                worker=self._setup.index,
                asked=take.key if fallback else "",
                fallback=fallback,
                words=take.words,
                fault=take.fault,
            ),
            self._gauge(),
        )


def to_pcm16(wave: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    """Round float samples in [-1, 1] to 16 bits, clipping what lies outside."""
    pcm: npt.NDArray[np.int16] = np.clip(np.rint(wave * 32768.0), -32768, 32767).astype(np.int16)
    return pcm


def write_take(root: Path, key: str, pcm: npt.NDArray[np.int16], rate_hz: int) -> int:
    """Store a take as 16-bit FLAC; when this returns it survives a power cut.

    Args:
        root: folder of all takes.
        key: its name.
        pcm: mono, shape [n_samples], n_samples > 0.
        rate_hz: sample rate.
    Returns:
        The size of the file in bytes.
    Raises:
        ValueError: if there are no samples.
        OSError: if the disk does not take it; then nothing is left behind.
    """
    if not len(pcm):
        raise ValueError("a take to writer has samples")
    # Encoded in memory: libsndfile would swallow what a full disk says to its callbacks.
    encoded = io.BytesIO()
    soundfile.write(encoded, pcm, rate_hz, format="FLAC", subtype="PCM_16")
    final = take_path(root, key)
    partial = root / PARTIAL_FOLDER / f"{key}.{os.getpid()}"
    for folder in (final.parent, partial.parent):
        make_folder(folder)
    write_whole(final, encoded.getbuffer(), partial=partial)
    return encoded.getbuffer().nbytes
