"""The messages between a pool and its workers. All are small, frozen and picklable. Audio is never sent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from speedd.engines.base import Budget, EngineInfo, EngineOptions
from speedd.model import Failed, Rendered, Utterance

# --- to a worker ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """What bounds a worker."""

    reserve_bytes: int = 0
    """Free memory of its device that stays free."""
    regrow_after_s: float = 30.0
    """How long it must have had enough memory before it tries more rows."""
    fallbacks: tuple[str, ...] | None = None
    """Which of the engine's fallbacks may be used. None for all of them."""
    store_takes: int = 2
    """Takes spoken and not yet on disk before the engine waits."""
    ahead: int = 2
    """Utterances beyond its rows that a worker of a GPU engine holds to choose from."""


@dataclass(frozen=True, slots=True)
class Setup:
    """The first message: what to load and where to store."""

    index: int
    engine: str
    options: EngineOptions[Any]
    takes: Path
    device: str
    """Where the engine works, unless a fallback takes it elsewhere."""
    nice: int
    """Added to the nice value of whatever works on the CPU."""
    heartbeat_s: float
    limits: WorkerLimits


@dataclass(frozen=True, slots=True)
class Speak:
    """Speak this utterance."""

    utterance: Utterance


@dataclass(frozen=True, slots=True)
class Release:
    """Finish what is in the engine, then give back the memory that it keeps. Rows to come take theirs anew."""

    shrink: bool
    """Whether others need memory. Then the engine takes room for half as many rows, else for as many as fit."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Finish what is in the engine now and end."""


Order: TypeAlias = Setup | Speak | Release | Stop

# --- from a worker -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Gauge:
    """How full a worker's engine is."""

    rows: int
    """Utterances in it."""
    rows_cap: int
    """How many could be, by its memory and by what went wrong so far. At least 1."""
    budget: Budget
    fallbacks: tuple[str, ...] = ()
    """Those that hold."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The engine is loaded and warm."""

    info: EngineInfo
    gauge: Gauge
    load_s: float
    rss_bytes: int


@dataclass(frozen=True, slots=True)
class Warming:
    """The engine gets ready for a voice. ``voice`` is empty when it is ready."""

    voice: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The engine cannot be loaded, at first or later. The worker ends."""

    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Started:
    """The engine has taken these utterances. If the worker dies now, they are the suspects."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """A take is stored, or a text could not be spoken."""

    result: Rendered | Failed
    gauge: Gauge


@dataclass(frozen=True, slots=True)
class Returned:
    """The engine gave these back, out of memory or after a glitch. They will be started again."""

    keys: tuple[str, ...]
    why: str
    gauge: Gauge


@dataclass(frozen=True, slots=True)
class NoRoom:
    """The device has no room for a single row, even with all fallbacks. The worker ends."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotStored:
    """A take was spoken but the disk did not take it."""

    key: str
    reason: str
    """In the words of the operating system."""


@dataclass(frozen=True, slots=True)
class Broken:
    """The worker itself failed, not because of a text. It ends."""

    reason: str
    """In words, without any book text."""
    trace: tuple[str, ...]
    """Where it happened, outermost first: ``file:line function``."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Sent each second while something is in the engine."""

    rss_bytes: int
    gauge: Gauge


Report: TypeAlias = Ready | Refused | Warming | Started | Returned | Done | NotStored | NoRoom | Broken | Heartbeat
