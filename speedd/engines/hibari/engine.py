"""Hibari: a small English voice on one CPU core, in the base install, offline.

Apache-2.0, ONNX, 24 kHz, about 180 times realtime per core. It leaves some 300 ms before and 445 ms after each sentence
and joins sentences without control, so an utterance holds one sentence and pauses are set between utterances.
"""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from speedd.engines.base import Budget, EngineInfo, EngineOptions, UtteranceSource
from speedd.engines.hibari.text import REVISION, before_numerals, readable
from speedd.errors import EngineError, VoiceError
from speedd.model import Failed, Notation, Take, TextLimits, Utterance, Voice

if TYPE_CHECKING:
    import numpy.typing as npt
    from hibari import Hibari

    from speedd.model import Waveform

SAMPLE_RATE_HZ = 24_000

LIMITS = TextLimits(best_chars=200, max_chars=360, min_chars=1, one_sentence=True)
"""Hibari itself cuts a sentence of more than 400 phonemes at a clause, where nobody controls the join. Over the 1,950
sentences of The Time Machine a character gives 1.00 phonemes in the middle and 1.11 at the 99th percentile."""

SPEAKS = tuple(Notation)
"""What Hibari's own text front end says right in every hard phrase of our tests. Of money, dates, units, fractions,
Roman numerals, abbreviations, ranges and addresses it gets some wrong, so those are put into words for it."""

MAX_PHONEMES = 400
"""Longest run given to the network. Memory grows with it: 36 s of speech cost about 100 MB."""

ROW_BYTES = 60_000_000
"""What an utterance of `TextLimits.best_chars` costs while it is spoken (measured by peak RSS)."""

LOADED_VOICES = 2
"""Voices kept in memory; each costs some 30 MB."""

NOISE_VALUES = 1 << 22
"""Drawn once, 17 MB: more than the breath of 36 s takes, the most that `MAX_PHONEMES` have needed."""


class HibariFactory:
    """Describes and loads Hibari."""

    settings: Final = None
    rank: Final = 10

    def describe(self, options: EngineOptions[Any]) -> EngineInfo:  # noqa: ARG002
        """Describe Hibari without loading onnxruntime; complete, so takes can be named before a worker is up.

        Raises:
            EngineError: if the package is missing or broken.
        """
        try:
            from hibari.dsp import FFT_BACKEND
            from hibari.voices import DEFAULT, VOICES, voice_path

            release = version("hibari-tts")
            runtime = version("onnxruntime")
        except (ImportError, PackageNotFoundError) as error:
            raise EngineError(
                f"The engine hibari is not completely installed: {error}.",
                hint="Try: pip install hibari-tts",
                brief="is not completely installed",
            ) from error
        voices = []
        for name in sorted(VOICES, key=lambda name: (name != DEFAULT, name)):
            try:
                path = Path(voice_path(name, download_missing=False))
                digest = _digest(path)
            except OSError:
                continue
            if digest == VOICES[name]["sha256"]:  # a torn download is no voice
                voices.append(Voice(name=name, digest=digest))
        if not voices or voices[0].name != DEFAULT:
            raise EngineError("The voice that comes with hibari is missing or damaged.", hint="Install hibari again.")
        fft = FFT_BACKEND if FFT_BACKEND != "numpy" else f"numpy-{version('numpy')}"
        return EngineInfo(
            name="hibari",
            version=release,
            model_digest=voices[0].digest,
            sample_rate_hz=SAMPLE_RATE_HZ,
            languages=("en",),
            style_fields=("speed",),
            clones_voices=False,
            voices=tuple(voices),
            limits=LIMITS,
            speaks=SPEAKS,
            numerics={
                "fft_backend": fft,
                "noise": f"stored {NOISE_VALUES}",
                "onnxruntime": runtime,
                "text": str(REVISION),
                "threads": "1",
            },
        )

    def load(self, options: EngineOptions[Any]) -> HibariEngine:
        """Load the default voice.

        Raises:
            EngineError: if onnxruntime or the model cannot be loaded.
        """
        info = self.describe(options)
        if find_spec("onnxruntime") is None:
            raise EngineError("onnxruntime is missing.", hint="Try: pip install onnxruntime")
        return HibariEngine(info)


FACTORY = HibariFactory()


