import hashlib
import os
import stat
import time
from dataclasses import replace
from pathlib import Path

import pytest

from speedd.errors import InputError, TryAgainError
from speedd.inbox import spool as spooling
from speedd.inbox.grouping import candidates_at
from speedd.inbox.identity import digest_of
from speedd.inbox.manifest import load_candidate, load_job
from speedd.inbox.spool import StillChangingError, accept, sweep
from speedd.model import Part, Role

TICK_S = 0.02
"""Longer than the kernel's clock for file times stands still (4 or 10 ms): what is changed later has another time."""


def drop(inbox, **files):
    for name, text in files.items():
        (inbox / name.replace("__", ".")).write_text(text)
    (candidate,) = candidates_at(inbox / next(iter(files)).replace("__", "."))
    return candidate


def test_a_private_copy_is_made_and_the_source_stays(inbox, spool):
    candidate = drop(inbox, Book__epub="text", Book__toml="[book]", Book__json="[]")
    before = [(inbox / member.path).stat() for member in candidate.members]
    job = accept(candidate, spool)
    assert [(part.role, part.name, part.path.name) for part in job.parts] == [
        (Role.BOOK, "Book.epub", "book.epub"),
        (Role.CHUNKS, "Book.json", "chunks.json"),
        (Role.SETTINGS, "Book.toml", "settings.toml"),
    ]
    assert [part.path.read_text() for part in job.parts] == ["text", "[]", "[book]"]
    assert [part.digest for part in job.parts] == [
        hashlib.sha256(part.path.read_bytes()).hexdigest() for part in job.parts
    ]
    assert job.spool == spool / job.id
    assert job.id == job.digest[:12]
    assert (job.name, job.source) == ("Book", inbox / "Book.epub")
    after = [(inbox / member.path).stat() for member in candidate.members]
    assert [each.st_mtime_ns for each in after] == [each.st_mtime_ns for each in before]
    assert [each.st_ctime_ns for each in after] == [each.st_ctime_ns for each in before]


def test_the_identity_is_the_content_by_role_whatever_its_name_and_order(inbox, spool):
    first = accept(drop(inbox, Book__txt="text", Book__toml="x"), spool)
    second = accept(drop(inbox, Other__txt="text", Other__toml="x"), spool)
    third = accept(drop(inbox, Third__txt="text", Third__toml="y"), spool)
    assert first.id == second.id != third.id
    assert second.source == inbox / "Other.txt"
    assert first.digest == digest_of(first.parts) == digest_of(reversed(first.parts))
    book, settings = first.parts
    swapped = [replace(book, digest=settings.digest), replace(settings, digest=book.digest)]
    assert digest_of(swapped) != first.digest


def test_the_same_bytes_in_another_format_are_another_source(inbox, spool):
    """What was refused as .text is read when it is renamed to .txt."""
    unread = accept(drop(inbox, Book__text="text"), spool)
    (inbox / "Book.text").unlink()
    renamed = accept(drop(inbox, Book__txt="text"), spool)
    assert unread.id != renamed.id
    assert [part.name for part in renamed.parts] == ["Book.txt"]
    assert accept(drop(inbox, Loud__TXT="text"), spool).id == renamed.id


def test_a_folder_with_many_texts_keeps_their_order(inbox, spool):
    book = inbox / "My Book"
    book.mkdir()
    for number in (10, 2, 1):
        (book / f"ch {number}.txt").write_text(f"chapter {number}")
    (candidate,) = candidates_at(book)
    job = accept(candidate, spool)
    assert [part.path.name for part in job.parts] == ["book.txt", "book-2.txt", "book-3.txt"]
    assert [part.path.read_text() for part in job.parts] == ["chapter 1", "chapter 2", "chapter 10"]


def test_the_voice_of_an_earlier_output_is_noted_and_the_output_is_not_copied(inbox, spool):
    book = inbox / "My Book"
    book.mkdir()
    (book / "chunks_info.json").write_text("[]")
    (book / "My Book [Ann Bee].m4b").write_text("sound")
    (candidate,) = candidates_at(book)
    job = accept(candidate, spool)
    assert [(part.role, part.path.read_text()) for part in job.parts] == [
        (Role.CHUNKS, "[]"),
        (Role.LOG, "Voice: Ann Bee\n"),
    ]
    assert load_job(job.spool) == job
    assert accept(candidate, spool) == job


