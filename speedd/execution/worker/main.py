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

from speedd.engines.base import OutOfMemory, find
from speedd.errors import DeviceFullError, EngineError, VoiceError
from speedd.execution.protocol import Done, Heartbeat, NoRoom, Ready, Refused, Release, Setup, Speak, Stop, Warming
from speedd.execution.worker.connection import ParentConnection
from speedd.execution.worker.memory import WorkerMemory
from speedd.execution.worker.request_queue import RequestQueue
from speedd.execution.worker.take_writer import TakeWriter
from speedd.execution.worker.throttle import Answer
from speedd.model import Failed

if TYPE_CHECKING:
    from speedd.engines.base import Engine
    from speedd.model import Voice

OUT_OF_MEMORY = "the device ran out of memory"


def main(arguments: Sequence[str]) -> int:
    """Run a worker.

    Args:
        arguments: the file descriptor of the connection to the parent.
    Returns:
        An exit status.
    """
    (descriptor,) = map(int, arguments)
    os.set_inheritable(descriptor, False)
    connection = ParentConnection(Connection(descriptor))
    try:
        setup = connection.receive()
        assert isinstance(setup, Setup)
        _work(setup, connection)
    except EOFError:
        return 1
    except EngineError as error:
        connection.send(Refused(error.message, error.hint))
        return 1
    except Exception as error:  # noqa: BLE001  # the boundary of the process; its text could hold book text
        connection.break_down(error)
    return 0


def rss_bytes() -> int:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _work(setup: Setup, connection: ParentConnection) -> None:
    if setup.device == "cpu":
        os.nice(setup.nice)
    began_s = time.monotonic()
    try:
        engine = find(setup.engine).load(setup.options)
    except DeviceFullError as error:
        connection.send(NoRoom(error.message))
        return
    memory = WorkerMemory(engine, setup.limits, clock=time.monotonic)
    requests = RequestQueue(engine, connection, memory, reserve_bytes=setup.limits.reserve_bytes)
    writer = TakeWriter(setup, requests.gauge, connection)
    threading.Thread(target=_receive, args=(requests, connection), name="orders", daemon=True).start()
    threading.Thread(
        target=_beat, args=(requests, connection, setup.heartbeat_s), name="heartbeat", daemon=True
    ).start()
    connection.send(Ready(engine.info, requests.gauge(), time.monotonic() - began_s, rss_bytes()))
    _serve(engine, requests, memory, writer, connection, nice=setup.nice)
    writer.finish()
    engine.close()


def _serve(
    engine: Engine,
    requests: RequestQueue,
    memory: WorkerMemory,
    writer: TakeWriter,
    connection: ParentConnection,
    *,
    nice: int,
) -> None:
    """Serve requests until no more come, or there is no room for any.

    Args:
        engine: speaks.
        requests: what to speak.
        memory: reacts to a lack of memory.
        writer: where takes go.
        connection: to the parent.
        nice: added to the nice value of the engine of a card while a fallback lets it work on the CPU. It works there
            in a thread of its own, because only a privileged process could lower the value again. On Linux each thread
            has its own (setpriority(2)), and the threads that it starts inherit it.
    """
    while (task := requests.next_task()) is not None:
        if isinstance(task, Release):
            memory.release(shrink=task.shrink)
            connection.send(Heartbeat(rss_bytes(), requests.gauge()))
            continue
        memory.review()
        try:
            if memory.fallback_device == "cpu":
                with ThreadPoolExecutor(1, "engine", os.nice, (nice,)) as cpu_thread:
                    cpu_thread.submit(_speak_in_voice, engine, task, requests, memory, writer, connection).result()
            else:
                _speak_in_voice(engine, task, requests, memory, writer, connection)
        except DeviceFullError as error:
            running = requests.running
            order = memory.note_out_of_memory(max(1, len(running)))
            if running:
                requests.give_back(running, OUT_OF_MEMORY)
            if order is Answer.GIVE_UP:
                connection.send(NoRoom(error.message))
                return


def _speak_in_voice(
    engine: Engine,
    voice: Voice,
    requests: RequestQueue,
    memory: WorkerMemory,
    writer: TakeWriter,
    connection: ParentConnection,
) -> None:
    """Speak in a voice, and in any other warm one, until something has to change in the engine.

    Raises:
        DeviceFullError: if there is no room for that.
        EngineError: if the engine cannot be used, which may show only now.
    """
    if _make_ready(engine, voice, requests, memory, connection):
        _speak(engine, requests, memory, writer, connection)


def _make_ready(
    engine: Engine, voice: Voice, requests: RequestQueue, memory: WorkerMemory, connection: ParentConnection
) -> bool:
    """Apply the fallbacks that are due and prewarm the voice. Fail what waits for a voice that cannot be used.

    Returns:
        Whether it can be spoken with.

    Raises:
        DeviceFullError: if there is no room for that.
        EngineError: if the engine cannot be used, which may show only now.
    """
    due = memory.is_due
    if requests.is_warm(voice) and not due:
        return True
    connection.send(Warming(voice.name))
    try:
        if due:
            memory.apply_fallbacks()
            requests.mark_cold()
        engine.prewarm(voice)
    except VoiceError as error:
        for utterance in requests.reject(voice):
            connection.send(Done(Failed(utterance.key, str(error)), requests.gauge()))
        return False
    finally:
        connection.send(Warming(""))
    requests.mark_warm(voice)
    return True


def _speak(
    engine: Engine, requests: RequestQueue, memory: WorkerMemory, writer: TakeWriter, connection: ParentConnection
) -> None:
    """Let the engine speak until the request queue closes.

    Raises:
        DeviceFullError: if a single row was too much, even with all fallbacks.
    """
    answers = engine.synthesize(requests)
    for answer in answers:
        match answer:
            case OutOfMemory():
                order = memory.note_out_of_memory(len(requests.running))
                requests.give_back(answer.keys, OUT_OF_MEMORY)
                if order is Answer.GIVE_UP:
                    raise DeviceFullError("There is not enough free memory for a single row.")
            case Failed():
                requests.finished(answer.key)
                connection.send(Done(answer, requests.gauge()))
            case _ if np.isfinite(answer.wave).all() or not requests.retry_once(answer.key):
                memory.note_success()
                writer.put(answer, requests.finished(answer.key), memory.fallback)
    if requests.running:
        raise RuntimeError(f"the engine left {len(requests.running)} utterances without an answer")


def _receive(requests: RequestQueue, connection: ParentConnection) -> None:
    try:
        while not isinstance(order := connection.receive(), Stop):
            if isinstance(order, Speak):
                requests.add(order.utterance)
            elif isinstance(order, Release):
                requests.release(order)
        requests.stop()
        connection.receive()
    except EOFError:
        os._exit(1)  # the parent is gone, so nobody waits for what is being spoken


def _beat(requests: RequestQueue, connection: ParentConnection, period_s: float) -> None:
    while True:
        requests.busy.wait()
        connection.send(Heartbeat(rss_bytes(), requests.gauge()))
        time.sleep(period_s)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
