"""Signals: SIGTERM and SIGINT stop in good order, a second SIGINT at once, SIGHUP looks at the inbox again."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

MOST_AT_ONCE = 64


def stop_on_signals(stop: threading.Event, *, rescan: threading.Event | None = None) -> Callable[[], None]:
    """Set ``stop`` on SIGTERM or SIGINT and ``rescan`` on SIGHUP. Call it from the main thread.

    After the first SIGINT the next one ends the process at once.

    Args:
        stop: what to set when the program is to end.
        rescan: what to set when somebody wants the inbox looked at now; without it SIGHUP does nothing.
    Returns:
        a function that puts the former signal handlers back.
    """
    # Python runs a handler when the main thread comes to its next instruction: not while that waits for a lock, if the
    # signal came just before the wait began, nor inside a long call of a library. And a handler may not set an event:
    # it interrupts the main thread anywhere, also inside stop.wait(), which holds the very lock that stop.set() takes.
    # So Python only writes each signal's number into a pipe, the moment it comes, and a thread reads them there.
    heard, told = os.pipe()
    os.set_blocking(told, False)

    def note(signum: int, _frame: FrameType | None) -> None:
        if signum == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)

    threading.Thread(target=_obey, args=(heard, stop, rescan), name="signals", daemon=True).start()
    former_fd = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    former = {signum: signal.signal(signum, note) for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}

    def restore() -> None:
        for signum, handler in former.items():
            signal.signal(signum, handler)
        signal.set_wakeup_fd(former_fd)
        os.close(told)

    return restore


def _obey(heard: int, stop: threading.Event, rescan: threading.Event | None) -> None:
    """Set the events as the pipe tells, until it is closed."""
    interrupted = False
    while signums := os.read(heard, MOST_AT_ONCE):
        for signum in signums:
            if interrupted and signum == signal.SIGINT:  # the main thread has not come to `note` since the first
                os._exit(128 + signal.SIGINT)
            interrupted |= signum == signal.SIGINT
            if signum in (signal.SIGTERM, signal.SIGINT):
                stop.set()
            elif signum == signal.SIGHUP and rescan is not None:
                rescan.set()
    os.close(heard)
