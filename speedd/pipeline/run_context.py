"""What one run of the program hands down to all that works in it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from speedd.common.state_directory import StateDirectory
from speedd.config import Config

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from speedd.pipeline.job_run import BookProgress


@dataclass(frozen=True, slots=True)
class NarrationRequest:
    """What the command line asks for, above a book's own settings."""

    pinned: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the command line and the environment, by section."""
    strict_voice: bool = False
    """Whether the pinned voice must speak. Else another may stand in for it."""
    chapters: range | None = None
    """0-based numbers of the chapters to narrate, for a preview. None for all."""


NO_REQUEST: Final = NarrationRequest()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """One run of the program: its settings, its log, and whom to ask and tell."""

    config: Config
    """What holds for all books."""
    log: FilteringBoundLogger
    run_id: str
    request: NarrationRequest = NO_REQUEST
    once: bool = False
    """Whether the run ends when nothing is left to do. Then no book waits for better times."""
    stop: threading.Event = field(default_factory=threading.Event)
    """Set when the program is to stop."""
    wake: threading.Event = field(default_factory=threading.Event)
    """Set to have the daemon look around at once."""
    say: Callable[[str], None] = lambda _: None
    """Told plain lines for a person at a terminal."""
    on_progress: Callable[[BookProgress], None] = lambda _: None
    """Told whenever the progress of a book changed."""
    alive: Callable[[], None] = lambda: None
    """Called now and then while the start takes long."""
    now: Callable[[], float] = time.time
    """Wall clock, seconds since the epoch."""

    @property
    def state(self) -> StateDirectory:
        """Where speedd keeps what it knows."""
        return StateDirectory(self.config.paths.state)

    @property
    def reserve_bytes(self) -> int:
        """Space that stays free on every disk."""
        return self.config.limits.disk_reserve_mb * 2**20
