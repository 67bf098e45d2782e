"""A worker: a child process with one warm engine. It stores what it speaks and reports facts.

Four threads: the engine's (the main one), one that receives orders, one that encodes and stores takes off the engine's
path, and one that sends a heartbeat while there is work. The parent starts it with ``python -m``, not by fork, so that it
inherits no lock, no thread and no module, and it dies with its parent.
"""

from __future__ import annotations

import ctypes
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from speedd.engines.base import Engine, find
from speedd.errors import EngineError
from speedd.execution.messages import (
    Broken,
    Done,
    Heartbeat,
    NotStored,
    Ready,
    Refused,
    Report,
    Setup,
    Speak,
    Started,
)
from speedd.execution.scheduler import admit
from speedd.execution.takes import to_pcm16, write_take
from speedd.model import Failed, Rendered, Take, Utterance, Voice

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

PR_SET_PDEATHSIG = 1
STORE_QUEUE_TAKES = 2
"""Takes spoken and not yet on disk before the engine waits."""


class Line:
    """The line to the parent. Any thread may send."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, report: Report) -> None:
        """Send a report; without a parent there is nobody to work for."""
        try:
            with self._lock:
                self._connection.send(report)
        except OSError:
            os._exit(1)

    def receive(self) -> object:
        """Wait for an order.

        Raises:
            EOFError: if the parent is gone.
        """
        try:
            return self._connection.recv()
        except OSError as error:
            raise EOFError from error


class Desk:
    """The `Source` of this worker's engine: what is waiting, what the engine has taken, which voices are warm."""

    def __init__(self, engine: Engine, line: Line) -> None:
        self._engine = engine
        self._line = line
        self._changed = threading.Condition()
        self._waiting: deque[Utterance] = deque()
        self._running: dict[str, float] = {}
        self._warm: set[str] = set()
        self._stopping = False
        self.busy = threading.Event()

    def add(self, utterance: Utterance) -> None:
        """Put an utterance in the queue."""
        with self._changed:
            self._waiting.append(utterance)
            self.busy.set()
            self._changed.notify()

    def stop(self) -> None:
        """Give out nothing more."""
        with self._changed:
            self._stopping = True
            self._waiting.clear()
            self._changed.notify()

    def next_voice(self) -> Voice | None:
        """Wait for an utterance and say in which voice it is to be spoken; None if there will be none."""
        with self._changed:
            while not (self._waiting or self._stopping):
                self._changed.wait()
            return None if self._stopping else self._waiting[0].voice

    def warmed(self, voice: Voice) -> None:
        """Give out utterances in this voice from now on."""
        self._warm.add(voice.digest)

    def reject(self, voice: Voice) -> list[Utterance]:
        """Take back the utterances at the front that are in this voice."""
        with self._changed:
            rejected = []
            while self._waiting and self._waiting[0].voice == voice:
                rejected.append(self._waiting.popleft())
            self._settle()
            return rejected

    def finished(self, key: str) -> float:
        """Note that the engine is done with an utterance; return the seconds it took."""
        with self._changed:
            started_s = self._running.pop(key)  # a KeyError is the engine's fault: it answered what it was not asked
            self._settle()
            return time.monotonic() - started_s

    @property
    def unfinished(self) -> int:
        """How many utterances the engine has taken and not answered."""
        return len(self._running)

    @property
    def closed(self) -> bool:
        """True once this call of `synthesize` gets no more: at the end, or before a voice that is not warm yet."""
        with self._changed:
            return self._ends()

    def take(self, max_rows: int, *, block: bool) -> list[Utterance]:
        """Hand out what fits the engine's budget, first come first served."""
        with self._changed:
            while not self._waiting and block and not self._stopping:
                self._changed.wait()
            if not self._waiting or self._ends():
                return []
            ready: dict[str, Utterance] = {}
            for utterance in self._waiting:
                if utterance.voice.digest not in self._warm or utterance.key in (ready.keys() | self._running.keys()):
                    break  # two of one key would be told apart by nothing
                ready[utterance.key] = utterance
            count = admit(
                [len(utterance.text) for utterance in ready.values()],
                running_rows=len(self._running),
                max_rows=max_rows,
                budget=self._engine.budget(),
                limits=self._engine.info.limits,
            )
            taken = [self._waiting.popleft() for _ in range(count)]
            now_s = time.monotonic()
            self._running.update((utterance.key, now_s) for utterance in taken)
        if taken:
            self._line.send(Started(tuple(utterance.key for utterance in taken)))
        return taken

    def _settle(self) -> None:
        if not (self._running or self._waiting):
            self.busy.clear()

    def _ends(self) -> bool:
        if self._waiting:
            return self._waiting[0].voice.digest not in self._warm
        return self._stopping


