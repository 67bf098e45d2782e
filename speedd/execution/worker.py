"""A worker: a child process with one warm engine. It stores what it speaks and reports facts.

Four threads: the engine's (the main one), one that receives orders, one that encodes and stores takes off the engine's
path, and one that sends a heartbeat while there is work. It is started afresh, not forked, so that it inherits no lock,
no thread and no module, and it dies with its parent.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from speedd.engines.base import find
from speedd.errors import EngineError
from speedd.execution.desk import Desk
from speedd.execution.line import Line
from speedd.execution.messages import Done, Heartbeat, Ready, Refused, Setup, Speak
from speedd.execution.store import Store
from speedd.execution.tether import tie_to_parent
from speedd.model import Failed

if TYPE_CHECKING:
    from speedd.engines.base import Engine


def main(arguments: Sequence[str]) -> int:
    """Run a worker.

    Args:
        arguments: the file descriptor of the line to the parent, and the parent's pid.
    Returns:
        An exit status.
    """
    descriptor, parent = (int(argument) for argument in arguments)
    tie_to_parent(parent)
    os.set_inheritable(descriptor, False)
    line = Line(Connection(descriptor))
    try:
        setup = line.receive()
        assert isinstance(setup, Setup)
        _work(setup, line)
    except EOFError:
        return 1
    except EngineError as error:
        line.send(Refused(error.message, error.hint))
        return 1
    except Exception as error:  # noqa: BLE001  # the boundary of the process; its text could hold book text
        line.break_down(error)
    return 0


def rss_bytes() -> int:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _work(setup: Setup, line: Line) -> None:
    if setup.nice:
        os.nice(setup.nice)
    began_s = time.monotonic()
    engine = find(setup.engine).load(setup.options)
    desk = Desk(engine, line)
    store = Store(setup, engine, line)
    threading.Thread(target=_receive, args=(desk, line), name="orders", daemon=True).start()
    threading.Thread(target=_beat, args=(desk, line, setup.heartbeat_s), name="heartbeat", daemon=True).start()
    line.send(Ready(engine.info, engine.budget(), time.monotonic() - began_s, rss_bytes()))
    while (voice := desk.next_voice()) is not None:
        try:
            engine.prewarm(voice)
        except EngineError as error:
            for utterance in desk.reject(voice):
                line.send(Done(Failed(utterance.key, str(error)), engine.budget()))
            continue
        desk.warmed(voice)
        _speak(engine, desk, store, line)
    store.finish()
    engine.close()


def _speak(engine: Engine, desk: Desk, store: Store, line: Line) -> None:
    """Let the engine speak until the desk closes."""
    for result in engine.synthesize(desk):
        render_s = desk.finished(result.key)
        if isinstance(result, Failed):
            line.send(Done(result, engine.budget()))
        else:
            store.put(result, render_s)
    if desk.unfinished:
        raise RuntimeError(f"the engine left {desk.unfinished} utterances without an answer")


def _receive(desk: Desk, line: Line) -> None:
    try:
        while isinstance(order := line.receive(), Speak):
            desk.add(order.utterance)
        desk.stop()
        line.receive()
    except EOFError:
        os._exit(1)  # the parent is gone: whatever is being spoken is for nobody


def _beat(desk: Desk, line: Line, period_s: float) -> None:
    while True:
        desk.busy.wait()
        line.send(Heartbeat(rss_bytes()))
        time.sleep(period_s)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
