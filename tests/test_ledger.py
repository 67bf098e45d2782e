"""The ledger: what is recorded stays recorded, in order, and a ledger that cannot be used says why."""

import os
import sqlite3
import threading
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speedd import migrations
from speedd.errors import LedgerError, TryAgainError
from speedd.ledger import Ledger, State
from speedd.model import Boundary, Chunk, Job, Part, Quote, Rendered, Role, Segment, Style


@pytest.fixture
def ledger(tmp_path):
    seconds = count(1000)
    opened = Ledger(tmp_path / "ledger.sqlite", now=lambda: float(next(seconds)))
    yield opened
    opened.close()


def job(job_id="0" * 12, source="/inbox/Book.txt", digest=None):
    spool = Path("/state/spool") / job_id
    part = Part(Role.BOOK, "Book.txt", spool / "book.txt", "1" * 64, 12)
    return Job(job_id, digest or job_id, "Book", Path(source), spool, (part,))


def take(key, *, samples=2400, stop_reason="end"):
    return Rendered(key, samples, 24_000, -12.0, -20.0, True, 0.25, stop_reason, 99, 0)


def chunk(index, *texts, chapter=0, pause_ms=500):
    segments = tuple(Segment(text, 10 + at) for at, text in enumerate(texts))
    return Chunk(index, chapter, " ".join(texts), segments, Boundary.PERIOD, pause_ms)


def planned(ledger, *chunks, job_id="0" * 12):
    ledger.add(job(job_id))
    ledger.record_plan(job_id, {"words": 3}, ["One", "Two"], chunks)
    return job_id


# --- the file --------------------------------------------------------------------------------------------------------


def test_a_ledger_of_a_newer_speedd_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "ledger.sqlite"
    Ledger(path).close()
    newer = len(migrations.MIGRATIONS) + 1
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version={newer}")
    db.close()
    with pytest.raises(LedgerError, match=f"newer speedd .schema {newer}") as caught:
        Ledger(path)
    assert "Install that version" in caught.value.hint
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA user_version").fetchone()[0] == newer
    db.close()


def test_an_older_ledger_is_brought_up_to_date_step_by_step_and_keeps_its_jobs(tmp_path, monkeypatch):
    path = tmp_path / "ledger.sqlite"
    before = Ledger(path)
    before.add(job())
    before.close()

    def m2_notes(db):
        """A table more."""
        db.execute("CREATE TABLE notes (text TEXT)")

    monkeypatch.setattr("speedd.ledger.MIGRATIONS", (*migrations.MIGRATIONS, m2_notes))
    after = Ledger(path)
    assert after.job("0" * 12).job == job()
    assert after._rows("PRAGMA user_version")[0][0] == len(migrations.MIGRATIONS) + 1
    after.close()
    Ledger(path).close()  # the step is not taken twice


def test_what_was_planned_before_dialogue_was_marked_has_none(tmp_path, monkeypatch):
    monkeypatch.setattr("speedd.ledger.MIGRATIONS", migrations.MIGRATIONS[:1])
    older = Ledger(tmp_path / "ledger.sqlite")
    older.add(job())
    values = ("0" * 12, 0, 0, "“Late.”", "period", 500, 0.0, 0.0, "{}", None)
    with older._transaction() as db:
        db.execute("INSERT INTO chunks VALUES (?,?,?,?,?,?,?,?,?,?)", values)
    older.close()
    monkeypatch.undo()
    newer = Ledger(tmp_path / "ledger.sqlite")
    assert [(row.chunk.text, row.chunk.dialogue) for row in newer.chunks("0" * 12)] == [("“Late.”", ())]
    newer.close()


def test_a_step_that_fails_leaves_the_ledger_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "ledger.sqlite"
    Ledger(path).close()

    def m2_half(db):
        """Fails in its middle."""
        db.execute("CREATE TABLE half (text TEXT)")
        raise RuntimeError

    monkeypatch.setattr("speedd.ledger.MIGRATIONS", (*migrations.MIGRATIONS, m2_half))
    with pytest.raises(RuntimeError):
        Ledger(path)
    monkeypatch.undo()
    again = Ledger(path)
    assert again._rows("SELECT count(*) FROM sqlite_master WHERE name='half'")[0][0] == 0
    again.close()


