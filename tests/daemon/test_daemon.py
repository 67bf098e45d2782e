"""The daemon at work: one that runs while books come, partners arrive and people change their minds."""

import json
import os
import shutil
import subprocess
import sys

import jsonschema
import pytest
from speedd_sandbox import ROOT, STORY, STORY_CHUNKS, Sandbox, epub, long_story, wait_until

SCHEMA = json.loads((ROOT / "speedd" / "outbox" / "run-log.schema.json").read_text())
SLOW_TOML = '[engine]\nname = "slow"\n'
GATED_TOML = '[engine]\nname = "gated"\n'
IN_FLIGHT = 2
"""Chunks that the one worker may have in hand."""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A sandbox with a daemon that runs through all tests of this module."""
    sandbox = Sandbox(tmp_path_factory.mktemp("home") / "sandbox")
    sandbox.configure(engine={"workers": 1})
    gate = sandbox.root / "gate"
    with sandbox.daemon(env={"SPEEDD_TEST_SLOW_S": "0.1", "SPEEDD_TEST_GATE": str(gate)}) as daemon:
        yield sandbox, daemon
        assert daemon.stop() == 0
        assert daemon.events[-1]["event"] == "service.stopped"
        assert [event for event in daemon.events if event["event"].startswith("library.")] == []


@pytest.fixture
def gate(home):
    """A closed gate, for the engine `gated`; unlink it to open it."""
    sandbox, _ = home
    path = sandbox.root / "gate"
    path.touch()
    yield path
    path.unlink(missing_ok=True)


# --- one book --------------------------------------------------------------------------------------------------------


def test_run_once_publishes_a_dropped_book_whole_and_archives_its_source(sandbox: Sandbox):
    sandbox.drop("The Clock.txt")
    result = sandbox.once()
    assert result.code == 0, result.err
    book = sandbox.book
    assert book.folder == sandbox.outbox / "Unknown" / "The Clock"
    assert sorted(path.name for path in book.folder.iterdir()) == [
        "The Clock.m4b",
        "The Clock.vtt",
        "chunks_info.json",
        "metadata.json",
        "run.json",
    ]
    jsonschema.validate(book.run, SCHEMA)
    assert book.run["end"]["state"] == "published"
    assert book.run["chunks_rendered"] == len(book.run["chunks"]) == STORY_CHUNKS
    assert book.metadata["title"] == "The Clock"
    assert "“Who winds it?” she asked." in book.texts
    assert "Nobody answered her." in book.captions
    assert sandbox.left() == []
    assert (sandbox.inbox / "_done" / "The Clock.txt").read_text() == STORY
    assert f"The Clock: published in {book.folder}" in result.out
    assert result.event("job.published")["out_path"] == str(book.folder)
    status = sandbox.status
    assert (status["running"], status["jobs"]) == (False, [])
    assert [(job["name"], job["state"], job["published"]) for job in status["ended"]] == [
        ("The Clock", "published", str(book.folder))
    ]


def test_a_source_that_is_kept_is_published_once(sandbox: Sandbox):
    sandbox.configure(inbox={"after_publish": "keep"})
    sandbox.drop("The Clock.epub", epub("The Clock"))
    sandbox.drop("The Clock.jpg", b"no picture")
    assert sandbox.once().code == 0
    assert sandbox.left() == ["The Clock.epub", "The Clock.jpg"]
    assert not (sandbox.inbox / "_done").exists()
    assert any("cover" in warning.lower() for warning in sandbox.book.run["warnings"])
    again = sandbox.once()
    assert (again.code, again.out) == (0, "")
    assert len(sandbox.books) == 1


def test_a_source_that_is_to_be_deleted_is_deleted_with_its_partners_and_nothing_else(sandbox: Sandbox):
    sandbox.configure(inbox={"after_publish": "delete"})
    sandbox.drop("The Clock.epub", epub("The Clock"))
    sandbox.drop("The Clock.toml", "[output]\ninclude_source = true\n")
    sandbox.drop("The Clock.key", "")
    (sandbox.inbox / "The Clock.key").rename(sandbox.inbox / ".notes")
    assert sandbox.once().code == 0
    assert sandbox.left() == [".notes"]
    assert (sandbox.book.folder / "The Clock.epub").read_bytes() == epub("The Clock")


# --- what is known is not rendered again -----------------------------------------------------------------------------


def test_the_same_content_again_is_published_already_even_under_another_name(home):
    sandbox, daemon = home
    sandbox.drop("Same.epub", epub("Same"))
    daemon.wait_for("job.published", book="Same")
    spoken = sandbox.spoken
    sandbox.drop("Same again.epub", epub("Same"))
    told = daemon.wait_for("job.duplicate", book="Same again")
    assert told["out_path"] == str(sandbox.titled("Same").folder)
    wait_until(lambda: not sandbox.left())
    assert (sandbox.inbox / "_done" / "Same again.epub").exists()

    told_again = sandbox.speedd("retry", told["job"])  # wakes the daemon
    assert (told_again.code, told_again.out) == (0, "Same is queued again. \n")
    daemon.wait_for("job.published", book="Same", times=2)
    assert len([book for book in sandbox.books if book.run["job_id"] == told["job"]]) == 2
    assert sandbox.spoken == spoken


def test_a_book_whose_audiobook_is_gone_is_published_from_its_takes_and_its_source_archived(home):
    sandbox, daemon = home
    sandbox.drop("Gone.epub", epub("Gone"))
    daemon.wait_for("job.published", book="Gone")
    before, spoken = sandbox.titled("Gone"), sandbox.spoken
    sound = before.sound
    shutil.rmtree(before.folder)
    sandbox.drop("Gone and back.epub", epub("Gone"))
    daemon.wait_for("job.published", book="Gone", times=2)
    after = sandbox.titled("Gone")
    assert (after.run["chunks_rendered"], after.run["chunks_reused"]) == (0, STORY_CHUNKS)
    assert all(chunk["reused"] for chunk in after.run["chunks"])
    assert after.sound == sound
    assert sandbox.spoken == spoken
    wait_until(lambda: not sandbox.left())


def test_only_what_changed_is_rendered(home):
    sandbox, daemon = home
    whole = "[speech]\nopening = false\n"
    edited = STORY.replace("nobody wound it", "nobody ever wound it")
    inserted = edited.replace("It was over soon.", "Then it struck one. It was over soon.")
    deleted = inserted.replace(" Nobody answered her.", "")
    rendered = []
    for number, text in enumerate((STORY, edited, inserted, deleted)):
        name = f"Version {number}"
        sandbox.drop(f"{name}.toml", whole)
        before = len(sandbox.spoken)
        sandbox.drop(f"{name}.epub", epub(name, text))
        daemon.wait_for("job.published", book=name)
        run = sandbox.titled(name).run
        rendered.append(run["chunks_rendered"])
        assert run["chunks_rendered"] + run["chunks_reused"] == len(run["chunks"])
        if number:
            assert len(sandbox.spoken) - before == run["chunks_rendered"]
    assert rendered[1:] == [1, 1, 0]


def test_another_bit_rate_in_a_books_own_settings_renders_nothing(home):
    sandbox, daemon = home
    sandbox.drop("Rates.epub", epub("Rates"))
    daemon.wait_for("job.published", book="Rates")
    first, spoken = sandbox.titled("Rates"), sandbox.spoken
    settings = (
        '[book]\ntitle = "Rates"\nauthor = "Ann Lee; Bo Ek"\n[speech]\nopening = false\n[output]\nbitrate_kbps = 96\n'
    )
    sandbox.drop("Rates.toml", settings)
    sandbox.drop("Rates.epub", epub("Rates"))
    daemon.wait_for("job.published", book="Rates", times=2)
    (second,) = [book for book in sandbox.books if book.folder.parent.name == "Ann Lee, Bo Ek"]
    assert (first.run["settings"]["output"]["bitrate_kbps"], second.run["settings"]["output"]["bitrate_kbps"]) == (
        64,
        96,
    )
    assert second.run["chunks_rendered"] == 0
    assert second.metadata["authors"] == ["Ann Lee", "Bo Ek"]
    assert sandbox.spoken == spoken


@pytest.mark.slow
def test_a_retry_takes_the_settings_of_now_and_renders_nothing_that_is_there(sandbox: Sandbox):
    sandbox.drop("The Clock.epub", epub("The Clock"))
    sandbox.drop("Silent.toml", '[engine]\nvoice = "nobody"\n')
    sandbox.drop("Silent.epub", epub("Silent", "Nothing of it was heard. " + STORY))
    sandbox.configure(engine={"name": "silent"})
    failed = sandbox.once()
    assert failed.code == 1
    jobs = {job["name"]: job for job in sandbox.status["ended"]}
    assert {name: job["state"] for name, job in jobs.items()} == {"The Clock": "failed", "Silent": "failed"}

    sandbox.configure(engine={"name": "tone"})
    assert sandbox.once().out == ""  # a changed default starts nothing
    retried = sandbox.speedd("retry", jobs["The Clock"]["job"][:6])
    told = "The Clock is queued again. speedd is not running; it acts on this when it starts.\n"
    assert (retried.code, retried.out) == (0, told)
    for name in ("Silent.toml", "Silent.epub"):  # dropping it again does the same
        (sandbox.inbox / "_failed" / "Silent" / name).rename(sandbox.inbox / name)
    assert sandbox.once().code == 0
    first, second = sandbox.titled("The Clock"), sandbox.titled("Silent")
    assert first.run["engine"]["name"] == second.run["engine"]["name"] == "tone"
    assert any('The voice "nobody" cannot be used' in warning for warning in second.run["warnings"])

    spoken = sandbox.spoken
    sandbox.configure(output={"bitrate_kbps": 96})
    sandbox.speedd("retry", jobs["The Clock"]["job"])
    assert sandbox.once().code == 0
    (again,) = [book for book in sandbox.books if book.run["edition"] == 2]
    assert again.folder.name == "The Clock (2)"
    assert again.run["settings"]["output"]["bitrate_kbps"] == 96
    assert again.run["chunks_rendered"] == 0
    assert again.m4b.stat().st_size > first.m4b.stat().st_size
    assert sandbox.spoken == spoken


# --- partners and chunk JSON -----------------------------------------------------------------------------------------


def plan_of(sandbox: Sandbox, content: bytes) -> list[dict]:
    (sandbox.root / "to plan.epub").write_bytes(content)
    planned = sandbox.speedd("plan", sandbox.root / "to plan.epub")
    assert planned.code == 0, planned.err
    return json.loads(planned.out)


def held_story(name: str) -> bytes:
    """A book that the engine `gated` speaks up to its middle."""
    return epub(name, f"{long_story(4)} {name} is at the GATE now. {long_story(8)}".replace("long", name))


def test_a_partner_dropped_while_its_book_is_at_work_takes_over_and_keeps_the_takes(home, gate):
    sandbox, daemon = home
    planned = plan_of(sandbox, held_story("Partner"))
    planned[-2]["text"] = "This sentence is another one now."
    before = set(sandbox.spoken)
    sandbox.drop("Partner.toml", GATED_TOML)
    sandbox.drop("Partner.epub", held_story("Partner"))
    first = daemon.wait_for("job.accepted", book="Partner")["job"]
    wait_until(lambda: len(set(sandbox.spoken) - before) >= 5)
    sandbox.drop("Partner.json", json.dumps(planned))
    second = daemon.wait_for("job.accepted", book="Partner", times=2)["job"]
    assert second != first
    gate.unlink()
    daemon.wait_for("job.superseded", job=first)
    daemon.wait_for("job.published", job=second)
    book = sandbox.titled("Partner")
    assert "This sentence is another one now." in book.texts
    assert [part["role"] for part in book.run["source"]["parts"]] == ["book", "chunks", "settings"]
    keys = [key for key in sandbox.spoken if key not in before]
    assert len(keys) - len(set(keys)) <= IN_FLIGHT
    wait_until(lambda: not sandbox.left())
    states = {job["job"]: job["state"] for job in sandbox.status["ended"]}
    assert (states[first], states[second]) == ("superseded", "published")


def test_a_book_dropped_while_its_chunk_json_is_at_work_takes_over(home, gate):
    sandbox, daemon = home
    sandbox.drop("Later.toml", GATED_TOML)
    sandbox.drop("Later.json", json.dumps(plan_of(sandbox, held_story("Later"))))
    first = daemon.wait_for("job.planned", book="Later")["job"]
    sandbox.drop("Later.epub", held_story("Later"))
    second = daemon.wait_for("job.accepted", book="Later", times=2)["job"]
    gate.unlink()
    daemon.wait_for("job.superseded", job=first)
    daemon.wait_for("job.published", job=second)
    roles = [part["role"] for part in sandbox.titled("Later").run["source"]["parts"]]
    assert roles == ["book", "chunks", "settings"]
    wait_until(lambda: not sandbox.left())
    assert not (sandbox.inbox / "_failed" / "Later").exists()


def test_settings_and_a_cover_that_come_after_publishing_make_a_new_edition(sandbox: Sandbox):
    sandbox.drop("The Clock.epub", epub("The Clock"))
    assert sandbox.once().code == 0
    (first,) = sandbox.books
    sandbox.drop("The Clock.toml", '[book]\nauthor = "Somebody Else"\n')
    sandbox.drop("Nobody's.toml", '[book]\nauthor = "Somebody Else"\n')
    assert sandbox.once().code == 0
    assert sandbox.left() == ["Nobody's.toml"]
    (second,) = [book for book in sandbox.books if book.folder != first.folder]
    assert second.metadata["authors"] == ["Somebody Else"]
    assert [part["role"] for part in second.run["source"]["parts"]] == ["book", "settings"]
    assert second.texts[1:] == first.texts[1:]
    assert second.run["chunks_reused"] == len(first.texts) - 1  # the opening names the author
    assert {path.name for path in (sandbox.inbox / "_done").iterdir()} == {"The Clock.epub", "The Clock.toml"}

    sandbox.drop("The Clock.toml", '[book]\nauthor = "Somebody Else"\n')
    again = sandbox.once()
    assert again.code == 0
    assert "already published" in again.out
    assert len(sandbox.books) == 2


def test_a_plan_written_edited_and_dropped_is_honoured_to_the_letter(home):
    sandbox, daemon = home
    header, *chunks = plan_of(sandbox, epub("Plan"))
    chunks[1]["text"] = "the   CLOCK stood… in the  hall"
    chunks[2] |= {"boundary_type": "chapter_end", "note": {"mine": [1, 2]}}
    del chunks[4]
    chunks.append({"index": 99, "text": "And one more.", "boundary_type": "none"})
    header["title"] = "Edited"
    sandbox.drop("Edited.json", json.dumps([header, *chunks]))
    daemon.wait_for("job.published", book="Edited")
    book = sandbox.titled("Edited")
    assert book.texts == [chunk["text"] for chunk in chunks]
    assert [chunk["index"] for chunk in book.plan[1:]] == [chunk["index"] for chunk in chunks]
    assert book.plan[3]["note"] == {"mine": [1, 2]}
    log = book.run["chunks"]
    gap_s = log[3]["start_s"] - log[2]["start_s"] - log[2]["duration_s"]
    assert gap_s == pytest.approx(1.1, abs=0.08)  # takes keep a little of their edges


# --- wishes ----------------------------------------------------------------------------------------------------------


def test_queued_and_running_books_can_be_cancelled(home):
    sandbox, daemon = home
    names = ("First", "Second", "Third")  # two are open at once
    jobs = {}
    for name in names:
        sandbox.drop(f"{name}.toml", SLOW_TOML)
        sandbox.drop(f"{name}.epub", epub(name, long_story(400).replace("long", name)))
        jobs[name] = daemon.wait_for("job.accepted", book=name)["job"]
    daemon.wait_for("job.planned", book="Second")
    states = {job["name"]: job["state"] for job in sandbox.status["jobs"]}
    assert [states[name] for name in names] == ["running", "running", "queued"]
    for name in reversed(names):
        told = sandbox.speedd("cancel", jobs[name])
        assert (told.code, told.out) == (0, f"{name} will be cancelled. \n")
        daemon.wait_for("job.cancelled", job=jobs[name])
        daemon.wait_for("source.archived", book=name)
        assert "It was cancelled." in sandbox.reason(name)
    assert not [event for event in daemon.events if event["event"] == "job.started" and event["book"] == "Third"]
    again = sandbox.speedd("cancel", jobs["First"])
    assert (again.code, again.out) == (2, "")
    assert "First is cancelled already." in again.err
    nothing = sandbox.speedd("retry", "feed")
    assert (nothing.code, nothing.out) == (2, "")
    assert "“feed” names no job" in nothing.err


# --- waiting ---------------------------------------------------------------------------------------------------------


def test_a_file_that_is_cut_short_waits_for_its_rest_visible_to_all(home):
    sandbox, daemon = home
    whole = epub("Copied")
    sandbox.drop("copying.epub", whole[: len(whole) // 2])
    damaged = daemon.wait_for("source.waiting", book="copying")["job"]
    status = sandbox.status
    assert status["running"]
    assert status["daemon"]["pid"] == daemon.process.pid
    (job,) = status["jobs"]
    assert (job["job"], job["name"], job["state"]) == (damaged, "copying", "waiting")
    assert job["reason"]
    for_people = sandbox.speedd("status").out
    assert f"speedd runs, pid {daemon.process.pid}." in for_people
    assert "copying: waiting (" in for_people
    assert sandbox.left() == ["copying.epub"]

    sandbox.drop("copying.epub", whole)
    daemon.wait_for("job.superseded", job=damaged)
    daemon.wait_for("job.published", book="copying")
    assert sandbox.titled("Copied").run["chunks_rendered"] > 0


def test_a_second_daemon_on_the_same_state_ends_with_75(home):
    sandbox, _ = home
    impatient = (
        "from speedd.daemon.app import App; App.__init__.__kwdefaults__['lock_wait_s'] = 0.3\n"
        "from speedd.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", impatient, "run", "--config", str(sandbox.config), "--once"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 75
    assert f"Another speedd uses the state directory {sandbox.state}." in done.stderr
    assert done.stdout == ""


def test_an_inbox_that_is_gone_is_no_empty_inbox(home):
    sandbox, daemon = home
    aside = sandbox.root / "aside"
    sandbox.inbox.rename(aside)
    daemon.wait_for("inbox.unavailable")
    aside.rename(sandbox.inbox)
    daemon.wait_for("inbox.available")
    sandbox.drop("Back.epub", epub("Back"))
    daemon.wait_for("job.published", book="Back")


def test_a_ring_right_after_a_scan_is_not_forgotten(sandbox: Sandbox):
    """With a scan of its own only once an hour, what is dropped is found all the same, twice in a row."""
    sandbox.configure(inbox={"scan_s": 3600, "settle_s": 0}, engine={"workers": 1})
    with sandbox.daemon() as daemon:
        for number in range(3):
            sandbox.drop(f"{number}.json", json.dumps([{"index": 0, "text": f"Number {number} is here."}]))
            daemon.wait_for("job.accepted", book=f"{number}")
        assert daemon.stop() == 0


def test_an_inbox_that_cannot_be_looked_into_is_no_success(sandbox: Sandbox):
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("root may look into everything")
    sandbox.inbox.chmod(0)
    wrap = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--"] if os.geteuid() == 0 else None
    try:
        assert sandbox.once(wrap=wrap).code == 75
    finally:
        sandbox.inbox.chmod(0o755)


@pytest.mark.slow
def test_without_room_the_book_waits_and_nothing_is_lost(sandbox: Sandbox):
    sandbox.configure(limits={"disk_reserve_mb": 10**9})
    sandbox.drop("The Clock.epub", epub("The Clock"))
    result = sandbox.once()
    assert result.code == 75
    assert "There is not enough room" in result.event("job.paused")["reason"]
    assert sandbox.left() == ["The Clock.epub"]
    sandbox.configure(limits={"disk_reserve_mb": 0})
    assert sandbox.once().code == 0
    assert len(sandbox.books) == 1
