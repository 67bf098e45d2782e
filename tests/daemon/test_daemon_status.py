"""What a running daemon says of its work, in all three places: `speedd status --json`, the log and ``STATUS=``."""

import re
import socket
import threading

import pytest
from speedd_sandbox import Sandbox, epub, long_story, wait_until

STATUS = re.compile(
    r"STATUS=Long: narrating \d+%, chunk \d+/\d+, \d+ s left, \d+ × realtime;"
    r" [0-4]/4 rows, 4\.0 GiB used, 1\.0 GiB free, \d+ tokens/s, 1 restart"
)


def heard_by(listener, messages):
    """Note what systemd would be told, for as long as somebody speaks."""
    while message := listener.recv(4096).decode():
        messages.append(message)


def with_an_eta(sandbox):
    def look():
        status = sandbox.status
        return status if any(job["eta_s"] for job in status["jobs"]) and len(status["jobs"]) > 1 else None

    return look


def test_how_full_how_fast_and_how_long_yet(sandbox: Sandbox, tmp_path):
    fault_folder = tmp_path / "fault_folder"
    fault_folder.mkdir()
    sandbox.configure(engine={"name": "batching", "workers": 1})
    sandbox.drop("Long.txt", "It began with a KILL.\n\n" + long_story(160))
    messages = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        threading.Thread(target=heard_by, args=(listener, messages), daemon=True).start()
        env = {
            "NOTIFY_SOCKET": listener.getsockname(),
            "SPEEDD_TEST_SLOW_S": "0.3",
            "SPEEDD_TEST_FAULTS": str(fault_folder),
        }
        with sandbox.daemon(env=env) as daemon:
            wait_until(lambda: [message for message in messages if STATUS.search(message)])
            found = sandbox.status["daemon"]
            (book,) = found["books"]
            assert book["stage"] == "narrating"
            assert book["eta_s"] > 0
            assert book["realtime_factor"] > 0
            (worker,) = found["engines"]["batching"]["workers"]
            told = {name: worker[name] for name in ("rows_cap", "restarts", "free_bytes", "used_bytes")}
            assert told == {"rows_cap": 4, "restarts": 1, "free_bytes": 1 << 30, "used_bytes": 4 << 30}
            assert 0 <= worker["rows"] <= 4
            assert worker["tokens_per_s"] > 0
            logged = daemon.wait_for("job.progress", restarts=1, rows_cap=4, free_mb=1024, used_mb=4096)
            assert logged.keys() >= {"rows", "tokens_per_s", "realtime_factor", "eta_s"}
            assert daemon.stop() == 0
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", listener.getsockname())


SAID = re.compile(r"Long Too: narrating \d+%, chunk (\d+)/(\d+), (\d+) s left")
SLOW_S = 0.2
"""What the engine takes over each sentence, at least."""


@pytest.mark.slow
def test_what_was_stored_already_makes_no_book_look_shorter_than_it_is(sandbox: Sandbox, tmp_path):
    """Three quarters of an edited book are there at once: that is no pace."""
    messages = []
    sandbox.configure(engine={"name": "slow", "workers": 1}, limits={"open_books": 1})
    sandbox.drop("Long.epub", epub("Long", long_story(120)))
    assert sandbox.once(env={"SPEEDD_TEST_SLOW_S": "0"}).code == 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        threading.Thread(target=heard_by, args=(listener, messages), daemon=True).start()
        env = {"NOTIFY_SOCKET": listener.getsockname(), "SPEEDD_TEST_SLOW_S": str(SLOW_S)}
        with sandbox.daemon(env=env) as daemon:
            # The new sentences come first: what is stored must be known before they are spoken.
            fresh = long_story(40).replace("Sentence", "Another sentence")
            sandbox.drop("Long Too.epub", epub("Long Too", f"{fresh}\n\n{long_story(120)}"))
            sandbox.drop("Queued.epub", epub("Queued"))
            wait_until(lambda: [message for message in messages if "s left" in message])
            live = wait_until(with_an_eta(sandbox))
            jobs = {job["name"]: job for job in live["jobs"]}
            assert jobs["Long Too"]["eta_s"] == live["daemon"]["books"][0]["eta_s"]
            assert jobs["Queued"]["eta_s"] is None
            daemon.wait_for("job.published", book="Long Too")
            told = [event for event in daemon.events if event["event"] == "job.progress"]
            assert daemon.stop() == 0
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", listener.getsockname())
    logged = [(event["chunks"] - event["chunk"], event.get("eta_s")) for event in told if event["book"] == "Long Too"]
    shown = [(book["total"] - book["done"], book["eta_s"]) for book in live["daemon"]["books"]]
    said = [found.groups() for message in messages for found in SAID.finditer(message)]
    status = [(int(total) - int(done), int(eta_s)) for done, total, eta_s in said]
    for estimates in (logged, shown, status):
        known = [(left, eta_s) for left, eta_s in estimates if eta_s is not None]
        assert known
        assert all(left <= 41 and eta_s >= 0.8 * SLOW_S * left - 1 for left, eta_s in known), estimates
    assert {eta_s for left, eta_s in logged if left > 20} != {None}