def test_two_processes_may_make_the_ledger_at_once(tmp_path):
    faults = []

    def open_it():
        try:
            Ledger(tmp_path / "ledger.sqlite").close()
        except Exception as error:  # noqa: BLE001 - told to the test
            faults.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_a_file_that_is_no_ledger_is_refused(tmp_path):
    (tmp_path / "ledger.sqlite").write_text("These are my notes. " * 100)
    with pytest.raises(LedgerError, match="file is not a database") as caught:
        Ledger(tmp_path / "ledger.sqlite")
    assert "damaged" in caught.value.hint


def test_a_place_that_cannot_be_written_may_be_tried_again(tmp_path):
    with pytest.raises(TryAgainError, match="cannot be used now"):
        Ledger(tmp_path / "missing" / "ledger.sqlite")


def test_a_full_disk_passes_and_nothing_of_a_commit_stays_behind(ledger):
    planned(ledger, chunk(0, "It was late."))
    pages = ledger._rows("PRAGMA page_count")[0][0]
    ledger._db.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(TryAgainError, match="cannot be written now: database or disk is full"):
        ledger.record_takes("0" * 12, [(0, take(f"{n:064}"), 0, "") for n in range(1000)])
    assert ledger.progress("0" * 12).done == 0
    assert ledger.take(f"{0:064}") is None
    ledger._db.execute("PRAGMA max_page_count=1000000")
    ledger.record_takes("0" * 12, [(0, take("a"), 0, "")])
    assert ledger.progress("0" * 12).done == 1


def test_a_fault_of_ours_is_no_full_disk(ledger):
    with pytest.raises(sqlite3.IntegrityError):
        [ledger.add(job()) for _ in range(2)]
    assert len(ledger.jobs()) == 1


# --- jobs ------------------------------------------------------------------------------------------------------------


def test_a_job_comes_back_as_it_was_entered_whatever_bytes_its_name_has(ledger):
    name = os.fsdecode(b"Gr\xfc\xdfe \xf0\x9f\x93\x9a")
    odd = Job("a" * 12, "a" * 64, name, Path("/inbox") / name, Path("/spool/a"), job().parts)
    ledger.add(odd)
    assert ledger.job("a" * 12).job == odd
    assert [row.job for row in ledger.jobs_from(odd.source)] == [odd]


def test_a_job_goes_from_state_to_state(ledger):
    ledger.add(job())
    ledger.set_state("0" * 12, State.RUNNING)
    row = ledger.job("0" * 12)
    assert (row.state, row.runs, row.ended_at) == (State.RUNNING, 1, None)
    ledger.set_state("0" * 12, State.PUBLISHED, published=Path("/outbox/Book"))
    row = ledger.job("0" * 12)
    assert (row.state, row.published) == (State.PUBLISHED, Path("/outbox/Book"))
    assert row.ended_at > row.started_at > row.created_at
    assert row.state.ended
    assert not State.WAITING.ended


def test_what_was_running_is_queued_again_at_the_next_start(ledger):
    for number, state in enumerate((State.RUNNING, State.QUEUED, State.PUBLISHED, State.RUNNING)):
        ledger.add(job(f"{number:012}"), state=state)
    assert [row.job.id for row, _ in ledger.recover()] == ["000000000000", "000000000003"]
    assert [row.state for row in ledger.jobs()] == [State.QUEUED, State.QUEUED, State.PUBLISHED, State.QUEUED]


def test_a_retry_after_publishing_is_a_new_edition_planned_anew(ledger):
    planned(ledger, chunk(0, "It was late."))
    ledger.set_state("0" * 12, State.PUBLISHED, published=Path("/outbox/Book"))
    ledger.queue_again("0" * 12)
    row = ledger.job("0" * 12)
    assert (row.state, row.edition, row.published, row.head) == (State.QUEUED, 2, None, None)
    ledger.set_state("0" * 12, State.FAILED, "it broke")
    ledger.queue_again("0" * 12)
    row = ledger.job("0" * 12)
    assert (row.edition, row.reason) == (2, "")


def test_a_wish_to_cancel_is_for_the_living(ledger):
    ledger.add(job())
    ledger.wish_cancelled("0" * 12)
    assert ledger.job("0" * 12).cancelling
    ledger.set_state("0" * 12, State.CANCELLED)
    assert not ledger.job("0" * 12).cancelling
    ledger.wish_cancelled("0" * 12)  # too late
    ledger.set_state("0" * 12, State.QUEUED)
    assert not ledger.job("0" * 12).cancelling


