"""Fault 13: journald stands still, then its socket is gone: books go on, and what the log lost is counted."""

import os

import pytest
from fault_bench import NO_PAUSES, Bench, lines, wait_for
from service_machine import running_journald
from speedd_sandbox import STORY

pytestmark = [pytest.mark.fault, pytest.mark.systemd]

CHUNKS = 5500
"""Every chunk is an entry: more than may wait (4,096) and what the kernel takes on top."""


@pytest.fixture
def journald():
    with running_journald() as journald:
        try:
            yield journald
        finally:
            journald.thaw()  # a stopped process cannot even end its children


def logging_to(journald, sandbox):
    """Run the daemon in a mount namespace of its own, in which this journald is the machine's."""
    journal = journald.socket.parent
    mount = f'mkdir -p /run/systemd/journal; mount --bind {journal} /run/systemd/journal; exec "$@"'
    return sandbox.running(wrap=["unshare", "--mount", "sh", "-euc", mount, "sh"])


def test_books_go_on_without_a_journal_and_losses_are_counted(tmp_path, journald, record_property):
    if os.geteuid() != 0:
        pytest.skip("only root may put a journald in the machine's place")
    sandbox = Bench(tmp_path / "sandbox", engine="tone")
    # Its audio is not what is looked at: there is as little of it as can be.
    sandbox.configure(log={"target": "journal", "level": "debug"}, speech={"speed": 2.0})
    sandbox.drop("Unheard.toml", NO_PAUSES)
    with logging_to(journald, sandbox) as daemon:
        wait_for(lambda: journald.entries("EVENT=service.ready"), daemon)

        journald.freeze()
        sandbox.drop("Unheard.txt", lines(CHUNKS))
        wait_for(lambda: "published" in sandbox.states, daemon, within_s=240)
        journald.thaw()
        dropped = wait_for(lambda: journald.entries("EVENT=log.dropped"), daemon)
        told = journald.entries("EVENT=chunk.rendered")
        assert 4000 < len(told) < CHUNKS
        lost = sum(int(entry["ENTRIES"]) for entry in dropped)
        assert lost >= CHUNKS - len(told) > 0
        record_property("figure", f"{lost} entries lost and counted, {len(told)} of {CHUNKS} chunks told later")
        assert all(entry["PRIORITY"] == "4" for entry in dropped)

        journald.socket.unlink()
        sandbox.drop("No socket.txt", STORY)
        published = daemon.wait_for("job.published", book="No socket")  # on stderr now
        assert published["level"] == "info"
        assert daemon.stop() == 0
    assert "job.accepted" in {event["event"] for event in daemon.events}
    assert len(sandbox.books) == 2
