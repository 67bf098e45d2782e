"""Two cards on a virtual clock: the pool's own queue and supervisor, workers that are lists of what was sent to
them."""

import heapq
from itertools import count, pairwise

import pytest
from execution_pools import utterance
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speedd.common.policies import (
    FAILED_STARTS_TO_GIVE_UP,
    FRUITLESS_DEATHS_TO_GIVE_UP,
    LONGEST_BACK_OFF_S,
    REST_S,
)
from speedd.config import GpuSettings
from speedd.engines import find
from speedd.engines.base import Budget
from speedd.errors import EngineError
from speedd.execution.base import WorkerState
from speedd.execution.pool import supervisor
from speedd.execution.pool.settings import PoolSettings
from speedd.execution.pool.supervisor import Supervisor
from speedd.execution.pool.work_queue import WorkQueue
from speedd.execution.pool.yield_policy import YieldPolicy
from speedd.execution.protocol import Done, Gauge, Ready, Refused, Returned, Setup, Started, Stop, WorkerLimits
from speedd.model import Rendered

ROWS, AHEAD = 16, 8
S_PER_CHAR = 0.02
LOAD_S = 2.0


class PretendedWorker:
    """Speaks up to so many rows at once, each as long as its text takes, unless its card is at fault."""

    pid = 1
    connection = None

    def __init__(self, bench, slot):
        self.bench, self.slot = bench, slot
        self.fault = bench.faults.get(slot.index)
        self.waiting, self.running = [], []
        self.alive = True
        bench.starts[slot.index].append(bench.clock)
        if self.fault == "dies at load":
            bench.plan(LOAD_S / 2, self.die)
        elif self.fault == "refuses":
            bench.plan(LOAD_S / 2, self.refuse)
        else:
            bench.plan(LOAD_S, bench.hear, self, Ready(bench.info, self.gauge(), LOAD_S, 1))

    def send(self, order):
        if isinstance(order, Stop):
            self.waiting.clear()
            self.leave()
            return
        self.waiting.append(order.utterance)
        self.start()
        if self.fault == "dies at work" and len(self.waiting) + len(self.running) == 1:
            self.bench.plan(0.1, self.die)

    def die(self):
        if self.alive:
            self.bench.supervisor._reap(self.slot)

    def leave(self):
        """End when what is being spoken is done."""
        if self.running:
            self.bench.plan(0.1, self.leave)
        else:
            self.die()

    def give_back(self):
        """Out of memory: all that is being spoken waits again."""
        keys = tuple(utterance.key for utterance in self.running)
        self.waiting = self.running + self.waiting
        self.running = []
        self.bench.say(self, Returned(keys, "the device ran out of memory", self.gauge()))
        self.bench.plan(0.1, self.start)

    def refuse(self):
        self.bench.hear(self, Refused("There is no such card.", "Look at the cable."))
        self.die()

    def start(self):
        while self.waiting and len(self.running) < ROWS:
            utterance = self.waiting.pop(0)
            self.running.append(utterance)
            self.bench.say(self, Started((utterance.key,)))
            self.bench.plan(S_PER_CHAR * len(utterance.text), self.end, utterance)

    def end(self, utterance):
        if not self.alive or utterance not in self.running:
            return
        self.running.remove(utterance)
        self.bench.spoken.append((utterance.key, self.slot.index))
        self.start()
        facts = Rendered(utterance.key, 1, 1, 0.0, 0.0, True, 0.1, "end", 1, self.slot.index)
        self.bench.say(self, Done(facts, self.gauge()))

    def gauge(self):
        return Gauge(len(self.running), ROWS, Budget(ROWS, 1 << 30, 1 << 20))

    def reap(self):
        self.alive = False
        return "it was killed"


