"""Jobs: they go from state to state, and what is recorded of them stays recorded."""

import os
from pathlib import Path

from ledger_rows import chunk, job, planned, take

from speedd.ledger import State
from speedd.model import Job


def test_a_job_comes_back_as_it_was_entered_whatever_bytes_its_name_has(ledger):
    name = os.fsdecode(b"Gr\xfc\xdfe \xf0\x9f\x93\x9a")
    odd = Job("a" * 12, "a" * 64, name, Path("/inbox") / name, Path("/spool/a"), job().parts)
    ledger.jobs.add(odd)
    assert ledger.jobs.get("a" * 12).job == odd
    assert [row.job for row in ledger.jobs.from_source(odd.source)] == [odd]


def test_a_job_goes_from_state_to_state(ledger):
    ledger.jobs.add(job())
    ledger.jobs.set_state("0" * 12, State.RUNNING)
    row = ledger.jobs.get("0" * 12)
    assert (row.state, row.runs, row.ended_at) == (State.RUNNING, 1, None)
    ledger.jobs.set_state("0" * 12, State.PUBLISHED, published=Path("/outbox/Book"))
    row = ledger.jobs.get("0" * 12)
    assert (row.state, row.published) == (State.PUBLISHED, Path("/outbox/Book"))
    assert row.ended_at > row.started_at > row.created_at
    assert row.state.ended
    assert not State.WAITING.ended


def test_what_was_running_is_queued_again_at_the_next_start(ledger):
    for number, state in enumerate((State.RUNNING, State.QUEUED, State.PUBLISHED, State.RUNNING)):
        ledger.jobs.add(job(f"{number:012}"), state=state)
    assert [row.job.id for row, _ in ledger.jobs.recover()] == ["000000000000", "000000000003"]
    assert [row.state for row in ledger.jobs.all()] == [State.QUEUED, State.QUEUED, State.PUBLISHED, State.QUEUED]


def test_a_retry_after_publishing_is_a_new_edition_planned_anew(ledger):
    planned(ledger, chunk(0, "It was late."))
    ledger.jobs.set_state("0" * 12, State.PUBLISHED, published=Path("/outbox/Book"))
    ledger.jobs.queue_again("0" * 12)
    row = ledger.jobs.get("0" * 12)
    assert (row.state, row.edition, row.published, row.summary) == (State.QUEUED, 2, None, None)
    ledger.jobs.set_state("0" * 12, State.FAILED, "it broke")
    ledger.jobs.queue_again("0" * 12)
    row = ledger.jobs.get("0" * 12)
    assert (row.edition, row.reason) == (2, "")


def test_a_wish_to_cancel_is_for_the_living(ledger):
    ledger.jobs.add(job())
    ledger.jobs.request_cancel("0" * 12)
    assert ledger.jobs.get("0" * 12).cancelling
    ledger.jobs.set_state("0" * 12, State.CANCELLED)
    assert not ledger.jobs.get("0" * 12).cancelling
    ledger.jobs.request_cancel("0" * 12)  # too late
    ledger.jobs.set_state("0" * 12, State.QUEUED)
    assert not ledger.jobs.get("0" * 12).cancelling


def test_a_job_that_is_removed_leaves_its_takes(ledger):
    planned(ledger, chunk(0, "It was late."))
    ledger.takes.record("0" * 12, "run", [(0, take("a"), 0, "")])
    ledger.jobs.remove("0" * 12)
    assert ledger.jobs.all() == []
    assert list(ledger.plans.chunks("0" * 12)) == []
    assert ledger.takes.stored("a").samples == 2400


def test_the_pace_of_the_latest_book_is_the_machines(ledger):
    assert ledger.jobs.realtime_factor() is None
    for number, factor in enumerate((50.0, 80.0, None)):
        ledger.jobs.add(job(f"{number:012}"))
        ledger.jobs.record_pace(f"{number:012}", 100.0, factor)
        ledger.jobs.set_state(f"{number:012}", State.PUBLISHED)
    assert ledger.jobs.realtime_factor() == 80.0


def test_crashes_count_only_while_no_take_lands(ledger):
    planned(ledger, chunk(0, "It was late."), chunk(1, "It was dark."))
    job_id = "0" * 12

    def crash():
        ledger.jobs.set_state(job_id, State.RUNNING)
        ledger.jobs.note_in_flight(job_id, 0)
        ((_, crashes),) = ledger.jobs.recover()
        return crashes

    assert [crash(), crash()] == [1, 2]
    ledger.jobs.set_state(job_id, State.RUNNING)
    ledger.jobs.note_in_flight(job_id, 0)
    ledger.takes.record(job_id, "run", [(0, take("a"), 0, "")])
    assert [crashes for _, crashes in ledger.jobs.recover()] == [0]
    assert crash() == 1
    ledger.jobs.queue_again(job_id)
    assert ledger.jobs.poison_chunk(job_id) is None
