"""A worker: a child process with one warm engine. It stores what it speaks and reports facts.

Four threads: the engine's (the main one), one that receives orders, one that encodes and stores takes off the engine's
path, and one that sends a heartbeat while there is work. While a fallback lets the engine of a card work on the CPU, it
does so in a fifth, which is as nice as the workers of a CPU engine are. A worker is started afresh, not forked, so that
it inherits no lock, no thread and no module, and it dies with its parent.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from speedd.common.processes import tie_to_parent
from speedd.engines.base import OutOfMemory, find
from speedd.errors import DeviceFullError, EngineError, VoiceError
from speedd.execution.protocol import Done, Heartbeat, NoRoom, Ready, Refused, Release, Setup, Speak, Stop, Warming
from speedd.execution.worker.connection import Line
from speedd.execution.worker.memory import Thrift
from speedd.execution.worker.request_queue import Desk
from speedd.execution.worker.take_writer import Store
from speedd.execution.worker.throttle import Answer
from speedd.model import Failed

if TYPE_CHECKING:
    from speedd.engines.base import Engine
    from speedd.model import Voice

OUT_OF_MEMORY = "the device ran out of memory"


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
    if setup.device == "cpu":
        os.nice(setup.nice)
    began_s = time.monotonic()
    try:
        engine = find(setup.engine).load(setup.options)
    except DeviceFullError as error:
        line.send(NoRoom(error.message))
        return
    thrift = Thrift(engine, setup.limits, clock=time.monotonic)
    desk = Desk(engine, line, thrift, reserve_bytes=setup.limits.reserve_bytes)
    store = Store(setup, desk.gauge, line)
    threading.Thread(target=_receive, args=(desk, line), name="orders", daemon=True).start()
    threading.Thread(target=_beat, args=(desk, line, setup.heartbeat_s), name="heartbeat", daemon=True).start()
    line.send(Ready(engine.info, desk.gauge(), time.monotonic() - began_s, rss_bytes()))
    _serve(engine, desk, thrift, store, line, nice=setup.nice)
    store.finish()
    engine.close()


def _serve(engine: Engine, desk: Desk, thrift: Thrift, store: Store, line: Line, *, nice: int) -> None:
    """Do what there is to do, until there is nothing more or no room for any of it.

    Args:
        engine: which does it.
        desk: what there is to do.
        thrift: what is done about memory.
        store: where takes go.
        line: to the parent.
        nice: added to the nice value of the engine of a card while it works on the CPU. Only a privileged process could
            take it away again when the engine is back on the card, which would then wait for its turn on the CPU: so
            it works there in a thread of its own. That alone is nice, with the threads that it starts: on Linux each
            has its own nice value (setpriority(2)).
    """
    while (task := desk.next_task()) is not None:
        if isinstance(task, Release):
            thrift.give_way(shrink=task.shrink)
            line.send(Heartbeat(rss_bytes(), desk.gauge()))
            continue
        thrift.review()
        try:
            if thrift.refuge == "cpu":
                with ThreadPoolExecutor(1, "engine", os.nice, (nice,)) as aside:
                    aside.submit(_work_off, engine, task, desk, thrift, store, line).result()
            else:
                _work_off(engine, task, desk, thrift, store, line)
        except DeviceFullError as error:
            in_hand = desk.in_hand
            order = thrift.run_out(max(1, len(in_hand)))
            if in_hand:
                desk.give_back(in_hand, OUT_OF_MEMORY)
            if order is Answer.GIVE_UP:
                line.send(NoRoom(error.message))
                return


def _work_off(engine: Engine, voice: Voice, desk: Desk, thrift: Thrift, store: Store, line: Line) -> None:
    """Speak what waits for a voice, and whatever else comes, until something has to change in the engine.

    Raises:
        DeviceFullError: if there is no room for that.
        EngineError: if the engine cannot be used, which may show only now.
    """
    if _make_ready(engine, voice, desk, thrift, line):
        _speak(engine, desk, thrift, store, line)


def _make_ready(engine: Engine, voice: Voice, desk: Desk, thrift: Thrift, line: Line) -> bool:
    """Change what is due in the engine and prewarm the voice; fail what waits for a voice that cannot be used.

    Returns:
        Whether it can be spoken with.

    Raises:
        DeviceFullError: if there is no room for that.
        EngineError: if the engine cannot be used, which may show only now.
    """
    due = thrift.is_due
    if desk.is_warm(voice) and not due:
        return True
    line.send(Warming(voice.name))
    try:
        if due:
            thrift.settle()
            desk.cool()
        engine.prewarm(voice)
    except VoiceError as error:
        for utterance in desk.reject(voice):
            line.send(Done(Failed(utterance.key, str(error)), desk.gauge()))
        return False
    finally:
        line.send(Warming(""))
    desk.warmed(voice)
    return True


def _speak(engine: Engine, desk: Desk, thrift: Thrift, store: Store, line: Line) -> None:
    """Let the engine speak until the desk closes.

    Raises:
        DeviceFullError: if a single row was too much, whatever holds.
    """
    answers = engine.synthesize(desk)
    for answer in answers:
        match answer:
            case OutOfMemory():
                order = thrift.run_out(len(desk.in_hand))
                desk.give_back(answer.keys, OUT_OF_MEMORY)
                if order is Answer.GIVE_UP:
                    raise DeviceFullError("There is not enough free memory for a single row.")
            case Failed():
                desk.finished(answer.key)
                line.send(Done(answer, desk.gauge()))
            case _ if np.isfinite(answer.wave).all() or not desk.once_more(answer.key):
                thrift.go_well()
                store.put(answer, desk.finished(answer.key), thrift.fallback)
    if desk.in_hand:
        raise RuntimeError(f"the engine left {len(desk.in_hand)} utterances without an answer")


def _receive(desk: Desk, line: Line) -> None:
    try:
        while not isinstance(order := line.receive(), Stop):
            if isinstance(order, Speak):
                desk.add(order.utterance)
            elif isinstance(order, Release):
                desk.release(order)
        desk.stop()
        line.receive()
    except EOFError:
        os._exit(1)  # the parent is gone: whatever is being spoken is for nobody


def _beat(desk: Desk, line: Line, period_s: float) -> None:
    while True:
        desk.busy.wait()
        line.send(Heartbeat(rss_bytes(), desk.gauge()))
        time.sleep(period_s)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