def test_sources_are_known_by_their_looks(ledger):
    place = Path(os.fsdecode(b"/inbox/\xff.txt"))
    ledger.remember(place, "looks", "0" * 12)
    assert ledger.knows(place, "looks")
    assert not ledger.knows(place, "changed looks")
    assert ledger.sources() == [(place, "0" * 12)]
    ledger.forget(place)
    assert not ledger.knows(place, "looks")


def test_a_job_that_is_removed_leaves_its_takes(ledger):
    planned(ledger, chunk(0, "It was late."))
    ledger.record_takes("0" * 12, [(0, take("a"), 0, "")])
    ledger.remove("0" * 12)
    assert ledger.jobs() == []
    assert list(ledger.chunks("0" * 12)) == []
    assert ledger.take("a").samples == 2400


# --- plans and takes -------------------------------------------------------------------------------------------------


def test_a_plan_is_whole_or_it_is_no_plan(ledger):
    def breaks():
        yield chunk(0, "It was late.")
        raise OSError("The disk is gone.")

    ledger.add(job())
    with pytest.raises(OSError, match="disk is gone"):
        ledger.record_plan("0" * 12, {"words": 3}, ["One"], breaks())
    assert ledger.job("0" * 12).head is None
    ledger.record_plan("0" * 12, {"words": 3}, ["One"], [chunk(0, "It was late.")])
    assert ledger.job("0" * 12).head == {"words": 3}
    assert ledger.progress("0" * 12).total == 1


def test_a_chunk_comes_back_as_it_was_planned(ledger):
    whole = Chunk(
        index=0,
        chapter=1,
        text="“Late?” Very.",
        segments=(Segment("Late?", 120), Segment("", 700), Segment("Very.", 0)),
        boundary=Boundary.QUOTE_END,
        pause_ms=150,
        sentiment_raw=-0.25,
        sentiment_compound=0.5,
        style=Style(exaggeration=0.61, speed=1.2),
        dialogue=(Quote(0, 7, new_speaker=True), Quote(8, 12, opens=True, closes=False)),
        record={"index": 7, "mine": {"deep": [1, None]}},
    )
    planned(ledger, whole)
    (row,) = ledger.chunks("0" * 12)
    assert row.chunk == whole
    assert [each.text for each in row.takes] == ["Late?", "Very."]
    assert ledger.chapters("0" * 12) == ["One", "Two"]


def test_the_same_text_is_told_apart_by_how_often_it_came_before(ledger):
    planned(ledger, chunk(0, "No.", "Yes."), chunk(1, "No."), chunk(2, "No.", chapter=1))
    assert [(each.text, each.occurrence) for each in ledger.pending("0" * 12)] == [
        ("No.", 0),
        ("Yes.", 0),
        ("No.", 1),
        ("No.", 2),
    ]


def test_a_take_that_is_turned_down_is_kept_in_mind_and_not_used(ledger):
    planned(ledger, chunk(0, "It was late."))
    ledger.record_takes("0" * 12, [(0, take("a"), 0, "it is silent")])
    assert ledger.fault_of("a") == "it is silent"
    assert [each.id for each in ledger.pending("0" * 12)] == [0]
    ledger.forget_faults()
    assert ledger.fault_of("a") is None


def test_where_what_shapes_the_audio_changed_no_take_is_kept(ledger):
    planned(ledger, chunk(0, "It was late."))
    ledger.begin_takes("0" * 12, "one engine")
    ledger.record_takes("0" * 12, [(0, take("a"), 0, "")])
    ledger.begin_takes("0" * 12, "one engine")
    assert ledger.progress("0" * 12).done == 1
    ledger.begin_takes("0" * 12, "another engine")
    assert ledger.progress("0" * 12).done == 0
    assert ledger.take("a") is not None


def test_a_lost_take_is_wanted_again_by_every_job_that_used_it(ledger):
    for job_id in ("a" * 12, "b" * 12):
        planned(ledger, chunk(0, "It was late."), job_id=job_id)
        ledger.adopt(job_id, [(0, "key", 0)])
    ledger.forget_takes(["key"])
    assert [len(list(ledger.pending(job_id))) for job_id in ("a" * 12, "b" * 12)] == [1, 1]


def test_chunks_count_as_rendered_if_one_of_their_takes_is_new(ledger):
    planned(ledger, chunk(0, "One.", "Two."), chunk(1, "Three."), chunk(2), chunk(3, "…"))
    ledger.record_takes("0" * 12, [(0, take("a"), 0, ""), (2, take("c"), 0, "")])
    since = ledger._now()
    ledger.record_takes("0" * 12, [(1, take("b"), 0, ""), (3, take("d", samples=0), 0, "")])
    assert ledger.count_rendered("0" * 12, since) == (1, 1)


