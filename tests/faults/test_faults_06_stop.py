"""Fault 6: SIGTERM while a chunk is being spoken."""

import re
import time

import pytest
from fault_bench import BOOK, PER_WORKER, WORKERS, lines, wait_for
from speedd_sandbox import ROOT

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]

LINES = 12


def timeout_stop_s():
    """What the unit allows."""
    (unit,) = (ROOT / "systemd").glob("*.service")
    return int(re.search(r"^TimeoutStopSec=(\d+)$", unit.read_text(), re.MULTILINE)[1])


def test_a_stop_in_a_chunk_ends_at_once_and_loses_nothing(bench, endings, record_property):
    bench.drop(BOOK, lines(LINES))
    with bench.running(env={"SPEEDD_TEST_SLOW_S": "0.05"}) as daemon:
        wait_for(lambda: len(bench.acknowledged) >= 3, daemon)
        assert daemon.stop() == 0
    with bench.running(env={"SPEEDD_TEST_SLOW_S": "100"}) as daemon:
        begun = len(bench.spoken)
        wait_for(lambda: len(bench.spoken) > begun, daemon)
        before = bench.acknowledged
        asked = time.monotonic()
        assert daemon.stop() == 0
        took_s = time.monotonic() - asked
    assert took_s < timeout_stop_s()
    assert bench.states == ["queued"]
    assert bench.acknowledged == before
    result = bench.once(env={"SPEEDD_TEST_SLOW_S": "0"})
    assert result.code == 0, result.err
    record_property("figure", f"stopped in {took_s:.1f} s; {bench.spoken_again} chunks spoken again after two stops")
    assert bench.ending == endings(LINES)
    assert bench.spoken_again <= 2 * WORKERS * PER_WORKER
