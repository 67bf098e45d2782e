import threading

import numpy as np
import pytest

from speedd.errors import EngineError

torch = pytest.importorskip("torch", reason="the chatterbox extra is not installed")
pytest.importorskip("chatterbox", reason="the chatterbox extra is not installed")

from chatterbox_tiny_s3gen import snr_db, spoken, stock_waves, tiny_s3gen, voice  # noqa: E402

from speedd.engines.chatterbox.s3gen import model as s3gen  # noqa: E402
from speedd.engines.chatterbox.s3gen.buckets import Bucket  # noqa: E402
from speedd.engines.chatterbox.s3gen.model import S3Gen, SpeechRow  # noqa: E402
from speedd.engines.chatterbox.s3gen.thread_pools import ThreadPools, pools_of  # noqa: E402

ANN, BEN = voice(16, seed=1), voice(13, seed=2, spare_frames=1)
ROWS = [spoken(12, ANN, seed=1), spoken(31, BEN, seed=2), spoken(20, ANN, seed=3), spoken(3, BEN, seed=4)]


@pytest.fixture(scope="module", params=[False, True], ids=["guided", "mean flow"])
def model(request):
    return tiny_s3gen(mean_flow=request.param)


@pytest.fixture(scope="module")
def guided():
    return tiny_s3gen()


def reader(model, **settings):
    return S3Gen.from_model(model, device="cpu", estimator_dtype=torch.float32, **settings)


@pytest.fixture
def one_bucket(monkeypatch):
    """Rows of all lengths share a batch, so that padding is all they have in common."""
    monkeypatch.setattr(s3gen, "bucket_of", lambda reference, speech: Bucket(51, 13))


def test_rows_of_all_lengths_and_voices_sound_as_stock_renders_them_one_by_one(model, one_bucket):
    expected, noise = stock_waves(model, ROWS)
    exact, _ = stock_waves(model, ROWS, exact_phase=True)
    for together in (1, 2, 4):
        got = reader(model, rows=together).render(ROWS, noise=noise)
        assert [(len(wave), wave.dtype) for wave in got] == [(len(wave), np.float32) for wave in expected]
        assert [len(wave) for wave in got] == [12 * 960, 31 * 960 - 480, 20 * 960, 3 * 960 - 480]
        assert min(map(snr_db, expected, got)) > 80
        assert min(map(snr_db, exact, got)) > 80  # 89 to 106: mostly the rounding of stock's own phases


def test_a_row_has_the_same_bits_in_any_company(guided, one_bucket):
    alone = [reader(guided).render([row])[0] for row in ROWS]
    for order in ([3, 2, 1, 0], [1], [2, 0, 2]):
        waves = reader(guided).render([ROWS[index] for index in order])
        assert all(np.array_equal(wave, alone[index]) for index, wave in zip(order, waves, strict=True))
    four = reader(guided, rows=4).render(ROWS)  # one product for several rows rounds otherwise, by a hair
    assert min(snr_db(torch.from_numpy(one), other) for one, other in zip(alone, four, strict=True)) > 80


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_in_its_place_of_a_batch_a_row_has_the_same_bits_whoever_its_mates_are(guided, dtype):
    """All are of one bucket, and of one number of rows when idle ones have filled it up."""
    four = S3Gen.from_model(guided, device="cpu", estimator_dtype=dtype, rows=4)
    eve = voice(16, seed=3, spare_frames=1)  # the vocoder is given no less of a row for it
    chunk, *mates = (
        spoken(tokens, who, seed=tokens)
        for tokens, who in ((20, eve), (17, eve), (32, eve), (31, eve), (25, ANN), (7, ANN))
    )
    assert {four.bucket(row) for row in (chunk, *mates)} == {Bucket(speech_tokens=32, reference_tokens=16)}
    assert four.bucket(spoken(20, BEN, seed=1)) != four.bucket(chunk)  # whose shorter reference would show
    of_three = four.render([chunk, *mates[:2]])
    for fourth in mates[2:]:
        full = four.render([chunk, *mates[:2], fourth])
        assert all(np.array_equal(one, other) for one, other in zip(of_three, full, strict=False))
    companies = (mates[:3], mates[2:], [chunk, chunk, mates[0]])
    for place in range(4):
        first, *more = (four.render([*them[:place], chunk, *them[place:]])[place] for them in companies)
        assert all(np.array_equal(one, first) for one in more)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_in_lanes_each_row_sounds_as_it_does_alone_on_as_many_threads(guided, two_threads):
    thread_pools = ThreadPools(2, threads=2)
    assert [*thread_pools.map(lambda _: torch.get_num_threads(), range(8))] == [1] * 8
    assert torch.get_num_threads() == 2
    side_by_side = reader(guided, thread_pools=thread_pools)
    assert side_by_side.at_once == 2
    nothing = SpeechRow(torch.zeros(0, dtype=torch.int64), ANN, 1)
    waves = side_by_side.render([*ROWS, nothing])
    torch.set_num_threads(1)
    alone = [reader(guided).render([row])[0] for row in (*ROWS, nothing)]
    assert all(np.array_equal(wave, one) for wave, one in zip(waves, alone, strict=True))


