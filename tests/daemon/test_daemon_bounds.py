"""A slow disk and a slow encoder hold the engine back: nothing piles up between the stages, and memory stays flat."""

import json
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
import speedd_sandbox
from speedd_sandbox import Sandbox, wait_until

BOOKS, SENTENCES = 3, 36
UTTERANCES = SENTENCES + 1
"""Of a book, with its opening."""
CHARS = 360
OPEN_BOOKS, WORKERS, STORE_TAKES, ROWS, AHEAD, STRETCHES_AHEAD = 2, 2, 2, 8, 4, 3
PLACES = WORKERS * (ROWS + AHEAD)
"""Utterances that the workers may hold in all, and as many a book has pulled beside them."""
UNSTORED = STORE_TAKES + 2
"""Of a worker: what waits for the disk, what the disk has, and what the engine cannot hand over."""
MAIN_MB, WORKER_MB, READER_MB = 230, 130, 120
"""At most, each. Seen: 173, 100 and 50 MB; a worker that never waits for its disk came to 207."""
WATCHED = ("unstored", "books", "uncommitted", "waiting", "main", "worker", "reader", "tree")

SLOW_ENCODER = """
import os, sys, time
from pathlib import Path
from speedd.audio import mastering
from speedd.execution.pool.work_queue import WorkQueue

def note(what, amount, most={}):
    if amount > most.get(what, 0):
        most[what] = amount
        Path(os.environ["SPEEDD_TEST_MOST"], what).write_text(str(amount))

make, add = mastering.make, WorkQueue.add
def slow(*given):
    time.sleep(0.3)
    return make(*given)
class NotedPool(mastering.ThreadPoolExecutor):
    unfinished = ()
    def submit(self, job):
        future = super().submit(job)
        self.unfinished = [future, *(one for one in self.unfinished if not one.done())]
        note("stretches", len(self.unfinished))
        return future
def noted_add(queue, run, utterance):
    add(queue, run, utterance)
    note("pulled", len(run.waiting))
mastering.make, mastering.ThreadPoolExecutor, WorkQueue.add = slow, NotedPool, noted_add
from speedd.cli import main
sys.exit(main())
"""


def sentence(number, book):
    words = f"Sentence {number} of book {book} went on"
    return words + " and on" * ((CHARS - len(words)) // 7) + "."


def processes(root):
    """The ids of a process and all below it."""
    found, fresh = [], [root]
    while fresh:
        found += fresh
        children = []
        for pid in fresh:
            for tasks in Path("/proc", str(pid), "task").glob("*/children"):
                with suppress(OSError):
                    children += tasks.read_text().split()
        fresh = children
    return found


def resident_mb(pid):
    with suppress(OSError, IndexError):
        return int(Path("/proc", str(pid), "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    return 0.0


def role(pid):
    with suppress(OSError):
        command = Path("/proc", str(pid), "cmdline").read_bytes()
        reads = b"speedd.pipeline.preparation" in command
        return "worker" if b"execution.worker" in command else "reader" if reads else "main"
    return "gone"


class Onlooker(threading.Thread):
    """Looks every twentieth of a second at what lies between the stages, and at the memory of the whole tree."""

    def __init__(self, sandbox, pid):
        super().__init__(daemon=True)
        self.sandbox, self.pid = sandbox, pid
        self.done = threading.Event()
        self.most = dict.fromkeys(WATCHED, 0)

    def run(self):
        while not self.done.wait(0.05):
            spoken = len(self.sandbox.spoken)  # first: what is stored meanwhile counts for it
            self.note("unstored", spoken - sum(1 for _ in self.sandbox.state.glob("takes/??/*.flac")))
            tree = [(role(pid), resident_mb(pid)) for pid in processes(self.pid)]
            self.note("tree", sum(mb for _, mb in tree))
            for name, mb in tree:
                self.note(name, mb)
            with suppress(OSError, ValueError):
                status = json.loads((self.sandbox.state / "status.json").read_text())
                self.note("books", len(status["books"]))
                for engine in status["engines"].values():
                    self.note("waiting", engine["waiting"])
                    for worker in engine["workers"]:
                        self.note("uncommitted", worker["uncommitted"])

    def note(self, what, amount):
        if what in self.most:
            self.most[what] = max(self.most[what], amount)


@pytest.mark.slow
@pytest.mark.fault
def test_what_is_slow_holds_back_what_is_fast(sandbox: Sandbox, monkeypatch, tmp_path):
    monkeypatch.setattr(speedd_sandbox, "SPEEDD", [sys.executable, "-c", SLOW_ENCODER])
    sandbox.configure(
        engine={"name": "bulky", "workers": WORKERS},
        limits={"open_books": OPEN_BOOKS, "disk_reserve_mb": 0, "stretches_ahead": STRETCHES_AHEAD},
        workers={"store_takes": STORE_TAKES, "ahead": AHEAD},
    )
    for book in range(BOOKS):
        sandbox.drop(f"Book {book}.txt", "\n\n".join(sentence(number, book) for number in range(SENTENCES)))
    noted = tmp_path / "most"
    noted.mkdir()
    with sandbox.daemon(env={"SPEEDD_TEST_SLOW_S": "0.1", "SPEEDD_TEST_MOST": str(noted)}) as daemon:
        onlooker = Onlooker(sandbox, daemon.process.pid)
        onlooker.start()
        wait_until(lambda: len(sandbox.books) == BOOKS, within_s=240)
        onlooker.done.set()
        onlooker.join()
        assert daemon.stop() == 0
    most = onlooker.most | {file.name: int(file.read_text()) for file in noted.iterdir()}
    print(most)  # noqa: T201 - the figures, for whoever changes the limits
    assert UNSTORED <= most["unstored"] <= WORKERS * UNSTORED
    assert most["uncommitted"] <= ROWS + AHEAD
    assert most["books"] == OPEN_BOOKS
    # A book has more than that to give: without the bound all of it would be pulled.
    assert WORKERS < most["pulled"] <= PLACES < UTTERANCES - 1
    assert most["waiting"] <= OPEN_BOOKS * PLACES
    assert most["stretches"] == STRETCHES_AHEAD * len(os.sched_getaffinity(0)) + 1  # and the one that is awaited
    assert most["main"] < MAIN_MB
    assert most["worker"] < WORKER_MB
    assert most["tree"] < MAIN_MB + WORKERS * WORKER_MB + OPEN_BOOKS * READER_MB
