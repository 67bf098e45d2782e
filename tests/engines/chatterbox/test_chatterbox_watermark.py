import sys

import numpy as np
import pytest

from speedd.errors import EngineError

torch = pytest.importorskip("torch", reason="the chatterbox extra is not installed")
pytest.importorskip("perth", reason="the chatterbox extra is not installed")

from speedd.engines.chatterbox.s3gen.watermark import Watermark  # noqa: E402

RATE_HZ = 24_000


def speech_like(samples):
    t = np.arange(samples) / RATE_HZ
    tone = sum(np.sin(2 * np.pi * 140 * k * t) / k for k in range(1, 20)) * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * t))
    return (0.15 * tone + 0.01 * np.random.default_rng(0).normal(size=samples)).astype(np.float32)


@pytest.fixture(scope="module")
def watermark():
    torch.set_num_threads(1)  # as aside: how many there are decides the last bits
    made = Watermark(enabled=True, sample_rate_hz=RATE_HZ)
    yield made
    made.close()


def test_a_mark_is_found_in_what_was_marked_and_not_in_what_was_not(watermark):
    wave = speech_like(4 * RATE_HZ)
    marked = watermark.submit(wave, aside=True).result()
    assert np.mean(watermark._perth.get_watermark(marked, sample_rate=RATE_HZ)) > 0.9
    assert np.mean(watermark._perth.get_watermark(wave, sample_rate=RATE_HZ)) < 0.5
    assert 20 * np.log10(np.std(marked - wave) / np.std(wave)) < -10


@pytest.mark.parametrize("samples", [0, 1, 480, 959, 960, 24_001, 70_007])
def test_a_marked_wave_has_the_same_length_and_bits_each_time(watermark, samples):
    wave = speech_like(samples)
    before = wave.copy()
    aside, at_once = (watermark.submit(wave, aside=aside) for aside in (True, False))
    assert at_once.done()
    first, again = aside.result(), at_once.result()
    assert len(first) == samples
    assert first.dtype == np.float32
    assert np.array_equal(first, again)
    assert np.array_equal(wave, before)


def test_loud_waves_stay_within_bounds(watermark):
    marked = watermark.submit(np.sign(speech_like(RATE_HZ)) * np.float32(0.99), aside=True).result()
    assert np.abs(marked).max() <= 1


def test_switched_off_it_lets_everything_pass():
    wave = speech_like(100)
    assert Watermark(enabled=False, sample_rate_hz=RATE_HZ).submit(wave, aside=True).result() is wave


def test_without_perth_the_reason_and_the_way_out_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "perth", None)
    with pytest.raises(EngineError, match="watermark = false"):
        Watermark(enabled=True, sample_rate_hz=RATE_HZ)


def test_a_perth_without_pkg_resources_is_no_silent_switch(monkeypatch):
    monkeypatch.setattr("perth.PerthImplicitWatermarker", None)
    with pytest.raises(EngineError, match="pkg_resources"):
        Watermark(enabled=True, sample_rate_hz=RATE_HZ)
