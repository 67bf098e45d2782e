"""Captions in WebVTT (https://www.w3.org/TR/webvtt1/), so that a listener can read along."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TextIO


@dataclass(frozen=True, slots=True)
class Cue:
    """A text and when it is heard, in seconds from the start of the audiobook."""

    start_s: float
    end_s: float
    text: str


def write_vtt(out: TextIO, cues: Iterable[Cue]) -> int:
    """Write cues in the order of their starts, as they come.

    A cue that would begin before the last one ended begins at that end; one without text or time is left out.

    Args:
        out: a text stream in UTF-8.
        cues: in order; walked once, so that a long book need not be held.
    Returns:
        How many cues were written.
    """
    out.write("WEBVTT\n")
    written = last_end_ms = 0
    for cue in cues:
        start_ms = max(round(cue.start_s * 1000), last_end_ms)
        end_ms = round(cue.end_s * 1000)
        text = _escaped(cue.text)
        if not text or end_ms <= start_ms:
            continue
        out.write(f"\n{_timestamp(start_ms)} --> {_timestamp(end_ms)}\n{text}\n")
        last_end_ms = end_ms
        written += 1
    return written


def _timestamp(time_ms: int) -> str:
    seconds, ms = divmod(time_ms, 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02d}:{minute:02d}:{second:02d}.{ms:03d}"


def _escaped(text: str) -> str:
    """One line: a line break could end the cue, and NUL or half a surrogate pair would spoil the file."""
    line = " ".join(text.replace("\0", " ").encode(errors="replace").decode().split())
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
