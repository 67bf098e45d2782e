"""The scheduler and the throttle on a simulated card that others use as well; the clock is virtual."""

import pytest
from execution_device import MIB, Simulation, narrate


@pytest.mark.slow
def test_fifty_thousand_chunks_on_a_card_that_others_use_too():
    report = narrate(chunks=50_000, seed=1895, total=8 << 30)
    assert sorted(report.spoken) == list(range(50_000))
    assert report.given_up == 0
    assert report.ran_out > 0  # it was hard enough
    assert report.occupancy >= 0.85
    assert report.reserve_broken > 0
    assert report.started_in_breaks == 0
    assert report.longest_break_s <= 30  # rows in hand end within twenty seconds, and give their memory back


@pytest.mark.parametrize(
    "hardship",
    [
        {"tenants_every_s": 2.0},
        {"total": 3 << 30},  # room for a few rows, and often for none
        {"reserve": 0},
        {"reserve": 2048 * MIB},
        {"ahead": 1},
        {"slots": 1},
    ],
    ids=str,
)
def test_nothing_is_lost_and_nothing_starts_in_the_reserve_under_any_hardship(hardship):
    report = narrate(chunks=1500, seed=7, **hardship)
    assert sorted(report.spoken) == list(range(1500))
    assert report.started_in_breaks == 0


def test_alone_on_the_card_all_of_it_is_used():
    report = narrate(chunks=3000, seed=3, tenants_every_s=0)
    assert report.ran_out == 0
    assert report.occupancy >= 0.95


def test_a_reserve_that_stays_broken_to_the_end_is_seen():
    simulation = Simulation(chunks=2, seed=3, tenants_every_s=0)
    simulation.plan(1.0, lambda: simulation.card.tenants.update({"for good": simulation.card.free - 350 * MIB}))
    report = simulation.run()
    assert (report.reserve_broken, report.longest_break_s) == (1, pytest.approx(report.clock_s - 1.0))
