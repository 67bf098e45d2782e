"""What mastering has to know of a codec, and no more."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from speedd.model import Metadata, Waveform


@dataclass(frozen=True, slots=True)
class ChapterMark:
    """A chapter as players show it."""

    title: str
    start: int
    """First sample."""
    stop: int
    """The sample after the last."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What players show beside the sound."""

    chapters: Sequence[ChapterMark]
    """In order; empty ones are left out of the file."""
    metadata: Metadata
    """Becomes tags."""
    cover_jpeg: bytes | None


class Codec(Protocol):
    """Codes mono speech of one sample rate in frames, and writes the file that holds them.

    Each stretch of a book has an encoder of its own, which is also fed some 100 ms on both sides of it, and its frames
    are joined to those of its neighbours. So a frame holds `frame` samples, hangs on nothing but the samples a few
    frames around it, and sounds the same whatever was decoded before: no bit reservoir, no noise filled in at random.
    """

    frame: int
    """Samples per frame."""
    priming: int
    """Samples that a decoder gives before the first that went in."""

    @property
    def lead_frames(self) -> int:
        """Frames that come out beyond those that went in: with the priming, sound ends so many frames later."""
        return -(-self.priming // self.frame)

    def encode(self, wave: Waveform) -> list[bytes]:
        """Encode whole frames with a fresh encoder.

        Args:
            wave: float32 mono, shape [n_frames * frame].

        Returns:
            n_frames + `lead_frames` frames.
        """

    def decode(self, frames: Sequence[bytes]) -> Waveform:
        """Decode what `encode` returned with a fresh decoder.

        Returns:
            float32 mono, at least what went in; the priming is cut off.
        """

    def write(self, out: Path, frames: Path, frame_bytes: array[int], labels: Labels) -> None:
        """Write the audiobook and see it on the disk. The same frames and labels give the same bytes.

        Args:
            out: where to; an old file is replaced.
            frames: a file that holds all frames, one after the other.
            frame_bytes: the size of each.
            labels: chapters, tags and cover.

        Raises:
            OSError: if it cannot be written, a full disk among others.
        """