class Store:
    """Stores takes in a thread of its own and reports each when it is safe on disk."""

    def __init__(self, setup: Setup, engine: Engine, line: Line) -> None:
        self._setup = setup
        self._engine = engine
        self._line = line
        self._takes: queue.Queue[tuple[Take, float] | None] = queue.Queue(STORE_QUEUE_TAKES)
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._thread.start()

    def put(self, take: Take, render_s: float) -> None:
        """Hand over a take; waits while the disk is behind."""
        self._takes.put((take, render_s))

    def finish(self) -> None:
        """Store what was handed over."""
        self._takes.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while (job := self._takes.get()) is not None:
                self._line.send(self._stored(*job))
        except Exception as error:  # noqa: BLE001  # the boundary of a thread
            _break_down(self._line, error)

    def _stored(self, take: Take, render_s: float) -> Done | NotStored:
        import numpy as np

        finite = bool(np.isfinite(take.wave).all())
        pcm = to_pcm16(take.wave if finite else take.wave[np.isfinite(take.wave)])
        size_bytes = 0
        if finite and len(pcm):
            try:
                size_bytes = write_take(self._setup.takes, take.key, pcm, take.sample_rate_hz)
            except OSError as error:
                return NotStored(take.key, error.strerror or type(error).__name__)
        return Done(
            Rendered(
                key=take.key,
                samples=len(take.wave),
                sample_rate_hz=take.sample_rate_hz,
                peak_dbfs=_dbfs(pcm, "peak"),
                rms_dbfs=_dbfs(pcm, "rms"),
                finite=finite,
                render_s=render_s,
                stop_reason=take.stop_reason,
                size_bytes=size_bytes,
                worker=self._setup.index,
            ),
            self._engine.budget(),
        )


def main(arguments: Sequence[str]) -> int:
    """Run a worker.

    Args:
        arguments: the file descriptor of the line to the parent, and the parent's pid.
    Returns:
        An exit status.
    """
    descriptor, parent = (int(argument) for argument in arguments)
    _tie_to(parent)
    os.set_inheritable(descriptor, False)  # noqa: FBT003
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
        _break_down(line, error)
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


def _tie_to(parent: int) -> None:
    """Die with the parent, and with nothing less: Ctrl-C and systemd signal the whole group, but the parent decides."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:
        os._exit(1)  # it died before we asked


def _break_down(line: Line, error: Exception) -> NoReturn:
    """Report the type and the place of an error, never its text, and end."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    line.send(Broken(f"{type(error).__name__} in {Path(frame.filename).name}, line {frame.lineno}"))
    os._exit(70)


def _dbfs(pcm: npt.NDArray[np.int16], kind: str) -> float:
    """Level of 16-bit samples, -inf for silence."""
    import numpy as np

    if not len(pcm) or not pcm.any():
        return float("-inf")
    wave = pcm.astype(np.float64) / 32768.0
    level = np.abs(wave).max() if kind == "peak" else np.sqrt(np.mean(wave * wave))
    return float(20.0 * np.log10(level))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
