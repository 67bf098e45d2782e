"""Fault 7: two daemons on one state directory."""

import pytest
from fault_bench import BOOK, kill_main, lines, wait_for

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]

LINES = 12


def test_the_second_daemon_gives_up_and_the_book_is_published_once(bench, endings):
    with bench.running() as first:
        first.wait_for("service.ready")
        with bench.running() as second:
            bench.drop(BOOK, lines(LINES))
            first.wait_for("source.archived")
            assert second.process.wait(60) == 75
            (failed,) = [event for event in second.events if event["event"] == "service.failed"]
            assert "Another speedd uses the state directory" in failed["reason"]
        assert first.stop() == 0
    assert bench.ending == endings(LINES)
    assert bench.spoken_again == 0


def test_the_second_daemon_takes_over_from_one_that_is_killed(bench, endings):
    """The lock is the main process's alone: no worker keeps it."""
    bench.drop(BOOK, lines(LINES))
    with bench.running(env={"SPEEDD_TEST_SLOW_S": "0.2"}) as first, bench.running() as second:
        wait_for(lambda: bench.acknowledged, first)
        kill_main(first.process)
        second.wait_for("source.archived")
        assert second.stop() == 0
    assert bench.ending == endings(LINES)