class Bench:
    """Runs a supervisor by hand: start workers, dispatch, let time pass, hear, commit."""

    def __init__(self, folder, workers):
        self.faults = {}
        """What is wrong with a card: ``dies at load``, ``dies at work`` or ``refuses``."""
        self.starts = [[] for _ in range(workers)]
        self.spoken = []
        self.clock = 0.0
        self.events, self.ties = [], count()
        self.queue = WorkQueue()
        self.info = find("card").describe({})
        cards = [str(number) for number in range(workers)]
        self.supervisor = Supervisor(
            self.queue,
            self.info,
            PoolSettings("card", folder, workers=workers, cards=cards, limits=WorkerLimits(ahead=AHEAD)),
            yield_policy=YieldPolicy(GpuSettings()),
            clock=lambda: self.clock,
        )
        self.slots = self.supervisor._slots

    def load(self):
        """Let all workers load their engines."""
        self.supervisor._expected = len(self.slots)
        self.supervisor._start_workers()
        while any(slot.state is not WorkerState.IDLE for slot in self.slots):
            self.step()

    def child(self, setup, **_):
        assert isinstance(setup, Setup)
        return PretendedWorker(self, self.slots[setup.index])

    def plan(self, after_s, event, *data):
        heapq.heappush(self.events, (self.clock + after_s, next(self.ties), event, data))

    def say(self, worker, report):
        if worker.alive:
            self.plan(0.0, self.hear, worker, report)

    def hear(self, worker, report):
        if worker.alive:
            self.supervisor.dispatch.hear(worker.slot, report)

    def break_card(self, index, fault):
        """From now on whatever works there dies."""
        self.faults[index] = fault
        self.slots[index].child.die()

    def befall(self, index, fault):
        """Let something happen to the worker on a card, if there is one."""
        slot = self.slots[index]
        if slot.child is None or slot.leaving:
            return
        if fault == "leave":
            slot.leaving = True
            slot.child.send(Stop())
        elif slot.state is not WorkerState.LOADING or fault == "die":
            getattr(slot.child, fault)()

    def step(self):
        """Let time pass until something happens, or a worker may be started."""
        with self.queue.lock:
            self.supervisor._start_workers()
            self.supervisor.dispatch.send()
            for slot in self.slots:
                assert slot.uncommitted <= ROWS + AHEAD
                assert len(slot.outstanding) <= slot.uncommitted
            assert sum(slot.uncommitted for slot in self.slots) == sum(run.held for run in self.queue.runs)
            awaited_s = self.supervisor._timeout_s()
            if awaited_s is not None and (not self.events or self.clock + awaited_s < self.events[0][0]):
                self.clock += awaited_s
                return
            self.clock, _, event, data = heapq.heappop(self.events)
            event(*data)

    def run(self, chunks):
        """Speak so many chunks; return who spoke what and how long it took."""
        run = self.queue.open()
        unspoken = [utterance(self.info, f"{number} " + "x" * (50 + 37 * number % 200)) for number in range(chunks)]
        unspoken.reverse()
        answers = []
        while len(answers) < chunks:
            while unspoken and len(run.waiting) < self.supervisor.dispatch.places:
                self.queue.add(run, unspoken.pop())
            self.step()
            if run.error:
                raise run.error
            for answer, task in run.ready:
                answers.append(answer)
                self.queue.release(task)
            run.ready.clear()
        assert len({answer.key for answer in answers}) == chunks
        self.queue.close(run)
        return answers


@pytest.fixture
def bench(tmp_path, monkeypatch):
    made = []

    def make(workers):
        made.append(Bench(tmp_path, workers))
        monkeypatch.setattr(supervisor, "WorkerProcess", made[-1].child)
        return made[-1]

    yield make
    for one in made:
        for slot in one.slots:
            slot.child = None
        one.supervisor.stop()


def test_two_cards_speak_almost_twice_as_fast_as_one(bench):
    one = bench(1)
    one.run(2000)
    two = bench(2)
    two.run(2000)
    assert one.clock / two.clock >= 1.9


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.floats(0, 60), st.integers(0, 1), st.sampled_from(["die", "leave", "give_back"])), max_size=12
    )
)
def test_whatever_befalls_two_workers_every_chunk_is_answered_once(bench, faults):
    two = bench(2)
    for at_s, index, fault in faults:
        two.plan(at_s, two.befall, index, fault)
    answers = two.run(300)
    deaths = sum(fault == "die" for _, _, fault in faults)
    assert sorted(answer.key for answer in answers) == sorted({answer.key for answer in answers})
    assert deaths >= 3 or all(isinstance(answer, Rendered) for answer in answers)
    assert sum(slot.restarts.total for slot in two.slots) <= deaths
    assert {slot.uncommitted for slot in two.slots} == {0}
    assert not two.queue.suspects


def test_a_card_that_dies_in_mid_work_and_at_each_load_from_then_on_leaves_all_to_the_other(bench):
    two = bench(2)
    two.plan(5.0, two.break_card, 1, "dies at load")
    answers = two.run(2500)
    assert all(isinstance(answer, Rendered) for answer in answers)
    assert {answer.worker for answer in answers[:100]} == {0, 1}
    assert {answer.worker for answer in answers[-2000:]} == {0}
    assert len(two.spoken) == len(answers)
    assert len(two.starts[0]) == 1
    assert len(two.starts[1]) == 1 + FAILED_STARTS_TO_GIVE_UP
    assert not two.queue.suspects
    assert two.slots[0].uncommitted == two.slots[1].uncommitted == 0
    status = two.supervisor.status()[1]
    assert (status.state, status.note) == (WorkerState.WAITING, "left alone for a while: it was killed")


