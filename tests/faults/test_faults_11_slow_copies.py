"""Fault 11: copies that take their time: in pieces, at full size from the start, reopened after a silence."""

import hashlib
import threading
import time
from pathlib import Path

import pytest
from speedd_sandbox import long_story

from speedd.inbox.identity import digest_of
from speedd.model import Part, Role

pytestmark = pytest.mark.fault

SETTLE_S = 6.0
SILENCE_S = 4.0
PIECES = 12
PAUSE_S = 0.7


def in_pieces(path, text):
    """As `cp` over a slow line does."""
    with path.open("wb", buffering=0) as file:
        for at in range(PIECES):
            file.write(text[at * len(text) // PIECES : (at + 1) * len(text) // PIECES])
            time.sleep(PAUSE_S)


def at_full_size(path, text):
    """As Samba does for Windows: the size is final before the first byte is there."""
    with path.open("wb", buffering=0) as file:
        file.truncate(len(text))
        for at in range(PIECES):
            start = at * len(text) // PIECES
            file.seek(start)
            file.write(text[start : (at + 1) * len(text) // PIECES])
            time.sleep(PAUSE_S)


def closed_and_reopened(path, text):
    """As a sync client does that goes on where it was cut off."""
    for at in range(3):
        with path.open("ab", buffering=0) as file:
            file.write(text[at * len(text) // 3 : (at + 1) * len(text) // 3])
        time.sleep(SILENCE_S)


def written_over(path, text):
    """As `rsync --inplace` does over an older version of the same size."""
    path.write_bytes(text.upper())
    time.sleep(SILENCE_S)
    with path.open("r+b", buffering=0) as file:
        file.write(text[: len(text) // 2])
        time.sleep(SILENCE_S)
        file.write(text[len(text) // 2 :])


def file_by_file(path, text):
    """As a folder is copied: the cover and the settings come long after the text."""
    path.mkdir()
    (path / "book.txt").write_bytes(text)
    time.sleep(SILENCE_S)
    (path / "speedd.toml").write_text('[book]\ntitle = "All of it"\n')
    time.sleep(SILENCE_S)
    (path / "cover.jpg").write_bytes(b"no picture")


WAYS_TO_WRITE = {
    "In pieces.txt": in_pieces,
    "At full size.txt": at_full_size,
    "Closed and reopened.txt": closed_and_reopened,
    "Written over.txt": written_over,
    "File by file": file_by_file,
}


@pytest.mark.parametrize("restarts", [0, 2])
def test_nothing_is_taken_before_its_writer_is_done(sandbox, restarts):
    """All at once; with restarts the daemon is killed in mid-copy and started again, and has to settle anew."""
    sandbox.configure(inbox={"settle_s": SETTLE_S, "scan_s": 0.5})
    done_at = {}

    def write(name, write_it):
        write_it(sandbox.inbox / name, text_of(name))
        done_at[name] = time.monotonic()

    writers = [threading.Thread(target=write, args=each) for each in WAYS_TO_WRITE.items()]
    for writer in writers:
        writer.start()
    for _ in range(restarts):
        with sandbox.daemon() as daemon:
            time.sleep(2.5)
            assert not [event for event in daemon.events if event["event"] == "job.accepted"]
    with sandbox.daemon() as daemon:
        while any(writer.is_alive() for writer in writers):
            accepted = {event["book"] for event in daemon.events if event["event"] == "job.accepted"}
            assert accepted <= {name.removesuffix(".txt") for name in done_at}
            time.sleep(0.1)
        for name in WAYS_TO_WRITE:
            job = daemon.wait_for("job.accepted", book=name.removesuffix(".txt"))
            if name.endswith(".txt"):
                assert digest(text_of(name)).startswith(job["job"])
        for name in WAYS_TO_WRITE:
            daemon.wait_for("job.published", book=name.removesuffix(".txt"))
        assert sum(event["event"] == "job.accepted" for event in daemon.events) == len(WAYS_TO_WRITE)
        assert daemon.stop() == 0
    assert len(sandbox.books) == len(WAYS_TO_WRITE)
    assert sandbox.left() == []
    (whole,) = (book for book in sandbox.books if book.metadata["title"] == "All of it")
    assert "cover.jpg is no image that speedd knows" in str(whole.run)


def text_of(name):
    return (name.removesuffix(".txt") + " is its title.\n\n" + long_story(12)).encode()


def digest(text):
    return digest_of([Part(Role.BOOK, "Book.txt", Path("book.txt"), hashlib.sha256(text).hexdigest(), len(text))])
