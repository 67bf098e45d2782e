from hypothesis import given
from hypothesis import strategies as st

from speedd.engines.chatterbox.s3gen.buckets import Bucket, FinishedRows, batches, bucket_of, idle_rows


@given(st.integers(1, 250), st.integers(1, 1000))
def test_a_bucket_holds_its_row_and_wastes_little(reference, speech):
    bucket = bucket_of(reference, speech)
    assert bucket.reference_tokens == reference
    assert 0 <= bucket.speech_tokens - speech < 32
    assert 0 <= bucket.tokens - reference - speech < 36
    assert bucket.tokens % 4 == 0
    assert bucket_of(reference, bucket.speech_tokens) == bucket


@given(st.integers(1, 200))
def test_idle_rows_fill_up_to_the_next_power_of_two(rows):
    whole = rows + idle_rows(rows)
    assert whole & (whole - 1) == 0
    assert rows <= whole < 2 * rows or whole == rows == 1


@given(st.lists(st.integers(1, 6)), st.integers(1, 5))
def test_every_key_is_in_one_batch_of_its_own_bucket(buckets, rows):
    given_ = {key: Bucket(32 * long, 50) for key, long in enumerate(buckets)}
    made = list(batches(given_, rows))
    assert sorted(key for batch in made for key in batch) == sorted(given_)
    assert all(len({given_[key] for key in batch}) == 1 and len(batch) <= rows for batch in made)
    assert [given_[batch[0]] for batch in made] == sorted((given_[batch[0]] for batch in made), reverse=True)


def test_rows_wait_until_their_bucket_is_full():
    waiting = FinishedRows(rows=2, patience=100)
    waiting.add("a", 32)
    waiting.add("b", 64)
    assert waiting.take() == []
    waiting.add("c", 64)
    assert waiting.take() == ["b", "c"]
    assert waiting.take() == []
    assert len(waiting) == 1


def test_a_row_that_many_came_after_waits_no_longer():
    waiting = FinishedRows(rows=3, patience=2)
    waiting.add("odd", 96)
    waiting.add("a", 32)
    assert waiting.take() == []
    waiting.add("b", 32)
    assert waiting.take() == ["odd"]
    assert waiting.take() == []


def test_flushing_takes_what_waited_longest_first_and_ends():
    waiting = FinishedRows(rows=2, patience=100)
    for name, bucket in (("a", 32), ("b", 64), ("c", 32), ("d", 64), ("e", 32)):
        waiting.add(name, bucket)
    assert [waiting.take(flush=True) for _ in range(4)] == [["a", "c"], ["b", "d"], ["e"], []]
    assert len(waiting) == 0


@given(st.lists(st.tuples(st.integers(1, 4), st.booleans())), st.integers(1, 4), st.integers(0, 6))
def test_nothing_is_lost_and_nobody_waits_beyond_patience(steps, rows, patience):
    waiting, came, taken = FinishedRows(rows=rows, patience=patience), [], []
    for number, (bucket, _) in enumerate(steps):
        waiting.add((number, bucket), bucket)
        came.append((number, bucket))
        while batch := waiting.take():
            assert len({bucket for _, bucket in batch}) == 1
            assert len(batch) <= rows
            taken += batch
        assert all(number - one < patience for one, _ in set(came) - set(taken))
    while batch := waiting.take(flush=True):
        taken += batch
    assert sorted(taken) == came