def test_the_pace_of_the_latest_book_is_the_machines(ledger):
    assert ledger.realtime_factor() is None
    for number, factor in enumerate((50.0, 80.0, None)):
        ledger.add(job(f"{number:012}"))
        ledger.record_pace(f"{number:012}", 100.0, factor)
        ledger.set_state(f"{number:012}", State.PUBLISHED)
    assert ledger.realtime_factor() == 80.0


KINDS = ("record", "turn down", "nothing to speak", "adopt", "lose", "plan again")
texts = st.sampled_from(["", "No.", "It was late.", "She went home.", "…"])
chunk_shapes = st.tuples(st.integers(0, 3), st.lists(texts, max_size=4), st.integers(0, 900))
steps = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 40)), max_size=25)


@settings(deadline=None, max_examples=40)
@given(book=st.lists(chunk_shapes, min_size=1, max_size=12), walk=steps)
def test_whatever_is_recorded_in_whatever_order_the_pieces_stay_in_the_order_of_the_book(tmp_path_factory, book, walk):
    in_order = zip(sorted(chapter for chapter, _, _ in book), book, strict=True)
    chunks = [
        chunk(index, *spoken, chapter=chapter, pause_ms=pause_ms)
        for index, (chapter, (_, spoken, pause_ms)) in enumerate(in_order)
    ]
    said = [segment.text for each in chunks for segment in each.segments]
    ledger = Ledger(tmp_path_factory.mktemp("ledger") / "ledger.sqlite")
    try:
        planned(ledger, *chunks)
        held = walked(ledger, walk, chunks, said)
        pieces = [piece for number in range(4) for piece in ledger.pieces("0" * 12, number)]
        assert [(piece.chunk, piece.take, piece.pause_ms) for piece in pieces] == expected_pieces(chunks, held)
        wanted = [at for at, text in enumerate(said) if text and at not in held]
        assert [each.id for each in ledger.pending("0" * 12, page=2)] == wanted
        assert [row.chunk for row in ledger.chunks("0" * 12, page=2)] == chunks
        progress = ledger.progress("0" * 12)
        assert (progress.done, progress.total) == (len(held), sum(map(bool, said)))
    finally:
        ledger.close()


def walked(ledger, walk, chunks, said):
    """Take the steps; return the key that each utterance holds in the end, by its place."""
    held = {}
    for number, (step, anywhere) in enumerate(walk):
        at = anywhere % max(1, len(said))
        key = f"{number}-{at}"
        if step == "plan again":
            ledger.record_plan("0" * 12, {}, ["One"], chunks)
            held = {}
        elif not said or not said[at]:
            continue
        elif step == "lose":
            ledger.forget_takes([held.get(at) or "none"])
            if held.get(at):
                del held[at]
        elif step == "adopt":
            ledger.adopt("0" * 12, [(at, key, 0)])
            held[at] = key
        else:
            samples = 0 if step == "nothing to speak" else 9
            fault = "it is silent" if step == "turn down" else ""
            ledger.record_takes("0" * 12, [(at, take(key, samples=samples), 0, fault)])
            if not fault:
                held[at] = key if samples else ""
    return held


def expected_pieces(chunks, held):
    """One piece for each segment, or for the chunk where it has none; its own pause follows the last."""
    numbers = count()
    pieces = []
    for each in chunks:
        own = [(each.index, held.get(next(numbers), ""), segment.pause_ms) for segment in each.segments]
        index, key, pause_ms = own.pop() if own else (each.index, "", 0)
        pieces += [*own, (index, key, pause_ms + each.pause_ms)]
    return pieces


def test_crashes_count_only_while_no_take_lands(ledger):
    planned(ledger, chunk(0, "It was late."), chunk(1, "It was dark."))
    job_id = "0" * 12

    def crash():
        ledger.set_state(job_id, State.RUNNING)
        ledger.note_in_flight(job_id, 0)
        ((_, crashes),) = ledger.recover()
        return crashes

    assert [crash(), crash()] == [1, 2]
    ledger.set_state(job_id, State.RUNNING)
    ledger.note_in_flight(job_id, 0)
    ledger.record_takes(job_id, [(0, take("a"), 0, "")])
    assert [crashes for _, crashes in ledger.recover()] == [0]
    assert crash() == 1
    ledger.queue_again(job_id)
    assert ledger.barren_chunk(job_id) is None
