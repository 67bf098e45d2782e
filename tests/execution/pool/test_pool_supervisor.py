"""Who gets what, without any process: a worker here is a list of what was sent to it."""

from types import SimpleNamespace

import pytest
from execution_pools import utterance

from speedd.config import GpuSettings
from speedd.engines import find
from speedd.engines.base import Budget
from speedd.execution.base import WorkerState
from speedd.execution.pool.deadlines import PoolTimes
from speedd.execution.pool.supervisor import Crew
from speedd.execution.pool.work_queue import Board, Slot
from speedd.execution.pool.yield_policy import Etiquette, Manners
from speedd.execution.protocol import Gauge, Warming, WorkerLimits


@pytest.fixture
def crew(tmp_path):
    board = Board()
    info = find("oom_at_rows").describe({})
    crew = Crew(
        board,
        info,
        {},
        engine="oom_at_rows",
        takes=tmp_path,
        workers=2,
        nice=0,
        times=PoolTimes(),
        limits=WorkerLimits(),
        cards=(),
        etiquette=Etiquette(GpuSettings()),
        waits=True,
        clock=lambda: 0.0,
    )
    for slot in crew._slots:
        sent = []
        slot.child = SimpleNamespace(send=sent.append, sent=sent)
        slot.state = WorkerState.IDLE
        slot.gauge = Gauge(0, 2, Budget(rows=2, free_bytes=1 << 30, row_bytes=1))
    yield crew
    crew.stop()


def sent(crew):
    return [[order.utterance.text for order in slot.child.sent] for slot in crew._slots]


def wait_for_turn(crew, *texts):
    run = crew._board.open()
    for text in texts:
        crew._board.add(run, utterance(crew.dispatch.info, text))
    return run


def suspect(crew, run, text):
    crew._board.add(run, utterance(crew.dispatch.info, text))
    item = run.waiting.pop()
    item.died_on.append(Slot(2))
    crew._board.suspects.append(item)
    return item


def test_workers_are_filled_evenly_up_to_their_window(crew):
    wait_for_turn(crew, *"abcdefghijk")
    crew.dispatch.send()
    assert sent(crew) == [list("aceg"), list("bdfh")]


def test_one_that_makes_room_says_itself_how_much_it_can_do_and_is_not_given_half_of_that(crew):
    crew._slots[0].manners = Manners.SHRINK
    wait_for_turn(crew, *"abcdefghijk")
    crew.dispatch.send()
    assert sent(crew) == [list("aceg"), list("bdfh")]


def test_a_suspect_goes_first_and_runs_alone(crew):
    run = wait_for_turn(crew, *"abcdefghijk")
    suspect(crew, run, "S")
    crew.dispatch.send()
    assert sent(crew) == [["S"], list("abcd")]


def test_while_no_worker_is_empty_for_a_suspect_nothing_else_starts(crew):
    run = wait_for_turn(crew, "a", "b")
    crew.dispatch.send()
    suspect(crew, run, "S")
    for text in "cdef":
        crew._board.add(run, utterance(crew.dispatch.info, text))
    crew.dispatch.send()
    assert sent(crew) == [["a"], ["b"]]
    crew.dispatch._take_from(crew._slots[1], crew._slots[1].outstanding[0].utterance.key)
    crew.dispatch.send()
    assert sent(crew) == [["a", "c", "d", "e"], ["b", "S"]]


def test_the_run_that_has_least_in_hand_is_served_next(crew):
    wait_for_turn(crew, *"abcd")
    crew.dispatch.send()
    wait_for_turn(crew, *"ABCD")
    wait_for_turn(crew, *"123")
    crew.dispatch.send()
    assert sorted(text for slot in sent(crew) for text in slot) == sorted("abcd" + "AB" + "12")


def test_what_was_not_in_the_engine_when_it_died_is_not_charged(crew):
    run = wait_for_turn(crew, "a", "b", "c")
    crew.dispatch.send()
    slot = crew._slots[0]
    first, second = slot.outstanding
    first.started_s = 0.0
    slot.child = SimpleNamespace(bury=lambda: "it ended", pid=1)
    crew._bury(slot)
    assert (first.died_on, second.died_on) == ([slot], [])
    assert list(crew._board.suspects) == [first]
    assert list(run.waiting) == [second]
    assert (slot.uncommitted, slot.state, run.held) == (0, WorkerState.WAITING, 1)


def test_the_worker_after_one_that_was_given_back_while_it_left_is_not_taken_to_leave(crew):
    slot = crew._slots[0]
    slot.child.bury = lambda: "it was killed"
    slot.leaving = True
    slot.since_s = -PoolTimes().idle_release_s
    crew._release_idle()
    assert (slot.child, slot.state) == (None, WorkerState.STOPPED)
    slot.child = SimpleNamespace()
    assert slot.is_up


def test_getting_ready_for_a_voice_may_take_as_long_as_loading(crew):
    wait_for_turn(crew, "a")
    crew.dispatch.send()
    slot = crew._slots[0]
    usual_s = crew._deadlines.of(slot)
    crew.dispatch.hear(slot, Warming("Cosine"))
    assert crew._deadlines.of(slot) == PoolTimes().load_s > usual_s
    crew.dispatch.hear(slot, Warming(""))
    assert crew._deadlines.of(slot) == usual_s
