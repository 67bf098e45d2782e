"""When a dead worker is replaced, and when that is given up."""

import errno
import threading
import time

import pytest
from execution_pools import results, utterances
from speedd_sandbox import wait_until

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


class FailingClock:
    """Tells the time until it has a fault; then it raises that in the thread that looks after the workers."""

    fault: BaseException | None = None

    def __call__(self):
        if self.fault is not None and threading.current_thread() is not threading.main_thread():
            raise self.fault
        return time.monotonic()


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (RuntimeError("a fault of ours"), (EngineError, "worker pool failed: RuntimeError")),
        (OSError(errno.EIO, "I/O error"), (TryAgainError, "cannot go on now: the disk reports an error")),
        (MemoryError(), (TryAgainError, "out of memory")),
    ],
)
def test_a_supervisor_that_fails_is_not_healthy_and_leaves_no_worker(pool, fault, told):
    clock = FailingClock()
    narrators = pool("tone", clock=clock)
    results(narrators, utterances(narrators.info, 2))
    assert narrators.status().healthy
    clock.fault = fault
    with pytest.raises(told[0], match=told[1]):
        list(narrators.run(utterances(narrators.info, 4)))
    wait_until(lambda: not any(worker.pid for worker in narrators.status().workers))
    assert narrators.status().broken
    assert not narrators.status().healthy
    with pytest.raises(TryAgainError, match="were stopped"):
        list(narrators.run([]))


def test_a_supervisor_that_was_told_to_stop_is_not_broken(pool):
    narrators = pool("tone")
    results(narrators, utterances(narrators.info, 2))
    narrators.close()
    assert not narrators.status().broken


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_is_gone_without_a_word_is_noticed(pool):
    clock = FailingClock()
    narrators = pool("tone", clock=clock)
    results(narrators, utterances(narrators.info, 2))
    clock.fault = SystemExit()
    narrators.warm()
    wait_until(lambda: not narrators.status().healthy)
