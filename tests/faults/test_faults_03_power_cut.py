"""Fault 3: the power goes. What ext4 had not been told to keep is gone, and what was acknowledged must be there."""

import fcntl
import io
import os
import random
import sqlite3
import struct
import subprocess
import time

import pytest
import soundfile
from fault_bench import LONG, PER_WORKER, WORKERS, Bench, CannotMountError, lines, mounted, wait_for
from PIL import Image

pytestmark = [pytest.mark.fault, pytest.mark.timeout(3600)]

EXT4_IOC_SHUTDOWN = 0x8004587D
WITHOUT_LOG_FLUSH = 2
DISK_MB = 96
LINES = 60
SLOW = {"SPEEDD_TEST_SLOW_S": "0.02"}
CUTS = 40 if LONG else 4
SPEAKING_SHARE = 0.7


@pytest.fixture
def image(tmp_path):
    """An ext4 in a file, mountable here."""
    image = tmp_path / "disk.img"
    with image.open("wb") as out:
        out.truncate(DISK_MB * 2**20)
    try:
        made = subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("mkfs.ext4 is not installed (apt-get install e2fsprogs)")
    assert made.returncode == 0, made.stderr
    try:
        with mounted("-o", "loop", image, on=tmp_path / "disk"):
            pass
    except CannotMountError as error:
        pytest.skip(f"a loop device cannot be mounted here: {error}")
    return image


def cut_power(disk):
    descriptor = os.open(disk, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, EXT4_IOC_SHUTDOWN, struct.pack("I", WITHOUT_LOG_FLUSH))
    finally:
        os.close(descriptor)


def reach_the_moment(bench, daemon, share, chance):
    """First anywhere in the speaking, then anywhere in mastering and publishing, last when all is done."""
    if share < SPEAKING_SHARE:
        left = LINES * (1 - share / SPEAKING_SHARE)
        wait_for(lambda: 0 <= bench.untold <= left, daemon)
        time.sleep(chance.uniform(0, 0.05))
    elif share < 1:
        wait_for(lambda: bench.untold == 0, daemon)
        time.sleep(chance.uniform(0, 1.5))
    else:
        wait_for(lambda: "published" in bench.states, daemon)


def assert_sound(bench, acknowledged, published):
    """After the power is back and before speedd is: nothing partial, nothing acknowledged is lost."""
    with sqlite3.connect(bench.state / "ledger.sqlite") as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()
    assert acknowledged.items() <= bench.acknowledged.items()
    for key, samples in bench.acknowledged.items():
        assert soundfile.info(bench.state / "takes" / key[:2] / f"{key}.flac").frames == samples
        assert len(soundfile.read(bench.state / "takes" / key[:2] / f"{key}.flac")[0]) == samples
    for book in bench.books:  # what is there is whole
        assert book.run["chunks"]
        assert book.sound
    assert bool(bench.books) >= published


def test_the_power_goes_in_the_middle_of_a_book(tmp_path, image, endings, record_property):
    """In each moment of a book: speaking, mastering, right after it was published."""
    chance = random.Random(20263)
    disk = tmp_path / "disk"
    kept = 0
    with mounted("-o", "loop", image, on=disk):
        bench = Bench(tmp_path / "sandbox", disk=disk)
        bench.drop("Lines.txt", lines(LINES))
    for cut in range(CUTS):
        with mounted("-o", "loop", image, on=disk), bench.running(env=SLOW) as daemon:
            reach_the_moment(bench, daemon, (cut + chance.random()) / (CUTS - 1), chance)
            acknowledged, published = bench.acknowledged, "published" in bench.states
            cut_power(disk)
        with mounted("-o", "loop", image, on=disk):
            assert_sound(bench, acknowledged, published)
            kept += len(acknowledged)
    with mounted("-o", "loop", image, on=disk):
        result = bench.once(env=SLOW)
        assert result.code == 0, result.err
        record_property(
            "figure", f"{CUTS} cuts: {kept} of {kept} acknowledged takes whole, {bench.spoken_again} spoken again"
        )
        assert bench.ending == endings(LINES)
        assert bench.spoken_again <= CUTS * WORKERS * PER_WORKER


def test_a_cover_that_was_drawn_is_still_there_after_the_power_is_back(tmp_path, image):
    """Nobody draws it again: the plan says that it is there."""
    disk = tmp_path / "disk"
    picture = io.BytesIO()
    Image.new("RGB", (600, 600), "darkgreen").save(picture, "PNG")
    with mounted("-o", "loop", image, on=disk):
        bench = Bench(tmp_path / "sandbox", disk=disk)
        bench.drop("Lines.png", picture.getvalue())
        bench.drop("Lines.txt", lines(LINES))
        with bench.running(env=SLOW) as daemon:
            wait_for(lambda: bench.untold > 0, daemon)
            cut_power(disk)
    with mounted("-o", "loop", image, on=disk):
        result = bench.once(env=SLOW)
        assert result.code == 0, result.err
        assert (bench.book.folder / "cover.jpg").read_bytes().startswith(b"\xff\xd8")
