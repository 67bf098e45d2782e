"""Who gets what, without any process: a worker here is a list of what was sent to it."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from execution_pools import utterance

from speedd.engines import find
from speedd.engines.base import Budget, EngineInfo
from speedd.execution.base import WorkerState
from speedd.execution.pool.deadlines import Deadlines, PoolTimes
from speedd.execution.pool.dispatcher import Dispatcher
from speedd.execution.pool.work_queue import WorkerSlot, WorkQueue
from speedd.execution.pool.yield_policy import YieldLevel
from speedd.execution.protocol import Done, Gauge, Warming, WorkerLimits
from speedd.model import Failed

GAUGE = Gauge(0, 2, Budget(rows=2, free_bytes=1 << 30, row_bytes=1))


@dataclass
class Desk:
    """A dispatcher with what it is given: the queue, and two workers that are up and idle."""

    info: EngineInfo
    queue: WorkQueue
    slots: list[WorkerSlot]
    deadlines: Deadlines
    dispatcher: Dispatcher

    def put_up(self, *texts, run=None):
        run = run or self.queue.open()
        for text in texts:
            self.queue.add(run, utterance(self.info, text))
        return run

    def put_up_suspect(self, run, text):
        self.queue.add(run, utterance(self.info, text))
        task = run.waiting.pop()
        task.died_on.append(WorkerSlot(2))
        self.queue.suspects.append(task)

    @property
    def sent(self):
        return [[order.utterance.text for order in slot.child.sent] for slot in self.slots]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    info = find("oom_at_rows").describe({})
    slots = []
    for index in range(2):
        sent = []
        child = SimpleNamespace(send=sent.append, sent=sent)
        slots.append(WorkerSlot(index, child=child, state=WorkerState.IDLE, gauge=GAUGE))
    queue, deadlines = WorkQueue(), Deadlines(PoolTimes(), info.patient_s_per_char)
    dispatcher = Dispatcher(
        queue, slots, info, takes=tmp_path, ahead=WorkerLimits().ahead, deadlines=deadlines, clock=lambda: 0.0
    )
    return Desk(info, queue, slots, deadlines, dispatcher)


def test_workers_are_filled_evenly_up_to_their_window(desk):
    desk.put_up(*"abcdefghijk")
    desk.dispatcher.send()
    assert desk.sent == [list("aceg"), list("bdfh")]


def test_one_that_makes_room_says_itself_how_much_it_can_do_and_is_not_given_half_of_that(desk):
    desk.slots[0].yield_level = YieldLevel.SHRINK
    desk.put_up(*"abcdefghijk")
    desk.dispatcher.send()
    assert desk.sent == [list("aceg"), list("bdfh")]


def test_a_suspect_goes_first_and_runs_alone(desk):
    run = desk.put_up(*"abcdefghijk")
    desk.put_up_suspect(run, "S")
    desk.dispatcher.send()
    assert desk.sent == [["S"], list("abcd")]


def test_while_no_worker_is_empty_for_a_suspect_nothing_else_starts(desk):
    run = desk.put_up("a", "b")
    desk.dispatcher.send()
    desk.put_up_suspect(run, "S")
    desk.put_up(*"cdef", run=run)
    desk.dispatcher.send()
    assert desk.sent == [["a"], ["b"]]
    answer = Failed(desk.slots[1].outstanding[0].utterance.key, "it was asked to fail")
    with desk.queue.lock:
        desk.dispatcher.hear(desk.slots[1], Done(answer, GAUGE))
    desk.dispatcher.send()
    assert desk.sent == [["a", "c", "d", "e"], ["b", "S"]]


def test_the_run_that_has_least_in_hand_is_served_next(desk):
    desk.put_up(*"abcd")
    desk.dispatcher.send()
    desk.put_up(*"ABCD")
    desk.put_up(*"123")
    desk.dispatcher.send()
    assert sorted(text for texts in desk.sent for text in texts) == sorted("abcd" + "AB" + "12")


def test_getting_ready_for_a_voice_may_take_as_long_as_loading(desk):
    desk.put_up("a")
    desk.dispatcher.send()
    slot = desk.slots[0]
    usual_s = desk.deadlines.of(slot)
    desk.dispatcher.hear(slot, Warming("Cosine"))
    assert desk.deadlines.of(slot) == PoolTimes().load_s > usual_s
    desk.dispatcher.hear(slot, Warming(""))
    assert desk.deadlines.of(slot) == usual_s
