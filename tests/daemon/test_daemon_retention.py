"""What nobody needs any more goes, and nothing that an unfinished book uses."""

import io
import os
import shutil
import time

import pytest
from PIL import Image
from speedd_house import epub, long_story

from speedd.config import load_config
from speedd.daemon.app import ledger_path
from speedd.daemon.retention import DAY_S, collect
from speedd.ledger import Ledger, State


@pytest.fixture
def narrated(house):
    """A house with one published book; its ledger and configuration."""
    house.configure(limits={"keep_days": 60, "keep_gb": 20})
    house.drop("Clock.epub", epub("Clock"))
    assert house.once().code == 0
    config = load_config(house.config, environment={})
    ledger = Ledger(ledger_path(config))
    yield house, ledger, config
    ledger.close()


def takes(house):
    return sorted((house.state / "takes").glob("??/*.flac"))


def after(days):
    return lambda: time.time() + days * DAY_S


def test_takes_and_copies_stay_while_they_are_young_and_go_when_they_are_old(narrated):
    house, ledger, config = narrated
    (row,) = ledger.jobs.rows()
    kept = takes(house)
    assert collect(ledger, config, now=after(59)).takes == 0
    assert takes(house) == kept
    assert row.job.spool.is_dir()
    collected = collect(ledger, config, now=after(61))
    assert (collected.takes, collected.copies) == (len(kept), 1)
    assert takes(house) == []
    assert not row.job.spool.exists()
    assert house.book.m4b.exists()


def test_a_book_whose_takes_were_collected_is_simply_rendered_again(narrated):
    house, ledger, config = narrated
    before = house.book.sound
    collect(ledger, config, now=after(61))
    house.book.m4b.unlink()
    for path in house.book.folder.iterdir():
        path.unlink()
    (folder,) = house.outbox.glob("*/*")
    folder.rmdir()
    house.drop("Clock.epub", epub("Clock"))
    assert house.once().code == 0
    assert house.book.sound == before


def test_what_an_unfinished_book_uses_stays_whatever_its_age(narrated):
    house, ledger, config = narrated
    (row,) = ledger.jobs.rows()
    ledger.jobs.set_state(row.job.id, State.QUEUED)
    kept = takes(house)
    collected = collect(ledger, config, now=after(1000))
    assert (collected.takes, collected.copies) == (0, 0)
    assert takes(house) == kept
    assert row.job.spool.is_dir()


def test_above_the_size_that_is_kept_the_longest_unused_go_first(narrated):
    house, ledger, config = narrated
    old = set(takes(house))
    house.drop("Long.epub", epub("Long", long_story(12)))
    assert house.once().code == 0
    young = set(takes(house)) - old
    size = sum(path.stat().st_size for path in young)
    limits = config.limits.model_copy(update={"keep_gb": (size + 1) / 2**30})
    collect(ledger, config.model_copy(update={"limits": limits}))
    assert set(takes(house)) == young


def test_files_of_takes_that_no_row_names_go_after_a_day(narrated):
    house, ledger, config = narrated
    orphan = house.state / "takes" / "ab" / ("ab" * 32 + ".flac")
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"fLaC")
    assert collect(ledger, config).takes == 0
    yesterday = time.time() - 2 * DAY_S
    os.utime(orphan, (yesterday, yesterday))
    assert collect(ledger, config).takes == 1
    assert not orphan.exists()


def test_stages_left_by_a_crash_go_after_a_day_but_not_those_of_books_at_work(narrated):
    house, ledger, config = narrated
    (row,) = ledger.jobs.rows()
    yesterday = time.time() - 2 * DAY_S
    for name in (".speedd-0123456789ab", f".speedd-{row.job.id}"):
        (house.outbox / name).mkdir()
        os.utime(house.outbox / name, (yesterday, yesterday))
    ledger.jobs.set_state(row.job.id, State.QUEUED)
    assert collect(ledger, config).stages == 1
    assert not (house.outbox / ".speedd-0123456789ab").exists()
    assert (house.outbox / f".speedd-{row.job.id}").exists()


def test_a_book_with_a_cover_comes_back_after_its_copy_was_collected(house):
    folder = house.inbox / "Clock"
    folder.mkdir()
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), "navy").save(picture, "PNG")
    (folder / "cover.png").write_bytes(picture.getvalue())
    (folder / "Clock.epub").write_bytes(epub("Clock"))
    assert house.once().code == 0
    config = load_config(house.config, environment={})
    ledger = Ledger(ledger_path(config))
    collect(ledger, config, now=after(61))
    ledger.close()
    shutil.rmtree(house.book.folder)
    shutil.move(house.inbox / "_done" / "Clock", house.inbox / "Clock")
    result = house.once()
    assert result.code == 0, result.out
    assert (house.book.folder / "cover.jpg").exists()
