"""What nobody needs any more goes, and nothing that an unfinished book uses."""

import io
import os
import shutil
import time

import pytest
from PIL import Image
from speedd_sandbox import epub, long_story

from speedd.common.state_directory import StateDirectory
from speedd.config import load_config
from speedd.daemon.retention import DAY_S, collect
from speedd.ledger import Ledger, State


@pytest.fixture
def narrated(sandbox):
    """A sandbox with one published book; its ledger and configuration."""
    sandbox.configure(limits={"keep_days": 60, "keep_gb": 20})
    sandbox.drop("Clock.epub", epub("Clock"))
    assert sandbox.once().code == 0
    config = load_config(sandbox.config, environment={})
    ledger = Ledger(StateDirectory(config.paths.state).ledger)
    yield sandbox, ledger, config
    ledger.close()


def takes(sandbox):
    return sorted((sandbox.state / "takes").glob("??/*.flac"))


def after(days):
    return lambda: time.time() + days * DAY_S


def test_takes_and_copies_stay_while_they_are_young_and_go_when_they_are_old(narrated):
    sandbox, ledger, config = narrated
    (row,) = ledger.jobs.all()
    kept = takes(sandbox)
    assert collect(ledger, config, now=after(59)).takes == 0
    assert takes(sandbox) == kept
    assert row.job.spool.is_dir()
    collected = collect(ledger, config, now=after(61))
    assert (collected.takes, collected.copies) == (len(kept), 1)
    assert takes(sandbox) == []
    assert not row.job.spool.exists()
    assert sandbox.book.m4b.exists()


def test_a_book_whose_takes_were_collected_is_simply_rendered_again(narrated):
    sandbox, ledger, config = narrated
    before = sandbox.book.sound
    collect(ledger, config, now=after(61))
    sandbox.book.m4b.unlink()
    for path in sandbox.book.folder.iterdir():
        path.unlink()
    (folder,) = sandbox.outbox.glob("*/*")
    folder.rmdir()
    sandbox.drop("Clock.epub", epub("Clock"))
    assert sandbox.once().code == 0
    assert sandbox.book.sound == before


def test_what_an_unfinished_book_uses_stays_whatever_its_age(narrated):
    sandbox, ledger, config = narrated
    (row,) = ledger.jobs.all()
    ledger.jobs.set_state(row.job.id, State.QUEUED)
    kept = takes(sandbox)
    collected = collect(ledger, config, now=after(1000))
    assert (collected.takes, collected.copies) == (0, 0)
    assert takes(sandbox) == kept
    assert row.job.spool.is_dir()


def test_above_the_size_that_is_kept_the_longest_unused_go_first(narrated):
    sandbox, ledger, config = narrated
    old = set(takes(sandbox))
    sandbox.drop("Long.epub", epub("Long", long_story(12)))
    assert sandbox.once().code == 0
    young = set(takes(sandbox)) - old
    size = sum(path.stat().st_size for path in young)
    limits = config.limits.model_copy(update={"keep_gb": (size + 1) / 2**30})
    collect(ledger, config.model_copy(update={"limits": limits}))
    assert set(takes(sandbox)) == young


def test_files_of_takes_that_no_row_names_go_after_a_day(narrated):
    sandbox, ledger, config = narrated
    orphan = sandbox.state / "takes" / "ab" / ("ab" * 32 + ".flac")
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"fLaC")
    assert collect(ledger, config).takes == 0
    yesterday = time.time() - 2 * DAY_S
    os.utime(orphan, (yesterday, yesterday))
    assert collect(ledger, config).takes == 1
    assert not orphan.exists()


def test_stages_left_by_a_crash_go_after_a_day_but_not_those_of_books_at_work(narrated):
    sandbox, ledger, config = narrated
    (row,) = ledger.jobs.all()
    yesterday = time.time() - 2 * DAY_S
    for name in (".speedd-0123456789ab", f".speedd-{row.job.id}"):
        (sandbox.outbox / name).mkdir()
        os.utime(sandbox.outbox / name, (yesterday, yesterday))
    ledger.jobs.set_state(row.job.id, State.QUEUED)
    assert collect(ledger, config).stages == 1
    assert not (sandbox.outbox / ".speedd-0123456789ab").exists()
    assert (sandbox.outbox / f".speedd-{row.job.id}").exists()


def test_a_book_with_a_cover_comes_back_after_its_copy_was_collected(sandbox):
    folder = sandbox.inbox / "Clock"
    folder.mkdir()
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), "navy").save(picture, "PNG")
    (folder / "cover.png").write_bytes(picture.getvalue())
    (folder / "Clock.epub").write_bytes(epub("Clock"))
    assert sandbox.once().code == 0
    config = load_config(sandbox.config, environment={})
    ledger = Ledger(StateDirectory(config.paths.state).ledger)
    collect(ledger, config, now=after(61))
    ledger.close()
    shutil.rmtree(sandbox.book.folder)
    shutil.move(sandbox.inbox / "_done" / "Clock", sandbox.inbox / "Clock")
    result = sandbox.once()
    assert result.code == 0, result.out
    assert (sandbox.book.folder / "cover.jpg").exists()
