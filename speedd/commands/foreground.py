"""What commands that work in the foreground share: signals that end them, and a log."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from speedd.config import LogSettings
from speedd.service.logging import configure_logging, get_logger

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


class Stop(threading.Event):
    """An event that also wakes whoever sleeps on another one."""

    def __init__(self, wake: threading.Event) -> None:
        super().__init__()
        self._wake = wake

    def set(self) -> None:
        """Set it, and the other."""
        super().set()
        self._wake.set()


@contextmanager
def logging_to(settings: LogSettings) -> Iterator[tuple[FilteringBoundLogger, str]]:
    """Open the log. Yield it, and an id that names this run of the program."""
    run_id = secrets.token_hex(6)
    with configure_logging(settings, run_id=run_id, environment=os.environ):
        yield get_logger(), run_id
