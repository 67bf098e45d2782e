"""What commands that work in the foreground share: signals that end them, and a log."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from speedd.config import LogSettings
from speedd.service.logging import configure_logging, get_logger


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
def logging_to(settings: LogSettings) -> Iterator[tuple[Any, str]]:
    """Open the log; yield it, and an id that names this run of the program."""
    run_id = secrets.token_hex(6)
    with configure_logging(settings, run_id=run_id, environment=os.environ):
        yield get_logger(), run_id
