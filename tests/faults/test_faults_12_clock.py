"""Fault 12: the clock jumps by a day, forwards and backwards, while sources settle, wait and are narrated."""

import datetime as dt
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from speedd_sandbox import STORY, wait_until

pytestmark = pytest.mark.fault

DAY_S = 86_400
SETTLE_S = 3.0
SOURCE = Path(__file__).with_name("fault_clock.c")


class Clock:
    """The clock of a daemon: its time of day can be set, its monotonic time runs on."""

    def __init__(self, folder, library):
        self._file = folder / "offset"
        self.env = {"LD_PRELOAD": str(library), "FAULT_CLOCK": str(self._file)}
        self.jump(0)

    def jump(self, seconds):
        """Put the clock so many seconds off the true time."""
        unfinished = self._file.with_suffix(".new")
        unfinished.write_text(str(seconds))
        unfinished.rename(self._file)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A clock to preload. (libfaketime 0.9.10 does not let Python sleep: clock_nanosleep fails with EINVAL.)"""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("a clock that can be set needs a C compiler (apt-get install gcc libc6-dev)")
    library = tmp_path_factory.mktemp("clock") / "clock.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE)], check=True)
    return library


@pytest.fixture
def clock(sandbox, library):
    return Clock(sandbox.root, library)


def told_at(event):
    return dt.datetime.fromisoformat(event["ts"]).timestamp()


@pytest.mark.parametrize("jump_s", [DAY_S, -DAY_S])
def test_a_jump_while_a_source_settles_neither_hastens_nor_stops_it(sandbox, clock, jump_s):
    sandbox.configure(inbox={"settle_s": SETTLE_S, "scan_s": 0.5})
    with sandbox.daemon(env=clock.env) as daemon:
        dropped = time.monotonic()
        sandbox.drop("The Clock.txt", STORY)
        wait_until(lambda: seen(sandbox))
        clock.jump(jump_s)
        accepted = daemon.wait_for("job.accepted")
        assert time.monotonic() - dropped >= SETTLE_S
        assert abs(told_at(accepted) - time.time() - jump_s) < DAY_S / 2  # the jump did reach it
        clock.jump(0)  # and back, while it is narrated
        daemon.wait_for("job.published")
        assert daemon.stop() == 0
    assert sandbox.book.texts


def seen(sandbox):
    path = sandbox.state / "status.json"
    return path.exists() and json.loads(path.read_text())["waiting"]


@pytest.mark.parametrize("jump_s", [DAY_S, -DAY_S])
def test_a_jump_while_a_damaged_source_waits_changes_nothing_about_its_time(sandbox, clock, jump_s):
    sandbox.configure(inbox={"settle_s": 0.1, "scan_s": 0.5, "damaged_wait_s": 4.0})
    with sandbox.daemon(env=clock.env) as daemon:
        sandbox.drop("Torn.epub", b"PK\x03\x04" + bytes(100))
        daemon.wait_for("source.waiting")
        waits_since = time.monotonic()
        clock.jump(jump_s)
        daemon.wait_for("job.refused")
        assert time.monotonic() - waits_since >= 3.0
        sandbox.drop("The Clock.txt", STORY)
        daemon.wait_for("job.published")
        assert daemon.stop() == 0


def test_files_from_the_past_and_the_future_settle_like_all_others(sandbox, clock):
    """Times of files are compared with themselves alone, never with now."""
    sandbox.configure(inbox={"settle_s": SETTLE_S, "scan_s": 0.5})
    times = {"Past.txt": 0, "Yesterday.txt": time.time() - DAY_S, "Tomorrow.txt": time.time() + DAY_S}
    with sandbox.daemon(env=clock.env) as daemon:
        dropped = time.monotonic()
        for name, moment in times.items():
            path = sandbox.drop(name, f"{name} is when it was written.")
            os.utime(path, (moment, moment))
        for name in times:
            daemon.wait_for("job.accepted", book=name.removesuffix(".txt"))
            assert time.monotonic() - dropped >= SETTLE_S
        for name in times:
            daemon.wait_for("job.published", book=name.removesuffix(".txt"))
        assert daemon.stop() == 0


def test_a_daemon_that_starts_a_day_before_it_ended_goes_on(sandbox, clock):
    """A machine without a battery for its clock wakes up in the past."""
    sandbox.configure(engine={"name": "slow"})
    sandbox.drop("The Clock.txt", STORY)
    clock.jump(DAY_S)
    with sandbox.daemon(env={**clock.env, "SPEEDD_TEST_SLOW_S": "1"}) as daemon:
        wait_until(lambda: sandbox.spoken)
    clock.jump(-DAY_S)
    with sandbox.daemon(env=clock.env) as daemon:
        daemon.wait_for("job.published")
        assert daemon.stop() == 0
    assert sandbox.left() == []
