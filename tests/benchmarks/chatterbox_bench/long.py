"""Let the engine speak thousands of texts on tiny weights: do its pace and its memory hold?

They are as long as texts can be, from one word up to more than a chunk's 300 characters, in two voices and more manners
than the engine keeps prompts of. No text comes twice: every window brings lengths that were never there before.
"""

from __future__ import annotations

import gc
import os
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from chatterbox_bench.order import Order
from chatterbox_bench.program import obey
from speedd.commands.bench import machine
from speedd.engines.base import EngineOptions
from speedd.engines.chatterbox import ChatterboxFactory
from speedd.engines.chatterbox.engine import ChatterboxEngine
from speedd.engines.chatterbox.settings import ChatterboxSettings
from speedd.errors import EngineError
from speedd.model import Style, Take, Utterance

WINDOWS = 10
WORDS = ("harbour", "lamp", "it", "was", "the", "evening", "nobody", "came", "and", "quietly", "stood", "of")
SHORTEST, LONGEST = 1, 60
"""Words of a text."""
EXAGGERATIONS = (0.25, 0.4, 0.5, 0.6, 0.75, 1.0)


class Endless:
    """A source that makes its texts as they are asked for, ``chunks`` in all."""

    def __init__(self, engine: ChatterboxEngine, chunks: int) -> None:
        (voice,) = engine.info.voices
        # To the engine, which knows voices by their digests, the second one is another.
        self._voices = voice, replace(voice, name="another", digest=voice.digest[::-1])
        self._chunks = chunks
        self._given = 0

    @property
    def closed(self) -> bool:
        """True once all have been taken."""
        return self._given >= self._chunks

    def take(self, max_rows: int, *, block: bool) -> list[Utterance]:
        """Return the next ones."""
        first, self._given = self._given, min(self._chunks, self._given + max_rows)
        return [self._utterance(number) for number in range(first, self._given)]

    def _utterance(self, number: int) -> Utterance:
        drawn = random.Random(number)
        text = " ".join(drawn.choices(WORDS, k=drawn.randint(SHORTEST, LONGEST)))
        style = Style(exaggeration=drawn.choice(EXAGGERATIONS), cfg_weight=drawn.choice((0.0, 0.5)))
        return Utterance(str(number), f"{text}.", drawn.choice(self._voices), style, number)


def measure(order: Order) -> dict[str, Any]:
    """Speak ``order.chunks`` texts.

    Returns:
        ``windows``: for each tenth of them ``chunks``, ``audio_s``, ``seconds``, ``cpu_s``, ``rss_mb`` at its end
        and how many ``objects``, ``tensors`` and ``hooks`` (of torch's modules) Python knows then.
    """
    given = {
        "weights": order.weights,
        "model": order.model,
        "device": order.device,
        "precision": order.what,
        "watermark": order.watermark,
    }
    engine = ChatterboxFactory().load(EngineOptions(ChatterboxSettings.model_validate(given)))
    torch.set_num_threads(order.threads)  # the engine took all cores, and tiny products only wait for each other
    window = max(1, order.chunks // WINDOWS)
    windows = list(_windows(engine, order.chunks, window))
    engine.close()
    return {"windows": windows}


def _windows(engine: ChatterboxEngine, chunks: int, window: int) -> Iterator[dict[str, float]]:
    audio_s, spoken = 0.0, 0
    began_s, cpu_s = time.perf_counter(), time.process_time()
    for answer in engine.synthesize(Endless(engine, chunks)):
        if not isinstance(answer, Take):
            raise EngineError(f"Chatterbox could not speak a text: {answer}.")
        audio_s += len(answer.wave) / answer.sample_rate_hz
        spoken += 1
        if spoken == window:
            now_s, now_cpu_s = time.perf_counter(), time.process_time()
            gc.collect()
            objects = gc.get_objects()
            # By type: `isinstance` would wake what torch imports on first use.
            modules = [one for one in objects if issubclass(type(one), torch.nn.Module)]
            yield {
                "chunks": spoken,
                "audio_s": audio_s,
                "seconds": now_s - began_s,
                "cpu_s": now_cpu_s - cpu_s,
                "objects": len(objects),
                "tensors": sum(type(one) is torch.Tensor for one in objects),
                "hooks": sum(len(one._forward_hooks) + len(one._forward_pre_hooks) for one in modules),
                "rss_mb": machine.memory_mb(os.getpid())["rss_mb"],
            }
            del objects, modules
            audio_s, spoken = 0.0, 0
            began_s, cpu_s = time.perf_counter(), time.process_time()


if __name__ == "__main__":
    obey(measure)
