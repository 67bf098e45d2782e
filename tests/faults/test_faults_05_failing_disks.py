"""Fault 5: a disk refuses: it reports errors, or has become read-only. The job is kept, and goes on when it is mended.

strace's ``when`` counts in each thread alone; here that is welcome: every thread meets the fault in its own course.
"""

import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
import soundfile
from fault_bench import BOOK, LONG, Bench, CannotMountError, lines, mounted, wait_for

pytestmark = [pytest.mark.fault, pytest.mark.timeout(3600)]

LINES = 6
QUICK = {"SPEEDD_TEST_SLOW_S": "0"}
UNHURRIED = {"SPEEDD_TEST_SLOW_S": "0.1"}

STOPPED = [  # a disk that fails once, and one that fails from then on
    ("fsync", "EIO", "1+"),  # the first take of every worker; the copy in the spool
    ("fsync", "EIO", "3"),
    ("fdatasync", "EIO", "4+"),  # the ledger
    ("pwrite64", "EIO", "40+"),
    ("pwrite64", "EROFS", "25"),
    ("rename", "EROFS", "2+"),
    ("renameat2", "EROFS", "1+"),  # the outbox
]
SWEEP = [
    (call, error, f"{at}{still}")
    for call, points in {
        "fsync": range(1, 15),
        "fdatasync": range(1, 13),
        "pwrite64": range(1, 90, 6),
        "rename": range(1, 7),
        "mkdir": range(1, 7),
        "renameat2": range(1, 2),
    }.items()
    for at in points
    for error, still in (("EIO", ""), ("EROFS", "+"))
]


def failing(strace, call, error, when, *below):
    """How strace lets a call fail, on anything or on what lies at some paths."""
    wrap = [strace, "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", f"trace={call}", "-e", "signal=none"]
    if below:
        wrap.remove("--seccomp-bpf")  # it cannot look at paths
    paths = [argument for path in below for argument in ("-P", str(path))]
    return [*wrap, *paths, "-e", f"inject={call}:error={error}:when={when}"]


def assert_kept(bench, result, fault):
    """It waits, or got through: whatever failed was no fault of the book, and what counts as stored is stored."""
    assert result.code in {0, 75}, (fault, result.err)
    assert not list(bench.inbox.glob("_failed/*")), (fault, result.err)
    assert bench.states in ([], ["queued"], ["running"], ["published"]), (fault, result.err)
    for key, samples in bench.acknowledged.items():
        assert len(soundfile.read(bench.state / "takes" / key[:2] / f"{key}.flac")[0]) == samples
    visible = [path for path in bench.outbox.glob("*/*") if not path.parts[-2].startswith(".")]
    assert len(visible) == len(bench.books), fault


def test_a_disk_that_fails_costs_no_book(tmp_path, strace, endings, record_property):
    ending = endings(LINES)
    faults = SWEEP if LONG else STOPPED

    def waited(number, fault):
        bench = Bench(tmp_path / str(number))
        bench.drop(BOOK, lines(LINES))
        failed = bench.once(env=QUICK, wrap=failing(strace, *fault))
        assert_kept(bench, failed, fault)
        mended = bench.once(env=QUICK)
        assert mended.code == 0, (fault, mended.err)
        assert bench.ending == ending, fault
        return failed.code == 75

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        waits = list(pool.map(waited, count(), faults))
    figure = f"{len(faults)} faults: the book waited {sum(waits)} times, got through {len(waits) - sum(waits)} times"
    record_property("figure", f"{figure}, and always ended the same")


def test_a_take_that_was_not_synced_is_spoken_again_by_the_same_daemon(bench, strace, endings):
    """Only the threads that store takes come to so many."""
    bench.drop(BOOK, lines(4 * LINES))
    with bench.running(env=QUICK, wrap=failing(strace, "fsync", "EIO", "20")) as daemon:
        daemon.wait_for("source.archived")
        assert any("A take cannot be stored" in event.get("reason", "") for event in daemon.events)
    assert bench.ending == endings(4 * LINES)


def test_a_rename_into_the_outbox_that_was_not_synced_is_not_called_published(bench, strace, endings):
    bench.drop(BOOK, lines(LINES))
    author = bench.outbox / "Unknown"
    first = bench.once(env=QUICK, wrap=failing(strace, "fsync", "EIO", "1+", author))
    assert first.code == 75
    assert bench.books  # it lies there,
    assert bench.states == ["queued"]  # and nobody says that it stays
    log = bench.root / "fsyncs"
    trace = [strace, "-f", "-qq", "-y", "-o", str(log), "-e", "trace=fsync,fdatasync,unlink", "-e", "signal=none"]
    second = bench.once(env=QUICK, wrap=trace)
    assert second.code == 0, second.err
    synced = re.search(rf"fsync\(\d+<{re.escape(str(author))}>\) += 0", log.read_text())
    assert synced, log.read_text()
    assert bench.ending == endings(LINES)


def test_an_outbox_that_becomes_read_only_and_writable_again(bench, endings):
    bench.drop(BOOK, lines(LINES))
    try:
        with (
            mounted("-t", "tmpfs", "tmpfs", on=bench.outbox),
            bench.running(env={"SPEEDD_TEST_SLOW_S": "0.1"}) as daemon,
        ):
            daemon.wait_for("job.planned")
            subprocess.run(["mount", "-o", "remount,ro", str(bench.outbox)], check=True)
            paused = daemon.wait_for("job.paused")
            assert "the disk is read-only" in paused["reason"]
            subprocess.run(["mount", "-o", "remount,rw", str(bench.outbox)], check=True)
            wait_for(lambda: bench.states == ["published"], daemon)
            daemon.wait_for("source.archived")
            assert daemon.stop() == 0
            assert bench.ending == endings(LINES)
    except CannotMountError as error:
        pytest.skip(f"a tmpfs cannot be mounted here: {error}")
