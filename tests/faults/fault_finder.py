"""Find what lies in an inbox as the daemon does, by watcher and scan, and tell it: a program for `test_faults_08`.

``fault_finder.py INBOX EXPECTED WATCHES``: takes so many inotify watches first, says ``listening`` when its watcher is
up or has failed, then one JSON object when it found so many sources, or when nothing new came for a while.
"""

import ctypes
import json
import sys
import threading
import time
from pathlib import Path

from speedd.inbox import InboxWatcher, Scanner

SETTLE_S = 0.5
SCAN_S = 2.0
PATIENCE_S = 90
IN_CREATE = 0x100


class Bell(threading.Event):
    """Counts how often it is rung."""

    rung = 0

    def set(self):
        self.rung += 1
        super().set()


def use_up_watches(count, place):
    """Take watches until there is none left, at most so many; return how many there were."""
    libc = ctypes.CDLL(None, use_errno=True)
    inotify = libc.inotify_init()
    for number in range(count):
        watched = place / f"watched-{number}"
        watched.mkdir()
        if libc.inotify_add_watch(inotify, str(watched).encode(), IN_CREATE) < 0:
            return number
    return count


def main(inbox, expected, watches):
    used = use_up_watches(watches, inbox.parent)
    found = set()
    bell = Bell()
    watcher = InboxWatcher(inbox, bell)
    watcher.start()
    scanner = Scanner(inbox, settle_s=SETTLE_S, known=lambda candidate: candidate.source in found)
    sys.stdout.write("listening\n")
    sys.stdout.flush()
    give_up = time.monotonic() + PATIENCE_S
    while len(found) < expected and time.monotonic() < give_up:
        bell.wait(min(SCAN_S, SCAN_S if scanner.due_s is None else max(0.05, scanner.due_s)))
        bell.clear()
        found.update(candidate.source for candidate in scanner.scan())
    sys.stdout.write(json.dumps({"found": len(found), "rung": bell.rung, "fault": watcher.fault, "watches": used}))
    watcher.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
