import os
import shutil
from pathlib import Path

import pytest

from speedd.inbox.listing import InboxUnavailableError
from speedd.inbox.scanner import Scanner


class Clock:
    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


class Bench:
    """An inbox, its scanner with a clock of our own, and what the ledger would know."""

    def __init__(self, tmp_path: Path):
        self.inbox = tmp_path / "inbox"
        self.inbox.mkdir()
        self.clock = Clock()
        self.known: set[str] = set()
        self.scanner = Scanner(
            self.inbox, settle_s=10, known=lambda each: each.signature in self.known, clock=self.clock
        )

    def after(self, seconds: float) -> list[str]:
        self.clock.now_s += seconds
        return [str(each.source.relative_to(self.inbox)) for each in self.scanner.scan()]

    def waiting(self) -> dict[str, str]:
        return {each.name: each.why for each in self.scanner.waiting}


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_a_file_is_taken_once_it_rested_and_comes_again_until_it_is_known(bench):
    (bench.inbox / "Book.epub").write_text("x")
    assert bench.after(0) == []
    assert bench.waiting() == {"Book.epub": "still being copied"}
    assert bench.scanner.due_s == 10
    assert bench.after(9.9) == []
    assert bench.after(0.1) == ["Book.epub"]
    assert bench.after(1) == ["Book.epub"]
    bench.known.add(bench.scanner.scan()[0].signature)
    assert bench.after(1) == []
    assert bench.waiting() == {}
    assert bench.scanner.due_s is None


def test_the_time_of_the_file_does_not_matter(bench):
    for name, year in (("past.txt", 0), ("future.txt", 4_000_000_000)):
        (bench.inbox / name).write_text("x")
        os.utime(bench.inbox / name, (year, year))
    assert bench.after(0) == []
    assert sorted(bench.after(10)) == ["future.txt", "past.txt"]


def test_a_slow_copy_is_never_taken_early(bench):
    with (bench.inbox / "Book.epub").open("wb", buffering=0) as copy:
        for _ in range(20):
            copy.write(b"x" * 100)
            assert bench.after(9) == []
    assert bench.after(9) == []
    assert bench.after(1) == ["Book.epub"]


def test_a_file_that_has_its_final_size_from_the_start_is_not_taken_early(bench):
    path = bench.inbox / "Book.epub"
    with path.open("wb", buffering=0) as copy:
        copy.truncate(2000)
        for piece in range(20):
            copy.seek(100 * piece)
            copy.write(b"x" * 100)
            os.utime(path, ns=(piece, piece))  # files written within one tick of the kernel's clock differ all the same
            assert bench.after(9) == []
    assert bench.after(10) == ["Book.epub"]


def test_a_writer_that_comes_back_starts_the_wait_anew(bench):
    path = bench.inbox / "Book.txt"
    path.write_text("one")
    assert bench.after(0) == []
    assert bench.after(4) == []
    with path.open("a") as again:
        again.write("two")
    assert bench.after(6) == []
    assert bench.after(9) == []
    assert bench.after(1) == ["Book.txt"]


def test_a_file_that_was_replaced_by_one_of_the_same_size_and_time_is_another(bench):
    path, new = bench.inbox / "Book.txt", bench.inbox / ".new"
    path.write_text("one")
    assert bench.after(0) == []
    new.write_text("two")
    shutil.copystat(path, new)
    new.rename(path)
    assert bench.after(10) == []
    assert bench.after(10) == ["Book.txt"]


def test_a_new_scanner_waits_for_the_whole_time_again(bench):
    (bench.inbox / "Book.txt").write_text("x")
    assert bench.after(0) == []
    again = Scanner(bench.inbox, settle_s=10, known=lambda _: False, clock=bench.clock)
    bench.clock.now_s += 10
    assert again.scan() == []
    bench.clock.now_s += 10
    assert len(again.scan()) == 1


def test_a_folder_settles_whole(bench):
    book = bench.inbox / "My Book"
    (book / "extras").mkdir(parents=True)
    (book / "text.txt").write_text("x")
    assert bench.after(0) == []
    with (book / "extras" / "film.mkv").open("wb", buffering=0) as copy:
        for _ in range(3):
            copy.write(b"x")
            assert bench.after(9) == []
    (book / "cover.jpg").write_text("x")
    assert bench.after(9) == []
    (book / "half.epub.part").write_text("x")  # ignored, but it says that copying goes on
    assert bench.after(9) == []
    assert bench.after(10) == ["My Book"]


def test_thumbnails_do_not_keep_a_folder_from_settling(bench):
    book = bench.inbox / "My Book"
    (book / "@eaDir").mkdir(parents=True)
    (book / "text.txt").write_text("x")
    assert bench.after(0) == []
    (book / "@eaDir" / "thumb.jpg").write_text("x")
    assert bench.after(10) == ["My Book"]


