"""Our loudness and true peak against FFmpeg's and against the definition."""

import numpy as np
import pytest
import soundfile
from audio_measures import RATE, heard, true_peak_dbtp
from hypothesis import given, settings
from hypothesis import strategies as st

from speedd.audio.levels import block_length, level, limiter_gains
from speedd.audio.loudness import block_true_peaks, cell_energies, integrated_lufs
from speedd.common.levels import amplitude, decibels


@pytest.mark.parametrize("rate", [16_000, 24_000, 44_100, 48_000])
def test_a_full_scale_sine_of_997_hz_has_minus_3_lufs(rate):
    sine = np.sin(2 * np.pi * 997 * np.arange(5 * rate) / rate).astype(np.float32)
    assert integrated_lufs(cell_energies(sine, rate)) == pytest.approx(-3.01, abs=0.05)


def test_speech_measures_as_ebur128_says(takes):
    wave = np.concatenate([soundfile.read(take, dtype="float32")[0] for take in takes])
    assert integrated_lufs(cell_energies(wave, RATE)) == pytest.approx(heard(wave)[0], abs=0.05)


def test_the_gate_leaves_out_long_silence(takes):
    wave, _ = soundfile.read(takes[1], dtype="float32")
    alone = integrated_lufs(cell_energies(wave, RATE))
    padded = np.concatenate((wave, np.zeros(60 * RATE, dtype=np.float32)))
    assert integrated_lufs(cell_energies(padded, RATE)) == pytest.approx(alone, abs=0.3)


def test_silence_has_no_loudness():
    assert integrated_lufs(cell_energies(np.zeros(RATE, dtype=np.float32), RATE)) == -np.inf


def test_true_peak_finds_what_lies_between_samples():
    # A quarter of the sampling rate, sampled 45 degrees off its crests: samples reach 0.707 of the peak.
    wave = (0.8 * np.sin(np.pi / 2 * np.arange(2400) + np.pi / 4)).astype(np.float32)
    wave *= np.hanning(wave.size).astype(np.float32)
    assert np.abs(wave).max() < 0.57
    assert block_true_peaks(wave, 24, of_interest=0.5).max() == pytest.approx(0.8, abs=0.01)


def test_true_peak_of_speech_is_that_of_an_endless_interpolator(takes):
    wave, _ = soundfile.read(takes[8], dtype="float32")
    wave = wave[: wave.size // 24 * 24]
    ours = decibels(float(block_true_peaks(wave, 24, of_interest=0.01).max()))
    assert ours == pytest.approx(true_peak_dbtp(wave), abs=0.2)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 8, width=32), min_size=1, max_size=300))
def test_limiter_gains_hold_every_block_under_the_ceiling(peaks):
    peaks = np.asarray(peaks, dtype=np.float32)
    ceiling = np.float32(0.6)
    gains = limiter_gains(peaks, ceiling)
    assert gains.shape == peaks.shape
    # A block is played with gains between its own and half-way to its neighbours'.
    edges = np.maximum(np.append(gains[1:], gains[-1]), np.insert(gains[:-1], 0, gains[0]))
    assert (np.maximum(gains, (gains + edges) / 2) * peaks <= ceiling * 1.0001).all()
    assert (gains[peaks <= ceiling * 0] <= 1).all()


def test_a_level_change_reaches_no_further_than_promised():
    rng = np.random.default_rng(1)
    wave = (0.2 * rng.standard_normal(RATE * 2)).astype(np.float32)
    other = wave.copy()
    other[: RATE // 2] = 0.0
    arguments = {"gain_db": 10.0, "loudness_lufs": -18.0, "ceilings": np.float32(amplitude(-4))}
    one = level(wave, RATE, **arguments)
    two = level(other, RATE, **arguments)
    reach = RATE // 2 + int(0.12 * RATE)
    assert np.array_equal(one[reach:], two[reach:])
    assert not np.array_equal(one[: RATE // 2], two[: RATE // 2])


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 44_100, 48_000])
def test_levelled_noise_stays_under_the_ceiling_at_any_rate(rate):
    rng = np.random.default_rng(2)
    wave = (0.5 * rng.standard_normal(block_length(rate) * 10 * 50)).astype(np.float32)
    out = level(wave, rate, gain_db=6.0, loudness_lufs=-18.0, ceilings=np.float32(0.5))
    assert decibels(float(block_true_peaks(out, block_length(rate), of_interest=0.1).max())) <= decibels(0.5) + 0.15
