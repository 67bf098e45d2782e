"""Where takes lie, and where stretches are cut."""

import numpy as np
import pytest
from audio_measures import RATE
from hypothesis import given
from hypothesis import strategies as st

from speedd.audio import Piece, TakeError
from speedd.audio.timeline import Placed, cut_into_stretches, lay_out, render, silence_after, survey

GRID = 1024


def test_the_margins_of_two_takes_are_part_of_the_pause(tmp_path):
    assert silence_after(Piece(tmp_path, 500), RATE) == 440 * 24
    assert silence_after(Piece(tmp_path, 20), RATE) == 0
    assert silence_after(Piece(None, 500), RATE) == 500 * 24


def test_spans_leave_out_pauses():
    spans = lay_out(np.array([[100, 400], [0, 0], [0, 50]]), np.array([10, 20, 30]))
    assert spans.tolist() == [[0, 300], [310, 310], [330, 380]]


@given(
    st.lists(st.tuples(st.integers(0, 30_000), st.integers(0, 9_000)), min_size=1, max_size=60),
    st.integers(10, 30),
    st.integers(31, 60),
)
def test_stretches_cover_the_book_on_the_grid(pieces, shortest, longest):
    lengths, silences = (np.array(column, dtype=np.int64) for column in zip(*pieces, strict=True))
    spans = lay_out(np.stack((np.zeros_like(lengths), lengths), axis=1), silences)
    total = -(-int(lengths.sum() + silences.sum() + 1) // GRID) * GRID
    stretches = cut_into_stretches(spans, total, grid=GRID, shortest=shortest * GRID, longest=longest * GRID)
    assert stretches[0][0] == 0
    assert stretches[-1][1] == total
    for (start, stop), (following, _) in zip(stretches, [*stretches[1:], (total, total)], strict=True):
        assert stop == following
        assert stop > start
        assert stop - start <= longest * GRID
        assert start % GRID == 0


def test_a_cut_lies_in_the_longest_pause_in_reach():
    spans = np.array([[0, 40_000], [44_000, 60_000], [80_000, 100_000], [102_000, 200_000]])
    cuts = cut_into_stretches(spans, 204_800, grid=GRID, shortest=30_000, longest=110_000)
    assert 60_000 < cuts[0][1] < 80_000


def test_a_stretch_is_a_window_of_the_whole(store):
    rng = np.random.default_rng(3)
    takes = []
    for at in (0, 30_000, 61_000):
        path = store((0.1 * rng.standard_normal(25_000)).astype(np.float32))
        takes.append(Placed(path, at, 1000, 24_000))
    whole = render(takes, -500, 90_000, RATE)
    part = render(takes, 20_000, 62_000, RATE)
    assert np.array_equal(part, whole[20_500:62_500])
    assert not whole[:500].any()


@pytest.mark.parametrize("damage", ["missing", "damaged", "rate", "channels"])
def test_a_bad_take_is_named(store, damage):
    wave = np.zeros(RATE, dtype=np.float32)
    path = store(np.stack((wave, wave), axis=1) if damage == "channels" else wave, 22_050 if damage == "rate" else RATE)
    if damage == "missing":
        path.unlink()
    elif damage == "damaged":
        path.write_bytes(b"fLaC, no more")
    with pytest.raises(TakeError, match=path.name) as caught:
        survey([Piece(path, 0)], RATE)
    assert caught.value.path == path


def test_a_take_cut_short_after_the_survey_is_named(store):
    path = store(np.zeros(100, dtype=np.float32))
    with pytest.raises(TakeError, match="changed"):
        render([Placed(path, 0, 0, 200)], 0, 1000, RATE)
