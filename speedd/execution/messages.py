"""What a pool and its workers tell each other. Everything is small, frozen and picklable; audio never crosses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from speedd.engines.base import Budget, EngineInfo
from speedd.model import Failed, Rendered, Utterance

# --- to a worker ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Setup:
    """The first message: what to load and where to store."""

    index: int
    engine: str
    options: Mapping[str, Any]
    takes: Path
    nice: int
    """Added to the process's nice value."""
    heartbeat_s: float


@dataclass(frozen=True, slots=True)
class Speak:
    """Speak this too."""

    utterance: Utterance


@dataclass(frozen=True, slots=True)
class Stop:
    """Finish what is in the engine now and end."""


Order: TypeAlias = Setup | Speak | Stop

# --- from a worker -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ready:
    """The engine is loaded and warm."""

    info: EngineInfo
    budget: Budget
    load_s: float
    rss_bytes: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The engine cannot be loaded; the worker ends."""

    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Started:
    """The engine has taken these on. If the worker dies now, they are the suspects."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """A take is stored, or a text could not be spoken."""

    result: Rendered | Failed
    budget: Budget


@dataclass(frozen=True, slots=True)
class NotStored:
    """A take was spoken but the disk did not take it."""

    key: str
    reason: str
    """In the words of the operating system."""


@dataclass(frozen=True, slots=True)
class Broken:
    """Something failed that is nobody's text's fault; the worker ends."""

    reason: str
    """In words, without any book text."""
    trace: tuple[str, ...]
    """Where it happened, outermost first: ``file:line function``."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Sent each second while something is in the engine."""

    rss_bytes: int


Report: TypeAlias = Ready | Refused | Started | Done | NotStored | Broken | Heartbeat
