"""Who gets what, without any process: a worker here is a list of what was sent to it."""

from types import SimpleNamespace

import pytest
from execution_pools import utterance

from speedd.config import GpuSettings
from speedd.engines import find
from speedd.engines.base import Budget
from speedd.execution.base import WorkerState
from speedd.execution.pool.deadlines import PoolTimes
from speedd.execution.pool.settings import PoolSettings
from speedd.execution.pool.supervisor import Supervisor
from speedd.execution.pool.work_queue import WorkerSlot, WorkQueue
from speedd.execution.pool.yield_policy import YieldLevel, YieldPolicy
from speedd.execution.protocol import Gauge, Warming


@pytest.fixture
def supervisor(tmp_path):
    queue = WorkQueue()
    info = find("oom_at_rows").describe({})
    supervisor = Supervisor(
        queue,
        info,
        PoolSettings("oom_at_rows", tmp_path, workers=2),
        yield_policy=YieldPolicy(GpuSettings()),
        clock=lambda: 0.0,
    )
    for slot in supervisor._slots:
        sent = []
        slot.child = SimpleNamespace(send=sent.append, sent=sent)
        slot.state = WorkerState.IDLE
        slot.gauge = Gauge(0, 2, Budget(rows=2, free_bytes=1 << 30, row_bytes=1))
    yield supervisor
    supervisor.stop()


def sent(supervisor):
    return [[order.utterance.text for order in slot.child.sent] for slot in supervisor._slots]


def wait_for_turn(supervisor, *texts):
    run = supervisor._queue.open()
    for text in texts:
        supervisor._queue.add(run, utterance(supervisor.dispatch.info, text))
    return run


def suspect(supervisor, run, text):
    supervisor._queue.add(run, utterance(supervisor.dispatch.info, text))
    task = run.waiting.pop()
    task.died_on.append(WorkerSlot(2))
    supervisor._queue.suspects.append(task)
    return task


def test_workers_are_filled_evenly_up_to_their_window(supervisor):
    wait_for_turn(supervisor, *"abcdefghijk")
    supervisor.dispatch.send()
    assert sent(supervisor) == [list("aceg"), list("bdfh")]


def test_one_that_makes_room_says_itself_how_much_it_can_do_and_is_not_given_half_of_that(supervisor):
    supervisor._slots[0].yield_level = YieldLevel.SHRINK
    wait_for_turn(supervisor, *"abcdefghijk")
    supervisor.dispatch.send()
    assert sent(supervisor) == [list("aceg"), list("bdfh")]


def test_a_suspect_goes_first_and_runs_alone(supervisor):
    run = wait_for_turn(supervisor, *"abcdefghijk")
    suspect(supervisor, run, "S")
    supervisor.dispatch.send()
    assert sent(supervisor) == [["S"], list("abcd")]


def test_while_no_worker_is_empty_for_a_suspect_nothing_else_starts(supervisor):
    run = wait_for_turn(supervisor, "a", "b")
    supervisor.dispatch.send()
    suspect(supervisor, run, "S")
    for text in "cdef":
        supervisor._queue.add(run, utterance(supervisor.dispatch.info, text))
    supervisor.dispatch.send()
    assert sent(supervisor) == [["a"], ["b"]]
    supervisor.dispatch._take_from(supervisor._slots[1], supervisor._slots[1].outstanding[0].utterance.key)
    supervisor.dispatch.send()
    assert sent(supervisor) == [["a", "c", "d", "e"], ["b", "S"]]


def test_the_run_that_has_least_in_hand_is_served_next(supervisor):
    wait_for_turn(supervisor, *"abcd")
    supervisor.dispatch.send()
    wait_for_turn(supervisor, *"ABCD")
    wait_for_turn(supervisor, *"123")
    supervisor.dispatch.send()
    assert sorted(text for slot in sent(supervisor) for text in slot) == sorted("abcd" + "AB" + "12")


def test_what_was_not_in_the_engine_when_it_died_is_not_charged(supervisor):
    run = wait_for_turn(supervisor, "a", "b", "c")
    supervisor.dispatch.send()
    slot = supervisor._slots[0]
    first, second = slot.outstanding
    first.started_s = 0.0
    slot.child = SimpleNamespace(reap=lambda: "it ended", pid=1)
    supervisor._reap(slot)
    assert (first.died_on, second.died_on) == ([slot], [])
    assert list(supervisor._queue.suspects) == [first]
    assert list(run.waiting) == [second]
    assert (slot.uncommitted, slot.state, run.held) == (0, WorkerState.WAITING, 1)


def test_the_worker_after_one_that_was_given_back_while_it_left_is_not_taken_to_leave(supervisor):
    slot = supervisor._slots[0]
    slot.child.reap = lambda: "it was killed"
    slot.leaving = True
    slot.since_s = -PoolTimes().idle_release_s
    supervisor._release_idle()
    assert (slot.child, slot.state) == (None, WorkerState.STOPPED)
    slot.child = SimpleNamespace()
    assert slot.is_up


def test_getting_ready_for_a_voice_may_take_as_long_as_loading(supervisor):
    wait_for_turn(supervisor, "a")
    supervisor.dispatch.send()
    slot = supervisor._slots[0]
    usual_s = supervisor._deadlines.of(slot)
    supervisor.dispatch.hear(slot, Warming("Cosine"))
    assert supervisor._deadlines.of(slot) == PoolTimes().load_s > usual_s
    supervisor.dispatch.hear(slot, Warming(""))
    assert supervisor._deadlines.of(slot) == usual_s
