"""Two cards on a virtual clock: the pool's own board and crew, workers that are lists of what was sent to them."""

import heapq
from itertools import count

import pytest
from execution_pools import utterance

from speedd.config import GpuSettings
from speedd.engines import find
from speedd.engines.base import Budget
from speedd.execution.base import WorkerState
from speedd.execution.board import Board
from speedd.execution.crew import Crew
from speedd.execution.deadlines import PoolTimes
from speedd.execution.etiquette import Etiquette
from speedd.execution.messages import Done, Gauge, Returned, Started, WorkerLimits
from speedd.model import Rendered

ROWS = 16
S_PER_CHAR = 0.02


class PretendedWorker:
    """Speaks up to so many rows at once, each as long as its text takes."""

    pid = 1

    def __init__(self, bench, slot):
        self.bench, self.slot = bench, slot
        self.waiting, self.running = [], []
        self.alive = True

    def send(self, order):
        self.waiting.append(order.utterance)
        self.start()

    def start(self):
        while self.waiting and len(self.running) < ROWS:
            utterance = self.waiting.pop(0)
            self.running.append(utterance)
            self.bench.say(self, Started((utterance.key,)))
            self.bench.plan(S_PER_CHAR * len(utterance.text), self.end, utterance)

    def end(self, utterance):
        if not self.alive:
            return
        self.running.remove(utterance)
        self.start()
        facts = Rendered(utterance.key, 1, 1, 0.0, 0.0, True, 0.1, "end", 1, self.slot.index)
        self.bench.say(self, Done(facts, self.gauge()))

    def gauge(self):
        return Gauge(len(self.running), ROWS, Budget(ROWS, 1 << 30, 1 << 20))

    def bury(self):
        self.alive = False
        return "it was killed"


class Bench:
    """Runs a crew by hand: dispatch, let time pass, hear, commit."""

    def __init__(self, folder, workers):
        self.clock = 0.0
        self.events, self.ties = [], count()
        self.board = Board()
        self.info = find("card").describe({})
        self.crew = Crew(
            self.board,
            self.info,
            {},
            engine="card",
            takes=folder,
            workers=workers,
            nice=0,
            cards=[str(number) for number in range(workers)],
            times=PoolTimes(),
            limits=WorkerLimits(ahead=8),
            etiquette=Etiquette(GpuSettings()),
            waits=True,
            clock=lambda: self.clock,
        )
        self.slots = self.crew._slots
        for slot in self.slots:
            slot.child, slot.state = PretendedWorker(self, slot), WorkerState.IDLE
            slot.gauge = slot.child.gauge()

    def plan(self, after_s, event, *data):
        heapq.heappush(self.events, (self.clock + after_s, next(self.ties), event, data))

    def say(self, worker, report):
        if worker.alive:
            self.plan(0.0, self.hear, worker, report)

    def hear(self, worker, report):
        if worker.alive:
            self.crew.dispatch.hear(worker.slot, report)

    def kill(self, index):
        self.crew._bury(self.slots[index])
        self.slots[index].start_at_s = float("inf")  # the card is gone for good

    def run(self, chunks):
        """Speak so many chunks; return who spoke what and how long it took."""
        run = self.board.open()
        unspoken = [utterance(self.info, f"{number} " + "x" * (50 + 37 * number % 200)) for number in range(chunks)]
        unspoken.reverse()
        answers = []
        while len(answers) < chunks:
            while unspoken and len(run.waiting) < self.crew.dispatch.places:
                self.board.add(run, unspoken.pop())
            self.crew.dispatch.send()
            self.clock, _, event, data = heapq.heappop(self.events)
            with self.board.lock:
                event(*data)
            for answer, item in run.ready:
                answers.append(answer)
                self.board.release(item)
            run.ready.clear()
        assert len({answer.key for answer in answers}) == chunks
        return answers


@pytest.fixture
def bench(tmp_path):
    made = []

    def make(workers):
        made.append(Bench(tmp_path, workers))
        return made[-1]

    yield make
    for one in made:
        for slot in one.slots:
            slot.child = None
        one.crew.stop()


def test_two_cards_speak_almost_twice_as_fast_as_one(bench):
    one, two = bench(1), bench(2)
    one.run(2000)
    two.run(2000)
    assert one.clock / two.clock >= 1.9


def test_one_card_dies_and_the_other_takes_all(bench):
    two = bench(2)
    two.plan(5.0, two.kill, 1)
    answers = two.run(600)
    assert {answer.worker for answer in answers} == {0, 1}
    assert {answer.worker for answer in answers[-300:]} == {0}
    assert not two.board.suspects
    assert two.slots[0].uncommitted == two.slots[1].uncommitted == 0


def test_what_an_engine_gave_back_is_no_suspect_when_it_dies(bench):
    one = bench(1)
    run = one.board.open()
    for number in range(3):
        one.board.add(run, utterance(one.info, f"Text {number}."))
    one.crew.dispatch.send()
    (slot,) = one.slots
    keys = tuple(item.utterance.key for item in slot.outstanding)
    with one.board.lock:
        one.crew.dispatch.hear(slot, Started(keys))
        one.crew.dispatch.hear(slot, Returned(keys[:2], "the device ran out of memory", slot.gauge))
        one.crew._bury(slot)
    assert [item.utterance.key for item in one.board.suspects] == [keys[2]]
    assert [item.utterance.key for item in run.waiting] == list(keys[:2])