def test_names_of_the_copies_are_ours(inbox, spool):
    name = "a\nb.$(reboot)"
    (inbox / name).write_text("x")
    (candidate,) = candidates_at(inbox / name)
    (part,) = accept(candidate, spool).parts
    assert part.path.name == "book"
    assert part.name == "a b.$(reboot)"


def test_after_a_crash_between_rename_and_ledger_the_copy_is_reused(inbox, spool):
    candidate = drop(inbox, Book__txt="text")
    first = accept(candidate, spool)
    place = first.parts[0].path.stat().st_ino
    assert accept(candidate, spool) == first
    assert first.parts[0].path.stat().st_ino == place
    assert [path.name for path in spool.iterdir()] == [first.id]


def test_a_touched_source_is_moved_away_as_it_is_now(inbox, spool):
    drop(inbox, Book__txt="text")
    accept(candidates_at(inbox / "Book.txt")[0], spool)
    os.utime(inbox / "Book.txt", (1, 1))
    (touched,) = candidates_at(inbox / "Book.txt")
    job = accept(touched, spool)
    assert load_candidate(job.spool) == touched


@pytest.mark.parametrize("damage", ["manifest", "part", "text"])
def test_a_wreck_in_the_spool_is_replaced(inbox, spool, damage):
    candidate = drop(inbox, Book__txt="text")
    job = accept(candidate, spool)
    if damage == "manifest":
        (job.spool / "job.json").write_text("{}")
    elif damage == "part":
        job.parts[0].path.unlink()
    else:
        (job.spool / "job.json").write_bytes(b"\xff")
    assert accept(candidate, spool) == job
    assert job.parts[0].path.read_text() == "text"


def test_two_sources_whose_ids_begin_alike_are_not_mixed_up(inbox, spool, monkeypatch):
    monkeypatch.setattr(spooling, "_ID_DIGITS", 1)
    one = accept(drop(inbox, Book__txt="one"), spool)
    twins = (f"two {number}" for number in range(1000))
    twin = next(text for text in twins if _digest(text)[0] == one.id)
    other = accept(drop(inbox, Other__txt=twin), spool)
    assert len(other.id) > 1
    assert other.parts[0].path.read_text() == twin
    assert one.parts[0].path.read_text() == "one"


def _digest(text):
    return digest_of([Part(Role.BOOK, "Book.txt", Path("book.txt"), hashlib.sha256(text.encode()).hexdigest(), 0)])


def test_a_sweep_removes_what_an_interrupted_copy_left(inbox, spool):
    job = accept(drop(inbox, Book__txt="text"), spool)
    (spool / ".accepting-abc").mkdir()
    (spool / ".accepting-abc" / "book.txt").write_text("half")
    sweep(spool)
    assert [path.name for path in spool.iterdir()] == [job.id]


# --- what changes under the hand -------------------------------------------------------------------------------------


def grown(path):
    with path.open("a") as more:
        more.write("more")


def replaced(path):
    path.with_name("new").write_text("text")
    path.with_name("new").rename(path)


