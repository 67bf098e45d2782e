"""When a dead worker is replaced, and when that is given up."""

import errno

import pytest
from execution_pools import results, utterances

from speedd.errors import EngineError, TryAgainError
from speedd.execution.pool.restarts import (
    FAILED_STARTS_TO_GIVE_UP,
    FRUITLESS_DEATHS_TO_GIVE_UP,
    LONGEST_BACK_OFF_S,
    Restarts,
)


def test_each_death_in_a_row_doubles_the_wait_up_to_the_longest():
    restarts = Restarts()
    waits_s = [restarts.died(loading=False) for _ in range(1200)]
    assert waits_s[:4] == [0.1, 0.2, 0.4, 0.8]
    assert waits_s[8:] == [25.6, *[LONGEST_BACK_OFF_S] * 1191]
    restarts.answered()
    assert restarts.died(loading=False) == 0.1


def test_it_is_vain_after_so_many_failed_starts_or_deaths_without_an_answer():
    starting, speaking = Restarts(), Restarts()
    for deaths in range(1, FRUITLESS_DEATHS_TO_GIVE_UP + 1):
        starting.died(loading=True)
        speaking.died(loading=False)
        assert starting.gave_up == (deaths >= FAILED_STARTS_TO_GIVE_UP)
        assert speaking.gave_up == (deaths >= FRUITLESS_DEATHS_TO_GIVE_UP)
    starting.loaded()
    starting.answered()
    speaking.forget()
    assert not starting.gave_up
    assert not speaking.gave_up


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (RuntimeError("a fault of ours"), (EngineError, "worker pool failed: RuntimeError")),
        (OSError(errno.EIO, "I/O error"), (TryAgainError, "cannot go on now: the disk reports an error")),
        (MemoryError(), (TryAgainError, "out of memory")),
    ],
)
def test_a_crew_that_fails_is_not_healthy_and_leaves_no_worker(pool, fault, told):
    narrators = pool("tone")
    results(narrators, utterances(narrators.info, 2))
    assert narrators.status().healthy

    def fail():
        raise fault

    narrators._supervisor._end_overdue = fail
    with pytest.raises(told[0], match=told[1]):
        list(narrators.run(utterances(narrators.info, 4)))
    narrators._supervisor._thread.join()
    status = narrators.status()
    assert status.broken
    assert not status.healthy
    assert not any(worker.pid for worker in status.workers)
    with pytest.raises(TryAgainError, match="were stopped"):
        list(narrators.run([]))


def test_a_crew_that_was_told_to_stop_is_not_broken(pool):
    narrators = pool("tone")
    results(narrators, utterances(narrators.info, 2))
    narrators.close()
    assert not narrators.status().broken


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_is_gone_without_a_word_is_noticed(pool):
    narrators = pool("tone")
    results(narrators, utterances(narrators.info, 2))

    def vanish():
        raise SystemExit

    narrators._supervisor._end_overdue = vanish
    narrators._supervisor.notify()
    narrators._supervisor._thread.join()
    assert not narrators.status().healthy
