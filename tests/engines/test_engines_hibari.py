"""The noise of hibari's voice is read from what was drawn once; it must be the same voice as hibari draws itself."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import numpy.typing as npt
import pytest
from hibari import Hibari

from speedd.engines.hibari import FACTORY, MAX_PHONEMES, NOISE_VALUES, HibariEngine, StoredNoise
from speedd.model import Style, Take, Utterance

TEXT = "She sells sea shells by the sea shore, and hushes the fish with a whisper."


@pytest.fixture(scope="module")
def engine() -> HibariEngine:
    return FACTORY.load({})


def spoken(engine: HibariEngine, seed: int, text: str = TEXT) -> npt.NDArray[np.float32]:
    utterance = Utterance("key", text, engine.info.voices[0], Style(), seed)
    given = [[utterance]]

    class Once:
        def take(self, rows: int, *, block: bool) -> list[Utterance]:
            return given.pop() if given else []

    (take,) = engine.synthesize(Once())  # type: ignore[arg-type]
    assert isinstance(take, Take), take
    return take.wave


def bands_db(wave: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Power of the whole in 24 bands of 500 Hz."""
    frames = wave[: wave.size // 480 * 480].reshape(-1, 480) * np.hanning(480)
    power = (np.abs(np.fft.rfft(frames, axis=1)) ** 2).mean(axis=0)[:240]
    return 10.0 * np.log10(power.reshape(24, 10).mean(axis=1))


def test_the_same_seed_breathes_the_same(engine: HibariEngine) -> None:
    assert np.array_equal(spoken(engine, 3), spoken(engine, 3))
    assert not np.array_equal(spoken(engine, 3), spoken(engine, 4))


def test_the_voice_is_hibaris_own_but_for_the_order_of_its_noise(engine: HibariEngine) -> None:
    hibari = Hibari(threads=1)
    own = [hibari(TEXT, seed=seed) for seed in range(6)]
    ours = [spoken(engine, seed) for seed in range(6)]
    assert {wave.size for wave in ours} == {wave.size for wave in own}
    # Two of hibari's own differ by their noise; so do two of ours, by as much, and so does one from the other.
    among_own, among_ours = (
        np.mean([np.abs(one - other).mean() for one, other in combinations(waves, 2)]) for waves in (own, ours)
    )
    across = np.mean([np.abs(one - other).mean() for one, other in product(own, ours)])
    assert among_ours == pytest.approx(among_own, rel=0.06)
    assert across == pytest.approx(among_own, rel=0.06)
    mean_own, mean_ours = (np.mean([bands_db(wave) for wave in waves], axis=0) for waves in (own, ours))
    assert np.abs(mean_own - mean_ours).max() < 0.5


def test_noise_is_drawn_where_less_is_stored_than_wanted() -> None:
    few = np.arange(8, dtype=np.float32)
    short, long = (StoredNoise(few, 1).standard_normal(shape, np.float32) for shape in ((2, 3), (4, 4)))
    assert short.tolist()[1][0] == short.tolist()[0][0] + 3
    assert (long.shape, long.dtype) == ((4, 4), np.float32)
    assert np.unique(long).size == long.size
    assert np.abs(long).max() < 6
    short[:] = 0.0
    assert few.tolist() == list(range(8)), "what is stored stays"


def test_what_is_stored_is_more_than_the_longest_utterance_needs(engine: HibariEngine) -> None:
    longest = spoken(engine, 1, "wash " * (MAX_PHONEMES // 4))
    assert longest.size / 300 * 1202 < NOISE_VALUES
