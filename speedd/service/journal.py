"""Write to the systemd journal without ever waiting for it.

A stalled journald blocks whoever writes to it, and systemd-python keeps the interpreter locked while it waits:
measured with version 235, a stopped journald froze every thread of the process after a dozen entries. So entries go
through a bounded queue to one thread, which speaks the native protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/)
by the standard library.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

JOURNAL_SOCKET: Final = Path("/run/systemd/journal/socket")

FIELD_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
"""What journald takes as a field's name from a client; it drops others without a word."""

_FIRST_RETRY_S: Final = 0.001
_LAST_RETRY_S: Final = 0.25
_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One log entry in both its forms."""

    fields: Mapping[str, str]
    """For the journal."""
    line: str
    """For stderr, if there is no journal: one line, without its end."""


def encode_fields(fields: Mapping[str, str]) -> bytes:
    """Write fields in the journal's native form.

    A value of several lines is written with its length: name, newline, 64-bit little-endian length, value. Lone
    surrogates become backslash escapes. A field whose name journald would refuse is left out.
    """
    parts: list[bytes] = []
    for name, text in fields.items():
        if not FIELD_NAME.fullmatch(name):
            continue
        value = text.encode("utf-8", "backslashreplace")
        if b"\n" in value:
            parts += [name.encode(), b"\n", struct.pack("<Q", len(value)), value, b"\n"]
        else:
            parts += [name.encode(), b"=", value, b"\n"]
    return b"".join(parts)


class JournalSender:
    """A bounded queue and the thread that empties it into journald.

    `send` never waits and never raises. When the queue is full, entries are dropped and counted; once it is empty
    again, one entry tells how many were lost. While no journald is to be found, entries go to
    ``fallback``.

    Args:
        fallback: takes the line of an entry that no journald wants. Called in the sender's thread.
        describe_loss: makes the entry that tells how many were lost.
        address: journald's socket.
        capacity: how many entries may wait, about 1 KiB each.
    """

    def __init__(
        self,
        *,
        fallback: Callable[[str], None],
        describe_loss: Callable[[int], LogEntry],
        address: Path = JOURNAL_SOCKET,
        capacity: int,
    ) -> None:
        self.dropped = 0
        """Entries lost so far."""
        self.diverted = 0
        """Entries that went to ``fallback`` so far."""
        self._unreported = 0
        self._fallback = fallback
        self._describe_loss = describe_loss
        self._address = str(address)
        self._capacity = capacity
        self._waiting: deque[LogEntry] = deque()
        self._changed = threading.Condition()
        self._give_up_at: float | None = None  # set by `close`
        # Not connected: journald may come back with a new socket at the same place.
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def send(self, entry: LogEntry) -> None:
        """Queue an entry, or count it as lost."""
        with self._changed:
            if len(self._waiting) < self._capacity and self._give_up_at is None:
                self._waiting.append(entry)
                self._changed.notify()
            else:
                self._count_lost()

    def close(self, timeout_s: float = 2.0) -> None:
        """Send what waits and stop; what has not gone after ``timeout_s`` seconds is lost."""
        with self._changed:
            if self._give_up_at is None:
                self._give_up_at = time.monotonic() + timeout_s
            self._changed.notify()
        # Longer than the thread needs: only a fallback that hangs could keep it, and that must not keep us.
        self._thread.join(timeout_s + 4 * _LAST_RETRY_S)

    def _count_lost(self) -> None:
        self.dropped += 1
        self._unreported += 1

    def _run(self) -> None:
        while (entry := self._next()) is not None:
            delivered = self._deliver(entry)
            with self._changed:
                if not delivered:
                    self._count_lost()
                lost = 0 if self._waiting else self._unreported
            if lost and self._deliver(self._describe_loss(lost)):
                with self._changed:
                    self._unreported -= lost
        if self._unreported:
            self._fallback(self._describe_loss(self._unreported).line)
        self._socket.close()

    def _next(self) -> LogEntry | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._give_up_at is not None)
            return self._waiting.popleft() if self._waiting else None

    def _deliver(self, entry: LogEntry) -> bool:
        """Send an entry, waiting while journald is stalled. Returns False if `close` ran out of patience."""
        payload = encode_fields(entry.fields)
        retry_s = _FIRST_RETRY_S
        while True:
            try:
                self._transmit(payload)
            except OSError as error:
                if error.errno not in {errno.EAGAIN, errno.ENOBUFS, errno.EINTR}:
                    self.diverted += 1
                    self._fallback(entry.line)
                    return True
            else:
                return True
            if self._give_up_at is not None and time.monotonic() >= self._give_up_at:
                return False
            # poll() calls an unconnected datagram socket writable at all times, so look again now and then.
            time.sleep(retry_s)
            retry_s = min(2 * retry_s, _LAST_RETRY_S)

    def _transmit(self, payload: bytes) -> None:
        try:
            self._socket.sendto(payload, self._address)
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
            self._transmit_as_file(payload)

    def _transmit_as_file(self, payload: bytes) -> None:
        """Hand over what is too long for a datagram (over about 200 KB) as a sealed file in memory."""
        fd = os.memfd_create("journal-entry", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            with open(fd, "wb", closefd=False) as file:
                file.write(payload)
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", fd))]
            self._socket.sendmsg([], rights, 0, self._address)
        finally:
            os.close(fd)
