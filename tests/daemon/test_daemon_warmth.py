"""What is loaded once stays warm: an engine and its voices across books, and what it gets ready for is told."""

import socket
import threading
from collections import Counter

import pytest
from speedd_sandbox import Sandbox, epub, wait_until

WORKERS = 2
OTHER = '[engine]\nname = "slow"\n'


class Books:
    """Drops one book after the other into a running daemon, and counts what was loaded for them."""

    def __init__(self, sandbox, daemon, warmth):
        self.sandbox, self.daemon, self.warmth = sandbox, daemon, warmth

    def narrate(self, title, settings=""):
        if settings:
            self.sandbox.drop(f"{title}.toml", settings)
        self.sandbox.drop(f"{title}.epub", epub(title))
        self.daemon.wait_for("job.published", book=title)
        return self.warm()

    def warm(self):
        """How often each engine was loaded and got each voice ready, by whatever process."""
        lines = self.warmth.read_text().splitlines() if self.warmth.exists() else []
        assert max(Counter(lines).values(), default=0) <= 1  # no process does anything twice
        return Counter(tuple(line.split()[:2]) for line in lines)


@pytest.fixture
def books(sandbox: Sandbox, tmp_path, request):
    sandbox.configure(engine={"workers": WORKERS}, limits={"open_books": 1}, **getattr(request, "param", {}))
    warmth = tmp_path / "warmth"
    with sandbox.daemon(env={"SPEEDD_TEST_WARMTH": str(warmth), "SPEEDD_TEST_SLOW_S": "0.05"}) as daemon:
        yield Books(sandbox, daemon, warmth)


# A short book may be over before the last worker has loaded: how many of them got ready is told at the end.


def test_the_next_book_in_the_same_voice_finds_everything_warm(books):
    for title, settings in (("First", ""), ("Second", ""), ("Third", '[engine]\nvoice = "Cosine"\n'), ("Fourth", "")):
        warm = books.narrate(title, settings)
        voices = {"sine", "Cosine"} if title in {"Third", "Fourth"} else {"sine"}
        assert set(warm) == {("tone", what) for what in {"load", *voices}}
        assert max(warm.values()) <= WORKERS


def test_a_book_with_another_engine_loads_that_once_and_the_next_finds_the_first_still_warm(books):
    for title, settings in (("First", ""), ("Second", OTHER), ("Third", ""), ("Fourth", OTHER)):
        warm = books.narrate(title, settings)
        assert {engine for engine, _ in warm} == ({"tone"} if title == "First" else {"tone", "slow"})
        assert max(warm.values()) <= WORKERS


@pytest.mark.parametrize("books", [{"workers": {"idle_unload_s": 0.2}}], indirect=True)
def test_an_engine_that_was_unloaded_is_loaded_again_only_for_a_book_that_it_speaks(books):
    before = Counter()
    for title, settings, engine in (("First", "", "tone"), ("Second", OTHER, "slow"), ("Third", "", "tone")):
        books.narrate(title, settings)
        # All of its workers: one may still be loading when the others have spoken the book.
        wait_until(lambda engine=engine: not any(worker["pid"] for worker in workers(books.sandbox, engine)))
        after = books.warm()
        assert {name for name, _ in after - before} == {engine}
        before = after


def workers(sandbox, engine):
    live = sandbox.status["daemon"]
    return live["engines"].get(engine, {"workers": []})["workers"] if live else []


def test_loading_and_getting_ready_for_the_voice_of_the_book_are_told(sandbox: Sandbox, tmp_path):
    gate = tmp_path / "gate"
    gate.write_text("load Cosine")
    sandbox.configure(engine={"name": "gated", "voice": "Cosine", "workers": 1})
    sandbox.drop("Book.epub", epub("Book"))
    messages = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        threading.Thread(
            target=lambda: messages.extend(iter(lambda: listener.recv(4096).decode(), "")), daemon=True
        ).start()
        env = {"SPEEDD_TEST_GATE": str(gate), "NOTIFY_SOCKET": listener.getsockname()}
        with sandbox.daemon(env=env) as daemon:
            for state, note, opened in (
                ("loading", "loading the engine", "Cosine"),
                ("busy", "getting ready for the voice Cosine", ""),
            ):
                wait_until(lambda note=note: [told["note"] for told in workers(sandbox, "gated")] == [note])
                assert [told["state"] for told in workers(sandbox, "gated")] == [state]
                assert note in sandbox.speedd("status").out
                wait_until(lambda note=note: [message for message in messages if message.endswith(note)])
                gate.write_text(opened or "nothing")
            daemon.wait_for("job.published", book="Book")
            wait_until(lambda: [told["note"] for told in workers(sandbox, "gated")] == [""])
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", listener.getsockname())
