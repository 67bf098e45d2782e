"""Takes: shared by jobs, turned down, lost and counted."""

from dataclasses import replace

from ledger_rows import chunk, planned, take

from speedd.ledger import Ledger
from speedd.ledger.migrations import MIGRATIONS
from speedd.model import Word


def test_a_take_that_is_turned_down_is_kept_in_mind_and_not_used(ledger):
    planned(ledger, chunk(0, "It was late."))
    ledger.takes.record("0" * 12, "run", [(0, take("a"), 0, "it is silent")])
    assert ledger.takes.fault_of("a") == "it is silent"
    assert [each.id for each in ledger.takes.pending("0" * 12)] == [0]
    ledger.takes.forget_faults()
    assert ledger.takes.fault_of("a") is None


def test_where_what_shapes_the_audio_changed_no_take_is_kept(ledger):
    planned(ledger, chunk(0, "It was late."))
    ledger.takes.begin("0" * 12, "one engine")
    ledger.takes.record("0" * 12, "run", [(0, take("a"), 0, "")])
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
    ledger.takes.record("0" * 12, "run", [(0, take("a"), 0, ""), (2, take("c"), 0, "")])
    ledger.takes.record("0" * 12, "next", [(1, take("b"), 0, ""), (3, take("d", samples=0), 0, "")])
    assert ledger.takes.count_rendered("0" * 12, "next") == (1, 1)


def test_a_take_that_another_job_had_rendered_meanwhile_was_there_already(ledger):
    planned(ledger, chunk(0, "One."), chunk(1, "Two."))
    ledger.takes.record("0" * 12, "run", [(0, take("a"), 0, ""), (1, take("b"), 0, "")])
    planned(ledger, chunk(0, "One."), chunk(1, "Two."), job_id="1" * 12)
    ledger.takes.adopt("1" * 12, [(0, "a", 0)])
    ledger.takes.record("1" * 12, "run", [(1, take("c"), 0, "")])
    assert ledger.takes.count_rendered("1" * 12, "run") == (1, 1)
    assert [[one.rendered_in for one in row.takes] for row in ledger.plans.chunks("1" * 12)] == [[""], ["run"]]
    ledger.takes.adopt("1" * 12, [(1, "b", 0)])
    assert ledger.takes.count_rendered("1" * 12, "run") == (0, 2)


def test_when_words_are_spoken_is_kept_to_the_millisecond(ledger):
    words = (Word("“Why?”", 0.0, 0.3204), Word("I", 0.3204, 0.5), Word("…", 0.5, 0.5))
    planned(ledger, chunk(0, "“Why?” I …", "Nobody said."))
    ledger.takes.record("0" * 12, "run", [(0, replace(take("a"), words=words), 0, ""), (1, take("b"), 0, "")])
    kept = (words[0], Word("I", 0.32, 0.5), words[2])
    kept = (replace(kept[0], end_s=0.32), *kept[1:])
    assert ledger.takes.stored("a").words == kept
    (row,) = ledger.plans.chunks("0" * 12)
    assert [one.words for one in row.takes] == [kept, ()]


def test_takes_from_before_words_were_kept_have_none(tmp_path, monkeypatch):
    monkeypatch.setattr("speedd.ledger.database.MIGRATIONS", MIGRATIONS[:3])
    before = Ledger(tmp_path / "ledger.db")
    before._database.rows("INSERT INTO takes VALUES ('a', 1, 24000, -1, -2, 0.1, 'end', 9, '', 'j', 1.0, '')")
    before.close()
    monkeypatch.undo()
    after = Ledger(tmp_path / "ledger.db")
    assert after.takes.stored("a").words == ()
    after.close()