def test_a_card_that_loads_and_dies_at_each_chunk_fails_none_of_them(bench):
    two = bench(2)
    two.faults[1] = "dies at work"
    answers = two.run(6000)
    assert all(isinstance(answer, Rendered) for answer in answers)
    assert {index for _, index in two.spoken} == {0}
    assert len(two.spoken) == len(answers)
    starts_s = two.starts[1]
    assert len(two.starts[0]) == 1
    assert len(starts_s) in {FRUITLESS_DEATHS_TO_GIVE_UP, FRUITLESS_DEATHS_TO_GIVE_UP + 1}
    waits_s = [after_s - before_s for before_s, after_s in pairwise(starts_s[:FRUITLESS_DEATHS_TO_GIVE_UP])]
    assert waits_s[-1] >= LONGEST_BACK_OFF_S > 10 > waits_s[0]
    assert two.supervisor.status()[1].note


def test_it_costs_the_card_that_is_well_next_to_nothing(bench):
    alone = bench(1)
    alone.run(6000)
    two = bench(2)
    two.faults[1] = "dies at work"
    two.run(6000)
    assert two.clock <= 1.1 * alone.clock


@pytest.mark.parametrize("fault", ["dies at load", "dies at work", "refuses"])
def test_a_card_that_was_given_up_on_is_tried_again_later_and_works_if_it_is_well(bench, fault):
    two = bench(2)
    two.faults[1] = fault
    two.run(6000)
    del two.faults[1]
    two.spoken.clear()
    two.clock += REST_S
    two.run(2000)
    assert {index for _, index in two.spoken} == {0, 1}
    assert two.supervisor.status()[1].note == ""


def test_a_card_whose_engine_refuses_is_set_aside_and_no_book_fails(bench):
    two = bench(2)
    two.faults[1] = "refuses"
    answers = two.run(600)
    assert {answer.worker for answer in answers} == {0}
    assert len(two.starts[1]) == 1
    assert two.supervisor.status()[1].note == "left alone for a while: There is no such card."


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        (["dies at load"], r"stopped working 5 times in a row; the last time it was killed\. Try"),
        (["dies at load", "dies at load"], r"stopped working 10 times in a row"),
        (["refuses"], r"There is no such card\. Look at the cable\."),
        (["dies at load", "refuses"], r"stopped working 6 times in a row"),
        (["refuses", "refuses"], r"There is no such card\. Look at the cable\."),
    ],
)
def test_only_when_every_card_was_given_up_on_the_book_fails_and_the_next_one_tries_anew(bench, faults, told):
    cards = bench(len(faults))
    cards.faults.update(enumerate(faults))
    with pytest.raises(EngineError, match=told):
        cards.run(100)
    cards.queue.close(cards.queue.runs[0])
    cards.faults.clear()
    began_s = cards.clock
    cards.run(100)
    assert cards.clock < began_s + REST_S


def test_what_was_not_in_the_engine_when_it_died_is_not_charged(bench):
    one = bench(1)
    one.load()
    run = one.queue.open()
    for number in range(3):
        one.queue.add(run, utterance(one.info, f"Text {number}."))
    one.supervisor.dispatch.send()
    (slot,) = one.slots
    first, *others = slot.outstanding
    with one.queue.lock:
        one.supervisor.dispatch.hear(slot, Started((first.utterance.key,)))
    slot.child.die()
    assert [len(task.died_on) for task in (first, *others)] == [1, 0, 0]
    assert list(one.queue.suspects) == [first]
    assert list(run.waiting) == others
    assert (slot.uncommitted, slot.state, run.held) == (0, WorkerState.WAITING, 0)


def test_the_worker_after_one_that_was_given_back_while_it_left_is_not_taken_to_leave(bench):
    one = bench(1)
    one.load()
    one.slots[0].leaving = True
    one.clock += PoolTimes().idle_release_s
    one.supervisor._release_idle()
    assert one.supervisor.status()[0].state is WorkerState.STOPPED
    one.load()
    assert one.slots[0].is_up


def test_what_an_engine_gave_back_is_no_suspect_when_it_dies(bench):
    one = bench(1)
    one.load()
    run = one.queue.open()
    for number in range(3):
        one.queue.add(run, utterance(one.info, f"Text {number}."))
    one.supervisor.dispatch.send()
    (slot,) = one.slots
    keys = tuple(task.utterance.key for task in slot.outstanding)
    with one.queue.lock:
        one.supervisor.dispatch.hear(slot, Started(keys))
        one.supervisor.dispatch.hear(slot, Returned(keys[:2], "the device ran out of memory", slot.gauge))
        slot.child.die()
    assert [task.utterance.key for task in one.queue.suspects] == [keys[2]]
    assert [task.utterance.key for task in run.waiting] == list(keys[:2])
