"""The configuration: every setting with its type, range and default, and where its value comes from.

Precedence: command line > environment > per-book settings > file > default. ``config/speedd.toml`` documents the same
settings for people. All faults are reported at once, each with its path.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError, field_validator

from speedd.errors import ConfigError
from speedd.model import Boundary

ENVIRONMENT_PREFIX = "SPEEDD_"
PRONUNCIATIONS_NAME = "pronunciations.toml"

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


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PathsSettings(_Section):
    """Where things lie. Relative paths are relative to the file that names them."""

    inbox: Path
    outbox: Path
    state: Path
    voices: Path
    pronunciations: Path

    @field_validator("*")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return _expanded(path).absolute()


class InboxSettings(_Section):
    """How books are noticed and what becomes of them."""

    settle_s: Annotated[float, Field(ge=0, le=86_400)] = 10.0
    scan_s: Annotated[float, Field(gt=0, le=86_400)] = 30.0
    after_publish: Literal["archive", "keep", "delete"] = "archive"
    damaged_wait_s: Annotated[float, Field(ge=0, le=604_800)] = 3600.0


class EngineSettings(_Section):
    """What speaks."""

    name: str = "auto"
    voice: str = "default"
    workers: Annotated[int, Field(ge=0, le=256)] = 0
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


class InlinePauses(_Section):
    """Silence where a text asks for it, in ms."""

    short: PauseMs = 150
    """Where ``~1`` stands."""
    long: PauseMs = 700
    """Where ``~2`` stands."""


class StyleSettings(_Section):
    """The manner of speaking at a neutral mood, for engines that have one. None: as the preset has it."""

    exaggeration: Annotated[float, Field(ge=0.1, le=0.65)] | None = None
    cfg_weight: Annotated[float, Field(ge=0.15, le=1.0)] | None = None
    temperature: Annotated[float, Field(ge=0.1, le=2.35)] | None = None
    min_p: Annotated[float, Field(ge=0.02, le=0.3)] | None = None
    top_p: Annotated[float, Field(ge=0.01, le=1.0)] | None = None
    repetition_penalty: Annotated[float, Field(ge=1.0, le=2.0)] | None = None


class SensitivitySettings(_Section):
    """How far the best of moods moves the manner of speaking, and the worst moves it the other way."""

    exaggeration: Annotated[float, Field(ge=-2, le=2)] = 0.33
    cfg_weight: Annotated[float, Field(ge=-2, le=2)] = 0.32
    temperature: Annotated[float, Field(ge=-2, le=2)] = 0.30
    min_p: Annotated[float, Field(ge=-1, le=1)] = 0.01
    top_p: Annotated[float, Field(ge=-1, le=1)] = 0.0
    repetition_penalty: Annotated[float, Field(ge=-1, le=1)] = 0.05


class ChatterboxSettings(_Section):
    """The engine chatterbox."""

    model: Literal["english", "multilingual", "multilingual-v3", "turbo", "nano"] = "english"
    weights: str = ""
    """A folder; empty: the Hugging Face cache."""
    revision: Annotated[str, Field(pattern=r"^[A-Za-z0-9._/-]{1,128}$")] = "main"
    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    precision: Literal["auto", "fp32", "bf16", "int8"] = "auto"
    rows: Annotated[int, Field(ge=0, le=512)] = 0
    reference_s: Annotated[float, Field(ge=1, le=10)] = 10.0
    watermark: bool = True


class SpeechSettings(_Section):
    """How a text is read."""

    preset: Literal["default", "narration", "expressive-mod", "expressive", "exposition"] = "default"
    vader: bool | None = None
    """None: as the preset says."""
    smoothing: Literal["rolling", "exp_decay", "none"] = "rolling"
    speed: Annotated[float, Field(ge=0.5, le=2.0)] = 1.0
    opening: bool = True
    headings: bool = True
    matter: Literal["skip", "keep"] = "skip"
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


class OutputSettings(_Section):
    """What is written."""

    format: Literal["m4b"] = "m4b"
    bitrate_kbps: Annotated[int, Field(ge=24, le=320)] = 64
    coder: Literal["twoloop", "fast"] = "twoloop"
    loudness_lufs: Annotated[float, Field(ge=-36, le=-9)] = -18.0
    true_peak_dbtp: Annotated[float, Field(ge=-12, le=-0.5)] = -3.0
    include_source: bool = False


class LimitsSettings(_Section):
    """What speedd may take of the machine."""

    open_books: Annotated[int, Field(ge=1, le=64)] = 2
    turn_s: Annotated[float, Field(ge=0)] = 3600.0
    disk_reserve_mb: Annotated[int, Field(ge=0)] = 512
    keep_days: Annotated[float, Field(ge=0)] = 60.0
    keep_gb: Annotated[float, Field(ge=0)] = 20.0
    reader_memory_mb: Annotated[int, Field(ge=256)] = 2048
    reader_timeout_s: Annotated[float, Field(gt=0)] = 1800.0
    chunk_deadline_s: Annotated[float, Field(gt=0)] = 60.0


class WorkersSettings(_Section):
    """How the engine's processes run."""

    nice: Annotated[int, Field(ge=0, le=19)] = 0
    idle_unload_s: Annotated[float, Field(gt=0)] = 600.0
    quiet_hours: str = ""
    quiet_s: Annotated[float, Field(gt=0)] = 30.0
    fallbacks: Literal["all"] | tuple[str, ...] = "all"
    ahead: Annotated[int, Field(ge=1, le=256)] = 8
    store_takes: Annotated[int, Field(ge=1, le=64)] = 2

    @field_validator("quiet_hours")
    @classmethod
    def _hours(cls, text: str) -> str:
        if text and not _HOURS.fullmatch(text):
            raise ValueError('it is written as "22:00-07:00"')
        return text


