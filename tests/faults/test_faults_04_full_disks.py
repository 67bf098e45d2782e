"""Fault 4: a disk is full. The daemon waits, and goes on by itself when there is room."""

import pytest
from fault_bench import BOOK, CannotMountError, fill, lines, mounted, wait_for

pytestmark = [pytest.mark.fault, pytest.mark.timeout(600)]

LINES = 24
DISK_BYTES = 8 * 2**20
PAGE_BYTES = 4096


@pytest.fixture
def small(request, tmp_path):
    """Mount a small disk over a folder for the length of the test."""
    mounts = []

    def mount(place):
        small_disk = mounted("-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", on=place)
        try:
            small_disk.__enter__()
        except CannotMountError as error:
            pytest.skip(f"a tmpfs cannot be mounted here: {error}")
        mounts.append(small_disk)

    yield mount
    for small_disk in mounts:
        small_disk.__exit__(None, None, None)


def paused(daemon, word):
    return [event for event in daemon.events if event["event"] == "job.paused" and word in event["reason"]]


def assert_goes_on(bench, daemon, ballast, ending):
    """Room is made, and nobody does anything else."""
    assert not bench.books
    assert not list(bench.inbox.glob("_failed/*"))
    ballast.unlink()
    wait_for(lambda: bench.states == ["published"] and (bench.inbox / "_done").exists(), daemon)
    daemon.wait_for("source.archived")
    assert daemon.stop() == 0
    assert bench.ending == ending
    assert bench.ask("SELECT sum(attempt) FROM utterances") == [(0,)]  # a full disk is no fault of a take


def test_the_disk_of_the_state_fills_up_in_mid_book(bench, small, endings):
    small(bench.state)
    bench.drop(BOOK, lines(LINES))
    with bench.running(env={"SPEEDD_TEST_SLOW_S": "0.1"}) as daemon:
        wait_for(lambda: len(bench.acknowledged) >= 4, daemon)
        before = bench.acknowledged
        ballast = fill(bench.state)
        wait_for(lambda: paused(daemon, "No space left") or paused(daemon, "disk is full"), daemon)
        assert before.items() <= bench.acknowledged.items()
        assert_goes_on(bench, daemon, ballast, endings(LINES))


def test_the_disk_of_the_outbox_fills_up_in_mid_book(bench, small, endings):
    small(bench.outbox)
    bench.drop(BOOK, lines(LINES))
    with bench.running(env={"SPEEDD_TEST_SLOW_S": "0.05"}) as daemon:
        daemon.wait_for("job.planned")
        ballast = fill(bench.outbox, leave_bytes=4 * PAGE_BYTES)
        wait_for(lambda: paused(daemon, "the disk is full"), daemon)
        assert not [path for path in bench.outbox.iterdir() if not path.name.startswith(".")]
        assert_goes_on(bench, daemon, ballast, endings(LINES))


@pytest.mark.parametrize("pages", [1, 3])
def test_the_disk_of_the_spool_fills_up_while_a_book_is_copied_or_planned(bench, small, endings, pages):
    """On one page there is room for the book, but not for what describes it; on three not for its plan."""
    small(bench.state / "spool")
    text = lines(LINES)
    assert len(text) <= PAGE_BYTES
    ballast = fill(bench.state / "spool", leave_bytes=pages * PAGE_BYTES)
    bench.drop(BOOK, text)
    with bench.running(env={"SPEEDD_TEST_SLOW_S": "0"}) as daemon:
        wait_for(lambda: paused(daemon, "No space left") or paused(daemon, "is full"), daemon)
        assert (bench.inbox / BOOK).exists()
        assert not list(bench.state.glob("spool/.accepting-*"))
        assert bench.states == (["queued"] if pages > 1 else [])
        assert_goes_on(bench, daemon, ballast, endings(LINES))
