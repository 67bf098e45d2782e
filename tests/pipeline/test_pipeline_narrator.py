"""The story of one book: what is stored is used, what is damaged is mended, what cannot be spoken is named."""

import json
import shutil
import sqlite3
from contextlib import closing
from fractions import Fraction
from itertools import pairwise

import av
import pytest
from speedd_sandbox import STORY_CHUNKS, Sandbox, epub

from speedd.errors import InputError
from speedd.model import Chunk, Metadata, Voice
from speedd.pipeline.narrator import _select_chapters
from speedd.pipeline.preparation import PlanSummary

HEAD = PlanSummary(
    Metadata(title="Book"), ("One", "Two", "Three"), "tone", "", Voice("sine", "1" * 64), {}, words=9, chars=9, chunks=4
)


@pytest.fixture
def sandbox(tmp_path) -> Sandbox:
    """A sandbox in which one book was published, whose source was kept."""
    sandbox = Sandbox(tmp_path / "sandbox")
    sandbox.configure(engine={"workers": 1})
    sandbox.drop("The Clock.epub", epub("The Clock"))
    assert sandbox.once().code == 0
    return sandbox


def again(sandbox: Sandbox):
    """Have the book published once more from what is stored; return how that went and the new edition."""
    assert sandbox.speedd("retry", sandbox.book.run["job_id"]).code == 0
    result = sandbox.once()
    return result, next((book for book in sandbox.books if book.run["edition"] == 2), None)


def test_the_audiobook_holds_what_the_run_log_says(sandbox: Sandbox):
    book = sandbox.book
    with av.open(str(book.m4b)) as container:
        decoded_s = container.duration / Fraction(av.time_base)
        chapters = container.chapters()
    run = book.run
    assert float(decoded_s) == pytest.approx(run["audio_s"], abs=0.05)
    assert len(chapters) == len(run["book"]["chapters"]) == 1
    assert run["loudness"]["integrated_lufs"] == pytest.approx(-18, abs=0.5)
    assert run["loudness"]["true_peak_dbtp"] <= -3
    spans = [(chunk["start_s"], chunk["start_s"] + chunk["duration_s"]) for chunk in run["chunks"]]
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    assert spans[-1][1] <= run["audio_s"]
    assert run["stages_s"]["narrate"] > 0
    assert run["settings"]["engine"]["name"] == "tone"


