"""Silence goes, speech stays."""

import numpy as np
import pytest
import soundfile
from audio_measures import RATE

from speedd.audio.trim import MARGIN_MS, faded, speech_bounds


def test_silence_around_a_sound_is_cut_to_the_margin():
    tone = 0.3 * np.sin(2 * np.pi * 300 * np.arange(RATE) / RATE)
    wave = np.concatenate((np.zeros(RATE // 2), tone, np.zeros(RATE))).astype(np.float32)
    start, stop = speech_bounds(wave, RATE)
    assert start == pytest.approx(RATE // 2 - RATE * MARGIN_MS // 1000, abs=RATE // 200)
    assert stop == pytest.approx(RATE // 2 + RATE + RATE * MARGIN_MS // 1000, abs=RATE // 200)


def test_no_energy_of_a_spoken_sentence_is_lost(takes):
    for take in takes:
        wave, _ = soundfile.read(take, dtype="float32")
        start, stop = speech_bounds(wave, RATE)
        cut = np.concatenate((wave[:start], wave[stop:]))
        frames = cut[: cut.size // 120 * 120].reshape(-1, 120)
        assert 10 * np.log10(np.mean(frames**2, axis=1).max() + 1e-12) < -55  # its speech is at -20
        assert start > 0.1 * RATE  # "I." begins after 0.2 s, and hibari leaves no silence after it
        assert wave.size - stop > 0.2 * RATE or take.stem == "10"


def test_the_cut_does_not_click(takes):
    wave, _ = soundfile.read(takes[3], dtype="float32")
    start, stop = speech_bounds(wave, RATE)
    trimmed = faded(wave[start:stop], RATE)
    assert trimmed[0] == 0.0
    assert abs(trimmed[-1]) < 1e-3


def test_a_take_that_starts_at_once_keeps_its_first_sample():
    tone = (0.3 * np.sin(2 * np.pi * 300 * np.arange(RATE) / RATE)).astype(np.float32)
    assert speech_bounds(tone, RATE) == (0, RATE)


@pytest.mark.parametrize("samples", [0, 1, 50, RATE])
def test_digital_silence_leaves_nothing(samples):
    assert speech_bounds(np.zeros(samples, dtype=np.float32), RATE) == (0, 0)
