"""Fault 1: kill -9 at any moment, the whole tree, the main process, a worker, and between a take and its commit."""

import contextlib
import os
import random
import signal
import time

import pytest
from fault_bench import BOOK, LONG, PER_WORKER, WORKERS, kill_main, lines, wait_for, workers

pytestmark = [pytest.mark.fault, pytest.mark.timeout(3600)]

KILLS = 200 if LONG else 20
LINES = 900 if LONG else 110
SLOW = {"SPEEDD_TEST_SLOW_S": "0.02"}
NEW_TAKES_MAX = 6
"""A kill waits for up to so many new takes, then for a moment more."""


def reach_a_random_moment(bench, daemon, chance):
    """Anything from the first instruction to the last: start-up, reading, narrating, mastering, publishing."""
    if chance.random() < 0.25:
        time.sleep(chance.uniform(0, 1.5))
        return
    before = len(bench.acknowledged)
    wanted = chance.randint(0, NEW_TAKES_MAX)
    wait_for(lambda: len(bench.acknowledged) - before >= wanted or not bench.untold, daemon)
    time.sleep(chance.uniform(0, 0.06 if bench.untold else 1.0))


def kill_the_tree(bench, daemon, chance):
    reach_a_random_moment(bench, daemon, chance)
    daemon.kill()
    return WORKERS


def kill_the_main_process(bench, daemon, chance):
    reach_a_random_moment(bench, daemon, chance)
    kill_main(daemon.process)
    return WORKERS


def kill_a_worker(bench, daemon, chance):
    """The daemon lives on, and so does the book."""
    alive = wait_for(lambda: workers(daemon.process.pid) or not bench.untold, daemon)
    if not bench.untold:
        return kill_the_tree(bench, daemon, chance)
    time.sleep(chance.uniform(0, 0.1))
    with contextlib.suppress(ProcessLookupError):
        os.kill(chance.choice(alive), signal.SIGKILL)
    before = len(bench.acknowledged)
    wait_for(lambda: len(bench.acknowledged) > before or not bench.untold, daemon)
    return 1


def kill_between_take_and_commit(bench, daemon, chance):
    """Takes are on the disk and the ledger does not know it."""
    wait_for(lambda: workers(daemon.process.pid) or not bench.untold, daemon)
    with bench.ledger_held():
        if bench.untold:
            wait_for(lambda: bench.stored - bench.acknowledged.keys(), daemon)
            daemon.kill()
            return WORKERS
    return kill_the_tree(bench, daemon, chance)


WAYS_TO_KILL = (kill_the_tree, kill_a_worker, kill_between_take_and_commit, kill_the_main_process)


def test_killed_again_and_again_the_book_is_the_same_and_little_is_spoken_twice(bench, endings, record_property):
    chance = random.Random(20261)
    bench.drop(BOOK, lines(LINES))
    kills = killed_workers = 0
    while kills < KILLS:
        with bench.running(env=SLOW) as daemon:
            while kills < KILLS and daemon.process.poll() is None:
                killed_workers += WAYS_TO_KILL[kills % len(WAYS_TO_KILL)](bench, daemon, chance)
                kills += 1
    result = bench.once(env=SLOW)
    assert result.code == 0, result.err
    figure = f"{bench.spoken_again} of {LINES} chunks spoken again in {kills} kills, {killed_workers} workers with them"
    record_property("figure", figure)
    assert bench.ending == endings(LINES)
    assert bench.spoken_again <= killed_workers * PER_WORKER
