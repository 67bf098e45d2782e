"""What lies before a worker's engine: the `Source` it draws from."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from speedd.execution.messages import Started
from speedd.execution.scheduler import Waiting, choose

if TYPE_CHECKING:
    from speedd.engines.base import Engine
    from speedd.execution.line import Line
    from speedd.model import Utterance, Voice


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
