from speedd.execution.pool.pace import DEADLINE_FACTOR, Pace

ASSUMED_S_PER_CHAR = 0.025


def test_before_anything_is_measured_a_long_text_gets_longer():
    pace = Pace(60, ASSUMED_S_PER_CHAR)
    assert pace.deadline_s(400) - pace.deadline_s(200) == DEADLINE_FACTOR * ASSUMED_S_PER_CHAR * 200
    assert pace.deadline_s(1) == pace.deadline_s(40) > 60


def test_a_fast_engine_gets_little_more_than_the_least_and_a_slow_one_much():
    fast, slow = Pace(60, ASSUMED_S_PER_CHAR), Pace(60, ASSUMED_S_PER_CHAR)
    fast.note(200, 0.1)
    slow.note(200, 100)
    assert 60 < fast.deadline_s(200) < 62
    assert slow.deadline_s(200) == 60 + DEADLINE_FACTOR * 100


def test_a_slow_measurement_counts_at_once_and_is_forgotten_slowly():
    pace = Pace(1, ASSUMED_S_PER_CHAR)
    pace.note(100, 0.1)
    pace.note(100, 10)
    assert pace.deadline_s(100) == 1 + DEADLINE_FACTOR * 10
    pace.note(100, 0.1)
    assert pace.deadline_s(100) > 90
    for _ in range(500):
        pace.note(100, 0.1)
    assert pace.deadline_s(100) < 3


def test_a_short_text_does_not_make_an_engine_look_slow():
    pace = Pace(1, ASSUMED_S_PER_CHAR)
    pace.note(2, 0.4)
    assert pace.deadline_s(100) == 1 + DEADLINE_FACTOR * 1.0
