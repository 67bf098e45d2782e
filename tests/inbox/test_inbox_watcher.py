import os
import resource
import shutil
import threading
import time
from pathlib import Path

import pytest

from speedd.inbox.watcher import InboxWatcher

WAIT_S = 10


@pytest.fixture
def ring():
    return threading.Event()


@pytest.fixture
def bell(inbox, ring):
    bell = InboxWatcher(inbox, ring)
    yield bell
    bell.stop()


def until(condition):
    end_s = time.monotonic() + WAIT_S
    while not condition() and time.monotonic() < end_s:
        time.sleep(0.02)
    return condition()


def threads_and_files():
    return threading.active_count(), sum(1 for _ in Path("/proc/self/fd").iterdir())


def quiet(ring):
    """Wait until nothing rings any more."""
    while True:
        ring.clear()
        if not ring.wait(0.3):
            return


def test_it_rings_once_when_it_starts(bell, ring):
    assert bell.start()
    assert bell.healthy()
    assert ring.is_set()


@pytest.mark.parametrize("what", ["file", "folder", "moved file", "moved folder"])
def test_it_rings_for_what_comes_in(bell, ring, inbox, tmp_path, what):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside.txt").write_text("x")
    bell.start()
    quiet(ring)
    if what == "file":
        (inbox / "Book.txt").write_text("x")
    elif what == "folder":
        (inbox / "My Book").mkdir()
    elif what == "moved file":
        (tmp_path / "outside.txt").rename(inbox / "Book.txt")
    else:
        (tmp_path / "outside").rename(inbox / "My Book")
    assert ring.wait(WAIT_S)


def test_our_own_looking_and_reading_does_not_ring(bell, ring, inbox):
    (inbox / "Book.txt").write_text("x")
    bell.start()
    quiet(ring)
    for _ in range(5):
        list(os.scandir(inbox))
        (inbox / "Book.txt").read_text()
    assert not ring.wait(0.5)


def test_an_exception_in_the_handler_does_not_end_it(inbox):
    class Broken(threading.Event):
        calls = 0

        def set(self):
            self.calls += 1
            if self.calls > 1:
                raise RuntimeError("broken bell")

    ring = Broken()
    bell = InboxWatcher(inbox, ring)
    try:
        bell.start()
        (inbox / "one.txt").write_text("x")
        assert until(lambda: ring.calls > 1)
        before = ring.calls
        (inbox / "two.txt").write_text("x")
        assert until(lambda: ring.calls > before)
        assert bell.healthy()
    finally:
        bell.stop()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_observer_is_noticed_and_replaced(bell, ring, inbox):
    bell.start()
    bell._observer.event_queue.put("no event")  # its thread dies of it
    assert until(lambda: not bell.healthy())
    assert bell.restart()
    assert bell.healthy()
    quiet(ring)
    (inbox / "Book.txt").write_text("x")
    assert ring.wait(WAIT_S)


def test_a_dead_emitter_is_noticed(bell):
    bell.start()
    for emitter in bell._observer.emitters:
        emitter.stop()
    assert until(lambda: not bell.healthy())


def test_a_replaced_inbox_is_noticed_and_watched(bell, ring, inbox):
    bell.start()
    inbox.rename(inbox.with_name("old"))
    assert not bell.healthy()
    inbox.mkdir()
    assert not bell.healthy()
    assert bell.restart()
    assert bell.healthy()
    quiet(ring)
    (inbox / "Book.txt").write_text("x")
    assert ring.wait(WAIT_S)


def test_a_missing_inbox_is_said_and_mended(bell, ring, inbox):
    shutil.rmtree(inbox)
    assert not bell.start()
    assert not bell.healthy()
    assert str(inbox) in bell.fault
    assert ring.is_set()
    inbox.mkdir()
    assert bell.restart()
    assert bell.fault == ""


def test_an_inbox_that_vanishes_while_it_starts_leaves_no_thread(bell, inbox, monkeypatch):
    before = threads_and_files()
    monkeypatch.setattr(bell, "_look", lambda: (inbox.rmdir(), (1, 1))[1])
    assert not bell.start()
    assert bell.fault
    assert until(lambda: threads_and_files() == before)


def test_without_inotify_it_says_so_and_leaves_no_thread(inbox, ring):
    before = threading.active_count()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    bell = InboxWatcher(inbox, ring)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        assert not bell.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "no file system events" in bell.fault
    assert not bell.healthy()
    assert threading.active_count() == before
    assert bell.restart()
    bell.stop()
    assert until(lambda: threading.active_count() == before)


def test_nothing_is_left_when_it_stopped(inbox, ring):
    before = threads_and_files()
    for _ in range(3):
        bell = InboxWatcher(inbox, ring)
        bell.start()
        bell.stop()
    assert until(lambda: threads_and_files() == before)
