"""Takes: shared by jobs, turned down, lost and counted."""

from ledger_rows import chunk, planned, take


def test_a_take_that_is_turned_down_is_kept_in_mind_and_not_used(ledger):
    planned(ledger, chunk(0, "It was late."))
    ledger.takes.record("0" * 12, [(0, take("a"), 0, "it is silent")])
    assert ledger.takes.fault_of("a") == "it is silent"
    assert [each.id for each in ledger.takes.pending("0" * 12)] == [0]
    ledger.takes.forget_faults()
    assert ledger.takes.fault_of("a") is None


def test_where_what_shapes_the_audio_changed_no_take_is_kept(ledger):
    planned(ledger, chunk(0, "It was late."))
    ledger.takes.begin("0" * 12, "one engine")
    ledger.takes.record("0" * 12, [(0, take("a"), 0, "")])
    ledger.takes.begin("0" * 12, "one engine")
    assert ledger.takes.progress("0" * 12).done == 1
    ledger.takes.begin("0" * 12, "another engine")
    assert ledger.takes.progress("0" * 12).done == 0
    assert ledger.takes.stored("a") is not None


def test_a_lost_take_is_wanted_again_by_every_job_that_used_it(ledger):
    for job_id in ("a" * 12, "b" * 12):
        planned(ledger, chunk(0, "It was late."), job_id=job_id)
        ledger.takes.adopt(job_id, [(0, "key", 0)])
    ledger.takes.forget(["key"])
    assert [len(list(ledger.takes.pending(job_id))) for job_id in ("a" * 12, "b" * 12)] == [1, 1]


def test_chunks_count_as_rendered_if_one_of_their_takes_is_new(ledger):
    planned(ledger, chunk(0, "One.", "Two."), chunk(1, "Three."), chunk(2), chunk(3, "…"))
    ledger.takes.record("0" * 12, [(0, take("a"), 0, ""), (2, take("c"), 0, "")])
    since = ledger.jobs._now()
    ledger.takes.record("0" * 12, [(1, take("b"), 0, ""), (3, take("d", samples=0), 0, "")])
    assert ledger.takes.count_rendered("0" * 12, since) == (1, 1)