class GpuSettings(_Section):
    """What others may have of a graphics card."""

    reserve_mb: Annotated[int, Field(ge=0)] = 512
    shrink_above: Annotated[float, Field(gt=0, le=1)] = 0.5
    pause_above: Annotated[float, Field(gt=0, le=1)] = 0.75
    leave_above: Annotated[float, Field(gt=0, le=1)] = 0.9


class LogSettings(_Section):
    """What is told, and where."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    target: Literal["auto", "journal", "stderr"] = "auto"


class Config(_Section):
    """Everything."""

    paths: PathsSettings
    inbox: InboxSettings = InboxSettings()
    engine: EngineSettings = EngineSettings()
    chatterbox: ChatterboxSettings = ChatterboxSettings()
    speech: SpeechSettings = SpeechSettings()
    output: OutputSettings = OutputSettings()
    limits: LimitsSettings = LimitsSettings()
    workers: WorkersSettings = WorkersSettings()
    gpu: GpuSettings = GpuSettings()
    log: LogSettings = LogSettings()


def engine_options(config: Config) -> dict[str, Any]:
    """Return what engines are given: plain values, the same in every process."""
    return {"chatterbox": {**config.chatterbox.model_dump(), "state": str(config.paths.state / "chatterbox")}}


# --- per-book settings ---------------------------------------------------------------------------------------------


class BookFields(_Section):
    """``[book]`` of per-book settings: what overrides the book's own metadata."""

    title: str | None = None
    subtitle: str | None = None
    author: str | None = None
    narrator: str | None = None
    series: str | None = None
    series_index: str | None = None
    language: str | None = None
    publisher: str | None = None
    published: str | None = None
    description: str | None = None
    genre: str | None = None
    isbn: str | None = None
    asin: str | None = None

    @field_validator("series_index", "published", mode="before")
    @classmethod
    def _number_as_text(cls, value: object) -> object:
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


class BookEngineSettings(_Section):
    """``[engine]`` of per-book settings."""

    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{1,64}$")
    voice: str | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None


class BookSettings(_Section):
    """Per-book settings, from ``Book.toml`` or a folder's ``speedd.toml``. They come from strangers: no paths."""

    book: BookFields = BookFields()
    engine: BookEngineSettings = BookEngineSettings()
    speech: dict[str, Any] = Field(default_factory=dict)
    output: dict[str, Any] = Field(default_factory=dict)
    pronunciations: dict[str, Any] = Field(default_factory=dict)
    """By word, a respelling, or IPA between strokes."""


def with_book_settings(config: Config, settings: BookSettings, *, pinned: Mapping[str, Any] | None = None) -> Config:
    """Return the configuration for one book.

    Args:
        config: what holds for all books.
        settings: what this book asks for.
        pinned: what the command line and the environment set, nested like the file: it wins.
    Raises:
        ConfigError: if the book's settings are wrong.
    """
    asked = {
        "engine": settings.engine.model_dump(exclude_none=True),
        "speech": settings.speech,
        "output": settings.output,
    }
    # Sections hold their defaults by now: dump what was set, so that validators see the same input as before.
    base = config.model_dump(mode="python")
    return _validate(merge(merge(base, asked), dict(pinned or {})), origin="the book's settings")


