"""Fault 14: a chunk on which the engine hangs fails its book after three tries; nothing else suffers."""

from collections import Counter

import pytest
from speedd_sandbox import long_story

from speedd.ledger import Ledger

pytestmark = pytest.mark.fault


def test_a_hung_chunk_fails_its_book_and_the_next_goes_on(sandbox):
    """Both books are open, and share the workers that are killed."""
    sandbox.configure(engine={"name": "hang"}, limits={"chunk_deadline_s": 1.0})
    sentences = long_story(60).split(". ")
    sentences[30] = "Here the engine will HANG for ever"
    sandbox.drop("Hangs.txt", ". ".join(sentences))
    sandbox.drop("Next.txt", long_story(80).replace("Sentence", "Phrase"))
    with sandbox.daemon() as daemon:
        failed = daemon.wait_for("job.failed", book="Hangs")
        daemon.wait_for("job.published", book="Next")
        died = [event for event in daemon.events if event["event"] == "worker.died"]
        assert daemon.stop() == 0
    assert "cannot be spoken: The engine stopped working 3 times" in failed["reason"]
    assert "it had not answered after" in failed["reason"]
    (chunk,) = [row.chunk for row in chunks(sandbox) if "HANG" in row.chunk.text]
    assert f"chunk {chunk.index} (“here the engine will hang for ever" in failed["reason"].lower()
    assert failed["reason"] in sandbox.reason("Hangs")
    assert len(died) == 3
    begun = Counter(sandbox.spoken)
    assert max(begun.values()) == 3
    (hung,) = [key for key, times in begun.items() if times == 3]
    # What was in the same worker waited its turn: nothing but the chunk itself is charged.
    assert all(times == 1 for key, times in begun.items() if key != hung)


def chunks(sandbox):
    ledger = Ledger(sandbox.state / "ledger.sqlite")
    try:
        (job,) = [row.job.id for row in ledger.jobs.all() if row.job.name == "Hangs"]
        return list(ledger.plans.chunks(job))
    finally:
        ledger.close()


def test_a_hung_worker_is_no_reason_for_the_watchdog_to_fire(sandbox):
    """The daemon itself goes on ticking while it waits for a chunk's deadline: other books are taken and finished."""
    sandbox.configure(engine={"name": "hang", "workers": 2}, limits={"chunk_deadline_s": 8.0})
    sandbox.drop("Hangs.txt", "The engine will HANG on it.")
    with sandbox.daemon() as daemon:
        daemon.wait_for("job.planned", book="Hangs")
        sandbox.drop("Meanwhile.txt", long_story(20))
        daemon.wait_for("job.published", book="Meanwhile")
        assert not [event for event in daemon.events if event["event"] == "job.failed"]
