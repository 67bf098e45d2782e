from hypothesis import given
from hypothesis import strategies as st

from speedd.engines.base import Budget
from speedd.execution.scheduler import MAX_TIMES_PASSED_OVER, QueuedRow, choose, room_bytes, row_cost_bytes, window
from speedd.model import TextLimits

LIMITS = TextLimits(best_chars=100, max_chars=400)

lengths = st.integers(0, 1000)
budgets = st.builds(
    Budget,
    rows=st.integers(0, 12),
    free_bytes=st.integers(0, 20_000),
    row_bytes=st.just(1000),
    row_base_bytes=st.integers(0, 1000),
    idle_bytes=st.integers(0, 5000),
    held_bytes=st.none() | st.integers(0, 10_000),
    workspace_bytes=st.integers(0, 3000),
)


@given(
    chars=st.lists(lengths, max_size=20),
    running=st.lists(lengths, max_size=12),
    max_rows=st.integers(1, 12),
    rows_cap=st.integers(1, 12),
    budget=budgets,
    reserve=st.integers(0, 3000),
)
def test_a_batch_never_exceeds_its_budget(chars, running, max_rows, rows_cap, budget, reserve):
    waiting = [QueuedRow(length) for length in chars]
    chosen = choose(
        waiting,
        running,
        max_rows=max_rows,
        rows_cap=rows_cap,
        budget=budget,
        limits=LIMITS,
        reserve_bytes=reserve,
    )
    assert len(set(chosen)) == len(chosen) <= max_rows
    assert all(0 <= index < len(waiting) for index in chosen)
    if chars and not running:
        assert chosen[0] == 0  # one that runs alone may exceed the memory: waiting would not help
    more = chosen if running else chosen[1:]
    if more:
        assert len(running) + len(chosen) <= min(rows_cap, budget.rows)
        cost = sum(row_cost_bytes(chars[index], budget, LIMITS) for index in chosen)
        assert cost <= room_bytes(running, budget, LIMITS, reserve)


@given(st.lists(lengths, min_size=1, max_size=60), st.integers(1, 6), st.integers(1000, 6000), st.data())
def test_nobody_is_overtaken_more_often_than_is_promised(chars, rows, memory, data):
    """Utterances come, start, and end in any order until all have been spoken."""
    coming, waiting, running, started = list(enumerate(chars)), [], [], []
    while coming or waiting or running:
        while coming and len(waiting) < 24:
            number, length = coming.pop(0)
            waiting.append((number, QueuedRow(length)))
        held = sum(row_cost_bytes(chars[number], Budget(rows, 0, 1000), LIMITS) for number in running)
        chosen = choose(
            [one for _, one in waiting],
            [chars[number] for number in running],
            max_rows=rows,
            rows_cap=rows,
            budget=Budget(rows, max(0, memory - held), 1000),
            limits=LIMITS,
        )
        starting = [waiting[index] for index in chosen]
        for one in starting:
            waiting.remove(one)
        started += [number for number, _ in starting]
        running += [number for number, _ in starting]
        running.pop(data.draw(st.integers(0, len(running) - 1)))
    assert sorted(started) == list(range(len(chars)))
    for place, number in enumerate(started):
        assert sum(before > number for before in started[:place]) <= MAX_TIMES_PASSED_OVER


def free(chars, **options):
    settings = {"max_rows": 8, "rows_cap": 8, "budget": Budget(8, 4000, 1000), "limits": LIMITS}
    return choose([QueuedRow(length) for length in chars], [], **settings | options)


def test_something_always_starts_on_an_empty_engine():
    none = Budget(rows=0, free_bytes=0, row_bytes=1000)
    assert free([5000], budget=none) == [0]
    assert free([]) == []
    assert choose([QueuedRow(10)], [10], max_rows=4, rows_cap=8, budget=none, limits=LIMITS) == []


def test_long_texts_take_the_place_of_several():
    assert len(free([100] * 8)) == 4
    assert len(free([200] * 8)) == 2
    assert len(free([1] * 20, max_rows=20)) == 8


def test_texts_of_like_length_start_together():
    assert free([200, 20, 190, 30, 210], budget=Budget(8, 6000, 1000)) == [0, 2, 4]
    running_long = choose(
        [QueuedRow(20), QueuedRow(100), QueuedRow(30)],
        [110],
        max_rows=1,
        rows_cap=8,
        budget=Budget(8, 9000, 1000),
        limits=LIMITS,
    )
    assert running_long == [1]


def test_memory_is_kept_back_for_one_that_was_overtaken_often():
    waiting = [QueuedRow(400, overtaken=MAX_TIMES_PASSED_OVER - 1), QueuedRow(50), QueuedRow(50)]
    settings = {"max_rows": 8, "rows_cap": 8, "budget": Budget(8, 3000, 1000), "limits": LIMITS}
    assert choose(waiting, [50], **settings) == [1]
    assert waiting[0].overtaken == MAX_TIMES_PASSED_OVER
    assert choose([waiting[0], waiting[2]], [50], **settings) == []


def test_it_is_kept_back_too_while_an_older_one_waits_again_that_was_given_back():
    waiting = [QueuedRow(300), QueuedRow(400, overtaken=MAX_TIMES_PASSED_OVER), QueuedRow(50)]
    settings = {"max_rows": 8, "rows_cap": 8, "budget": Budget(8, 2000, 1000), "limits": LIMITS}
    assert choose(waiting, [50], **settings) == []
    waiting[0] = QueuedRow(100)
    assert choose(waiting, [50], **settings) == [0]


def test_what_rows_in_hand_will_still_take_is_set_aside():
    grown = Budget(8, 3000, 1000, held_bytes=2000)
    fresh = Budget(8, 3000, 1000, held_bytes=500)
    assert room_bytes([100, 100], grown, LIMITS, 200) == 2800
    assert room_bytes([100, 100], fresh, LIMITS, 200) == 1300
    assert room_bytes([100, 100], Budget(8, 3000, 1000, idle_bytes=400, workspace_bytes=900), LIMITS, 0) == 2500


def test_two_in_flight_per_cpu_worker():
    assert window(1, "cpu") == 2
    assert window(8, "cuda") == 10
    assert window(8, "cuda", ahead=6) == 14
