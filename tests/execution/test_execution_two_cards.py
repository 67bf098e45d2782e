"""Two cards on a virtual clock: the pool's own queue and supervisor, workers that are lists of what was sent to
them."""

import heapq
import math
from collections import deque
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
from speedd.execution.pool.deadlines import PoolTimes
from speedd.execution.pool.settings import PoolSettings
from speedd.execution.pool.supervisor import Supervisor
from speedd.execution.pool.work_queue import WorkQueue
from speedd.execution.pool.yield_policy import YieldLevel, YieldPolicy
from speedd.execution.protocol import Done, Gauge, Ready, Refused, Returned, Speak, Started, Stop, WorkerLimits
from speedd.model import Rendered

ROWS, AHEAD = 16, 8
S_PER_CHAR = 0.02
LOAD_S = 2.0


class PretendedWorker:
    """Speaks up to so many rows at once, each as long as its text takes, unless its card is at fault.

    It is its own connection to the supervisor.
    """

    pid = 1

    def __init__(self, bench, index):
        self.bench, self.index = bench, index
        self.connection = self
        self.fault = bench.faults.get(index)
        self.reports = deque()
        self.waiting, self.running = [], []
        self.alive, self.is_loaded = True, False
        bench.starts[index].append(bench.clock)
        if self.fault == "dies at load":
            bench.plan(LOAD_S / 2, self.die)
        elif self.fault == "refuses":
            bench.plan(LOAD_S / 2, self.report, Refused("There is no such card.", "Look at the cable."))
        else:
            bench.plan(LOAD_S, self.load)

    def load(self):
        self.is_loaded = True
        self.report(Ready(self.bench.info, self.gauge(), LOAD_S, 1))

    def send(self, order):
        if self.fault == "stays":
            return
        if isinstance(order, Stop):
            self.waiting.clear()
            self.leave()
        elif isinstance(order, Speak):
            self.waiting.append(order.utterance)
            self.start()
            if self.fault == "dies at work" and len(self.waiting) + len(self.running) == 1:
                self.bench.plan(0.1, self.die)

    def poll(self):
        return bool(self.reports) or not self.alive

    def recv(self):
        if not self.reports:
            raise EOFError
        return self.reports.popleft()

    def report(self, report):
        if self.alive:
            self.reports.append(report)

    def die(self):
        self.alive = False

    kill = die

    def reap(self):
        self.die()
        return "it was killed"

    def leave(self):
        """End when what is being spoken is done."""
        if self.running:
            self.bench.plan(0.1, self.leave)
        else:
            self.die()

    def give_back(self):
        """Out of memory: all that is being spoken waits again."""
        if self.is_loaded:
            keys = tuple(utterance.key for utterance in self.running)
            self.waiting = self.running + self.waiting
            self.running = []
            self.report(Returned(keys, "the device ran out of memory", self.gauge()))
            self.bench.plan(0.1, self.start)

    def start(self):
        while self.waiting and len(self.running) < self.bench.rows:
            utterance = self.waiting.pop(0)
            self.running.append(utterance)
            self.report(Started((utterance.key,)))
            self.bench.plan(S_PER_CHAR * len(utterance.text), self.end, utterance)

    def end(self, utterance):
        if not self.alive or utterance not in self.running:
            return
        self.running.remove(utterance)
        self.bench.spoken.append((utterance.key, self.index))
        self.start()
        facts = Rendered(utterance.key, 1, 1, 0.0, 0.0, True, 0.1, "end", 1, self.index)
        self.report(Done(facts, self.gauge()))

    def gauge(self):
        return Gauge(len(self.running), ROWS, Budget(ROWS, 1 << 30, 1 << 20))


class Levels(YieldPolicy):
    """What the workers on each card may do, as the test says."""

    def __init__(self):
        super().__init__(GpuSettings())
        self.of = {}

    def is_needed(self, on_cards):
        return True

    def judge(self, card, workers, now_s):
        level = self.of.get(card, YieldLevel.WORK)
        return level, "others need the card" if level else ""


