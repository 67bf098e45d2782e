"""The run log: what was made, from what, how, and how it ended. A contract with whoever reads it.

``run-log.schema.json`` beside this module is generated from the models here: ``python -m speedd.outbox.runlog``. A
change that could break a reader raises `SCHEMA_VERSION`; so does a new field, because the schema lists them all.

The file is one JSON object with ``chunks`` as its last key and one chunk to a line, so that it can be written, and its
head read, without holding a long book.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TextIO

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

SCHEMA_VERSION: Final = 3

_CHUNKS_LINE = '  "chunks": [\n'
_MAX_HEAD_CHARS = 16 * 1024 * 1024


def _to_thousandths(value: float) -> float:
    return round(value, 3)


def _finite_or_none(level: Any) -> Any:
    return round(level, 2) if isinstance(level, int | float) and math.isfinite(level) else None


def _to_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


Seconds = Annotated[float, Field(ge=0), AfterValidator(_to_thousandths)]
Factor = Annotated[float, Field(ge=0), AfterValidator(_to_thousandths)]
Decibels = Annotated[float | None, BeforeValidator(_finite_or_none)]
Moment = Annotated[AwareDatetime, AfterValidator(_to_utc)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PartLog(_Entry):
    """One file of the source."""

    role: str = Field(description="What it is for: book, chunks, settings, cover, nfo, opf, voice or log.")
    name: str = Field(description="Its name as it was dropped.")
    digest: Sha256 = Field(description="SHA-256 of its content, hex.")
    size_bytes: int = Field(ge=0)


class SourceLog(_Entry):
    """What was dropped into the inbox."""

    name: str = Field(description="The stem of the file or the name of the folder.")
    digest: Sha256 = Field(description="SHA-256 over the roles and digests of the parts, hex.")
    parts: tuple[PartLog, ...]


class EngineLog(_Entry):
    """What spoke."""

    name: str
    version: str
    model_digest: str = Field(description="SHA-256 over the files of the model, hex.")
    revision: str = Field(default="", description="The published version of the model's files; empty if unknown.")
    files: dict[str, Sha256] = Field(default={}, description="SHA-256 of each of the model's files, hex, by name.")
    device: str = Field(description="Such as cpu or cuda:0.")
    numerics: dict[str, str] = Field(description="What else decides the bits: dtype, steps, threads, FFT back-end …")


class VoiceLog(_Entry):
    """Who spoke."""

    name: str
    digest: str = Field(description="SHA-256 of the sample or of the engine's own voice, hex.")


class ChapterLog(_Entry):
    """A chapter of the finished audio."""

    title: str
    start_s: Seconds = Field(description="Where it starts in the audio.")
    end_s: Seconds = Field(description="Where it ends in the audio.")


class BookLog(_Entry):
    """The book, as its source describes it. Empty means unknown."""

    title: str
    subtitle: str = ""
    authors: tuple[str, ...] = ()
    narrators: tuple[str, ...] = ()
    series: str = ""
    series_index: str = ""
    language: str = Field(default="", description="BCP 47, as the source gives it.")
    publisher: str = ""
    published: str = Field(default="", description="A year or an ISO date.")
    isbn: str = ""
    asin: str = ""
    words: int = Field(ge=0, description="Words of the chapters that are read out.")
    chapters: tuple[ChapterLog, ...]


class SkippedLog(_Entry):
    """A part of the book that is not read out."""

    title: str
    reason: str
    words: int = Field(ge=0)


class StagesLog(_Entry):
    """Wall time of each stage in seconds, as far as it was reached."""

    read: Seconds = 0.0
    plan: Seconds = 0.0
    narrate: Seconds = 0.0
    master: Seconds = 0.0
    publish: Seconds = Field(default=0.0, description="Up to the writing of this log; the rename comes after it.")


class LoudnessLog(_Entry):
    """Levels of the published audio. Null where there is nothing to measure, as in silence."""

    integrated_lufs: Decibels = Field(description="Integrated loudness, ITU-R BS.1770, LUFS.")
    true_peak_dbtp: Decibels = Field(description="Highest true peak, dBTP.")
    rms_dbfs: Decibels = Field(description="RMS over the whole audio, dB against full scale.")
    gain_db: Decibels = Field(description="Gain that was put on the takes, before the limiter.")


class HardwareLog(_Entry):
    """The machine."""

    cpu_count: int = Field(ge=1, description="Logical processors that speedd may use.")
    platform: str = Field(description="Operating system and architecture.")


class State(StrEnum):
    """How a job ended."""

    PUBLISHED = "published"
    FAILED = "failed"
    REFUSED = "refused"
    CANCELLED = "cancelled"


class EndLog(_Entry):
    """How it ended."""

    state: State
    reason: str = Field(default="", description="In plain words; empty when published.")


class TakeLog(_Entry):
    """A stored take that the audio was made from."""

    key: str = Field(description="The hash of all that shaped it.")
    seed: int = Field(ge=0, lt=2**63)
    stop_reason: str = Field(default="end", description="Why the engine stopped: end or its own word.")
    word_starts_s: tuple[Seconds, ...] = Field(
        default=(), description="Where each of its words begins in the audio; empty where the engine does not tell."
    )


class ChunkLog(_Entry):
    """One chunk of the book."""

    index: int = Field(ge=0, description="0-based, in the order of the book.")
    chapter: int = Field(ge=0, description="0-based index into book.chapters.")
    text_digest: Sha256 = Field(description="SHA-256 of the text of record in UTF-8, hex.")
    start_s: Seconds = Field(description="Where it starts in the audio.")
    duration_s: Seconds = Field(description="Its length in the audio, without the pause after it.")
    attempts: int = Field(ge=0, description="Renderings over all runs, of rejected takes too; 0 for a mere pause.")
    render_s: Seconds = Field(description="Wall time of the engine for the takes that were kept.")
    stop_reason: str = Field(description="Why the engine stopped: end, nothing_to_speak or its own word.")
    reused: bool = Field(default=False, description="True if all its takes were there before this run.")
    takes: tuple[TakeLog, ...] = ()


class RunLog(_Entry):
    """All but the chunks, which `write_run_log` adds as they come."""

    schema_version: Literal[3] = SCHEMA_VERSION
    job_id: str
    edition: int = Field(default=1, ge=1, description="1, or more where changed settings made the job anew.")
    run_id: str = Field(default="", description="The run of the program, as its own log calls it.")
    speedd_version: str
    started_at: Moment = Field(description="When this run took up the job, UTC.")
    finished_at: Moment = Field(description="When this log was written, UTC.")
    end: EndLog
    job_attempts: int = Field(ge=1, description="How often the job was taken up, this run included.")
    source: SourceLog
    settings: dict[str, JsonValue] = Field(description="The settings that held for this book, by section.")
    seed: int = Field(ge=0, description="The configured seed; each take's own is derived from it.")
    engine: EngineLog | None = Field(default=None, description="Null if the book ended before it was chosen.")
    voice: VoiceLog | None = None
    book: BookLog | None = Field(default=None, description="Null if the source could not be read.")
    skipped: tuple[SkippedLog, ...] = ()
    warnings: tuple[str, ...] = ()
    stages_s: StagesLog = StagesLog()
    audio_s: Seconds = Field(default=0.0, description="Length of the published audio.")
    realtime_factor: Factor | None = Field(
        default=None, description="audio_s over the sum of stages_s: above 1 is faster than listening."
    )
    loudness: LoudnessLog | None = None
    chunks_rendered: int = Field(default=0, ge=0, description="Chunks that this run rendered.")
    chunks_reused: int = Field(default=0, ge=0, description="Chunks whose takes were there before.")
    hardware: HardwareLog


class _RunLogFile(RunLog):
    """A run log of speedd: see the description of each field. Seconds and decibels are floats, digests hex."""

    model_config = ConfigDict(title="speedd run log")

    chunks: tuple[ChunkLog, ...]


def write_run_log(out: TextIO, head: RunLog, chunks: Iterable[ChunkLog]) -> None:
    """Write a run log.

    Args:
        out: a text stream in UTF-8.
        head: everything but the chunks.
        chunks: in order; walked once and not held.
    """
    written = json.dumps(head.model_dump(mode="json"), ensure_ascii=False, indent=2, allow_nan=False)
    out.write(written.removesuffix("\n}") + ",\n" + _CHUNKS_LINE)
    separator = ""
    for chunk in chunks:
        out.write(f"{separator}    {chunk.model_dump_json()}")
        separator = ",\n"
    out.write("\n  ]\n}\n" if separator else "  ]\n}\n")


def read_header(path: Path) -> dict[str, Any] | None:
    """Read a run log without its chunks; None if there is none, or none that `write_run_log` wrote."""
    lines: list[str] = []
    size = 0
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                size += len(line)
                if line == _CHUNKS_LINE:
                    break
                if size > _MAX_HEAD_CHARS:
                    return None
                lines.append(line)
            else:
                return None
        head = json.loads("".join(lines).rstrip().removesuffix(",") + "}")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError, ValueError):
        return None
    return head if isinstance(head, dict) and {"job_id", "edition"} <= head.keys() else None


def schema() -> dict[str, Any]:
    """The JSON Schema of a run log."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_RunLogFile.model_json_schema(mode="serialization"),
    }


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2, ensure_ascii=False))  # noqa: T201 - its output is the schema
