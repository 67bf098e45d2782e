"""What one would write in an afternoon: load the engine, speak one text after the other, encode. A program of its own.

``python -m speedd.commands.bench.naive ORDER RESULT`` reads a JSON file and writes what it measured to another. The
order says ``what`` to do and where the speaker is. Of speedd it uses the engine alone.
"""

from __future__ import annotations

import json
import pickle
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from speedd.engines.base import Engine, EngineOptions, find
from speedd.errors import EngineError
from speedd.model import Take, Utterance, Voice

if TYPE_CHECKING:
    from speedd.model import Waveform

Speaker: TypeAlias = tuple[str, EngineOptions[Any], Sequence[Utterance]]
"""An engine's name, what it is given, and what it is to speak: pickled, because settings are the engine's own."""


class Given:
    """A source that hands out utterances until they are gone."""

    def __init__(self, utterances: Sequence[Utterance]) -> None:
        self._waiting = list(utterances)

    @property
    def closed(self) -> bool:
        """True once all have been taken."""
        return not self._waiting

    def take(self, max_rows: int, *, block: bool) -> list[Utterance]:  # noqa: ARG002 - it never has to wait
        """Return the next ones."""
        taken, self._waiting = self._waiting[:max_rows], self._waiting[max_rows:]
        return taken


def write_speaker(speaker: Speaker, folder: Path) -> dict[str, Any]:
    """Write who speaks into a folder; return what an order says of it."""
    path = folder / "speaker.pickle"
    path.write_bytes(pickle.dumps(speaker))
    return {"speaker": path}


def read_speaker(order: dict[str, Any]) -> Speaker:
    """Read who speaks in an order."""
    speaker: Speaker = pickle.loads(Path(order["speaker"]).read_bytes())  # noqa: S301 - our parent wrote it
    return speaker


def load(engine: str, options: EngineOptions[Any], voice: Voice) -> Engine:
    """Load an engine and get it ready for a voice."""
    loaded = find(engine).load(options)
    loaded.prewarm(voice)
    return loaded


def spoken(engine: Engine, utterance: Utterance) -> Waveform:
    """Let an engine speak one utterance and nothing beside it.

    Raises:
        EngineError: if it fails.
    """
    (answer,) = engine.synthesize(Given([utterance]))
    if not isinstance(answer, Take):
        raise EngineError(f"The engine could not speak a text: {answer}.")
    return answer.wave


def speak(order: dict[str, Any]) -> dict[str, float]:
    """Only speak, and keep nothing: what the engine alone can do, one text at a time.

    Returns:
        ``synthesize_s`` by the clock, ``cpu_s`` of the processor, and ``audio_s``.
    """
    name, options, work = read_speaker(order)
    engine = load(name, options, work[0].voice)
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    samples = sum(len(spoken(engine, one)) for one in work)
    took_s, took_cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    return {"synthesize_s": took_s, "cpu_s": took_cpu_s, "audio_s": samples / engine.info.sample_rate_hz}


def speak_and_encode(order: dict[str, Any]) -> dict[str, float]:
    """Speak and encode in turn, into one file. Measured from outside by the clock, from inside by the processor.

    Returns:
        Processor time in ``load_s``, ``synthesize_s`` and ``encode_s``; and ``audio_s``.
    """
    began = time.process_time()
    import av  # noqa: PLC0415 - loading is part of what is measured

    name, options, work = read_speaker(order)
    engine = load(name, options, work[0].voice)
    rate_hz = engine.info.sample_rate_hz
    loaded = time.process_time()
    encode_s = 0.0
    samples = 0
    with av.open(order["out"], "w", format="ipod") as file:
        stream = file.add_stream("aac", rate=rate_hz, layout="mono", options=order["coder"])
        stream.bit_rate = order["bitrate_kbps"] * 1000
        for one in work:
            wave = spoken(engine, one)
            if not len(wave):
                continue
            before = time.process_time()
            frame = av.AudioFrame.from_ndarray(wave[None, :], format="fltp", layout="mono")
            frame.sample_rate = rate_hz
            frame.pts = samples
            file.mux(stream.encode(frame))
            samples += len(wave)
            encode_s += time.process_time() - before
        before = time.process_time()
        file.mux(stream.encode(None))
    ended = time.process_time()
    encode_s += ended - before
    return {
        "load_s": loaded - began,
        "synthesize_s": ended - loaded - encode_s,
        "encode_s": encode_s,
        "audio_s": samples / rate_hz,
    }


def main() -> None:
    """Run an order; it says which of the two."""
    order = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    measured = (speak if order["what"] == "speak" else speak_and_encode)(order)
    Path(sys.argv[2]).write_text(json.dumps(measured), encoding="utf-8")


if __name__ == "__main__":
    main()
