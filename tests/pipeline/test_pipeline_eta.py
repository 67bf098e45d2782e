"""How long a book will take yet, by a clock that the tests set."""

import pytest

from speedd.pipeline.eta import Forecast

NIGHT_S = 9 * 3600.0


class Clock:
    now_s = 1000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def forecast(clock):
    return Forecast(mastering_s=30.0, clock=clock)


def spend(clock, forecast, seconds, *, chars=0, speaking=True):
    clock.now_s += seconds
    if chars:
        forecast.note_rendered(chars)
    return forecast.look(speaking=speaking)


def test_before_anything_was_rendered_nobody_knows(clock, forecast):
    assert forecast.left_s(1000) is None
    spend(clock, forecast, 5)
    assert forecast.left_s(1000) is None


def test_what_is_left_takes_as_long_as_what_was_rendered_and_then_it_is_mastered(clock, forecast):
    for _ in range(10):
        spend(clock, forecast, 1, chars=10)
    assert forecast.left_s(9900) == pytest.approx(990 + 30)
    assert forecast.left_s(0) == 30


def test_time_in_which_nothing_was_spoken_changes_nothing(clock, forecast):
    assert not spend(clock, forecast, 60, speaking=False)  # the engine is loaded
    assert spend(clock, forecast, 10, chars=100)
    assert not any(spend(clock, forecast, 60, speaking=False) for _ in range(int(NIGHT_S / 60)))
    assert forecast.left_s(1000) == pytest.approx(100 + 30)
    assert forecast.spoken_s == 10


def test_what_takes_long_is_told_while_it_takes_long(clock, forecast):
    spend(clock, forecast, 10, chars=100)
    spend(clock, forecast, 30)  # something is being spoken and nothing has come yet
    assert forecast.left_s(1000) == pytest.approx(400 + 30)
