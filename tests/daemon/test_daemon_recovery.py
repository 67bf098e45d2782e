"""What survives worse than a crash: a ledger that is damaged, and a chunk that ends the program again and again."""

import sqlite3

import pytest
from speedd_sandbox import STORY, Sandbox, epub, long_story, wait_until

pytestmark = pytest.mark.slow

LONG = epub("The Long Story", long_story(24))
STUCK = {"SPEEDD_TEST_SLOW_S": "600"}


def damage(sandbox: Sandbox) -> None:
    for ending in ("-wal", "-shm"):
        sandbox.state.joinpath(f"ledger.sqlite{ending}").unlink(missing_ok=True)
    ledger = sandbox.state / "ledger.sqlite"
    content = bytearray(ledger.read_bytes())
    content[: len(content) // 2] = b"\xa5" * (len(content) // 2)
    ledger.write_bytes(content)


@pytest.mark.fault
def test_a_book_that_was_published_is_known_again_by_what_lies_in_the_outbox(sandbox):
    sandbox.drop("Clock.epub", epub("Clock"))
    assert sandbox.once().code == 0
    damage(sandbox)
    sandbox.drop("Clock.epub", epub("Clock"))
    result = sandbox.once()
    assert result.code == 0
    assert result.event("ledger.damaged")["out_path"].startswith(str(sandbox.state))
    assert result.event("ledger.rebuilt")["jobs"] == 1
    assert result.event("job.duplicate")["out_path"] == str(sandbox.book.folder)
    assert list(sandbox.state.glob("ledger.damaged-*.sqlite"))


@pytest.mark.fault
def test_an_edition_that_a_late_partner_made_is_known_again_and_the_next_goes_on_from_it(sandbox):
    sandbox.drop("Clock.epub", epub("Clock"))
    assert sandbox.once().code == 0
    sandbox.drop("Clock.toml", '[book]\nauthor = "Somebody Else"\n')
    assert sandbox.once().code == 0
    before = sandbox.status["ended"]
    damage(sandbox)
    assert sandbox.once().code == 0
    after = sandbox.status["ended"]
    assert {(job["job"], job["published"]) for job in after} == {(job["job"], job["published"]) for job in before}
    sandbox.drop("Clock.nfo", "publisher: The Late Press\n")
    assert sandbox.once().code == 0
    latest = max(sandbox.books, key=lambda book: book.run["finished_at"])
    assert [part["role"] for part in latest.run["source"]["parts"]] == ["book", "settings", "nfo"]
    assert latest.metadata["authors"] == ["Somebody Else"]


@pytest.mark.fault
def test_a_book_at_work_when_the_ledger_was_damaged_goes_on_with_its_takes(sandbox):
    sandbox.configure(engine={"name": "slow"})
    sandbox.drop("Long.epub", LONG)
    with sandbox.daemon(env={"SPEEDD_TEST_SLOW_S": "0.05"}) as daemon:
        daemon.wait_for("job.progress")
        wait_until(lambda: len(sandbox.spoken) > 8)
        daemon.kill()
    damage(sandbox)
    result = sandbox.once(env={"SPEEDD_TEST_SLOW_S": "0"})
    assert result.code == 0, result.err
    rebuilt = result.event("ledger.rebuilt")
    assert rebuilt["takes"] >= 4
    assert len(sandbox.spoken) - len(set(sandbox.spoken)) <= 4  # two workers, two in flight each
    assert sandbox.book.run["end"]["state"] == "published"


@pytest.mark.fault
def test_a_job_whose_source_is_gone_can_be_tried_again_after_the_ledger_was_damaged(sandbox):
    sandbox.drop("Bad.txt", STORY + "\nThis one must FAIL at once.\n")
    assert sandbox.once().code == 1
    (job,) = sandbox.status["ended"]
    damage(sandbox)
    assert sandbox.once().code == 0
    (again,) = sandbox.status["ended"]
    assert (again["job"], again["state"]) == (job["job"], "failed")
    assert "retry" in again["reason"]


def test_a_ledger_of_a_newer_speedd_is_left_alone(sandbox):
    assert sandbox.once().code == 0
    with sqlite3.connect(sandbox.state / "ledger.sqlite") as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    result = sandbox.once()
    assert result.code == 1
    assert "newer speedd" in result.err
    assert not list(sandbox.state.glob("ledger.damaged-*"))


@pytest.mark.fault
def test_a_chunk_that_ends_the_program_three_times_fails_its_book_and_the_next_book_goes_on(sandbox):
    sandbox.configure(engine={"name": "slow", "workers": 1}, limits={"open_books": 1})
    sandbox.drop("Long.epub", LONG)
    for crash in range(3):
        with sandbox.daemon(env=STUCK) as daemon:
            wait_until(lambda seen=crash: len(sandbox.spoken) > seen)
            daemon.kill()
    sandbox.drop("Clock.epub", epub("Clock"))
    result = sandbox.once(env={"SPEEDD_TEST_SLOW_S": "0"})
    assert result.code == 1
    reason = sandbox.reason("Long")
    assert "3 times in a row" in reason
    assert "chunk 0" in reason
    assert sandbox.book.run["book"]["title"] == "Clock"


@pytest.mark.fault
def test_crashes_with_progress_between_them_never_fail_a_book(sandbox):
    sandbox.configure(engine={"name": "slow", "workers": 1})
    sandbox.drop("Long.epub", LONG)
    for _ in range(4):
        already = len(set(sandbox.spoken))
        with sandbox.daemon(env={"SPEEDD_TEST_SLOW_S": "0.05"}) as daemon:
            wait_until(lambda seen=already: len(set(sandbox.spoken)) > seen + 3)
            daemon.kill()
    assert sandbox.once(env={"SPEEDD_TEST_SLOW_S": "0"}).code == 0
    assert sandbox.book.run["job_attempts"] == 5


@pytest.mark.fault
def test_clean_stops_never_count(sandbox):
    sandbox.configure(engine={"name": "slow", "workers": 1})
    sandbox.drop("Long.epub", LONG)
    for stops in range(4):
        with sandbox.daemon(env=STUCK) as daemon:
            wait_until(lambda seen=stops: len(sandbox.spoken) > seen)
            assert daemon.stop() == 0
    assert sandbox.once(env={"SPEEDD_TEST_SLOW_S": "0"}).code == 0


def test_a_chunk_json_that_comes_after_its_book_makes_a_new_edition_with_its_cover_and_title(sandbox):
    sandbox.drop("Clock.epub", epub("The Hall Clock"))
    assert sandbox.once().code == 0
    plan = sandbox.speedd("plan", sandbox.inbox / "_done" / "Clock.epub")
    assert plan.code == 0
    sandbox.drop("Clock.json", plan.out.replace("Nobody answered her.", "Nobody would answer her."))
    assert sandbox.once().code == 0
    first, second = sorted(sandbox.books, key=lambda book: book.folder.name)
    assert first.run["book"]["title"] == second.run["book"]["title"] == "The Hall Clock"
    assert "Nobody would answer her." in second.texts
    assert second.run["chunks_rendered"] == 1
    assert {part["role"] for part in second.run["source"]["parts"]} == {"book", "chunks"}


def test_a_book_accepted_from_another_inbox_is_finished_and_its_source_left_alone(sandbox):
    sandbox.configure(engine={"name": "slow", "workers": 1})
    dropped = sandbox.drop("Clock.epub", epub("Clock"))
    with sandbox.daemon(env=STUCK) as daemon:
        daemon.wait_for("job.started")
    sandbox.configure(paths={"inbox": "elsewhere"})
    for _ in range(2):
        assert sandbox.once(env={"SPEEDD_TEST_SLOW_S": "0"}).code == 0
    assert dropped.exists()
    assert sandbox.book.run["book"]["title"] == "Clock"
