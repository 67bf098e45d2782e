import numpy as np
import pytest
from aac_coders import compare, mel_distance_db, snr_db

from speedd.config import OutputSettings

RATE_HZ = 24_000


@pytest.fixture
def wave():
    """Two seconds of a buzz with noise: something in every band."""
    dice = np.random.default_rng(7)
    times_s = np.arange(2 * RATE_HZ) / RATE_HZ
    buzz = sum(np.sin(2 * np.pi * 150 * n * times_s) / n for n in range(1, 60))
    return (0.05 * buzz + 0.003 * dice.standard_normal(times_s.size)).astype(np.float32)


def test_what_is_the_same_has_no_distance(wave):
    assert mel_distance_db(wave, wave, RATE_HZ) == 0.0
    assert snr_db(wave, wave) > 100


def test_snr_is_the_level_of_the_difference(wave):
    assert snr_db(wave, wave * np.float32(1.1)) == pytest.approx(20.0, abs=0.01)


def test_a_louder_copy_is_as_far_away_in_every_band(wave):
    louder = wave * np.float32(10 ** (3 / 20))
    assert mel_distance_db(wave, louder, RATE_HZ) == pytest.approx(3.0, abs=0.05)


def test_a_lost_treble_shows_in_the_distance_though_not_in_the_snr(wave):
    spectrum = np.fft.rfft(wave)
    spectrum[np.fft.rfftfreq(wave.size, 1 / RATE_HZ) > 5000] = 0
    dull = np.fft.irfft(spectrum).astype(np.float32)
    assert snr_db(wave, dull) > 15
    assert mel_distance_db(wave, dull, RATE_HZ) > 4


def test_a_higher_rate_keeps_more(wave):
    def quality(kbps):
        return compare(wave, RATE_HZ, output=OutputSettings(bitrate_kbps=kbps))

    for low, high in zip(quality(32), quality(96), strict=True):
        assert low.coder == high.coder
        assert low.snr_db + 6 < high.snr_db
        assert low.mel_distance_db > high.mel_distance_db
        assert low.kbps < 45
        assert high.kbps > 80
