"""Fault 8: inotify with a tiny queue, with few watches, with none: every file is found all the same."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from speedd_sandbox import ROOT

pytestmark = pytest.mark.fault

FINDER = Path(__file__).with_name("fault_finder.py")
QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")
FILES = 20_000
FOLDERS = 100
LIMITED = "echo 20 > /proc/sys/user/max_inotify_watches && exec "
"""In a user namespace this binds its members alone; the machine's own limit is another file and stays as it is."""


@contextlib.contextmanager
def a_queue_of(events):
    """Let whoever begins to watch now have a short queue. The limit is the machine's, so only for that moment."""
    usual = QUEUE.read_text()
    try:
        QUEUE.write_text(f"{events}\n")
    except OSError as error:
        pytest.skip(f"max_queued_events cannot be set here: {error.strerror}")
    try:
        yield
    finally:
        QUEUE.write_text(usual)


@pytest.fixture
def inbox(tmp_path):
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


def drop_all(inbox):
    """Half of the files lie in the inbox itself, half in folders that are collections of books."""
    for number in range(FILES // 2):
        (inbox / f"Book {number}.txt").touch()
    for folder in range(FOLDERS):
        (inbox / f"Shelf {folder}").mkdir()
        for number in range(FILES // 2 // FOLDERS):
            (inbox / f"Shelf {folder}" / f"Volume {number}.epub").touch()


@contextlib.contextmanager
def finding(inbox, *, watches=0, wrap=()):
    """Run the finder; yields when it listens."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, str(FINDER), str(inbox), str(FILES), str(watches)]
    with subprocess.Popen(
        [*wrap, *command], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    ) as finder:
        try:
            assert finder.stdout.readline() == "listening\n"
            yield finder
        finally:
            finder.kill()


def told(finder):
    return json.loads(finder.stdout.read())


def test_with_a_queue_of_64_events_all_are_found(inbox, record_property):
    with contextlib.ExitStack() as listening:
        with a_queue_of(64):
            finder = listening.enter_context(finding(inbox))
        drop_all(inbox)
        answer = told(finder)
    record_property("figure", f"{answer['found']} of {FILES} found after {answer['rung']} events")
    assert answer["found"] == FILES
    assert answer["fault"] == ""


@pytest.mark.parametrize(("taken", "fault"), [(0, ""), (64, "no file system events for")])
def test_with_20_watches_all_are_found(inbox, tmp_path, taken, fault):
    """One watch is all that the watcher needs; where others hold every one, it says so and scans find everything."""
    wrap = ["unshare", "--user", "--map-root-user", "sh", "-euc", LIMITED + '"$@"', "sh"]
    tried = subprocess.run([*wrap, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"no user namespace with a limit of its own here: {tried.stderr.strip()}")
    with finding(inbox, watches=taken, wrap=wrap) as finder:
        drop_all(inbox)
        answer = told(finder)
    assert answer["found"] == FILES
    assert answer["watches"] == min(20, taken)
    assert answer["fault"].startswith(fault)
    assert bool(answer["fault"]) == bool(fault)
