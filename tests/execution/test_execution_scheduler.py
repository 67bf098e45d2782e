from hypothesis import given
from hypothesis import strategies as st

from speedd.engines.base import Budget
from speedd.execution.scheduler import admit, row_cost_bytes, window
from speedd.model import TextLimits

LIMITS = TextLimits(best_chars=100, max_chars=400)


@given(
    waiting=st.lists(st.integers(0, 1000), max_size=20),
    running_rows=st.integers(0, 12),
    max_rows=st.integers(1, 12),
    rows=st.integers(0, 12),
    free_rows=st.floats(0, 20),
)
def test_a_batch_never_exceeds_its_budget(waiting, running_rows, max_rows, rows, free_rows):
    budget = Budget(rows=rows, free_bytes=int(free_rows * 1000), row_bytes=1000)
    count = admit(waiting, running_rows=running_rows, max_rows=max_rows, budget=budget, limits=LIMITS)
    assert 0 <= count <= min(max_rows, len(waiting))
    if count > 1 or (count == 1 and running_rows):
        assert running_rows + count <= rows
    first_is_free = running_rows == 0  # one that runs alone may exceed the memory: waiting would not help
    cost = [row_cost_bytes(chars, budget, LIMITS) for chars in waiting[:count]]
    if count > first_is_free:
        assert sum(cost) <= max(budget.free_bytes, cost[0] if first_is_free else 0)


def test_something_always_starts_on_an_empty_engine():
    none = Budget(rows=0, free_bytes=0, row_bytes=1000)
    assert admit([5000], running_rows=0, max_rows=4, budget=none, limits=LIMITS) == 1
    assert admit([10], running_rows=1, max_rows=4, budget=none, limits=LIMITS) == 0
    assert admit([], running_rows=0, max_rows=4, budget=none, limits=LIMITS) == 0


def test_long_texts_take_the_place_of_several():
    budget = Budget(rows=8, free_bytes=4000, row_bytes=1000)
    assert admit([100] * 8, running_rows=0, max_rows=8, budget=budget, limits=LIMITS) == 4
    assert admit([200] * 8, running_rows=0, max_rows=8, budget=budget, limits=LIMITS) == 2
    assert admit([1] * 20, running_rows=0, max_rows=20, budget=budget, limits=LIMITS) == 8


def test_two_in_flight_per_cpu_worker():
    assert window(1, "cpu") == 2
    assert window(8, "cuda") == 10
