"""Plans: whole or not there, and everything in the order of the book."""

from itertools import count

import pytest
from any_record import any_chunk
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_rows import chunk, job, planned, take

from speedd.ledger import Ledger
from speedd.model import Boundary, Chunk, Segment, Style


def test_a_plan_is_whole_or_it_is_no_plan(ledger):
    def breaks():
        yield chunk(0, "It was late.")
        raise OSError("The disk is gone.")

    ledger.jobs.add(job())
    with pytest.raises(OSError, match="disk is gone"):
        ledger.plans.record("0" * 12, {"words": 3}, ["One"], breaks())
    assert ledger.jobs.get("0" * 12).summary is None
    ledger.plans.record("0" * 12, {"words": 3}, ["One"], [chunk(0, "It was late.")])
    assert ledger.jobs.get("0" * 12).summary == {"words": 3}
    assert ledger.takes.progress("0" * 12).total == 1


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
        style=Style(exaggeration=0.61, speed=1.2, top_k=5),
        record={"index": 7, "mine": {"deep": [1, None]}},
    )
    planned(ledger, whole)
    (row,) = ledger.plans.chunks("0" * 12)
    assert row.chunk == whole
    assert [each.text for each in row.takes] == ["Late?", "Very."]
    assert ledger.plans.chapters("0" * 12) == ["One", "Two"]


kept_chunks = any_chunk(
    index=st.just(0),
    chapter=st.integers(0, 9),
    pause_ms=st.integers(0, 2**40),
    segments=st.lists(st.builds(Segment, st.text(), st.integers(0, 2**40))).map(tuple),
    sentiment_raw=st.floats(allow_nan=False),
    sentiment_compound=st.floats(allow_nan=False),
)


@settings(deadline=None, max_examples=40)
@given(whole=kept_chunks)
def test_whatever_a_chunk_says_is_kept(tmp_path_factory, whole):
    ledger = Ledger(tmp_path_factory.mktemp("ledger") / "ledger.sqlite")
    try:
        planned(ledger, whole)
        (row,) = ledger.plans.chunks("0" * 12)
        assert repr(row.chunk) == repr(whole)
        assert [each.text for each in row.takes] == [segment.text for segment in whole.segments if segment.text]
    finally:
        ledger.close()


def test_the_same_text_is_told_apart_by_how_often_it_came_before(ledger):
    planned(ledger, chunk(0, "No.", "Yes."), chunk(1, "No."), chunk(2, "No.", chapter=1))
    assert [(each.text, each.occurrence) for each in ledger.takes.pending("0" * 12)] == [
        ("No.", 0),
        ("Yes.", 0),
        ("No.", 1),
        ("No.", 2),
    ]


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
        pieces = [piece for number in range(4) for piece in ledger.plans.pieces("0" * 12, number)]
        assert [(piece.chunk, piece.take, piece.pause_ms) for piece in pieces] == expected_pieces(chunks, held)
        wanted = [at for at, text in enumerate(said) if text and at not in held]
        assert [each.id for each in ledger.takes.pending("0" * 12, page=2)] == wanted
        assert [row.chunk for row in ledger.plans.chunks("0" * 12, page=2)] == chunks
        progress = ledger.takes.progress("0" * 12)
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
            ledger.plans.record("0" * 12, {}, ["One"], chunks)
            held = {}
        elif not said or not said[at]:
            continue
        elif step == "lose":
            ledger.takes.forget([held.get(at) or "none"])
            if held.get(at):
                del held[at]
        elif step == "adopt":
            ledger.takes.adopt("0" * 12, [(at, key, 0)])
            held[at] = key
        else:
            samples = 0 if step == "nothing to speak" else 9
            fault = "it is silent" if step == "turn down" else ""
            ledger.takes.record("0" * 12, "run", [(at, take(key, samples=samples), 0, fault)])
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


@pytest.mark.parametrize(
    "walk",
    [
        lambda ledger, job_id: ledger.plans.pieces(job_id, 1),
        lambda ledger, job_id: ledger.plans.chunks(job_id),
        lambda ledger, job_id: ledger.takes.pending(job_id),
    ],
    ids=["pieces", "chunks", "pending"],
)
def test_a_book_ten_times_as_long_takes_ten_times_as_many_steps(ledger, walk):
    """Not a hundred times: SQLite must find what belongs to a chunk without looking through the book."""
    steps = []
    for times in (1, 10):
        length = 100 * times
        job_id = str(times) * 12
        planned(ledger, *(chunk(at, f"Line {at}.", chapter=2 * at // length) for at in range(length)), job_id=job_id)
        taken = count()
        ledger.plans._database._db.set_progress_handler(lambda taken=taken: next(taken) and None, 10)
        assert len(list(walk(ledger, job_id))) in (length, length // 2)
        steps.append(next(taken))
        ledger.plans._database._db.set_progress_handler(None, 0)
    assert steps[1] < 20 * steps[0]
