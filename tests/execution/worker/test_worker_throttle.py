import pytest

from speedd.execution.worker.throttle import Answer, Throttle


def test_rows_are_halved_and_the_cap_is_kept_until_it_has_been_quiet():
    throttle = Throttle((), regrow_after_s=30)
    assert throttle.rows is None
    assert throttle.note_out_of_memory(20, 0) is Answer.TRY_AGAIN
    assert throttle.rows == 10
    throttle.grow(1000)
    assert throttle.rows == 10  # nothing was spoken yet
    throttle.note_success()
    throttle.grow(29)
    assert throttle.rows == 10
    throttle.grow(30)
    assert throttle.rows == 15
    throttle.note_success()
    throttle.grow(59)
    assert throttle.rows == 15
    throttle.grow(60)
    assert throttle.rows is None  # 22 would be more than went wrong: as many as fit


def test_rows_that_had_started_before_are_no_new_evidence():
    throttle = Throttle((), regrow_after_s=30)
    throttle.note_out_of_memory(20, 0)
    throttle.note_out_of_memory(19, 1)
    throttle.note_out_of_memory(11, 2)
    assert throttle.rows == 10
    throttle.note_out_of_memory(10, 3)
    assert throttle.rows == 5


def test_what_goes_wrong_again_is_tried_later_each_time():
    throttle = Throttle((), regrow_after_s=1)
    throttle.note_out_of_memory(64, 0)  # never allowed to reach as many again, so it remembers
    now_s = 0.0
    waits = []
    for _ in range(8):
        throttle.note_out_of_memory(throttle.rows, now_s)
        throttle.note_success()
        halved, began_s = throttle.rows, now_s
        while throttle.rows == halved:
            now_s += 0.5
            throttle.grow(now_s)
        waits.append(now_s - began_s)
    assert waits == [2, 4, 8, 16, 32, 32, 32, 32]


def test_one_row_that_does_not_fit_takes_one_fallback_after_the_other_and_then_gives_up():
    throttle = Throttle(("micro_batch", "cpu"), regrow_after_s=30)
    assert throttle.note_out_of_memory(1, 0) is Answer.TRY_AGAIN
    assert throttle.note_out_of_memory(1, 0) is Answer.FALL_BACK
    assert throttle.steps == ("micro_batch",)
    assert throttle.note_out_of_memory(1, 1) is Answer.FALL_BACK
    assert throttle.steps == ("micro_batch", "cpu")
    assert throttle.note_out_of_memory(1, 2) is Answer.GIVE_UP
    assert throttle.rows == 1


def test_one_row_that_was_spoken_after_all_takes_no_fallback():
    throttle = Throttle(("cpu",), regrow_after_s=30)
    for _ in range(3):
        assert throttle.note_out_of_memory(1, 0) is Answer.TRY_AGAIN
        throttle.note_success()
    assert throttle.steps == ()


def test_fallbacks_are_dropped_before_the_rows_grow():
    throttle = Throttle(("micro_batch", "cpu"), regrow_after_s=10)
    for _ in range(3):
        throttle.note_out_of_memory(1, 0)
    assert throttle.steps == ("micro_batch", "cpu")
    assert not throttle.may_drop_fallback(1000)
    throttle.note_success()
    assert not throttle.may_drop_fallback(39)
    assert throttle.may_drop_fallback(40)
    throttle.drop_fallback(40)
    assert throttle.steps == ("micro_batch",)
    throttle.note_success()
    throttle.grow(79)
    assert throttle.rows == 1
    assert throttle.may_drop_fallback(80)
    throttle.drop_fallback(80)
    assert throttle.steps == ()
    throttle.note_success()
    throttle.grow(120)
    assert throttle.rows is None


@pytest.mark.parametrize("rows", [2, 3])
def test_the_least_is_one_row(rows):
    throttle = Throttle((), regrow_after_s=1)
    throttle.note_out_of_memory(rows, 0)
    assert throttle.rows == 1
