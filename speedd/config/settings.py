"""The settings: each with its type, its range and its default. ``config/speedd.toml`` says the same for people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, Field, SerializeAsAny, StrictInt, StrictStr, field_validator, model_validator

from speedd.common.state_directory import StateDirectory
from speedd.config.engines import read_tables
from speedd.config.section import Section, expanded
from speedd.model import Boundary

_HOURS: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d")

DEFAULT_PAUSES_MS: Mapping[Boundary, int] = {
    Boundary.CHAPTER_START: 1195,
    Boundary.CHAPTER_END: 1100,
    Boundary.SECTION_BREAK: 700,
    Boundary.PARAGRAPH_END: 1000,
    Boundary.PERIOD: 500,
    Boundary.QUESTION_MARK: 500,
    Boundary.EXCLAMATION: 200,
    Boundary.DASH: 200,
    Boundary.COMMA: 150,
    Boundary.SEMICOLON: 150,
    Boundary.COLON: 150,
    Boundary.QUOTE_END: 150,
    Boundary.ELLIPSIS: 80,
    Boundary.NONE: 0,
}
"""Silence after a chunk, in ms, by boundary: the figures users of the older tools know."""


PauseMs: TypeAlias = Annotated[int, Field(ge=0, le=60_000)]
Coder: TypeAlias = Literal["fast", "twoloop"]
"""How the AAC encoder searches."""


class PathsSettings(Section):
    """Where things lie. Relative paths are relative to the file that names them."""

    inbox: Path
    outbox: Path
    state: Path
    voices: Path
    pronunciations: Path
    engines: Path
    """A folder for each engine; unless it is set, in the state directory."""

    @model_validator(mode="before")
    @classmethod
    def _beside_the_state(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and isinstance(state := given.get("state"), str | Path):
            return {"engines": StateDirectory(Path(state)).engines, **given}
        return given

    @field_validator("*")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return expanded(path).absolute()


class InboxSettings(Section):
    """How books are noticed and what becomes of them."""

    settle_s: Annotated[float, Field(ge=0, le=86_400)] = 10.0
    scan_s: Annotated[float, Field(gt=0, le=86_400)] = 30.0
    after_publish: Literal["archive", "keep", "delete"] = "archive"
    damaged_wait_s: Annotated[float, Field(ge=0, le=604_800)] = 3600.0


class EngineSettings(Section):
    """What speaks."""

    name: str = "auto"
    voice: str = "default"
    workers: Annotated[int, Field(ge=0, le=256)] = 0
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


class InlinePauses(Section):
    """Silence where a text asks for it, in ms."""

    short: PauseMs = 150
    """Where ``~1`` stands."""
    long: PauseMs = 700
    """Where ``~2`` stands."""


class StyleSettings(Section):
    """The manner of speaking at a neutral mood, for engines that have one. None: as the preset has it."""

    exaggeration: Annotated[float, Field(ge=0.1, le=0.65)] | None = None
    cfg_weight: Annotated[float, Field(ge=0.15, le=1.0)] | None = None
    temperature: Annotated[float, Field(ge=0.1, le=2.35)] | None = None
    min_p: Annotated[float, Field(ge=0.02, le=0.3)] | None = None
    top_p: Annotated[float, Field(ge=0.01, le=1.0)] | None = None
    repetition_penalty: Annotated[float, Field(ge=1.0, le=2.0)] | None = None
    top_k: Annotated[int, Field(ge=0, le=10_000)] | None = None


class SensitivitySettings(Section):
    """How far the best of moods moves the manner of speaking, and the worst moves it the other way."""

    exaggeration: Annotated[float, Field(ge=-2, le=2)] = 0.33
    cfg_weight: Annotated[float, Field(ge=-2, le=2)] = 0.32
    temperature: Annotated[float, Field(ge=-2, le=2)] = 0.30
    min_p: Annotated[float, Field(ge=-1, le=1)] = 0.01
    top_p: Annotated[float, Field(ge=-1, le=1)] = 0.0
    repetition_penalty: Annotated[float, Field(ge=-1, le=1)] = 0.05


class SpeechSettings(Section):
    """How a text is read."""

    preset: Literal["default", "narration", "expressive-mod", "expressive", "exposition"] = "default"
    vader: bool | None = None
    """None: as the preset says."""
    smoothing: Literal["rolling", "exp_decay", "none"] = "rolling"
    speed: Annotated[float, Field(ge=0.5, le=2.0)] = 1.0
    opening: bool = True
    headings: bool = True
    front_back_matter: Literal["skip", "keep"] = "skip"
    notes: Literal["skip", "inline"] = "skip"
    pictures: Literal["skip", "read"] = "skip"
    skip: tuple[Annotated[StrictInt, Field(ge=1)] | Annotated[StrictStr, Field(min_length=1, max_length=500)], ...] = ()
    """Chapters that are not read, by title or by number, the first being 1."""
    style: StyleSettings = StyleSettings()
    sensitivity: SensitivitySettings = SensitivitySettings()
    pauses_ms: dict[Boundary, PauseMs] = Field(default_factory=lambda: dict(DEFAULT_PAUSES_MS))
    inline_pauses_ms: InlinePauses = InlinePauses()

    @field_validator("pauses_ms")
    @classmethod
    def _complete(cls, given: dict[Boundary, int]) -> dict[Boundary, int]:
        return {**DEFAULT_PAUSES_MS, **given}

    @field_validator("preset", mode="before")
    @classmethod
    def _as_one_word(cls, given: object) -> object:
        """The older tools write "Expressive Mod"."""
        return "-".join(given.lower().split()) if isinstance(given, str) else given

    @field_validator("skip", mode="before")
    @classmethod
    def _listed(cls, given: object) -> object:
        """From the environment it comes as one text: ``Foreword;3``."""
        if not isinstance(given, str):
            return given
        parts = [part.strip() for part in given.split(";") if part.strip()]
        return [int(part) if part.isdecimal() else part for part in parts]

    def pause_ms(self, boundary: Boundary) -> int:
        """Silence after a chunk that ends in this boundary."""
        return self.pauses_ms[boundary]


class OutputSettings(Section):
    """What is written."""

    format: Literal["m4b"] = "m4b"
    """Chooses the codec, and is the suffix of the file."""
    bitrate_kbps: Annotated[int, Field(ge=24, le=320)] = 64
    coder: Coder = "fast"
    loudness_lufs: Annotated[float, Field(ge=-36, le=-9)] = -18.0
    true_peak_dbtp: Annotated[float, Field(ge=-12, le=-0.5)] = -3.0
    include_source: bool = False


class LimitsSettings(Section):
    """What speedd may take of the machine."""

    open_books: Annotated[int, Field(ge=1, le=64)] = 2
    turn_s: Annotated[float, Field(ge=0)] = 3600.0
    disk_reserve_mb: Annotated[int, Field(ge=0)] = 512
    keep_days: Annotated[float, Field(ge=0)] = 60.0
    keep_gb: Annotated[float, Field(ge=0)] = 20.0
    reader_memory_mb: Annotated[int, Field(ge=256)] = 2048
    reader_timeout_s: Annotated[float, Field(gt=0)] = 1800.0
    chunk_deadline_s: Annotated[float, Field(gt=0)] = 60.0
    stretches_ahead: Annotated[int, Field(ge=1, le=64)] = 2


class WorkersSettings(Section):
    """How the engine's processes run."""

    nice: Annotated[int, Field(ge=0, le=19)] = 0
    idle_unload_s: Annotated[float, Field(gt=0)] = 600.0
    quiet_hours: str = ""
    regrow_after_s: Annotated[float, Field(gt=0)] = 30.0
    fallbacks: Literal["all"] | tuple[str, ...] = "all"
    ahead: Annotated[int, Field(ge=1, le=256)] = 8
    store_takes: Annotated[int, Field(ge=1, le=64)] = 2

    @field_validator("quiet_hours")
    @classmethod
    def _hours(cls, text: str) -> str:
        if text and not _HOURS.fullmatch(text):
            raise ValueError('it is written as "22:00-07:00"')
        begin, _, end = text.partition("-")
        if begin == end and text:
            raise ValueError("it begins and ends at the same time; leave it empty to have none")
        return text