class Bench:
    """Turns a supervisor by hand; where it would wait, the clock goes on to what happens next."""

    def __init__(self, folder, workers, times):
        self.faults = {}
        """What is wrong with a card: ``dies at load``, ``dies at work``, ``refuses``, or ``stays`` when told to end."""
        self.rows = ROWS
        self.workers = {}
        self.starts = [[] for _ in range(workers)]
        self.spoken = []
        self.clock = 0.0
        self.events, self.ties = [], count()
        self.queue = WorkQueue()
        self.levels = Levels()
        self.info = find("card").describe({})
        cards = [str(number) for number in range(workers)]
        self.supervisor = Supervisor(
            self.queue,
            self.info,
            PoolSettings("card", folder, workers=workers, cards=cards, times=times, limits=WorkerLimits(ahead=AHEAD)),
            yield_policy=self.levels,
            clock=lambda: self.clock,
        )

    @property
    def status(self):
        with self.queue.lock:
            return self.supervisor.status()

    def worker(self, setup, **_):
        self.workers[setup.index] = PretendedWorker(self, setup.index)
        return self.workers[setup.index]

    def plan(self, after_s, event, *data):
        heapq.heappush(self.events, (self.clock + after_s, next(self.ties), event, data))

    def break_card(self, index, fault):
        """From now on whatever works there dies."""
        self.faults[index] = fault
        self.workers[index].die()

    def befall(self, index, fault):
        """Let something happen to the worker on a card, if there is one."""
        if fault == "leave":
            self.levels.of[str(index)] = YieldLevel.LEAVE
            self.plan(5.0, self.levels.of.clear)
        elif index in self.workers:
            getattr(self.workers[index], fault)()

    def wait(self, lines, timeout_s):
        """Let time pass until a worker has something to say, or for so long: `multiprocessing.connection.wait`."""
        workers = [line for line in lines if isinstance(line, PretendedWorker)]
        if not any(worker.poll() for worker in workers):
            until_s = self.clock + (math.inf if timeout_s is None else timeout_s)
            if self.events and self.events[0][0] <= until_s:
                self.clock, _, event, data = heapq.heappop(self.events)
                event(*data)
            else:
                self.clock = until_s
            assert self.clock < math.inf, "nothing will ever happen any more"
        return [worker for worker in workers if worker.poll()]

    def step(self):
        """Let the supervisor do what can be done and wait until something happens."""
        assert self.supervisor.step()
        held = sum(run.held for run in self.queue.runs)
        for worker in self.status:
            assert worker.in_flight <= worker.uncommitted <= ROWS + AHEAD
            held -= worker.uncommitted
        assert held == 0

    def put_up(self, *texts):
        """Let texts wait, and the one worker start on as many as it takes."""
        run = self.queue.open()
        for text in texts:
            self.queue.add(run, utterance(self.info, text))
        while not (self.workers and len(self.workers[0].running) == min(self.rows, len(texts))):
            self.step()
        while self.workers[0].reports:
            self.step()
        return run

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

    def make(workers, times=None):
        made.append(Bench(tmp_path, workers, times or PoolTimes()))
        monkeypatch.setattr(supervisor, "WorkerProcess", made[-1].worker)
        monkeypatch.setattr(supervisor, "wait", made[-1].wait)
        return made[-1]

    yield make
    for one in made:
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
    assert sum(worker.restarts for worker in two.status) <= deaths
    assert {worker.uncommitted for worker in two.status} == {0}
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
    assert [worker.uncommitted for worker in two.status] == [0, 0]
    status = two.status[1]
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
    assert two.status[1].note


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
    assert two.status[1].note == ""


def test_a_card_whose_engine_refuses_is_set_aside_and_no_book_fails(bench):
    two = bench(2)
    two.faults[1] = "refuses"
    answers = two.run(600)
    assert {answer.worker for answer in answers} == {0}
    assert len(two.starts[1]) == 1
    assert two.status[1].note == "left alone for a while: There is no such card."


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
    one.rows = 1
    run = one.put_up("First.", "Second.", "Third.")
    one.workers[0].die()
    one.step()
    assert [task.utterance.text for task in one.queue.suspects] == ["First."]
    assert [task.utterance.text for task in run.waiting] == ["Second.", "Third."]
    (worker,) = one.status
    assert (worker.uncommitted, worker.in_flight, worker.state) == (0, 0, WorkerState.WAITING)


def test_what_an_engine_gave_back_is_no_suspect_when_it_dies(bench):
    one = bench(1)
    run = one.put_up("First.", "Second.", "Third.")
    worker = one.workers[0]
    keys = tuple(utterance.key for utterance in worker.running)
    worker.report(Returned(keys[:2], "the device ran out of memory", worker.gauge()))
    worker.die()
    one.step()
    assert [task.utterance.text for task in one.queue.suspects] == ["Third."]
    assert [task.utterance.text for task in run.waiting] == ["First.", "Second."]


def test_the_worker_after_one_that_was_given_back_while_it_left_is_not_taken_to_leave(bench):
    one = bench(1, PoolTimes(end_s=600.0, idle_release_s=1.0))
    one.run(1)
    one.workers[0].fault = "stays"
    one.levels.of["0"] = YieldLevel.LEAVE
    while one.status[0].state is not WorkerState.STOPPED:
        one.step()
    one.levels.of.clear()
    assert len(one.run(10)) == 10
