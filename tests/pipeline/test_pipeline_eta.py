"""How long a book will take yet, by a clock that the tests set."""

import pytest

from speedd.pipeline.eta import EtaEstimator

NIGHT_S = 9 * 3600.0


class Clock:
    now_s = 1000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def eta(clock):
    return EtaEstimator(mastering_s=30.0, clock=clock)


def spend(clock, eta, seconds, *, chars=0, speaking=True):
    clock.now_s += seconds
    if chars:
        eta.note_rendered(chars)
    return eta.look(speaking=speaking)


def test_before_anything_was_rendered_nobody_knows(clock, eta):
    assert eta.left_s(1000) is None
    spend(clock, eta, 5)
    assert eta.left_s(1000) is None


def test_what_is_left_takes_as_long_as_what_was_rendered_and_then_it_is_mastered(clock, eta):
    for _ in range(10):
        spend(clock, eta, 1, chars=10)
    assert eta.left_s(9900) == pytest.approx(990 + 30)
    assert eta.left_s(0) == 30


def test_time_in_which_nothing_was_spoken_changes_nothing(clock, eta):
    assert not spend(clock, eta, 60, speaking=False)  # the engine is loaded
    assert spend(clock, eta, 10, chars=100)
    assert not any(spend(clock, eta, 60, speaking=False) for _ in range(int(NIGHT_S / 60)))
    assert eta.left_s(1000) == pytest.approx(100 + 30)
    assert eta.spoken_s == 10


def test_what_takes_long_is_told_while_it_takes_long(clock, eta):
    spend(clock, eta, 10, chars=100)
    spend(clock, eta, 30)  # something is being spoken and nothing has come yet
    assert eta.left_s(1000) == pytest.approx(400 + 30)
