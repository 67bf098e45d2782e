"""Real sentences spoken by the bundled voice, and a short way to master a book."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from audio_measures import RATE, SENTENCES
from hibari import Hibari

from speedd.audio import Mastered, Piece, Track, master
from speedd.config import OutputSettings
from speedd.model import Metadata


@pytest.fixture(scope="session")
def takes(tmp_path_factory) -> list[Path]:
    """Twelve takes of hibari, 40 s, as a worker stores them."""
    folder = tmp_path_factory.mktemp("takes")
    voice = Hibari(threads=1)
    paths = []
    for number, sentence in enumerate(SENTENCES):
        path = folder / f"{number:02d}.flac"
        soundfile.write(path, np.asarray(voice(sentence, seed=number), dtype=np.float32), RATE, subtype="PCM_16")
        paths.append(path)
    return paths


@pytest.fixture
def store(tmp_path) -> Callable[[np.ndarray], Path]:
    """Write a made-up take and return its path."""
    written: list[Path] = []

    def write(wave: np.ndarray, rate: int = RATE) -> Path:
        written.append(tmp_path / f"take{len(written)}.flac")
        soundfile.write(written[-1], wave, rate, subtype="PCM_16")
        return written[-1]

    return write


@pytest.fixture
def publish(tmp_path) -> Callable[..., Mastered]:
    """Master tracks given as titles with pieces."""

    def run(
        tracks: Sequence[tuple[str, Sequence[Piece]]],
        *,
        name: str = "Book.m4b",
        threads: int = 2,
        metadata: Metadata | None = None,
        cover: bytes | None = None,
        **settings,
    ) -> Mastered:
        return master(
            [Track(title, lambda pieces=tuple(pieces): pieces) for title, pieces in tracks],
            tmp_path / name,
            settings=OutputSettings(**settings),
            metadata=metadata or Metadata(title="Book", authors=("Somebody",)),
            cover_jpeg=cover,
            threads=threads,
            scratch=tmp_path,
        )

    return run