def rewritten_in_secret(path):
    before = path.stat()
    path.write_text("TEXT")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def linked(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def piped(path):
    path.unlink()
    os.mkfifo(path)


def foldered(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "change",
    [grown, replaced, rewritten_in_secret, linked, piped, foldered, Path.unlink, lambda path: path.write_text("TEXT")],
)
def test_what_changed_since_it_settled_is_not_taken(inbox, spool, change):
    candidate = drop(inbox, Book__txt="text", Book__toml="x")
    time.sleep(TICK_S)
    change(inbox / "Book.txt")
    with pytest.raises(StillChangingError):
        accept(candidate, spool)
    assert list(spool.iterdir()) == []


def test_what_changes_while_it_is_copied_is_not_taken(inbox, spool, monkeypatch):
    candidate = drop(inbox, Book__txt="text")
    time.sleep(TICK_S)
    real = os.read

    def read_and_touch(descriptor, size):
        piece = real(descriptor, size)
        (inbox / "Book.txt").write_text("TEXT")
        return piece

    monkeypatch.setattr(spooling.os, "read", read_and_touch)
    with pytest.raises(StillChangingError):
        accept(candidate, spool)
    assert list(spool.iterdir()) == []


def test_a_file_that_grows_for_ever_is_left_after_its_settled_size(inbox, spool, monkeypatch):
    candidate = drop(inbox, Book__txt="text")
    monkeypatch.setattr(spooling.os, "read", lambda _descriptor, size: b"x" * size)
    with pytest.raises(StillChangingError):
        accept(candidate, spool)


def test_hard_links_are_fine(inbox, spool):
    (inbox / "Book.txt").write_text("text")
    os.link(inbox / "Book.txt", inbox / "Other.txt")
    (candidate,) = candidates_at(inbox / "Book.txt")
    assert accept(candidate, spool).parts[0].path.read_text() == "text"


# --- what is refused -------------------------------------------------------------------------------------------------


def test_a_link_is_refused_and_never_opened(inbox, spool):
    os.mkfifo(inbox / "pipe")
    (inbox / "Book.txt").symlink_to("pipe")
    (candidate,) = candidates_at(inbox / "Book.txt")
    with pytest.raises(InputError, match="Copy the file itself"):
        accept(candidate, spool)


def test_a_sparse_giant_is_refused(inbox, spool):
    with (inbox / "Book.txt").open("wb") as giant:
        giant.truncate(2**40)
    (candidate,) = candidates_at(inbox / "Book.txt")
    with pytest.raises(InputError, match="more than any book"):
        accept(candidate, spool)


def test_a_file_that_we_may_not_read_is_refused_in_words(open_folder, as_nobody):
    (open_folder / "inbox").mkdir()
    (open_folder / "spool").mkdir()
    (open_folder / "spool").chmod(0o777)
    path = open_folder / "inbox" / "Book.epub"
    path.write_text("x")
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    (candidate,) = candidates_at(path)
    _, error = as_nobody(lambda: accept(candidate, open_folder / "spool"))
    assert isinstance(error, InputError)
    assert "cannot be read by the user nobody" in error.message
    assert "belongs to the user root" in error.message
    assert "-rw-------" in error.message
    assert "chmod" in error.hint
    assert list((open_folder / "spool").iterdir()) == []


def test_a_folder_that_we_may_not_open_is_refused_in_words(open_folder, as_nobody):
    book = open_folder / "My Book"
    book.mkdir()
    book.chmod(0o700)
    found, error = as_nobody(lambda: candidates_at(book))
    assert error is None
    assert "cannot be opened" in found[0].fault


# --- a disk that is full or fails ------------------------------------------------------------------------------------


def test_a_full_disk_leaves_nothing_behind_and_passes(inbox, small_disk):
    (inbox / "Book.txt").write_bytes(os.urandom(900_000))
    (candidate,) = candidates_at(inbox / "Book.txt")
    (small_disk / "ballast").write_bytes(bytes(400_000))
    with pytest.raises(TryAgainError, match="not enough room"):
        accept(candidate, small_disk)
    (small_disk / "ballast").unlink()
    assert accept(candidate, small_disk).parts[0].size_bytes == 900_000


def test_a_disk_that_fills_up_while_copying_leaves_nothing_behind(inbox, small_disk, monkeypatch):
    (inbox / "Book.txt").write_bytes(os.urandom(2_000_000))
    (candidate,) = candidates_at(inbox / "Book.txt")
    free = spooling.shutil.disk_usage("/")._replace(free=10**12)
    monkeypatch.setattr(spooling.shutil, "disk_usage", lambda _path: free)  # as if another program took it since
    with pytest.raises(TryAgainError, match="No space left") as caught:
        accept(candidate, small_disk)
    assert not isinstance(caught.value, StillChangingError)
    assert list(small_disk.iterdir()) == []


def test_the_reserve_is_kept(inbox, spool):
    with pytest.raises(TryAgainError, match="Free some space"):
        accept(drop(inbox, Book__txt="text"), spool, reserve_bytes=10**18)


def test_chapters_in_another_order_are_another_book():
    def digest_under(*names: str) -> str:
        return digest_of([Part(Role.BOOK, name, Path(name), f"{at}" * 64, 0) for at, name in enumerate(names)])

    assert digest_under("1.txt", "2.txt") != digest_under("2.txt", "1.txt")
    assert digest_under("a.txt") == digest_under("b.txt")  # a name alone says nothing
