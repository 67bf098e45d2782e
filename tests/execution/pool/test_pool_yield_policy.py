"""Room for others, decided on a simulated card and a virtual clock, and obeyed by real workers."""

import time as clock
from datetime import UTC, datetime, time
from pathlib import Path

import pytest
from execution_pools import results, utterances

from speedd.config import GpuSettings
from speedd.errors import TryAgainError
from speedd.execution.pool.deadlines import PoolTimes
from speedd.execution.pool.gpus import CardUse, NvmlGpus, visible_cards
from speedd.execution.pool.pool import WorkerPool
from speedd.execution.pool.settings import PoolSettings
from speedd.execution.pool.yield_policy import CALM_S, QuietHours, YieldLevel, YieldPolicy

GIB = 1 << 30


class PretendedCards:
    """Cards of 10 GiB; ``others`` is what other programs use of each, in GiB. A worker of ours uses 2."""

    others = 0.0

    def __init__(self):
        self.told_bytes = set()

    def look(self, card, workers):
        self.told_bytes.update(workers.values())
        ours = 2 * GIB * len(workers)
        return CardUse(10 * GIB, int(10 * GIB - ours - self.others * GIB), ours)


@pytest.fixture
def cards():
    return PretendedCards()


def test_the_more_others_use_the_more_it_gives_way_and_it_comes_back_only_after_a_calm_while(cards):
    yield_policy = YieldPolicy(GpuSettings(), cards=cards)
    said = []
    for now_s, others in [(0, 0), (1, 6), (2, 8), (3, 9.5), (4, 0), (CALM_S, 0), (CALM_S + 4, 0), (CALM_S + 5, 6)]:
        cards.others = others
        said.append(yield_policy.judge("0", {42: 0} if others < 9 else {}, now_s)[0].name)
    assert said == ["WORK", "SHRINK", "PAUSE", "LEAVE", "LEAVE", "LEAVE", "WORK", "SHRINK"]


def test_our_own_memory_is_not_held_against_us(cards):
    cards.others = 4
    assert YieldPolicy(GpuSettings(), cards=cards).judge("0", {42: 0}, 0) == (YieldLevel.WORK, "")


def test_what_cannot_be_told_is_no_reason_to_stop():
    class Blind:
        def look(self, card, workers):
            return None

    assert YieldPolicy(GpuSettings(), cards=Blind()).judge("0", {42: 0}, 0)[0] is YieldLevel.WORK
    assert NvmlGpus().look("99", {}) is None


@pytest.mark.parametrize(
    ("hours", "moment", "quiet"),
    [
        ("20:00-23:30", time(20), True),
        ("20:00-23:30", time(23, 30), False),
        ("22:00-07:00", time(23), True),
        ("22:00-07:00", time(6, 59), True),
        ("22:00-07:00", time(12), False),
    ],
)
def test_quiet_hours_may_go_past_midnight(hours, moment, quiet):
    assert QuietHours.read(hours).cover(moment) is quiet


def test_cards_are_those_that_the_environment_leaves(tmp_path):
    assert visible_cards({"CUDA_VISIBLE_DEVICES": "1, GPU-abc"}) == ("1", "GPU-abc")
    assert visible_cards({"CUDA_VISIBLE_DEVICES": ""}) == ()
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / name).mkdir()
    assert visible_cards({}, tmp_path) == ("0", "1")
    assert visible_cards({}, tmp_path / "no driver") == ()


def wait_until(condition):
    give_up_s = clock.monotonic() + 60
    while not condition():
        assert clock.monotonic() < give_up_s
        clock.sleep(0.02)


def test_in_quiet_hours_workers_end_and_afterwards_they_go_on_where_they_were(tmp_path, monkeypatch):
    monkeypatch.setenv("SPEEDD_TEST_SLOW_S", "0.05")
    monkeypatch.setattr("speedd.execution.pool.contention.CHECK_S", 0.05)
    hour = [12]
    yield_policy = YieldPolicy(
        GpuSettings(), quiet=QuietHours.read("20:00-23:30"), now=lambda: datetime(2026, 1, 1, hour[0], tzinfo=UTC)
    )
    pool = WorkerPool(PoolSettings("slow", tmp_path, workers=2), yield_policy)
    try:
        work = utterances(pool.info, 40)
        run = pool.run(work)
        answered = list(next(run))
        hour[0] = 20
        wait_until(lambda: not any(worker.pid for worker in pool.status().workers))
        assert {worker.note for worker in pool.status().workers} == {"quiet hours until 23:30"}
        hour[0] = 0
        answered += [one for batch in run for one in batch]
        assert sorted(one.key for one in answered) == sorted(one.key for one in work)
        assert sum(worker.restarts for worker in pool.status().workers) == 0
    finally:
        pool.close()


