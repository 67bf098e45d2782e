"""Which takes are refused, and with which words."""

import math

import numpy as np
import pytest
import soundfile
from audio_measures import RATE, SENTENCES, rms_dbfs
from hibari import Hibari

from speedd.audio import fault_of
from speedd.model import Rendered


def facts(seconds: float = 5.0, *, peak=-10.0, rms=-26.0, finite=True, stop_reason="end", fault="") -> Rendered:
    return Rendered(
        key="k",
        samples=round(seconds * RATE),
        sample_rate_hz=RATE,
        peak_dbfs=peak,
        rms_dbfs=rms,
        finite=finite,
        render_s=0.1,
        stop_reason=stop_reason,
        size_bytes=1,
        worker=0,
        fault=fault,
    )


def facts_of(wave: np.ndarray) -> Rendered:
    return facts(wave.size / RATE, peak=20 * math.log10(np.abs(wave).max()), rms=rms_dbfs(wave))


TEXT = "He had waited, as his father had, for a letter that would never come; still, he waited."


@pytest.mark.parametrize(
    ("rendered", "text", "words"),
    [
        (facts(finite=False), TEXT, "no numbers"),
        (facts(fault="it never came to an end"), TEXT, "it never came to an end"),
        (facts(0, peak=-math.inf, rms=-math.inf), TEXT, "no audio"),
        (facts(peak=-math.inf, rms=-math.inf), TEXT, "silent"),
        (facts(peak=-50.0, rms=-70.0), TEXT, "silent"),
        (facts(peak=-20.0, rms=-65.0), TEXT, "silent"),
        (facts(0.5), TEXT, "less than"),
        (facts(40.0), TEXT, "more than"),
        (facts(9.0), "No.", "more than"),
        (facts(60.0), "* * *", "more than"),
    ],
)
def test_a_bad_take_is_named_in_plain_words(rendered, text, words):
    assert words in (fault_of(rendered, text) or "")


@pytest.mark.parametrize(
    ("rendered", "text"),
    [
        (facts(6.0), TEXT),
        (facts(0.62, peak=-17.7, rms=-32.3), "I"),
        (facts(0, peak=-math.inf, rms=-math.inf, stop_reason="nothing_to_speak"), TEXT),
        (facts(0, peak=-math.inf, rms=-math.inf), "* * *"),
        (facts(0.2, peak=-63.0, rms=-75.0), "..."),
    ],
)
def test_a_good_take_passes(rendered, text):
    assert fault_of(rendered, text) is None


def test_pace_moves_the_bounds():
    assert fault_of(facts(20.0), "A short sentence, spoken slowly, as asked.") is not None
    assert fault_of(facts(20.0), "A short sentence, spoken slowly, as asked.", speed=0.5) is None


def test_what_the_voice_speaks_passes(takes):
    for take, sentence in zip(takes, SENTENCES, strict=True):
        assert fault_of(facts_of(soundfile.read(take, dtype="float32")[0]), sentence) is None


@pytest.mark.parametrize("speed", [0.5, 2.0])
def test_odd_texts_pass_at_any_pace(speed):
    voice = Hibari(threads=1)
    for text in (
        "I",
        "No.",
        "1895",
        "XII",
        "U.S.A.",
        "Mr. B.",
        "Supercalifragilisticexpialidocious.",
        "3.14159265358979",
    ):
        wave = np.asarray(voice(text, speed=speed, seed=1), dtype=np.float32)
        assert fault_of(facts_of(wave), text, speed=speed) is None, text
