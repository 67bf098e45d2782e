"""The request queue of a worker: the `UtteranceSource` of its engine."""

from __future__ import annotations

import bisect
import threading
import time
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from speedd.execution.protocol import Gauge, Release, Returned, Started
from speedd.execution.scheduler import QueuedRow, choose, room_bytes, row_cost_bytes

if TYPE_CHECKING:
    from speedd.engines.base import Budget, Engine
    from speedd.execution.worker.connection import ParentConnection
    from speedd.execution.worker.memory import WorkerMemory
    from speedd.model import Utterance, Voice


@dataclass(slots=True, eq=False)
class Request:
    """An utterance at this worker."""

    place: int
    """How many came before it."""
    utterance: Utterance
    waiting: QueuedRow
    started_s: float = 0.0
    retried: bool = False
    """Whether it was given back because of a glitch before."""


class RequestQueue:
    """What waits for this worker's engine, what the engine has taken, and which voices are warm.

    Args:
        engine: takes utterances from it.
        connection: to the parent.
        memory: says how many rows may be in the engine.
        reserve_bytes: memory of the device that stays free.
    """

    def __init__(
        self, engine: Engine, connection: ParentConnection, memory: WorkerMemory, *, reserve_bytes: int
    ) -> None:
        self._engine = engine
        self._connection = connection
        self._memory = memory
        self._reserve_bytes = reserve_bytes
        self._changed = threading.Condition()
        self._places = count()
        self._waiting: list[Request] = []
        self._running: dict[str, Request] = {}
        self._warm: set[str] = set()
        self._stopping = False
        self._release: Release | None = None
        self.busy = threading.Event()

    def add(self, utterance: Utterance) -> None:
        """Put an utterance in the queue."""
        with self._changed:
            self._waiting.append(Request(next(self._places), utterance, QueuedRow(len(utterance.text))))
            self.busy.set()
            self._changed.notify()

    def release(self, order: Release) -> None:
        """Have the engine emptied, and memory given back."""
        with self._changed:
            self._release = order
            self._changed.notify()

    def stop(self) -> None:
        """Hand out nothing more."""
        with self._changed:
            self._stopping = True
            self._waiting.clear()
            self._note_idle()
            self._changed.notify()

    def next_task(self) -> Voice | Release | None:
        """Wait until there is something to do. The engine is empty.

        Returns:
            An order about memory, or the voice of the next utterance. None if nothing more will come.
        """
        with self._changed:
            while not (self._waiting or self._stopping or self._release):
                self._changed.wait()
            if self._stopping:
                return None
            order, self._release = self._release, None
            return order or self._waiting[0].utterance.voice

    def is_warm(self, voice: Voice) -> bool:
        """Whether the engine was prewarmed with a voice since its fallbacks changed."""
        return voice.digest in self._warm

    def mark_warm(self, voice: Voice) -> None:
        """Hand out utterances in this voice from now on."""
        self._warm.add(voice.digest)

    def mark_cold(self) -> None:
        """Have every voice prewarmed again, since the engine has changed."""
        self._warm.clear()

    def reject(self, voice: Voice) -> list[Utterance]:
        """Take back the utterances at the front that are in this voice."""
        with self._changed:
            rejected = []
            while self._waiting and self._waiting[0].utterance.voice == voice:
                rejected.append(self._waiting.pop(0).utterance)
            self._note_idle()
            return rejected

    def finished(self, key: str) -> float:
        """Note that the engine is done with an utterance. Return the seconds it took."""
        with self._changed:
            request = self._running.pop(key)  # a KeyError is the engine's fault: it was not asked for this
            self._note_idle()
            return time.monotonic() - request.started_s

    def give_back(self, keys: tuple[str, ...], why: str) -> None:
        """Put utterances that the engine dropped back to their places in the queue."""
        with self._changed:
            for key in keys:
                bisect.insort(self._waiting, self._running.pop(key), key=lambda request: request.place)
        self._connection.send(Returned(keys, why, self.gauge()))

    def retry_once(self, key: str) -> bool:
        """Give an utterance back because of a glitch, unless that was done before. Return whether it was given back."""
        request = self._running[key]
        if request.retried:
            return False
        request.retried = True
        self.give_back((key,), "a sample was no number")
        return True

    @property
    def running(self) -> tuple[str, ...]:
        """The keys of the utterances that the engine has taken and not answered."""
        return tuple(self._running)

    def gauge(self) -> Gauge:
        """Say how full the engine is."""
        budget = self._engine.budget()
        with self._changed:
            cap = self._memory.rows_cap(budget.rows)
            known = [request.waiting.chars for request in (*self._running.values(), *self._waiting)]
            costs = [row_cost_bytes(chars, budget, self._engine.info.limits) for chars in known] or [budget.row_bytes]
            more = max(0, self._room_bytes(budget)) * len(costs) // max(1, sum(costs))
            rows = len(self._running)
            return Gauge(rows, max(1, min(cap, rows + more)), budget, self._memory.active)

    @property
    def closed(self) -> bool:
        """Whether this call of `synthesize` gets no more: at the end, or before something changes in the engine."""
        with self._changed:
            return self._is_closed()

    def take(self, max_rows: int, *, block: bool) -> list[Utterance]:
        """Hand out what fits the engine's budget, as `scheduler.choose` chooses."""
        with self._changed:
            while block and not (self._waiting or self._stopping or self._release):
                self._changed.wait()
            if not self._waiting or self._is_closed():
                return []
            ready: dict[str, Request] = {}
            for request in self._waiting:
                key = request.utterance.key
                if request.utterance.voice.digest not in self._warm or key in (ready.keys() | self._running.keys()):
                    break  # nothing would tell two of one key apart
                ready[key] = request
            candidates = list(ready.values())
            budget = self._engine.budget()
            chosen = choose(
                [request.waiting for request in candidates],
                [request.waiting.chars for request in self._running.values()],
                max_rows=max_rows,
                rows_cap=self._memory.rows_cap(budget.rows),
                budget=budget,
                limits=self._engine.info.limits,
                reserve_bytes=self._reserve_bytes,
            )
            taken = [candidates[index] for index in chosen]
            now_s = time.monotonic()
            for request in taken:
                self._waiting.remove(request)
                request.started_s = now_s
                self._running[request.utterance.key] = request
        if taken:
            self._connection.send(Started(tuple(request.utterance.key for request in taken)))
        return [request.utterance for request in taken]

    def _room_bytes(self, budget: Budget) -> int:
        running = [request.waiting.chars for request in self._running.values()]
        return room_bytes(running, budget, self._engine.info.limits, self._reserve_bytes)

    def _note_idle(self) -> None:
        if not (self._running or self._waiting):
            self.busy.clear()

    def _is_closed(self) -> bool:
        if self._release:
            return True
        if self._waiting:
            return self._memory.is_due or self._waiting[0].utterance.voice.digest not in self._warm
        return self._stopping
