"""Talk to systemd: ready, status, watchdog, stopping (the sd_notify protocol, see ``man sd_notify``)."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Mapping

MICROSECONDS = 1_000_000

_STATUS_CHARS = 500


class Notifier:
    """Tells systemd how the service is doing; without systemd it does nothing.

    It never raises and never waits: what cannot be sent now (systemd is busy, its queue full) goes out with the next
    message, the newest value of each, so that a ``READY=1`` is late rather than lost.

    Args:
        environment: where ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID`` stand.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.watchdog_s: float | None = _watchdog_s(environment)
        """Longest silence between two `watchdog` calls that systemd bears, in seconds; None if it does not watch."""
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self._unsent: dict[str, str] = {}
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        if self._address is not None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)

    def ready(self, status: str = "") -> None:
        """Say that start-up is over."""
        self._send({"READY": "1"} | ({"STATUS": _one_line(status)} if status else {}))

    def status(self, text: str) -> None:
        """Set the line that ``systemctl status`` shows."""
        self._send({"STATUS": _one_line(text)})

    def watchdog(self) -> None:
        """Say that the service is alive. Call it at least every half of `watchdog_s`."""
        self._send({"WATCHDOG": "1"})

    def stopping(self, status: str = "") -> None:
        """Say that the service is shutting down."""
        self._send({"STOPPING": "1"} | ({"STATUS": _one_line(status)} if status else {}))

    def extend_timeout(self, seconds: float) -> None:
        """Ask for this much time, from now, for the start or the stop that is under way."""
        self._send({"EXTEND_TIMEOUT_USEC": str(round(seconds * MICROSECONDS))})

    def close(self) -> None:
        """Let go of the socket; later messages go nowhere."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def _send(self, assignments: Mapping[str, str]) -> None:
        with self._lock:
            if self._socket is None or self._address is None:
                return
            self._unsent.update(assignments)
            message = "\n".join(f"{key}={value}" for key, value in self._unsent.items())
            # OSError: full queue (EAGAIN), or systemd re-executing itself; both pass.
            with contextlib.suppress(OSError):
                self._socket.sendto(message.encode("utf-8", "backslashreplace"), self._address)
                self._unsent.clear()


def _address(text: str) -> str | bytes | None:
    """The address of a socket in the file system (``/run/…``) or of an abstract one (``@…``)."""
    if text.startswith("/"):
        return text
    if text.startswith("@"):
        return b"\0" + os.fsencode(text[1:])
    return None


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    pid = environment.get("WATCHDOG_PID")
    if pid is not None and pid != str(os.getpid()):
        return None  # meant for our parent, whose environment we inherited
    try:
        interval_us = int(environment.get("WATCHDOG_USEC", "0"))
    except ValueError:
        return None
    return interval_us / MICROSECONDS if interval_us > 0 else None


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_STATUS_CHARS]
