"""A watch on the inbox: file system events that do nothing but make the next scan come sooner."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog
from structlog.typing import FilteringBoundLogger
from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

_JOIN_S: Final = 5.0
# Only what brings something. Without opened and closed-unwritten events, or our own scans would ring; without modified
# events, because a copy makes thousands of them and the scanner comes back by itself for what has not settled.
_BRINGING: Final = [FileCreatedEvent, DirCreatedEvent, FileMovedEvent, DirMovedEvent, FileClosedEvent]


class InboxWatcher:
    """Sets an event when something comes into the inbox.

    It may miss anything at any time (a full queue, too few watches, a network share): whoever relies on it scans
    regularly all the same. Only the inbox itself is watched, not the folders in it, so one watch is always enough;
    what arrives in a folder is seen by the scans that follow while the folder settles.

    Args:
        inbox: the folder to watch.
        ring: set whenever something happened, and once after every `start`.
    """

    def __init__(self, inbox: Path, ring: threading.Event) -> None:
        self.inbox = inbox
        self.fault = ""
        """Why there is no watcher now, for the log; empty while there is one. Scanning alone still finds everything,
        only later."""
        self._ring = ring
        self._observer: BaseObserver | None = None
        self._place: tuple[int, int] | None = None

    def start(self) -> bool:
        """Begin to watch. Returns whether it works; if not, `fault` says why."""
        self.stop()
        observer: BaseObserver | None = None
        try:
            place = self._look()
            observer = Observer()
            observer.schedule(_Ringer(self._ring), str(self.inbox), recursive=False, event_filter=_BRINGING)
            observer.start()
        except OSError as error:
            # ENOENT: no inbox; EMFILE and ENOSPC: the kernel's inotify limits; ENOSYS: no inotify.
            self.fault = f"no file system events for {self.inbox}: {error.strerror or error}"
            if observer is not None:
                _stop(observer)
        else:
            self._observer, self._place, self.fault = observer, place, ""
        self._ring.set()  # something may have come while nobody listened
        return self._observer is not None

    def stop(self) -> None:
        """Stop watching."""
        observer, self._observer, self._place = self._observer, None, None
        if observer is not None:
            _stop(observer)

    def restart(self) -> bool:
        """Watch anew, whatever state it is in. Returns whether it works."""
        return self.start()

    def healthy(self) -> bool:
        """Whether every thread that carries events lives and the inbox is still the folder that is watched."""
        observer = self._observer
        if observer is None or not observer.emitters:
            return False
        # watchdog reads inotify in a thread of its own beside observer and emitters.
        reader = getattr(observer, "_inotify_fd", None)
        threads = [observer, *observer.emitters, *([reader] if isinstance(reader, threading.Thread) else [])]
        try:
            return all(thread.is_alive() for thread in threads) and self._look() == self._place
        except OSError:
            return False

    def _look(self) -> tuple[int, int]:
        status = self.inbox.stat()
        return status.st_dev, status.st_ino


class _Ringer(FileSystemEventHandler):
    def __init__(self, ring: threading.Event) -> None:
        self._ring = ring

    def dispatch(self, event: FileSystemEvent) -> None:
        try:
            self._ring.set()
        except Exception:  # an exception here would end the thread, and with it the watcher
            log: FilteringBoundLogger = structlog.get_logger()
            log.exception("inbox.watch_failed", event_type=event.event_type)


def _stop(observer: BaseObserver) -> None:
    # watchdog logs an error where its thread wakes up to be stopped; nobody should read of that at every stop.
    library = logging.getLogger("watchdog.observers.inotify")
    library.addFilter(_nothing)
    try:
        with suppress(RuntimeError, OSError):  # threads that never started cannot be joined
            observer.stop()
        with suppress(RuntimeError):
            observer.join(_JOIN_S)
    finally:
        library.removeFilter(_nothing)


def _nothing(_: logging.LogRecord) -> bool:
    return False