def test_who_does_not_want_to_wait_is_told_why(tmp_path):
    yield_policy = YieldPolicy(
        GpuSettings(), quiet=QuietHours.read("20:00-23:30"), now=lambda: datetime(2026, 1, 1, 21, tzinfo=UTC)
    )
    pool = WorkerPool(PoolSettings("tone", tmp_path, workers=1, waits=False), yield_policy)
    try:
        with pytest.raises(TryAgainError, match="quiet hours until 23:30"):
            results(pool, utterances(pool.info, 3))
    finally:
        pool.close()


def test_a_card_that_others_need_is_left_to_them(tmp_path, cards, monkeypatch):
    monkeypatch.setattr("speedd.execution.pool.contention.CHECK_S", 0.05)
    monkeypatch.setattr("speedd.execution.pool.yield_policy.CALM_S", 0.0)
    yield_policy = YieldPolicy(GpuSettings(), cards=cards)
    pool = WorkerPool(PoolSettings("card", tmp_path, cards=("7", "8")), yield_policy)
    try:
        run = pool.run(utterances(pool.info, 200))
        next(run)
        assert {worker.card for worker in pool.status().workers} == {"7", "8"}
        wait_until(lambda: GIB in cards.told_bytes)
        cards.others = 9.5
        wait_until(lambda: not any(worker.pid for worker in pool.status().workers))
        assert all("other programs use 95%" in worker.note for worker in pool.status().workers)
        cards.others = 0
        seen = {one.stop_reason for batch in run for one in batch}
        assert seen == {"on card 7", "on card 8"}
    finally:
        pool.close()


@pytest.fixture
def released(fault_folder):
    """Says what the engine ``roomy`` gave back."""
    return lambda: (fault_folder / "released").read_text().splitlines() if (fault_folder / "released").exists() else []


@pytest.fixture
def roomy(tmp_path, cards, monkeypatch, fault_folder):
    """A worker on a card that is looked at often."""
    monkeypatch.setattr("speedd.execution.pool.contention.CHECK_S", 0.05)
    monkeypatch.setattr("speedd.execution.pool.yield_policy.CALM_S", 0.0)
    pool = WorkerPool(PoolSettings("roomy", tmp_path, cards=("7",)), YieldPolicy(GpuSettings(), cards=cards))
    yield pool
    pool.close()


def test_a_worker_without_work_gives_memory_back_at_once_and_may_take_it_again(roomy, cards, released):
    results(roomy, utterances(roomy.info, 4))
    assert released() == []
    for others, said, rows, used in ((6, "shrink 0", 4, 4 * GIB), (0, "all 0", 8, 8 * GIB)):
        cards.others = others
        wait_until(lambda said=said: released()[-1:] == [said])
        wait_until(lambda used=used: roomy.status().workers[0].used_bytes == used)
        assert roomy.status().workers[0].rows_cap == rows
    assert len(released()) == 2
    results(roomy, utterances(roomy.info, 4, text="And more"))


def test_a_worker_at_work_empties_its_engine_first_and_loses_nothing(roomy, cards, released):
    work = utterances(roomy.info, 200)
    answered = []
    for batch in roomy.run(work):
        answered += batch
        if len(answered) > 30 and not released():
            cards.others = 6
        if released() == ["shrink 0"]:
            cards.others = 0
    assert sorted(one.key for one in answered) == sorted(one.key for one in work)
    assert released() == ["shrink 0", "all 0"]
    assert roomy.status().workers[0].restarts == 0


def test_one_that_comes_back_to_a_card_that_others_still_need_takes_half(roomy, cards, released, monkeypatch):
    monkeypatch.setattr("speedd.execution.pool.pool.EMPTY_BATCH_S", 0.2)
    cards.others = 9.5
    run = roomy.run(utterances(roomy.info, 40))
    assert list(next(run)) == []
    cards.others = 6
    assert len([one for batch in run for one in batch]) == 40
    assert released() == ["shrink 0"]


def test_one_that_pauses_for_long_leaves_although_there_is_work(tmp_path, cards, monkeypatch):
    monkeypatch.setattr("speedd.execution.pool.contention.CHECK_S", 0.05)
    monkeypatch.setattr("speedd.execution.pool.yield_policy.CALM_S", 0.0)
    times = PoolTimes(idle_release_s=0.1)
    yield_policy = YieldPolicy(GpuSettings(), cards=cards)
    pool = WorkerPool(PoolSettings("card", tmp_path, cards=("7",), times=times), yield_policy)
    try:
        run = pool.run(utterances(pool.info, 60))
        answered = list(next(run))
        cards.others = 8
        wait_until(lambda: pool.status().workers[0].pid is None)
        assert "other programs use 80%" in pool.status().workers[0].note
        cards.others = 0
        assert len(answered) + len([one for batch in run for one in batch]) == 60
    finally:
        pool.close()


