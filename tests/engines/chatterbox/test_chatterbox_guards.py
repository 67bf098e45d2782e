import pytest

from speedd.engines.chatterbox.families import FAMILIES, Guards
from speedd.engines.chatterbox.t3.guards import (
    LONG_TAIL,
    LOOP,
    REPETITION,
    STALL,
    Guard,
    TraceEntry,
    token_cap,
    word_starts,
)

GUARDS = Guards(heads=((0, 0),))
TEXT_TOKENS = 40


def verdicts(trace, guards=GUARDS):
    """Judge a trace until something stops it: what, and at which entry."""
    guard = Guard(guards, TEXT_TOKENS)
    for at, entry in enumerate(trace):
        if reason := guard.judge(entry):
            return reason, at
    return "", len(trace)


def reading(steps=80, **last):
    """A voice that reads on evenly and then looks at the end."""
    return [
        TraceEntry(token=step, position=min(TEXT_TOKENS - 1, step // 2), tail=(0.0, 0.0, 0.0)) for step in range(steps)
    ] + [TraceEntry(token=1000 + step, position=TEXT_TOKENS - 1, **last) for step in range(40)]


def test_even_reading_is_let_be():
    assert verdicts(reading(tail=(0.0, 0.05, 0.05), back=0.05))[0] == ""


def test_a_tail_that_only_looks_at_the_end_is_stopped():
    reason, at = verdicts(reading(tail=(0.0, 0.1, 1.0)))
    assert reason == LONG_TAIL
    assert 80 <= at < 90


def test_a_text_said_again_is_stopped():
    reason, at = verdicts(reading(tail=(0.0, 0.0, 0.1), back=0.9))
    assert reason == REPETITION
    assert 80 <= at < 90


def test_looking_back_before_the_end_is_no_repetition():
    trace = [TraceEntry(token=n, position=n // 8, tail=(0.0,) * 3, back=1.0) for n in range(200)]
    assert verdicts(trace)[0] == ""


def test_a_voice_that_does_not_get_on_is_stopped():
    trace = [TraceEntry(token=n, position=7, tail=(0.0,) * 3) for n in range(400)]
    assert verdicts(trace) == (STALL, GUARDS.stall_steps)


@pytest.mark.parametrize("period", [1, 2, 5, 12])
def test_a_loop_is_stopped_and_a_pause_is_not(period):
    loop = [TraceEntry(token=n % period) for n in range(300)]
    reason, at = verdicts(loop)
    assert reason == LOOP
    assert at < 2 + max(GUARDS.same_token_run, GUARDS.loop_times * period)
    pause = [TraceEntry(token=4299) for _ in range(GUARDS.same_token_run - 1)]
    assert verdicts([*pause, *(TraceEntry(token=n) for n in range(300))])[0] == ""


def test_the_cap_follows_the_text():
    assert token_cap(GUARDS, 10, 1000) == 90
    assert token_cap(GUARDS, 237, 1000) == 998
    assert token_cap(GUARDS, 240, 1000) == 1000
    assert token_cap(GUARDS, 10_000, 1000) == 1000


def test_words_begin_where_the_voice_reaches_them():
    positions = [0, 0, 1, 2, 2, 3, 5, 5, 6, 6]
    assert word_starts(positions, [0, 0, 1, 1, 2, 3, 3], ["a", "b", "c", "d"], 10) == [0.0, 3.0, 6.0, 6.0]
    assert word_starts([], [], ["ab", "abcdef"], 80) == [0.0, 20.0]
    assert word_starts([0, 0], [0, 1], ["a", "b"], 2) == [0.0, 2.0]


def test_thresholds_belong_to_the_models():
    assert FAMILIES["english"].guards.heads == ((12, 15), (13, 11), (9, 2))
    assert FAMILIES["turbo"].guards.heads == ()
