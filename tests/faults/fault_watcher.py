"""speedd with a watcher that tells on stderr what it does and breaks on signals: a program for tests 9 and 10.

It says ``watching`` whenever it begins to watch the inbox, and ``rung`` at every event. On SIGUSR1 watchdog's observer
thread dies, on SIGUSR2 the handler raises at the next event, and once.
"""

import json
import os
import signal
import sys

from speedd.cli import main
from speedd.inbox import watcher


def tell(event):
    os.write(2, (json.dumps({"event": event}) + "\n").encode())


class InboxWatcher(watcher.InboxWatcher):
    def start(self):
        watches = super().start()
        if watches:
            tell("watching")
        signal.signal(signal.SIGUSR1, lambda *_: self._observer.event_queue.put("no event"))
        return watches


class Ringer(watcher._Ringer):
    armed = False

    def dispatch(self, event):
        if Ringer.armed:
            Ringer.armed = False
            raise RuntimeError("the handler broke")
        tell("rung")
        super().dispatch(event)


def arm(*_):
    Ringer.armed = True


if __name__ == "__main__":
    import speedd.inbox

    signal.signal(signal.SIGUSR2, arm)
    speedd.inbox.InboxWatcher = InboxWatcher
    watcher._Ringer = Ringer
    sys.argv[0] = "speedd"
    main()