def test_rows_are_in_different_lanes_at_the_same_time(guided, monkeypatch):
    met = threading.Barrier(2)
    draw = S3Gen.draw

    def drawn(self, row):
        met.wait(60)
        return draw(self, row)

    monkeypatch.setattr(S3Gen, "draw", drawn)
    assert all(len(wave) for wave in reader(guided, thread_pools=ThreadPools(2, threads=2)).render(ROWS))


def test_what_goes_wrong_in_a_lane_is_told(guided):
    wrong = SpeechRow(torch.tensor([1, s3gen.SPEECH_TOKENS]), ANN, 1)
    side_by_side = reader(guided, thread_pools=ThreadPools(2, threads=2))
    with pytest.raises(EngineError, match="no sound"):
        side_by_side.render([ROWS[0], wrong, ROWS[3]])
    assert len(side_by_side.render(ROWS)) == len(ROWS)


@pytest.mark.parametrize(
    ("threads", "rows", "expected"),
    [(1, 8, 1), (2, 8, 2), (3, 8, 3), (5, 8, 4), (6, 8, 3), (7, 8, 3), (8, 8, 4), (16, 8, 4), (16, 1, 1), (3, 2, 2)],
)
def test_lanes_are_as_many_as_there_are_cores_and_rows_for_them_and_leave_few_cores_idle(threads, rows, expected):
    assert pools_of(threads, rows=rows) == expected


def test_lanes_end_with_who_uses_them():
    thread_pools = ThreadPools(3, threads=3)
    threads = [*thread_pools.map(lambda _: threading.current_thread(), range(3))]
    del thread_pools
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


def test_the_seed_decides_what_is_random(guided):
    first, again, other, high = reader(guided).render(
        [SpeechRow(ROWS[0].tokens, ANN, seed) for seed in (7, 7, 8, 7 + 2**40)]
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, high)


def test_what_is_drawn_for_a_row_depends_on_no_length_but_its_own(guided):
    noise = reader(guided).draw(ROWS[1])
    assert noise.mel.shape == (2 * (13 + 31), 80)
    assert noise.source.breath.shape == (31 * 960 - 480,)
    assert abs(float(noise.source.breath.std()) - 1) < 0.05
    assert float(noise.source.phases[0]) == 0
    assert float(noise.source.phases[1:].abs().min()) > 0


def test_the_shared_reference_stays_as_it_was(guided):
    before = {key: value.clone() for key, value in BEN.items() if torch.is_tensor(value)}
    state = {key: value.clone() for key, value in guided.state_dict().items()}
    S3Gen.from_model(guided, device="cpu", estimator_dtype=torch.bfloat16, reference_s=0.2).render(ROWS)
    assert all(BEN[key].dtype == value.dtype and torch.equal(BEN[key], value) for key, value in before.items())
    assert all(torch.equal(value, state[key]) for key, value in guided.state_dict().items())


def test_a_shorter_reference_is_the_beginning_of_the_whole(guided):
    short = {**ANN, "prompt_token": ANN["prompt_token"][:, :10], "prompt_feat": ANN["prompt_feat"][:, :20]}
    short["prompt_token_len"] = torch.tensor([10])
    [expected], noise = stock_waves(guided, [spoken(12, short, seed=1)], exact_phase=True)
    [got] = reader(guided, reference_s=0.4).render([spoken(12, ANN, seed=1)], noise=noise)
    assert snr_db(expected, got) > 90


def test_a_bf16_estimator_stays_close_and_leaves_the_rest_in_fp32(guided):
    [expected], noise = stock_waves(guided, ROWS[:1])
    bf16 = S3Gen.from_model(guided, device="cpu", estimator_dtype=torch.bfloat16)
    [got] = bf16.render(ROWS[:1], noise=noise)
    assert 10 < snr_db(expected, got) < 60


def test_a_row_without_tokens_is_silence_without_length(guided):
    nothing = SpeechRow(torch.zeros(0, dtype=torch.int64), ANN, 1)
    empty, wave = reader(guided).render([nothing, ROWS[0]])
    assert len(empty) == 0
    assert len(wave) == 12 * 960
    assert reader(guided).render([]) == []


@pytest.mark.parametrize("token", [6561, -1])
def test_a_token_that_is_no_sound_is_refused(guided, token):
    with pytest.raises(EngineError, match="stands for no sound"):
        reader(guided).render([SpeechRow(torch.tensor([5, token]), ANN, 1)])