# --- where values come from ----------------------------------------------------------------------------------------


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay nested ``above`` over ``below`` and return the result."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def default_paths(environment: Mapping[str, str]) -> dict[str, Path]:
    """Where things lie when nothing says so: the unit's directories under systemd, else the user's home."""
    if state := environment.get("STATE_DIRECTORY"):
        base = Path(state.split(":")[0])
        folders = {name: base / name for name in ("inbox", "outbox", "voices", "state")}
        beside = Path(environment.get("CONFIGURATION_DIRECTORY", state).split(":")[0])
        return folders | {"pronunciations": beside / PRONUNCIATIONS_NAME}
    home = Path(environment.get("HOME") or Path.home())
    state_home = Path(environment.get("XDG_STATE_HOME") or home / ".local" / "state")
    return {
        "inbox": home / "speedd" / "inbox",
        "outbox": home / "speedd" / "outbox",
        "voices": home / "speedd" / "voices",
        "state": state_home / "speedd",
        "pronunciations": _config_home(environment, home) / PRONUNCIATIONS_NAME,
    }


def _config_home(environment: Mapping[str, str], home: Path) -> Path:
    return Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "speedd"


def default_file(environment: Mapping[str, str]) -> Path | None:
    """The configuration file that is read when none is named, if it exists."""
    places = [
        Path(environment[key].split(":")[0]) / "speedd.toml"
        for key in ("CONFIGURATION_DIRECTORY",)
        if key in environment
    ]
    home = Path(environment.get("HOME") or Path.home())
    places.append(_config_home(environment, home) / "speedd.toml")
    places.append(Path("/etc/speedd/speedd.toml"))
    return next((place for place in places if place.is_file()), None)


def read_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """Turn ``SPEEDD_INBOX__SETTLE_S=3`` into ``{"inbox": {"settle_s": "3"}}``. Values stay text."""
    nested: dict[str, Any] = {}
    for key, value in environment.items():
        if key.startswith(ENVIRONMENT_PREFIX) and "__" in key:
            *sections, name = key.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
            one: dict[str, Any] = {name: value}
            for section in reversed(sections):
                one = {section: one}
            nested = merge(nested, one)
    return nested


def read_file(path: Path) -> dict[str, Any]:
    """Read a TOML configuration and make its relative paths absolute.

    Raises:
        ConfigError: if it cannot be read or is no TOML.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"The configuration {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"The configuration {path} is no TOML: {error}.") from error
    base = path.resolve().parent
    chatterbox = values.get("chatterbox")
    if isinstance(chatterbox, dict) and isinstance(chatterbox.get("weights"), str) and chatterbox["weights"]:
        chatterbox["weights"] = os.path.normpath(base / _expanded(Path(chatterbox["weights"])))
    paths = values.get("paths")
    if isinstance(paths, dict):
        values["paths"] = {
            # Without "..", because people read these paths in what speedd tells them.
            k: Path(os.path.normpath(base / _expanded(Path(v)))) if isinstance(v, str) else v
            for k, v in paths.items()
        }
    return values


def _expanded(path: Path) -> Path:
    with suppress(RuntimeError):  # no such user: it stays as it is, and cannot be made
        return path.expanduser()
    return path


def load_config(
    file: Path | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Config:
    """Load the configuration.

    Args:
        file: the file to read; by default the first that exists of the usual places, or none.
        overrides: nested values from the command line.
        environment: by default the process's own.
    Raises:
        ConfigError: naming every fault with its path.
    """
    environment = os.environ if environment is None else environment
    file = file or default_file(environment)
    values: dict[str, Any] = {"paths": default_paths(environment)}
    values = merge(values, read_file(file) if file else {})
    pinned = pinned_values(overrides, environment)
    places = [*([str(file)] if file else []), *(["the SPEEDD_ environment or the command line"] if pinned else [])]
    return _validate(merge(values, pinned), origin=" or ".join(places) or "the defaults")


def pinned_values(overrides: Mapping[str, Any] | None, environment: Mapping[str, str]) -> dict[str, Any]:
    """What stands above per-book settings: the environment, and over it the command line."""
    return merge(read_environment(environment), overrides or {})


def _validate(values: Mapping[str, Any], *, origin: str) -> Config:
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(describe_faults(error, origin)) from error


def describe_faults(error: ValidationError, origin: str) -> str:
    """Write every fault of a validation on a line of its own, with its dotted path."""
    faults = [f"  {'.'.join(str(part) for part in fault['loc'])}: {_plain(fault)}" for fault in error.errors()]
    return f"{len(faults)} setting{'s are' if len(faults) > 1 else ' is'} wrong in {origin}:\n" + "\n".join(faults)


def _plain(fault: Any) -> str:
    if fault["type"] == "extra_forbidden":
        return "there is no such setting"
    return f"{fault['msg'][0].lower()}{fault['msg'][1:]} (it is {fault['input']!r})"
