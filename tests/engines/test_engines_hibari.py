"""Hibari's voice as speedd has it: the same voice as hibari's own, whose noise is drawn once, and no pause unasked."""

from __future__ import annotations

from itertools import combinations, product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hibari import Hibari

from speedd.engines.base import EngineOptions
from speedd.engines.hibari import engine as ours
from speedd.engines.hibari.engine import FACTORY, MAX_PHONEMES, NOISE_VALUES, SAMPLE_RATE_HZ, HibariEngine, StoredNoise
from speedd.model import Style, Take, Utterance

TEXT = "She sells sea shells by the sea shore, and hushes the fish with a whisper."

DIALOGUE = (Path(__file__).parents[1] / "acceptance" / "spoken_dialogue.txt").read_text(encoding="utf-8").splitlines()
UNASKED_PAUSE_S = 0.5
"""Between two waves of hibari's lie 0.56 to 0.76 s; at a mark within one it waits for 0.35 s at most."""


@pytest.fixture(scope="module")
def engine() -> HibariEngine:
    return FACTORY.load(EngineOptions(None))


def spoken(engine: HibariEngine, seed: int, text: str = TEXT) -> npt.NDArray[np.float32]:
    utterance = Utterance("key", text, engine.info.voices[0], Style(), seed)
    given = [[utterance]]

    class Once:
        def take(self, rows: int, *, block: bool) -> list[Utterance]:
            return given.pop() if given else []

    (take,) = engine.synthesize(Once())  # type: ignore[arg-type]
    assert isinstance(take, Take), take
    return take.wave


def longest_pause_s(wave: npt.NDArray[np.float32]) -> float:
    """The longest time within a wave in which no 5 ms are louder than -50 dBFS."""
    frames = wave[: wave.size // 120 * 120].reshape(-1, 120)
    loud = np.flatnonzero(np.square(frames).mean(axis=1) > 1e-5)
    return float(np.diff(loud).max() - 1) * 120 / SAMPLE_RATE_HZ


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


@pytest.mark.parametrize(
    "text",
    [
        *DIALOGUE,
        "“Stop!” He turned. “Why?” John asked.",
        "“Wait… I know him.” They went.",
        "He paused. … Then he left.",
        "“Never!” I cried; “never!” And I meant it.",
        "He lives in the U.S. He likes it.",
        "“What?”“Nothing.”",
    ],
)
def test_no_pause_is_made_within_an_utterance(engine: HibariEngine, text: str) -> None:
    assert longest_pause_s(spoken(engine, 0, text)) < UNASKED_PAUSE_S


def test_sentences_are_joined_up_to_what_the_network_takes() -> None:
    assert list(ours._runs([])) == []
    assert list(ours._runs(["nˈW?", "…", "ˌI sˈɛd."])) == ["nˈW? ˌI sˈɛd."]
    assert list(ours._runs(["a" * 200, "b" * 199])) == ["a" * 200 + " " + "b" * 199]
    assert list(ours._runs(["a" * 200, "b" * 200, "c"])) == ["a" * 200, "b" * 200 + " c"]
    words = "wash " * 200
    assert "".join(ours._runs([words])) == words
    assert max(map(len, ours._runs(["a", words, "b" * 1000]))) == MAX_PHONEMES


def test_a_take_is_named_by_how_its_text_is_written_for_hibari(monkeypatch: pytest.MonkeyPatch) -> None:
    before = FACTORY.describe(EngineOptions(None)).numerics
    monkeypatch.setattr(ours, "REVISION", ours.REVISION + 1)
    assert FACTORY.describe(EngineOptions(None)).numerics != before
