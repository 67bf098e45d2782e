"""Kills and stops: the audiobook comes out the same, and little is rendered twice. `tests/faults` does it at length."""

import os
import signal

import pytest
from speedd_house import PATIENCE_S, Audiobook, House, epub, long_story, wait_until

LONG = epub("The Long Story", long_story(32))
WORKERS = 2
IN_FLIGHT = 2
"""Chunks that a CPU worker may have in hand when it dies: stated in the README."""
SLOW = {"SPEEDD_TEST_SLOW_S": "0.05"}
STUCK = {"SPEEDD_TEST_SLOW_S": "600"}
FAST = {"SPEEDD_TEST_SLOW_S": "0"}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Audiobook:
    """The long story, narrated without disturbance."""
    house = House(tmp_path_factory.mktemp("undisturbed") / "house")
    house.configure(engine={"name": "slow"})
    house.drop("Long.epub", LONG)
    assert house.once(env=FAST).code == 0
    return house.book


@pytest.fixture
def house(tmp_path) -> House:
    house = House(tmp_path / "house")
    house.configure(engine={"name": "slow", "workers": WORKERS})
    house.drop("Long.epub", LONG)
    return house


def spoken_twice(house: House) -> int:
    return len(house.spoken) - len(set(house.spoken))


@pytest.mark.fault
def test_killed_at_any_time_the_audiobook_is_the_same_and_only_what_was_in_flight_is_rendered_again(house, undisturbed):
    kills = 0
    for moment in ("job.started", "job.planned", "job.progress", "job.mastered"):
        with house.daemon(env=SLOW) as daemon:
            daemon.wait_for(moment)
            daemon.kill()
            kills += 1
        assert house.books == []
    assert house.once(env=FAST).code == 0
    book = house.book
    assert book.sound == undisturbed.sound
    assert [chunk["takes"] for chunk in book.run["chunks"]] == [chunk["takes"] for chunk in undisturbed.run["chunks"]]
    assert book.run["job_attempts"] == kills + 1
    assert spoken_twice(house) <= kills * WORKERS * IN_FLIGHT
    assert set(house.spoken) == {take["key"] for chunk in book.run["chunks"] for take in chunk["takes"]}
    assert [path.name for path in house.outbox.iterdir()] == ["Unknown"]  # no stage is left
    assert house.left() == []


@pytest.mark.fault
def test_a_worker_that_is_killed_alone_costs_what_it_had_in_hand(house: House, undisturbed: Audiobook):
    with house.daemon(env=SLOW) as daemon:
        wait_until(lambda: len(house.spoken) >= 6)
        worker = next(int(path.name) for path in house.trace.iterdir())
        os.kill(worker, signal.SIGKILL)
        daemon.wait_for("worker.died")
        daemon.wait_for("job.published")
        assert daemon.stop() == 0
    assert house.book.sound == undisturbed.sound
    assert spoken_twice(house) <= IN_FLIGHT


def test_told_to_stop_in_mid_book_it_stops_at_once_and_goes_on_at_the_next_start(house: House, undisturbed: Audiobook):
    with house.daemon(env=SLOW) as daemon:
        wait_until(lambda: len(house.spoken) >= 8)
        assert daemon.stop() == 0
    with house.daemon(env=STUCK) as daemon:  # a chunk that takes ten minutes holds up nothing
        spoken = len(house.spoken)
        wait_until(lambda: len(house.spoken) > spoken)
        assert daemon.stop() == 0
        assert {event["event"] for event in daemon.events}.isdisjoint({"job.paused", "worker.died"})
    (job,) = house.status["jobs"]
    assert (job["state"], job["reason"]) == ("queued", "")
    assert job["done"] >= 8 - WORKERS * IN_FLIGHT
    assert house.left() == ["Long.epub"]
    assert house.once(env=FAST).code == 0
    assert house.book.sound == undisturbed.sound
    assert spoken_twice(house) <= 2 * WORKERS * IN_FLIGHT


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_of_it_while_it_reads_costs_no_book(house: House, signum):
    """Ctrl-C and some service managers signal the whole group; the reader must not die of it."""
    with house.daemon(env=FAST) as daemon:
        daemon.wait_for("job.started")
        os.killpg(daemon.process.pid, signum)
        assert daemon.process.wait(PATIENCE_S) == 0
        assert {event["event"] for event in daemon.events}.isdisjoint({"job.refused", "job.paused", "job.failed"})
    (job,) = house.status["jobs"]
    assert job["state"] == "queued"
    assert house.left() == ["Long.epub"]
