"""What a take is called, and how it gets to disk so that it stays."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from speedd.engines.base import EngineInfo
    from speedd.model import Style, Voice

KEY_VERSION = 1
"""Raised when the same facts come to sound different, or are stored in another way."""

PARTIAL_FOLDER = ".partial"
"""Folder below the root for files being written; their names end in the pid of the writer."""


def take_key(info: EngineInfo, *, text: str, voice: Voice, style: Style, seed: int, language: str) -> str:
    """Name a take by everything that shapes its audio, and by nothing else.

    Args:
        info: the engine as a worker loaded it: its numerics count.
        text: the spoken form.
        voice: only its digest counts, not its name.
        style: only the fields that the engine uses count.
        seed: the chunk's seed.
        language: primary subtag.
    Returns:
        SHA-256, hex.
    """
    facts = {
        "version": KEY_VERSION,
        "engine": [info.name, info.version, info.model_digest, info.sample_rate_hz, info.device],
        "numerics": dict(info.numerics),
        "text": text,
        "voice": voice.digest,
        "style": {field: float(getattr(style, field)) for field in info.style_fields},
        "seed": seed,
        "language": language,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode("ascii")).hexdigest()


def chunk_seed(configured_seed: int, text: str, occurrence: int, attempt: int) -> int:
    """Seed a text by what it is, not by where it stands: inserting a sentence changes no other take.

    Args:
        configured_seed: ``[engine] seed``.
        text: the spoken form.
        occurrence: how often this text came before in the book.
        attempt: 0 for the first rendering, 1 for the first repetition …
    Returns:
        A number in [0, 2**63).
    """
    facts = json.dumps([configured_seed, text, occurrence, attempt]).encode("ascii")
    return int.from_bytes(hashlib.sha256(facts).digest()[:8], "big") >> 1


def take_path(root: Path, key: str) -> Path:
    """Say where a take lies: ``root/ab/abcd….flac``."""
    return root / key[:2] / f"{key}.flac"


def to_pcm16(wave: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    """Round float samples in [-1, 1] to 16 bits, clipping what lies outside."""
    import numpy as np

    return np.clip(np.rint(wave * 32768.0), -32768, 32767).astype(np.int16)


def write_take(root: Path, key: str, wave: npt.NDArray[np.float32] | npt.NDArray[np.int16], rate_hz: int) -> int:
    """Store a take as 16-bit FLAC; when this returns it survives a power cut.

    Args:
        root: folder of all takes.
        key: its name.
        wave: mono, shape [n_samples], n_samples > 0: finite float32 in [-1, 1], or int16.
        rate_hz: sample rate.
    Returns:
        The size of the file in bytes.
    Raises:
        ValueError: if there are no samples, or a sample is not finite.
        OSError: if the disk does not take it; then nothing is left behind.
    """
    import numpy as np
    import soundfile

    if not len(wave) or not np.isfinite(wave).all():
        raise ValueError("a take to store has samples, all of them finite")
    pcm = wave if wave.dtype == np.int16 else to_pcm16(wave.astype(np.float32))
    # Encoded in memory: libsndfile would swallow what a full disk says to its callbacks.
    encoded = io.BytesIO()
    soundfile.write(encoded, pcm, rate_hz, format="FLAC", subtype="PCM_16")
    final = take_path(root, key)
    _make_folder(final.parent)
    with _partial(root, key) as partial:
        with partial.open("wb") as file:
            file.write(encoded.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        partial.rename(final)
    _sync_folder(final.parent)
    return encoded.tell()


def discard_partial_files(root: Path, *, pid: int | None = None) -> None:
    """Remove files that a killed writer left half written.

    Args:
        root: folder of all takes.
        pid: of the writer; without it, of every writer that is gone.
    """
    for path in (root / PARTIAL_FOLDER).glob("*"):
        writer = path.suffix.removeprefix(".")
        if writer == str(pid) or (pid is None and not Path("/proc", writer).exists()):
            path.unlink(missing_ok=True)


@contextmanager
def _partial(root: Path, key: str) -> Iterator[Path]:
    path = root / PARTIAL_FOLDER / f"{key}.{os.getpid()}"
    _make_folder(path.parent)
    try:
        yield path
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
