"""What a worker hands to its engine, whatever comes, ends, is given back or is released meanwhile."""

from collections import Counter
from types import SimpleNamespace

import pytest
from execution_pools import utterance
from hypothesis import given
from hypothesis import strategies as st

from speedd.engines import find
from speedd.engines.base import Budget
from speedd.execution.protocol import Release, WorkerLimits
from speedd.execution.scheduler import MAX_TIMES_PASSED_OVER, row_cost_bytes
from speedd.execution.worker.memory import WorkerMemory
from speedd.execution.worker.request_queue import RequestQueue

INFO = find("tone").describe({})
ROWS, RESERVE_BYTES = 6, 500


class Engine:
    """Holds what it was given; a row takes all of its memory when it starts. Others take and return memory too."""

    info = INFO

    def __init__(self):
        self.memory_bytes = 6000
        self.in_hand = []

    def free_bytes(self):
        return self.memory_bytes - sum(cost(one) for one in self.in_hand)

    def budget(self):
        return Budget(rows=ROWS, free_bytes=self.free_bytes(), row_bytes=1000)

    def release_memory(self, *, shrink=False):
        assert not self.in_hand


def cost(one):
    return row_cost_bytes(len(one.text), Budget(ROWS, 0, 1000), INFO.limits)


class Story:
    """Some steps of a worker's life, and what came of them."""

    def __init__(self):
        self.engine = Engine()
        memory = WorkerMemory(self.engine, WorkerLimits(), clock=lambda: 0.0)
        connection = SimpleNamespace(send=lambda report: None)
        self.requests = RequestQueue(self.engine, connection, memory, reserve_bytes=RESERVE_BYTES)
        self.requests.mark_warm(INFO.voices[0])
        self.came, self.started, self.spoken = [], [], []
        self.releasing = False

    def come(self, chars):
        self.came.append(utterance(INFO, f"{len(self.came)} " + "x" * chars))
        self.requests.add(self.came[-1])

    def take(self, most):
        before, room_bytes = len(self.engine.in_hand), self.engine.free_bytes() - RESERVE_BYTES
        taken = self.requests.take(most, block=False)
        assert len(taken) <= most
        assert not (taken and self.releasing)
        self.started += taken
        self.engine.in_hand += taken
        fitting = taken if before else taken[1:]  # one that is alone may exceed the memory: waiting would not help
        if fitting:
            assert len(self.engine.in_hand) <= ROWS
            assert sum(cost(one) for one in taken) <= room_bytes

    def end(self, which):
        if self.engine.in_hand:
            one = self.engine.in_hand.pop(which % len(self.engine.in_hand))
            self.requests.finished(one.key)
            self.spoken.append(one.key)

    def give_back(self, which):
        if self.engine.in_hand:
            one = self.engine.in_hand.pop(which % len(self.engine.in_hand))
            self.requests.give_back((one.key,), "no memory")

    def release(self, _):
        self.requests.release(Release(shrink=False))
        self.releasing = True

    def others(self, memory_bytes):
        self.engine.memory_bytes = memory_bytes

    def rest(self):
        """The engine is empty: what was ordered about memory is done."""
        if self.releasing and not self.engine.in_hand:
            assert isinstance(self.requests.next_task(), Release)
            self.releasing = False


steps = st.one_of(
    st.tuples(st.just("come"), st.integers(0, 1000)),
    st.tuples(st.just("come"), st.integers(0, 1000)),
    st.tuples(st.just("take"), st.integers(1, ROWS)),
    st.tuples(st.just("take"), st.integers(1, ROWS)),
    st.tuples(st.just("end"), st.integers(0, ROWS)),
    st.tuples(st.just("give_back"), st.integers(0, ROWS)),
    st.tuples(st.just("release"), st.none()),
    st.tuples(st.just("others"), st.integers(0, 6000)),
)


@given(st.lists(steps, max_size=120))
def test_nothing_is_lost_or_spoken_twice_or_begun_without_room_or_overtaken_too_often(life):
    story = Story()
    for step, amount in life:
        getattr(story, step)(amount)
        story.rest()
    for _ in range(4 * len(story.came)):
        story.take(ROWS)
        story.end(0)
        story.rest()
    assert Counter(story.spoken) == Counter(one.key for one in story.came)
    places = {one.key: place for place, one in enumerate(story.came)}
    order = [places[one.key] for one in story.started]
    for place in range(len(story.came)):
        assert sum(before > place for before in order[: order.index(place)]) <= MAX_TIMES_PASSED_OVER


@pytest.mark.parametrize(("engine", "rows"), [(SimpleNamespace(info=INFO), 3), (Engine(), 6)])
def test_while_others_need_memory_half_is_begun_unless_the_engine_itself_takes_room_for_half(engine, rows):
    memory = WorkerMemory(engine, WorkerLimits(), clock=lambda: 0.0)
    memory.release(shrink=True)
    assert (memory.rows_cap(ROWS), memory.rows_cap(1)) == (rows, 1)
    memory.release(shrink=False)
    assert memory.rows_cap(ROWS) == ROWS