class GpuSettings(Section):
    """What others may have of a graphics card."""

    reserve_mb: Annotated[int, Field(ge=0)] = 512
    shrink_above: Annotated[float, Field(gt=0, le=1)] = 0.5
    pause_above: Annotated[float, Field(gt=0, le=1)] = 0.75
    leave_above: Annotated[float, Field(gt=0, le=1)] = 0.9


class LogSettings(Section):
    """What is told, and where."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    target: Literal["auto", "journal", "stderr"] = "auto"
    waiting_entries: Annotated[int, Field(ge=16, le=1_000_000)] = 4096


class Config(Section):
    """Everything."""

    paths: PathsSettings
    inbox: InboxSettings = InboxSettings()
    engine: EngineSettings = EngineSettings()
    engines: dict[str, SerializeAsAny[BaseModel]] = Field(default_factory=dict)
    """What installed engines are set to, by their names; one that is not here has its defaults."""
    speech: SpeechSettings = SpeechSettings()
    output: OutputSettings = OutputSettings()
    limits: LimitsSettings = LimitsSettings()
    workers: WorkersSettings = WorkersSettings()
    gpu: GpuSettings = GpuSettings()
    log: LogSettings = LogSettings()

    @field_validator("engines", mode="before")
    @classmethod
    def _by_engine(cls, tables: object) -> object:
        return read_tables(tables) if isinstance(tables, Mapping) else tables
