"""A worker's connection to its parent."""

from __future__ import annotations

import os
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from speedd.execution.protocol import Broken

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from speedd.execution.protocol import Report


class ParentConnection:
    """The connection to the parent. Any thread may send."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, report: Report) -> None:
        """Send a report. End if the parent is gone."""
        try:
            with self._lock:
                self._connection.send(report)
        except OSError:
            os._exit(1)

    def receive(self) -> object:
        """Wait for an order.

        Raises:
            EOFError: if the parent is gone.
        """
        try:
            return self._connection.recv()
        except OSError as error:
            raise EOFError from error

    def break_down(self, error: Exception) -> NoReturn:
        """Report the type and the place of an error, never its text, and end."""
        frames = traceback.extract_tb(error.__traceback__)
        trace = tuple(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames)
        self.send(Broken(f"it failed with {type(error).__name__}", trace))
        os._exit(70)