class HibariEngine:
    """Hibari with its voices in memory, speaking one utterance after the other."""

    def __init__(self, info: EngineInfo) -> None:
        from hibari.g2p.normalize import ROMAN_CARDINAL, ROMAN_ORDINAL

        self.info = info
        self._numerals = before_numerals([*ROMAN_CARDINAL, *ROMAN_ORDINAL])
        self._noise = np.random.default_rng(0).standard_normal(NOISE_VALUES, dtype=np.float32)
        self._loaded: OrderedDict[str, Hibari] = OrderedDict()
        self.prewarm(info.voices[0])

    def prewarm(self, voice: Voice) -> None:
        """Load a voice and the dictionaries and speak a word, so that the first utterance takes as long as any.

        Raises:
            VoiceError: if Hibari has no such voice on this machine, or it cannot be loaded.
        """
        self._voice(voice)("Ready.", seed=0)

    def budget(self) -> Budget:
        """One utterance at a time: more at once would cost memory and win nothing on one thread."""
        return Budget(rows=1, free_bytes=_available_bytes(), row_bytes=ROW_BYTES)

    def synthesize(self, source: UtteranceSource) -> Iterator[Take | Failed]:
        """Speak what the source gives, in its order."""
        while utterances := source.take(1, block=True):
            for utterance in utterances:
                yield self._speak(utterance)

    def close(self) -> None:
        """Let go of the models."""
        self._loaded.clear()

    def _speak(self, utterance: Utterance) -> Take | Failed:
        # A malformed text can raise nearly anything out of the dictionaries; here one text's failure becomes a value.
        try:
            wave = self._wave(utterance)
        except VoiceError as error:
            return Failed(utterance.key, str(error))
        except Exception as error:  # noqa: BLE001
            return Failed(utterance.key, f"hibari cannot speak this text ({type(error).__name__})")
        return Take(utterance.key, wave, SAMPLE_RATE_HZ, "end" if len(wave) else "nothing_to_speak")

    def _wave(self, utterance: Utterance) -> Waveform:
        from hibari.voices import VOICES

        hibari = self._voice(utterance.voice)
        noise = StoredNoise(self._noise, utterance.seed)
        text = readable(utterance.text, self._numerals, british=VOICES[utterance.voice.name]["british"])
        # A lone "…" or "?" has phonemes to Hibari and becomes a third of a second of breath.
        spoken = any(char.isalnum() for char in utterance.text) or any(char in "%&@#$£€+=" for char in utterance.text)
        waves = [
            hibari.from_ids(hibari.ids(run), utterance.style.speed, noise)
            for run in (_runs(hibari.phonemize(text)) if spoken else ())
        ]
        return np.concatenate(waves) if waves else np.zeros(0, np.float32)

    def _voice(self, voice: Voice) -> Hibari:
        if voice.name in self._loaded:
            self._loaded.move_to_end(voice.name)
            return self._loaded[voice.name]
        if voice.name not in {own.name for own in self.info.voices}:
            raise VoiceError(f'hibari has no voice "{voice.name}" on this machine.')
        while len(self._loaded) >= LOADED_VOICES:
            self._loaded.popitem(last=False)
        self._loaded[voice.name] = _load(voice.name)
        return self._loaded[voice.name]


class StoredNoise:
    """Stands in for the numpy generator that Hibari draws the noise of its voice from: reads what was drawn before.

    Hibari draws 1,202 normal values for each 12.5 ms, which is a sixth of all its time; here they are read from a place
    that the seed chooses. It sounds no different: only the order of the same kind of values is another.

    Args:
        values: normal values, float32, shape [n].
        seed: of the utterance; the same seed gives the same noise.
    """

    def __init__(self, values: npt.NDArray[np.float32], seed: int) -> None:
        self._values = values
        self._places = np.random.default_rng(seed)

    def standard_normal(self, shape: tuple[int, ...], dtype: type[np.float32]) -> npt.NDArray[np.float32]:  # noqa: ARG002
        """Give normal values that the caller may write over, float32 of that shape."""
        wanted = math.prod(shape)
        if wanted > len(self._values):
            return self._places.standard_normal(shape, dtype=np.float32)
        place = int(self._places.integers(len(self._values) - wanted + 1))
        return self._values[place : place + wanted].reshape(shape).copy()


def _load(voice: str) -> Hibari:
    """Load a voice with a session that gives memory back after each utterance.

    Hibari's own session keeps an arena as large as the longest sentence so far: 355 MB of RSS after The Time Machine
    against 284 MB without it, for 3 % of the speed. The bits are the same.
    """
    try:
        import onnxruntime
        from hibari import Hibari
        from hibari.voices import voice_path

        model = voice_path(voice, download_missing=False)
        hibari = Hibari(voice=voice, model=model, threads=1)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = settings.inter_op_num_threads = 1
        settings.enable_cpu_mem_arena = False
        settings.enable_mem_pattern = False
        settings.log_severity_level = 3
        hibari.sess = onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    except (ImportError, OSError, RuntimeError) as error:
        raise VoiceError(f'The voice "{voice}" of hibari cannot be loaded: {error}.') from error
    return hibari


def _runs(sentences: Iterable[str]) -> Iterator[str]:
    """Join the phonemes of what Hibari takes for sentences, up to `MAX_PHONEMES`: between two waves lie 0.67 s.

    Phonemes without any clause mark, which Hibari would take whole whatever their length, are cut.
    """
    run = ""
    for phonemes in sentences:
        # Marks after the end of a sentence ("myself. …") come as a sentence of their own.
        if not any(map(str.isalpha, phonemes)):
            continue
        if run and len(run) + 1 + len(phonemes) > MAX_PHONEMES:
            yield run
            run = ""
        run = f"{run} {phonemes}" if run else phonemes
        while len(run) > MAX_PHONEMES:
            cut = run.rfind(" ", 1, MAX_PHONEMES) + 1 or MAX_PHONEMES
            yield run[:cut]
            run = run[cut:]
    if run:
        yield run


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _available_bytes() -> int:
    """Memory that programs can still have, as the kernel estimates it; 0 where it does not say."""
    try:
        with Path("/proc/meminfo").open(encoding="ascii") as lines:
            return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), 0)
    except OSError:
        return 0
