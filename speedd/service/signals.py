"""Signals: SIGTERM and SIGINT stop in good order, a second SIGINT at once, SIGHUP looks at the inbox again."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from queue import SimpleQueue
from types import FrameType


def stop_on_signals(stop: threading.Event, *, rescan: threading.Event | None = None) -> Callable[[], None]:
    """Set ``stop`` on SIGTERM or SIGINT and ``rescan`` on SIGHUP. Call it from the main thread.

    After the first SIGINT the next one ends the process by Python's default means, at once.

    Args:
        stop: what to set when the program is to end.
        rescan: what to set when somebody wants the inbox looked at now; without it SIGHUP does nothing.
    Returns:
        a function that puts the former signal handlers back.
    """
    received: SimpleQueue[int] = SimpleQueue()

    def note(signum: int, _frame: FrameType | None) -> None:
        if signum == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        received.put(signum)

    def obey() -> None:
        while signum := received.get():
            if signum != signal.SIGHUP:
                stop.set()
            elif rescan is not None:
                rescan.set()

    # The handler must not set the events itself: it interrupts the main thread anywhere, also inside stop.wait(), which
    # holds the very lock that stop.set() takes. SimpleQueue.put is made to be called from a signal handler.
    threading.Thread(target=obey, name="signals", daemon=True).start()
    former = {signum: signal.signal(signum, note) for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}

    def restore() -> None:
        for signum, handler in former.items():
            signal.signal(signum, handler)
        received.put(0)

    return restore