def test_others_that_take_of_the_reserve_are_given_more_and_those_who_were_there_before_are_not():
    """A card of 10 GiB that is ours but for 1 GiB: others can never use half of it."""

    class Nearly(PretendedCards):
        ours, others = 8.0, 1.5

        def look(self, card, workers):
            ours = int(self.ours * GIB) if workers else 0
            return CardUse(10 * GIB, int(10 * GIB - ours - self.others * GIB), ours)

    cards = Nearly()
    yield_policy = YieldPolicy(GpuSettings(reserve_mb=512), cards=cards)
    steps = [
        (8.2, 1.5, YieldLevel.WORK),  # what is short of the reserve was taken by ourselves
        (8.0, 1.7, YieldLevel.WORK),
        (8.0, 1.9, YieldLevel.SHRINK),
        (4.0, 1.9, YieldLevel.SHRINK),  # no calm while yet
        (4.0, 2.5, YieldLevel.WORK),  # it takes what is left again, from now on
        (7.2, 2.5, YieldLevel.WORK),
        (7.0, 2.9, YieldLevel.SHRINK),
    ]
    for turn, (ours, others, yield_level) in enumerate(steps):
        cards.ours, cards.others = ours, others
        now_s = turn + (CALM_S if turn > 3 else 0)
        assert yield_policy.judge("0", {42: 0}, now_s)[0] is yield_level, (turn, ours, others)
    assert yield_policy.judge("0", {}, 1000)[0] is YieldLevel.WORK  # a worker that starts now finds them there
    cards.ours = 4.9
    assert yield_policy.judge("0", {43: 0}, 2000)[0] is YieldLevel.WORK


@pytest.mark.parametrize(("told", "yield_level"), [(False, YieldLevel.SHRINK), (True, YieldLevel.WORK)])
def test_what_workers_say_of_themselves_is_too_old_to_judge_the_reserve_by(told, yield_level):
    class Nearly(PretendedCards):
        def look(self, _card, _workers):
            return CardUse(10 * GIB, int(2 * GIB - self.others * GIB), 8 * GIB, told=told)

    cards = Nearly()
    yield_policy = YieldPolicy(GpuSettings(reserve_mb=512), cards=cards)
    for cards.others, expected in ((1.5, YieldLevel.WORK), (1.9, yield_level)):
        assert yield_policy.judge("0", {42: 0}, 0.0)[0] is expected


def worker_processes():
    """The ids of the workers that this process has started."""
    children = [pid for task in Path("/proc/self/task").glob("*/children") for pid in task.read_text().split()]
    return [pid for pid in children if b"execution.worker" in Path("/proc", pid, "cmdline").read_bytes()]


def test_workers_that_share_a_card_are_no_others_to_each_other(tmp_path, monkeypatch):
    """Four of them have 8 of its 10 GiB: were three of them others to the fourth, fewer chunks would run."""
    monkeypatch.setattr("speedd.execution.pool.contention.CHECK_S", 0.05)
    seen = []

    class Shared(PretendedCards):
        def look(self, card, workers):
            seen.append(sorted(workers))
            in_use = 2 * GIB * len(worker_processes())
            return CardUse(10 * GIB, 10 * GIB - in_use, 2 * GIB * len(workers))

    yield_policy = YieldPolicy(GpuSettings(), cards=Shared())
    pool = WorkerPool(PoolSettings("card", tmp_path, workers=4, cards=("7",)), yield_policy)
    try:
        for _ in pool.run(utterances(pool.info, 80)):
            assert {worker.note for worker in pool.status().workers} <= {"", "loading the engine"}
        assert sorted(worker.pid for worker in pool.status().workers) in seen
    finally:
        pool.close()


@pytest.mark.parametrize(
    ("chosen", "order", "told"),
    [(None, None, "PCI_BUS_ID"), (None, "FASTEST_FIRST", "FASTEST_FIRST"), ("7", None, "")],
)
def test_cards_are_numbered_as_the_watcher_numbers_them_unless_somebody_chose(
    tmp_path, monkeypatch, chosen, order, told
):
    for name, value in (("CUDA_VISIBLE_DEVICES", chosen), ("CUDA_DEVICE_ORDER", order)):
        monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
    pool = WorkerPool(PoolSettings("card", tmp_path, cards=("7",)))
    try:
        (answer,) = results(pool, utterances(pool.info, 1)).values()
        pid = pool.status().workers[0].pid
        environment = dict(
            line.split("=", 1) for line in Path("/proc", str(pid), "environ").read_text().split("\0") if line
        )
        assert answer.stop_reason == "on card 7"
        assert environment.get("CUDA_DEVICE_ORDER", "") == told
    finally:
        pool.close()
