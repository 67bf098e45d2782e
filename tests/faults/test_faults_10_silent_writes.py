"""Fault 10: an inbox into which others write unseen, without one event: found within the scan interval."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import speedd_sandbox
from speedd_sandbox import wait_until

pytestmark = pytest.mark.fault

PROGRAM = Path(__file__).with_name("fault_watcher.py")


@pytest.fixture
def lower(sandbox):
    """The lower layer of an overlay on the inbox: what is written there makes no event in the inbox."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount an overlay")
    disk = sandbox.root / "disk"
    disk.mkdir()
    mounts = [disk]
    try:
        for what in (
            ["-t", "tmpfs", "tmpfs", str(disk)],
            [
                *("-t", "overlay", "overlay", "-o"),
                f"lowerdir={disk}/lower,upperdir={disk}/upper,workdir={disk}/work",
                str(sandbox.inbox),
            ],
        ):
            done = subprocess.run(["mount", *what], capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"no overlay here: {done.stderr.strip()}")
            mounts.insert(0, sandbox.inbox)
            for name in ("lower", "upper", "work"):
                (disk / name).mkdir(exist_ok=True)
        yield disk / "lower"
    finally:
        for place in dict.fromkeys(mounts):
            subprocess.run(["umount", "-l", str(place)], capture_output=True, check=False)


def test_what_is_written_through_the_lower_layer_is_found_by_the_scan(sandbox, lower, monkeypatch):
    monkeypatch.setattr(speedd_sandbox, "SPEEDD", [sys.executable, str(PROGRAM)])
    sandbox.configure(inbox={"settle_s": 0.5, "scan_s": 2.0})
    with sandbox.daemon() as daemon:
        wait_until(lambda: any(event["event"] == "watching" for event in daemon.events))
        (lower / "Unheard.txt").write_text("Nobody heard it come.")
        (lower / "Shelf").mkdir()
        (lower / "Shelf" / "Unheard of.txt").write_text("Nobody heard of it at all.")
        for book in ("Unheard", "Shelf"):
            daemon.wait_for("job.accepted", book=book)
            assert not [event for event in daemon.events if event["event"] == "rung" and book == "Unheard"]
            daemon.wait_for("job.published", book=book)
        assert daemon.stop() == 0
    assert sandbox.left() == []
