"""Measure the whole engine speaking: T3, S3Gen and watermark, texts in and takes out, and its memory."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from chatterbox_bench.order import Order
from chatterbox_bench.program import obey, peak_mb, timed_s
from chatterbox_bench.t3 import STYLE, TEXT, never_stopped
from speedd.commands.bench.naive import Given
from speedd.engines.base import EngineOptions, OutOfMemory
from speedd.engines.chatterbox import ChatterboxFactory
from speedd.engines.chatterbox.engine import ChatterboxEngine
from speedd.engines.chatterbox.memory.primitive_cache import keep_few_shapes
from speedd.engines.chatterbox.settings import ChatterboxSettings
from speedd.engines.chatterbox.weights.files import find_weights
from speedd.errors import DeviceFullError, EngineError
from speedd.model import Take, Utterance


def measure(order: Order) -> dict[str, Any]:
    """Speak what the order says, after a text that nobody measures; on a graphics card after all of them.

    There every size of batch is new once: graphs are recorded and kernels chosen.

    Returns:
        ``audio_s`` in all, ``seconds``, ``load_s``, and ``loaded_mb``: the highest resident memory while it was loaded.
    """
    began_s = time.perf_counter()
    engine = load(order)
    load_s, loaded_mb = time.perf_counter() - began_s, peak_mb()
    voice = engine.info.voices[0]
    texts = [TEXT.format(number) for number in range(order.chunks)]
    work = [Utterance(str(number), text, voice, STYLE, number) for number, text in enumerate(texts)]
    audio_s: list[float] = []

    def speak(some: Sequence[Utterance]) -> None:
        for answer in engine.synthesize(Given(some)):
            if isinstance(answer, OutOfMemory):
                raise DeviceFullError("There is no room for a text.")
            if not isinstance(answer, Take):
                raise EngineError(f"Chatterbox could not speak a text: {answer}.")
            audio_s.append(len(answer.wave) / answer.sample_rate_hz)

    speak(work if order.device == "cuda" else work[:1])
    audio_s.clear()
    seconds = timed_s(lambda: speak(work), order.device)
    engine.close()
    return {"audio_s": sum(audio_s), "seconds": seconds, "load_s": load_s, "loaded_mb": loaded_mb}


def load(order: Order) -> ChatterboxEngine:
    """Load the engine; generated weights never end by themselves, so every text is cut off at the order's tokens."""
    given = {
        "model": order.model,
        "weights": order.weights,
        "device": order.device,
        "precision": order.what,
        "rows": order.chunks,
        "reference_s": order.reference_s,
    }
    keep_few_shapes(os.environ)
    options = EngineOptions(ChatterboxSettings.model_validate(given))
    info = ChatterboxFactory().describe(options)
    weights = never_stopped(find_weights(options.settings.family, order.folder, "", {}))
    cut_off = replace(weights.family.guards, tokens_per_char=0.0, tokens_least=order.tokens)
    weights = replace(weights, family=replace(weights.family, guards=cut_off))
    return ChatterboxEngine(info, weights, options)


if __name__ == "__main__":
    obey(measure)
