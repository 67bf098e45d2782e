"""Let the engine speak thousands of texts on tiny weights: do its pace and its memory hold?

The same texts come again in every window, with the same seeds, so windows differ by nothing but their age.
"""

from __future__ import annotations

import gc
import os
import random
import time
from collections.abc import Iterator
from typing import Any

import torch

from speedd.bench import machine
from speedd.bench.chatterbox.order import Order
from speedd.bench.chatterbox.program import obey
from speedd.engines.chatterbox import ChatterboxFactory
from speedd.engines.chatterbox.engine import ChatterboxEngine
from speedd.errors import EngineError
from speedd.model import Style, Take, Utterance

WINDOWS = 10
WORDS = ("harbour", "lamp", "it", "was", "the", "evening", "nobody", "came", "and", "quietly", "stood", "of")
SHORTEST, LONGEST = 4, 40
"""Words of a text."""


class Endless:
    """A source that makes its texts as they are asked for, ``chunks`` in all, the same ones in every window."""

    def __init__(self, engine: ChatterboxEngine, chunks: int, window: int) -> None:
        self._voice = engine.info.voices[0]
        self._chunks, self._window = chunks, window
        self._given = 0

    @property
    def closed(self) -> bool:
        """True once all have been taken."""
        return self._given >= self._chunks

    def take(self, max_rows: int, *, block: bool) -> list[Utterance]:  # noqa: ARG002 - it never has to wait
        """Return the next ones."""
        first, self._given = self._given, min(self._chunks, self._given + max_rows)
        return [self._utterance(number) for number in range(first, self._given)]

    def _utterance(self, number: int) -> Utterance:
        drawn = random.Random(number % self._window)  # noqa: S311 - texts, not secrets
        text = " ".join(drawn.choices(WORDS, k=drawn.randint(SHORTEST, LONGEST)))
        style = Style(temperature=0.8, exaggeration=drawn.choice((0.3, 0.5, 0.7)), cfg_weight=drawn.choice((0.0, 0.5)))
        return Utterance(str(number), f"{text}.", self._voice, style, number % self._window)


def measure(order: Order) -> dict[str, Any]:
    """Speak ``order.chunks`` texts.

    Returns:
        ``windows``: for each tenth of them ``chunks``, ``audio_s``, ``seconds``, ``cpu_s``, ``rss_mb`` at its end and
        how many ``objects`` Python knows then.
    """
    given = {"weights": order.weights, "model": order.model, "device": order.device, "precision": order.what}
    engine = ChatterboxFactory().load({"chatterbox": given})
    torch.set_num_threads(order.threads)  # the engine took all cores, and tiny products only wait for each other
    window = max(1, order.chunks // WINDOWS)
    windows = list(_windows(engine, order.chunks, window))
    engine.close()
    return {"windows": windows}


def _windows(engine: ChatterboxEngine, chunks: int, window: int) -> Iterator[dict[str, float]]:
    audio_s, spoken = 0.0, 0
    began_s, cpu_s = time.perf_counter(), time.process_time()
    for answer in engine.synthesize(Endless(engine, chunks, window)):
        if not isinstance(answer, Take):
            raise EngineError(f"Chatterbox could not speak a text: {answer}.")
        audio_s += len(answer.wave) / answer.sample_rate_hz
        spoken += 1
        if spoken == window:
            now_s, now_cpu_s = time.perf_counter(), time.process_time()
            gc.collect()
            yield {
                "chunks": spoken,
                "audio_s": audio_s,
                "seconds": now_s - began_s,
                "cpu_s": now_cpu_s - cpu_s,
                "objects": len(gc.get_objects()),
                "rss_mb": machine.memory_mb(os.getpid())["rss_mb"],
            }
            audio_s, spoken = 0.0, 0
            began_s, cpu_s = time.perf_counter(), time.process_time()


if __name__ == "__main__":
    obey(measure)