def test_damaged_and_missing_takes_are_rendered_again_and_the_audio_is_the_same(sandbox: Sandbox):
    book = sandbox.book
    keys = [take["key"] for chunk in book.run["chunks"] for take in chunk["takes"]]
    takes = sandbox.state / "takes"
    (takes / keys[1][:2] / f"{keys[1]}.flac").unlink()
    (takes / keys[2][:2] / f"{keys[2]}.flac").write_bytes(b"no sound")
    torn = takes / keys[3][:2] / f"{keys[3]}.flac"
    torn.write_bytes(torn.read_bytes()[: torn.stat().st_size // 2])
    result, second = again(sandbox)
    assert result.code == 0, result.err
    assert second.sound == book.sound
    assert second.run["chunks_rendered"] == 3
    assert sorted(sandbox.spoken) == sorted([*keys, *keys[1:4]])


def test_takes_that_are_all_gone_are_all_made_again(sandbox: Sandbox):
    shutil.rmtree(sandbox.state / "takes")
    result, second = again(sandbox)
    assert result.code == 0, result.err
    assert second.run["chunks_rendered"] == STORY_CHUNKS
    assert second.sound == sandbox.books[0].sound


def test_a_plan_of_another_version_is_made_anew(sandbox: Sandbox):
    """The summary of a job may hold settings that this version does not know, or lack what it wants."""
    shutil.rmtree(sandbox.book.folder)
    with closing(sqlite3.connect(sandbox.state / "ledger.sqlite")) as db, db:
        (summary,) = db.execute("SELECT summary FROM jobs").fetchone()
        summary = json.loads(summary)
        summary["config"]["output"]["shimmer"] = 3
        del summary["words"]
        db.execute("UPDATE jobs SET summary=?, state='queued'", (json.dumps(summary),))
    result = sandbox.once()
    assert result.code == 0, result.err
    assert sandbox.book.run["chunks_rendered"] == 0
    assert "shimmer" not in sandbox.book.run["settings"]["output"]


def test_the_language_arrives_at_the_engine(tmp_path):
    german = "Sie zündete die Laterne an und stellte sie ins Fenster, wie an jedem Abend seit elf Jahren."
    sandbox = Sandbox(tmp_path / "sandbox")
    sandbox.configure(engine={"workers": 1, "name": "polyglot"}, speech={"opening": False})
    sandbox.drop("Laterne.txt", f"{german} {german} {german}\n".encode())
    result = sandbox.once()
    assert result.code == 0, result.err
    assert sandbox.book.run["book"]["language"] == "de"


def test_a_chunk_json_of_the_older_tools_is_narrated_and_exported_without_losing_a_key(tmp_path, shared):
    path = shared / "chunks" / "the-time-machine.chunks_info.json"
    if not path.is_file():
        pytest.skip(f"no {path.name}")
    header, *chunks = json.loads(path.read_text(encoding="utf-8"))
    given = [header | {"made_by": "hand"}, *chunks[:40]]
    given[3] = given[3] | {"note": {"mine": [1, None]}, "pause_duration": 0.25}
    sandbox = Sandbox(tmp_path / "sandbox")
    sandbox.configure(engine={"workers": 1})
    sandbox.drop("machine.chunks_info.json", json.dumps(given).encode())
    result = sandbox.once()
    assert result.code == 0, result.err
    exported = json.loads((sandbox.book.folder / "chunks_info.json").read_text(encoding="utf-8"))
    assert len(exported) == len(given)
    for before, after in zip(given, exported, strict=True):
        assert after == {**after, **before, **({"total_chunks": 40} if "_metadata" in before else {})}
    assert any(
        "does not use what the chunks say of exaggeration" in warning for warning in sandbox.book.run["warnings"]
    )


def test_what_was_published_just_before_a_crash_is_found_and_not_made_twice(sandbox: Sandbox):
    with closing(sqlite3.connect(sandbox.state / "ledger.sqlite")) as db, db:
        db.execute("UPDATE jobs SET state='running', published=NULL")
    result = sandbox.once()
    assert result.code == 0
    assert len(sandbox.books) == 1
    assert result.event("job.published")["out_path"] == str(sandbox.book.folder)
    assert sandbox.status["ended"][0]["published"] == str(sandbox.book.folder)


def test_an_engine_that_loses_its_mind_over_one_chunk_fails_the_book_naming_it(sandbox: Sandbox):
    sandbox.drop("Fails.epub", epub("Fails", "All is well here. It must FAIL now. All is well again."))
    result = sandbox.once()
    assert result.code == 1
    assert "Chunk 2 (“It must fail now.”) cannot be spoken: it was asked to fail" in sandbox.reason("Fails")
    assert "speedd retry" in sandbox.reason("Fails")


def test_a_take_that_was_made_with_less_memory_says_so_and_is_not_taken_for_another(tmp_path):
    sandbox = Sandbox(tmp_path / "sandbox")
    sandbox.configure(engine={"name": "tight", "workers": 1})
    text = "The hall was wide.\n\nThe clock was LARGE."
    sandbox.drop("Clock.txt", text)
    assert sandbox.once().code == 0
    run = sandbox.book.run
    assert [warning for warning in run["warnings"] if "gain=half" in warning] == [
        "1 takes were made with gain=half, because the engine's device was short of memory."
    ]
    sandbox.drop("Clock Again.txt", text + "\n\nThe end.")
    assert sandbox.once().code == 0
    # What was spoken in the engine's own numerics was taken over; the other had to be spoken anew.
    assert len({key for key in sandbox.spoken if sandbox.spoken.count(key) > 1}) == 1


def numbered(*chapters):
    return iter([Chunk(index, chapter, f"{index}", ()) for index, chapter in enumerate(chapters)])


def test_some_chapters_are_numbered_as_if_they_were_all():
    summary, chunks = _select_chapters(range(1, 3), HEAD, numbered(0, 0, 1, 2, 2))
    assert summary.chapters == ("Two", "Three")
    assert [(chunk.index, chunk.chapter, chunk.text) for chunk in chunks] == [(0, 0, "2"), (1, 1, "3"), (2, 1, "4")]


def test_chapters_that_are_not_there_are_named():
    with pytest.raises(InputError, match="The book has 3 chapters"):
        _select_chapters(range(3, 9), HEAD, numbered(0))
