"""What the files in a published folder are called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from speedd.model import Metadata
from speedd.outbox.names import MAX_NAME_BYTES, SUFFIX_ROOM_BYTES, safe_name

COVER_NAME = "cover.jpg"
METADATA_NAME = "metadata.json"
RUN_LOG_NAME = "run.json"
CHUNKS_NAME = "chunks_info.json"

_FIXED = (COVER_NAME, METADATA_NAME, RUN_LOG_NAME, CHUNKS_NAME)


@dataclass(frozen=True, slots=True)
class FileNames:
    """The names that come from the book's title; the others are fixed."""

    audio: str
    captions: str
    source: str
    """For the source book, if it is to lie beside the audiobook; empty if there is none to name."""


def file_names(metadata: Metadata, audio_format: str, *, source_name: str = "") -> FileNames:
    """Name the files of a book.

    Args:
        metadata: the book's.
        audio_format: the suffix of the audiobook.
        source_name: the source book's own name, for its suffix.
    """
    title = safe_name(metadata.title, MAX_NAME_BYTES - SUFFIX_ROOM_BYTES)
    source = ""
    if source_name:
        suffix = safe_name(PurePath(source_name).suffix, 16, fallback="book").lower()
        source = f"{title}.{suffix}"
        if source.casefold() in _FIXED:  # a book called "run" that came as JSON
            source = f"{title} (source).{suffix}"
    return FileNames(audio=f"{title}.{audio_format}", captions=f"{title}.vtt", source=source)
