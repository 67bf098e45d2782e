"""An engine in a package of its own: everything that speedd asks of one, in the fewest lines.

It speaks in sine waves, at a pitch that its settings name, with a voice that `speedd check --download` fetches.
"""

import hashlib
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, Field

from speedd.engines.base import Budget, EngineInfo
from speedd.errors import EngineError, VoiceError
from speedd.model import Take, TextLimits, Voice

RATE_HZ = 24_000
S_PER_CHAR = 0.06
VOICE_FILE = "voice.txt"


class SampleSettings(BaseModel):
    """The table ``[engines.sample]``."""

    pitch_hz: Annotated[float, Field(ge=50, le=2000)] = 220.0
    edge: Literal["soft", "hard"] = "soft"


class SampleEngine:
    """Speaks one utterance after the other."""

    def __init__(self, info, settings):
        self.info = info
        self.settings = settings

    def prewarm(self, voice):
        if voice not in self.info.voices:
            raise VoiceError(f"The sample engine has no voice {voice.name!r}.")

    def budget(self):
        return Budget(rows=1, free_bytes=1 << 30, row_bytes=1 << 20)

    def synthesize(self, source):
        while utterances := source.take(1, block=True):
            for utterance in utterances:
                yield self.speak(utterance)

    def speak(self, utterance):
        if not any(character.isalnum() for character in utterance.text):
            return Take(utterance.key, np.zeros(0, np.float32), RATE_HZ, "nothing_to_speak")
        times_s = np.arange(int(S_PER_CHAR * len(utterance.text) * RATE_HZ)) / RATE_HZ
        wave = 0.1 * np.sin(2 * np.pi * (self.settings.pitch_hz * times_s + utterance.seed % 8 / 8))
        if self.settings.edge == "soft":
            wave *= np.minimum(1, np.minimum(times_s, times_s[::-1]) / 0.02)
        hoarse = "hoarse" in utterance.text and utterance.seed % 4 == 0
        return Take(utterance.key, wave.astype(np.float32), RATE_HZ, fault="the voice went hoarse" if hoarse else "")

    def close(self):
        pass


class SampleFactory:
    """What the entry point names."""

    settings = SampleSettings
    rank = 100

    def describe(self, options):
        try:
            voice = (options.folder / VOICE_FILE).read_bytes()
        except OSError as error:
            raise EngineError(
                f"The voice of the sample engine is not in {options.folder}.",
                hint="Fetch it with `speedd check --download`.",
                brief="has no voice yet",
            ) from error
        digest = hashlib.sha256(voice).hexdigest()
        return EngineInfo(
            name="sample",
            version="1.0",
            model_digest=digest,
            sample_rate_hz=RATE_HZ,
            languages=("en",),
            style_fields=(),
            clones_voices=False,
            voices=(Voice("fork", digest),),
            limits=TextLimits(best_chars=200, max_chars=400),
            # What of the settings is heard belongs here: takes made with other settings are then not taken for these.
            numerics={"pitch_hz": str(options.settings.pitch_hz), "edge": options.settings.edge},
        )

    def load(self, options):
        return SampleEngine(self.describe(options), options.settings)

    def prepare(self, options):
        options.folder.mkdir(parents=True, exist_ok=True)
        (options.folder / VOICE_FILE).write_text("a tuning fork\n", encoding="utf-8")  # yours would download it
        return "the voice of the sample engine, version 1.0"


FACTORY = SampleFactory()
