"""Fault 9: the observer's thread dies, its handler raises, the inbox is replaced: it rings again by the next scan."""

import shutil
import signal
import sys
from pathlib import Path

import pytest
import speedd_sandbox
from speedd_sandbox import wait_until

pytestmark = pytest.mark.fault

PROGRAM = Path(__file__).with_name("fault_watcher.py")


@pytest.fixture
def daemon(sandbox, monkeypatch):
    """A daemon that says when it watches and when it is rung."""
    monkeypatch.setattr(speedd_sandbox, "SPEEDD", [sys.executable, str(PROGRAM)])
    sandbox.configure(inbox={"settle_s": 0.1, "scan_s": 2.0})
    with sandbox.daemon() as daemon:
        yield daemon


def told(daemon, what):
    return sum(event["event"] == what for event in daemon.events)


def kill_the_observer(sandbox, daemon):
    daemon.process.send_signal(signal.SIGUSR1)


def raise_in_the_handler(sandbox, daemon):
    daemon.process.send_signal(signal.SIGUSR2)
    sandbox.drop("Met a broken handler.txt", "This file's event was lost.")


def delete_and_recreate_the_inbox(sandbox, daemon):
    shutil.rmtree(sandbox.inbox)
    sandbox.inbox.mkdir()


def move_another_folder_into_its_place(sandbox, daemon):
    new = sandbox.inbox.with_name("new")
    new.mkdir()
    sandbox.inbox.rename(sandbox.inbox.with_name("old"))
    new.rename(sandbox.inbox)


@pytest.mark.parametrize(
    "break_it",
    [
        kill_the_observer,
        raise_in_the_handler,
        delete_and_recreate_the_inbox,
        move_another_folder_into_its_place,
    ],
)
def test_the_doorbell_is_built_anew_and_rings(sandbox, daemon, break_it):
    sandbox.drop("Before.txt", "It stood in the hall before.")
    daemon.wait_for("job.published", book="Before")
    before = told(daemon, "watching")
    break_it(sandbox, daemon)
    wait_until(lambda: told(daemon, "watching") > before)
    rung = told(daemon, "rung")
    sandbox.drop("After.txt", "It stood in the hall after.")
    wait_until(lambda: told(daemon, "rung") > rung)
    daemon.wait_for("job.published", book="After")
    if break_it is raise_in_the_handler:
        daemon.wait_for("job.published", book="Met a broken handler")
    assert daemon.stop() == 0


def test_an_inbox_that_goes_and_comes_back_loses_nothing(sandbox, daemon):
    away = sandbox.root / "away"
    sandbox.inbox.rename(away)
    daemon.wait_for("inbox.unavailable")
    (away / "Carried.txt").write_text("It was carried around the world.")
    away.rename(sandbox.inbox)
    daemon.wait_for("inbox.available")
    daemon.wait_for("job.published", book="Carried")
    assert not told(daemon, "job.cancelled")
    assert daemon.stop() == 0
