"""What one would write in an afternoon: load the voice, speak one text after the other, encode. A program of its own.

``python -m speedd.commands.bench.naive ORDER RESULT`` reads the texts from a JSON file and writes what it
measured to another. It runs on one thread and imports nothing of speedd.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

SAMPLE_S = 60.0
"""How much of what was spoken is kept for listening to coders."""


def speak(order: dict[str, Any]) -> dict[str, float]:
    """Only speak, and keep nothing: what the voice alone can do on one core.

    Returns:
        ``synthesize_s`` by the clock and ``cpu_s`` of the processor, ``audio_s``, and ``sample_rate_hz``.
    """
    import numpy as np  # noqa: PLC0415 - loading is part of what is measured
    from hibari import Hibari  # noqa: PLC0415

    hibari = Hibari(threads=1)
    hibari("Ready.", seed=0)
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    samples = 0
    kept: list[Any] = []
    for text, seed in order["texts"]:
        wave = hibari(text, seed=seed)
        if samples < SAMPLE_S * hibari.sample_rate:
            kept.append(wave)
        samples += len(wave)
    took_s, took_cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    np.save(order["sample"], np.concatenate(kept))
    return {
        "synthesize_s": took_s,
        "cpu_s": took_cpu_s,
        "audio_s": samples / hibari.sample_rate,
        "sample_rate_hz": hibari.sample_rate,
    }


def speak_and_encode(order: dict[str, Any]) -> dict[str, float]:
    """Speak and encode in turn, into one file. Measured from outside by the clock, from inside by the processor.

    Returns:
        Processor time in ``load_s``, ``synthesize_s`` and ``encode_s``; and ``audio_s``.
    """
    began = time.process_time()
    import av  # noqa: PLC0415 - loading is part of what is measured
    from hibari import Hibari  # noqa: PLC0415

    hibari = Hibari(threads=1)
    loaded = time.process_time()
    encode_s = 0.0
    samples = 0
    with av.open(order["out"], "w", format="ipod") as file:
        stream = file.add_stream("aac", rate=hibari.sample_rate, layout="mono", options=order["options"])
        stream.bit_rate = order["bitrate_kbps"] * 1000
        for text, seed in order["texts"]:
            wave = hibari(text, seed=seed)
            if not len(wave):
                continue
            spoken = time.process_time()
            frame = av.AudioFrame.from_ndarray(wave[None, :], format="fltp", layout="mono")
            frame.sample_rate = hibari.sample_rate
            frame.pts = samples
            file.mux(stream.encode(frame))
            samples += len(wave)
            encode_s += time.process_time() - spoken
        spoken = time.process_time()
        file.mux(stream.encode(None))
    ended = time.process_time()
    encode_s += ended - spoken
    return {
        "load_s": loaded - began,
        "synthesize_s": ended - loaded - encode_s,
        "encode_s": encode_s,
        "audio_s": samples / hibari.sample_rate,
    }


def main() -> None:
    """Run an order; it says which of the two."""
    order = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    measured = (speak if order["what"] == "speak" else speak_and_encode)(order)
    Path(sys.argv[2]).write_text(json.dumps(measured), encoding="utf-8")


if __name__ == "__main__":
    main()
