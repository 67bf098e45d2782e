"""Workers that are to end and do not: they are ended, and their memory comes back."""

import time
from datetime import UTC, datetime
from functools import partial

import pytest
from execution_pools import results, utterance, utterances
from speedd_sandbox import wait_until

from speedd.common.policies import NO_ROOM_PAUSE_S
from speedd.config import GpuSettings
from speedd.errors import TryAgainError
from speedd.execution.pool.deadlines import PoolTimes
from speedd.execution.pool.yield_policy import QuietHours, YieldPolicy
from speedd.model import Voice

pytestmark = [pytest.mark.fault, pytest.mark.timeout(60)]

SOON = PoolTimes(end_s=0.2)


@pytest.mark.parametrize("where", ["close", "exit"])
def test_a_worker_that_has_no_room_and_hangs_at_its_end_is_ended(pool, where):
    later_s = 0.0
    narrators = pool(f"clings_at_{where}", workers=1, times=SOON, clock=lambda: time.monotonic() + later_s)
    work = utterances(narrators.info, 6)
    with pytest.raises(TryAgainError, match="no room on its device"):
        results(narrators, [utterance(narrators.info, "FULL"), *work])
    (worker,) = narrators.status().workers
    assert (worker.pid, worker.restarts) == (None, 0)
    later_s = NO_ROOM_PAUSE_S
    assert len(results(narrators, work)) == len(work)


def test_a_worker_that_has_no_room_at_load_and_hangs_at_its_end_is_ended(pool):
    narrators = pool("clings_at_load", workers=1, times=SOON)
    with pytest.raises(TryAgainError, match="no room on its device"):
        results(narrators, utterances(narrators.info, 3))
    assert narrators.status().workers[0].pid is None


@pytest.fixture
def hour(monkeypatch):
    """The hour of the day; from 20 to 23:30 others have the machine."""
    monkeypatch.setattr("speedd.execution.pool.contention.CHECK_S", 0.05)
    return [12]


@pytest.fixture
def yield_reason(pool, hour):
    """Makes pools that obey quiet hours."""
    yield_policy = YieldPolicy(
        GpuSettings(), quiet=QuietHours.read("20:00-23:30"), now=lambda: datetime(2026, 1, 1, hour[0], tzinfo=UTC)
    )
    return partial(pool, times=SOON, yield_policy=yield_policy)


@pytest.mark.parametrize("where", ["close", "exit"])
def test_a_worker_that_leaves_for_others_and_hangs_at_its_end_is_ended(yield_reason, hour, where):
    narrators = yield_reason(f"clings_at_{where}")
    work = utterances(narrators.info, 40)
    run = narrators.run(work)
    answered = list(next(run))
    hour[0] = 20
    wait_until(lambda: not any(worker.pid for worker in narrators.status().workers))
    hour[0] = 0
    answered += [one for batch in run for one in batch]
    assert sorted(one.key for one in answered) == sorted(one.key for one in work)
    assert sum(worker.restarts for worker in narrators.status().workers) == 0


@pytest.mark.parametrize("where", ["load", "Cosine"])
def test_a_worker_that_is_still_loading_or_getting_ready_is_not_waited_for(
    yield_reason, hour, monkeypatch, tmp_path, where
):
    gate = tmp_path / "gate"
    gate.write_text(where)
    monkeypatch.setenv("SPEEDD_TEST_GATE", str(gate))
    monkeypatch.setattr("speedd.execution.pool.pool.EMPTY_BATCH_S", 0.1)
    narrators = yield_reason("gated", workers=1)
    voice = Voice("Cosine", "2" * 64)
    work = [utterance(narrators.info, f"Text {number}.", voice=voice) for number in range(4)]
    run = narrators.run(work)
    while not narrators.status().workers[0].note:
        assert next(run) == []
    hour[0] = 20
    while narrators.status().workers[0].pid:
        assert next(run) == []
    gate.unlink()
    hour[0] = 0
    assert len([one for batch in run for one in batch]) == len(work)
    assert narrators.status().workers[0].restarts == 0
