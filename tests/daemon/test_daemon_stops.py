"""Kills and stops: the audiobook comes out the same, and little is rendered twice. `tests/faults` does it at length."""

import os
import signal

import pytest
from speedd_sandbox import PATIENCE_S, Audiobook, Sandbox, epub, long_story, wait_until

GATED = epub("The Long Story", f"{long_story(12)} Here is the GATE. {long_story(12).replace('long', 'longer')}")
"""As long as the gate is closed it is never finished."""
WORKERS = 2
IN_FLIGHT = 2
"""Chunks that a CPU worker may have in hand when it dies: stated in the README."""


class GatedSandbox(Sandbox):
    """A sandbox with the gated story in its inbox and the gate closed."""

    def __init__(self, root) -> None:
        super().__init__(root)
        self.gate = root / "gate"
        self.gate.touch()
        self.env = {"SPEEDD_TEST_GATE": str(self.gate)}
        self.configure(engine={"name": "gated", "workers": WORKERS})
        self.drop("Long.epub", GATED)

    @property
    def spoken_twice(self) -> int:
        return len(self.spoken) - len(set(self.spoken))

    def wait_for_spoken(self, count: int) -> None:
        wait_until(lambda: len(set(self.spoken)) >= count)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Audiobook:
    """The story, narrated without disturbance."""
    sandbox = GatedSandbox(tmp_path_factory.mktemp("undisturbed") / "sandbox")
    sandbox.gate.unlink()
    assert sandbox.once(env=sandbox.env).code == 0
    return sandbox.book


@pytest.fixture
def sandbox(tmp_path) -> GatedSandbox:
    return GatedSandbox(tmp_path / "sandbox")


@pytest.mark.fault
def test_killed_at_any_time_the_audiobook_is_the_same_and_only_what_was_in_flight_is_rendered_again(
    sandbox, undisturbed
):
    moments = (
        lambda daemon: daemon.wait_for("job.started"),
        lambda daemon: daemon.wait_for("job.planned"),
        lambda _: sandbox.wait_for_spoken(5),
        lambda _: sandbox.wait_for_spoken(13),
    )
    for moment in moments:
        with sandbox.daemon(env=sandbox.env) as daemon:
            moment(daemon)
            daemon.kill()
        assert sandbox.books == []
    sandbox.gate.unlink()
    assert sandbox.once(env=sandbox.env).code == 0
    book = sandbox.book
    assert book.sound == undisturbed.sound
    assert [chunk["takes"] for chunk in book.run["chunks"]] == [chunk["takes"] for chunk in undisturbed.run["chunks"]]
    assert book.run["job_attempts"] == len(moments) + 1
    assert sandbox.spoken_twice <= len(moments) * WORKERS * IN_FLIGHT
    assert set(sandbox.spoken) == {take["key"] for chunk in book.run["chunks"] for take in chunk["takes"]}
    assert [path.name for path in sandbox.outbox.iterdir()] == ["Unknown"]  # no stage is left
    assert sandbox.left() == []


@pytest.mark.fault
def test_a_worker_that_is_killed_alone_costs_what_it_had_in_hand(sandbox: GatedSandbox, undisturbed: Audiobook):
    with sandbox.daemon(env=sandbox.env) as daemon:
        sandbox.wait_for_spoken(6)
        worker = next(int(path.name) for path in sandbox.trace.iterdir())
        os.kill(worker, signal.SIGKILL)
        daemon.wait_for("worker.died")
        sandbox.gate.unlink()
        daemon.wait_for("job.published")
        assert daemon.stop() == 0
    assert sandbox.book.sound == undisturbed.sound
    assert sandbox.spoken_twice <= IN_FLIGHT


def test_told_to_stop_in_mid_book_it_stops_at_once_and_goes_on_at_the_next_start(sandbox, undisturbed: Audiobook):
    with sandbox.daemon(env=sandbox.env) as daemon:
        sandbox.wait_for_spoken(13)  # the chunk at the gate would take for ever: it holds up nothing
        assert daemon.stop() == 0
        assert {event["event"] for event in daemon.events}.isdisjoint({"job.paused", "worker.died"})
    (job,) = sandbox.status["jobs"]
    assert (job["state"], job["reason"]) == ("queued", "")
    assert job["done"] >= 13 - WORKERS * IN_FLIGHT
    assert sandbox.left() == ["Long.epub"]
    sandbox.gate.unlink()
    assert sandbox.once(env=sandbox.env).code == 0
    assert sandbox.book.sound == undisturbed.sound
    assert sandbox.spoken_twice <= WORKERS * IN_FLIGHT


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_of_it_while_it_reads_costs_no_book(sandbox: GatedSandbox, signum):
    """Ctrl-C and some service managers signal the whole group; the reader must not die of it."""
    with sandbox.daemon(env=sandbox.env) as daemon:
        daemon.wait_for("job.started")
        os.killpg(daemon.process.pid, signum)
        assert daemon.process.wait(PATIENCE_S) == 0
        assert {event["event"] for event in daemon.events}.isdisjoint({"job.refused", "job.paused", "job.failed"})
    (job,) = sandbox.status["jobs"]
    assert job["state"] == "queued"
    assert sandbox.left() == ["Long.epub"]
