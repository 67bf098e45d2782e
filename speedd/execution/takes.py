"""What a take is called and where it lies."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from speedd.engines.base import EngineInfo
    from speedd.model import Style, Voice

KEY_VERSION = 2
"""Raised when takes of the same facts sound different from then on, or are stored in another way."""

TAKE_BYTES_PER_SECOND = 26_000
"""What a second of a take needs on disk, for estimates: hibari's speech at 24 kHz, 16 bits, in FLAC."""

PARTIAL_FOLDER = ".partial"
"""Folder below the root for files being written. Their names end in the pid of the writer."""


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


def fallback_key(key: str, fallback: str) -> str:
    """Name a take that was made with other numerics than its utterance asked for: never taken for the same.

    Args:
        key: of the utterance.
        fallback: what was different, as `Rendered.fallback` has it; empty if nothing was.
    """
    return hashlib.sha256(f"{key} {fallback}".encode()).hexdigest() if fallback else key


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
    """Return the path of a take: ``root/ab/abcd….flac``."""
    return root / key[:2] / f"{key}.flac"


def take_files(root: Path) -> Iterator[Path]:
    """Yield the files of all takes."""
    return root.glob("??/*.flac")


def discard_partial_files(root: Path, *, pid: int | None = None) -> None:
    """Remove files that a killed writer left half written.

    Args:
        root: folder of all takes.
        pid: of the writer; without it, of every writer that is gone.
    """
    for path in (root / PARTIAL_FOLDER).glob("*"):
        writer = path.suffix.removeprefix(".")
        if writer == str(pid) or (pid is None and not Path("/proc", writer).exists()):
            with suppress(OSError):  # it does no harm, and a disk that fails now may be mended later
                path.unlink(missing_ok=True)