def test_a_late_partner_makes_a_new_candidate_of_a_known_one(bench):
    (bench.inbox / "Book.epub").write_text("x")
    bench.after(0)
    bench.after(10)
    (first,) = bench.scanner.scan()
    bench.known.add(first.signature)
    (bench.inbox / "Book.toml").write_text("x")
    assert bench.after(1) == []
    assert bench.after(10) == ["Book.epub"]
    (second,) = bench.scanner.scan()
    assert second.signature != first.signature
    assert [member.path for member in second.members] == ["Book.epub", "Book.toml"]


def test_what_waits_for_something_says_so(bench):
    (bench.inbox / "Book.toml").write_text("x")
    (bench.inbox / "Music").mkdir()
    (bench.inbox / "Music" / "song.mp3").write_text("x")
    bench.after(0)
    assert bench.after(10) == []
    assert bench.waiting() == {"Book.toml": "waiting for its book", "Music": "no book in it yet"}
    assert [each.waited_s for each in bench.scanner.waiting] == [10, 10]
    assert bench.scanner.due_s is None


def test_our_own_folders_and_the_readme_are_left_alone(bench):
    for name in ("_done", "_failed", "@eaDir"):
        (bench.inbox / name).mkdir()
        (bench.inbox / name / "Book.epub").write_text("x")
    for name in ("README.md", "Book.epub.part", ".Book.epub.Xy12"):
        (bench.inbox / name).write_text("x")
    bench.after(0)
    assert bench.after(10) == []
    assert bench.waiting() == {}


def test_a_damaged_file_waits_and_is_looked_at_again(bench):
    (bench.inbox / "Book.epub").write_text("x")
    bench.after(0)
    bench.after(10)
    (damaged,) = bench.scanner.scan()
    bench.scanner.postpone(damaged, 60, "damaged, waiting for the rest")
    assert bench.after(59) == []
    assert bench.waiting() == {"Book.epub": "damaged, waiting for the rest"}
    assert bench.scanner.due_s == 1
    assert bench.after(1) == ["Book.epub"]
    bench.scanner.postpone(damaged, 120, "damaged, waiting for the rest")
    assert bench.after(100) == []


def test_any_change_arms_a_damaged_file_again(bench):
    path = bench.inbox / "Book.epub"
    path.write_text("x")
    bench.after(0)
    bench.after(10)
    bench.scanner.postpone(bench.scanner.scan()[0], 3600, "damaged")
    with path.open("a") as rest:
        rest.write("the rest")
    assert bench.after(1) == []
    assert bench.after(10) == ["Book.epub"]


def test_a_missing_inbox_is_unavailable_and_settling_starts_anew(bench):
    (bench.inbox / "Book.epub").write_text("x")
    bench.after(0)
    away = bench.inbox.rename(bench.inbox.with_name("away"))
    bench.clock.now_s += 5
    with pytest.raises(InboxUnavailableError, match="cannot be looked into"):
        bench.scanner.scan()
    away.rename(bench.inbox)
    assert bench.after(5) == []
    assert bench.after(10) == ["Book.epub"]


def test_an_outage_does_not_shorten_the_wait_of_a_damaged_file(bench):
    (bench.inbox / "Book.epub").write_text("x")
    bench.after(0)
    bench.after(10)
    bench.scanner.postpone(bench.scanner.scan()[0], 100, "damaged")
    away = bench.inbox.rename(bench.inbox.with_name("away"))
    with pytest.raises(InboxUnavailableError):
        bench.scanner.scan()
    away.rename(bench.inbox)
    assert bench.after(5) == []
    assert bench.after(20) == []
    assert bench.after(80) == ["Book.epub"]


def test_a_pipe_never_blocks_the_scan(bench):
    os.mkfifo(bench.inbox / "Book.epub")
    bench.after(0)
    bench.clock.now_s += 10
    (candidate,) = bench.scanner.scan()
    assert "named pipe" in candidate.fault


def test_names_that_are_no_utf8_and_names_of_255_bytes(bench):
    raw = os.fsencode(bench.inbox) + b"/\xff\xfe.txt"
    Path(os.fsdecode(raw)).write_text("x")
    long = "🦉" * 62 + "ab.epub"
    assert len(long.encode()) == 255
    (bench.inbox / long).write_text("x")
    bench.after(0)
    assert {os.fsencode(name) for name in bench.after(10)} == {b"\xff\xfe.txt", long.encode()}


def test_twenty_thousand_files_are_all_found(bench):
    for number in range(20_000):
        (bench.inbox / f"{number}.txt").touch()
    assert bench.after(0) == []
    assert len(set(bench.after(10))) == 20_000
