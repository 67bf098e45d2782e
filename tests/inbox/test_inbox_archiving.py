import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from speedd.inbox.archiving import archive, delete, reject
from speedd.inbox.grouping import Candidate, candidates_at

WHEN = datetime(2025, 3, 1, 12, 30, tzinfo=UTC)


def put(inbox: Path, *paths: str) -> None:
    for path in paths:
        (inbox / path).parent.mkdir(parents=True, exist_ok=True)
        (inbox / path).write_text(path, errors="replace")


def at(path: Path) -> Candidate:
    (candidate,) = candidates_at(path)
    return candidate


def tree(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir() or not any(path.iterdir())
    )


# --- archive ---------------------------------------------------------------------------------------------------------


def test_a_group_goes_to_done_together(inbox):
    put(inbox, "Book.epub", "Book.toml", "Other.txt")
    assert archive(at(inbox / "Book.epub"), inbox) == inbox / "_done" / "Book.epub"
    assert tree(inbox) == ["Other.txt", "_done/Book.epub", "_done/Book.toml"]


def test_a_name_that_exists_gets_a_number_for_the_whole_group(inbox):
    put(inbox, "_done/Book_chunks.json", "_done/Book (2).epub", "Book.epub", "Book_chunks.json")
    assert archive(at(inbox / "Book.epub"), inbox) == inbox / "_done" / "Book (3).epub"
    assert (inbox / "_done/Book (3)_chunks.json").read_text() == "Book_chunks.json"
    assert (inbox / "_done/Book_chunks.json").read_text() == "_done/Book_chunks.json"


def test_the_longest_name_can_be_archived_twice(inbox):
    name = "🦉" * 62 + "ab.epub"
    for _ in range(2):
        put(inbox, name)
        assert archive(at(inbox / name), inbox)
    assert {path.name for path in (inbox / "_done").iterdir()} == {name, "🦉" * 61 + " (2).epub"}


def test_names_that_are_no_utf8_keep_their_bytes(inbox):
    name = os.fsdecode(b"B\xfccher.txt")
    put(inbox, name)
    archive(at(inbox / name), inbox)
    assert [os.fsencode(path.name) for path in (inbox / "_done").iterdir()] == [b"B\xfccher.txt"]


def test_a_folder_goes_with_all_that_belongs_to_nobody_else(inbox):
    put(inbox, "My Book/text.txt", "My Book/notes.json", "My Book/TTS/text_chunks/chunks_info.json")
    assert archive(at(inbox / "My Book"), inbox) == inbox / "_done" / "My Book"
    put(inbox, "My Book/text.txt")
    assert archive(at(inbox / "My Book"), inbox) == inbox / "_done" / "My Book (2)"
    assert not (inbox / "My Book").exists()
    assert (inbox / "_done/My Book/notes.json").exists()


def test_calibre_folders_keep_their_author_and_leave_no_empty_one(inbox):
    put(inbox, "Author/One (1)/One.epub", "Author/Two (2)/Two.epub")
    one, two = at(inbox / "Author/One (1)"), at(inbox / "Author/Two (2)")
    archive(one, inbox)
    assert tree(inbox) == ["Author/Two (2)/Two.epub", "_done/Author/One (1)/One.epub"]
    archive(two, inbox)
    assert not (inbox / "Author").exists()
    assert (inbox / "_done/Author/Two (2)/Two.epub").exists()


def test_a_parent_that_holds_anything_stays(inbox):
    put(inbox, "Author/One (1)/One.epub", "Author/.DS_Store")
    archive(at(inbox / "Author/One (1)"), inbox)
    assert tree(inbox) == ["Author/.DS_Store", "_done/Author/One (1)/One.epub"]


def test_another_book_below_a_book_stays(inbox):
    put(inbox, "Book/text.txt", "Book/cover.jpg", "Book/notes.json", "Book/more/Sequel.epub")
    book, sequel = candidates_at(inbox / "Book")
    assert archive(book, inbox) == inbox / "_done/Book"
    assert tree(inbox) == [
        "Book/more/Sequel.epub",
        "Book/notes.json",
        "_done/Book/cover.jpg",
        "_done/Book/text.txt",
    ]
    assert archive(sequel, inbox) == inbox / "_done/Book/more"


def test_a_file_that_was_replaced_meanwhile_stays(inbox):
    put(inbox, "Book.txt", "Book.toml")
    candidate = at(inbox / "Book.txt")
    (inbox / "Book.toml").write_text("new settings")
    assert archive(candidate, inbox) == inbox / "_done" / "Book.txt"
    assert (inbox / "Book.toml").read_text() == "new settings"


def test_a_folder_in_which_a_file_was_replaced_keeps_that_file(inbox):
    put(inbox, "Book/text.txt", "Book/cover.jpg")
    candidate = at(inbox / "Book")
    (inbox / "Book/text.txt").write_text("a second edition")
    assert archive(candidate, inbox) == inbox / "_done" / "Book"
    assert tree(inbox) == ["Book/text.txt", "_done/Book/cover.jpg"]


def test_a_folder_that_got_another_part_keeps_that_part(inbox):
    put(inbox, "Book/text.txt")
    candidate = at(inbox / "Book")
    put(inbox, "Book/speedd.toml")
    archive(candidate, inbox)
    assert tree(inbox) == ["Book/speedd.toml", "_done/Book/text.txt"]


def test_what_is_gone_or_all_new_is_not_moved(inbox):
    put(inbox, "Book.txt")
    candidate = at(inbox / "Book.txt")
    (inbox / "Book.txt").write_text("new")
    assert archive(candidate, inbox) is None
    (inbox / "Book.txt").unlink()
    assert archive(candidate, inbox) is None
    assert reject(candidate, inbox, reason="x", when=WHEN) is None
    assert tree(inbox) in ([], ["_done"], ["_done", "_failed"])


def test_an_interrupted_move_is_finished_under_the_same_name(inbox):
    put(inbox, "Book.epub", "Book.toml")
    candidate = at(inbox / "Book.epub")
    (inbox / "_done").mkdir()
    (inbox / "Book.epub").rename(inbox / "_done/Book.epub")  # and here the power went
    archive(candidate, inbox)
    assert tree(inbox) == ["_done/Book.epub", "_done/Book.toml"]


# --- reject ----------------------------------------------------------------------------------------------------------


def test_a_refused_book_lies_beside_its_reason(inbox):
    put(inbox, "Book.pdf", "Book.toml")
    place = reject(at(inbox / "Book.pdf"), inbox, reason="PDF cannot be read yet.", hint="Use the EPUB.", when=WHEN)
    assert place == inbox / "_failed" / "Book"
    assert tree(inbox) == ["_failed/Book/Book.pdf", "_failed/Book/Book.toml", "_failed/Book/REASON.txt"]
    assert (place / "REASON.txt").read_text() == (
        "speedd could not make an audiobook of “Book”.\n\n"
        "Why: PDF cannot be read yet.\n\n"
        "What to do: Use the EPUB.\n\n"
        "Files: Book.pdf, Book.toml\n"
        "When: 2025-03-01 12:30:00 +0000\n"
    )


def test_a_refused_folder_keeps_its_shape_and_can_be_refused_again(inbox):
    put(inbox, "My Book/text.txt", "My Book/cover.jpg")
    place = reject(at(inbox / "My Book"), inbox, reason="x", when=WHEN)
    assert tree(inbox) == [f"_failed/My Book/{name}" for name in ("REASON.txt", "cover.jpg", "text.txt")]
    place.rename(inbox / "My Book")
    candidate = at(inbox / "My Book")
    assert [member.path for member in candidate.members] == ["text.txt", "cover.jpg"]
    assert reject(candidate, inbox, reason="y", when=WHEN) == place
    assert "Why: y" in (place / "REASON (2).txt").read_text()


def test_a_second_refusal_of_a_name_gets_a_number(inbox):
    for _ in range(2):
        put(inbox, "Book.pdf")
        place = reject(at(inbox / "Book.pdf"), inbox, reason="x", when=WHEN)
    assert place == inbox / "_failed" / "Book (2)"


@pytest.mark.parametrize("name", ["🦉" * 62 + "ab.pdf", os.fsdecode(b"\xff" * 250) + ".pdf", "\N{SNOWMAN}" * 85])
def test_any_name_can_be_refused(inbox, name):
    for _ in range(2):
        put(inbox, name)
        place = reject(at(inbox / name), inbox, reason="x", when=WHEN)
        place.name.encode()
        assert len(place.name.encode()) <= 255
        assert (place / name).exists()


def test_a_link_is_moved_as_it_is(inbox, tmp_path):
    (tmp_path / "outside.txt").write_text("private")
    (inbox / "Book.txt").symlink_to(tmp_path / "outside.txt")
    place = reject(at(inbox / "Book.txt"), inbox, reason="a link", when=WHEN)
    assert (place / "Book.txt").is_symlink()
    assert (tmp_path / "outside.txt").read_text() == "private"


@pytest.mark.parametrize("path", ["Book.pdf", "My Book/text.txt"])
def test_an_inbox_that_cannot_be_written_to_stays_as_it_is(open_folder, as_nobody, path):
    inbox = open_folder / "inbox"
    put(inbox, path)
    candidate = at(inbox / path.partition("/")[0])
    assert as_nobody(lambda: reject(candidate, inbox, reason="x", when=WHEN)) == (None, None)
    assert as_nobody(lambda: archive(candidate, inbox)) == (None, None)
    assert as_nobody(lambda: delete(candidate, inbox)) == (False, None)
    assert tree(inbox) == [path]


def test_a_file_that_only_its_owner_may_move_leaves_nothing_half_done(open_folder, as_nobody):
    inbox = open_folder / "inbox"
    put(inbox, "Book.pdf")
    inbox.chmod(0o1777)  # like /tmp: everybody may add, only the owner may move
    candidate = at(inbox / "Book.pdf")
    assert as_nobody(lambda: reject(candidate, inbox, reason="x", when=WHEN)) == (None, None)
    assert tree(inbox) == ["Book.pdf", "_failed"]


# --- delete ----------------------------------------------------------------------------------------------------------


def test_only_what_was_accepted_is_deleted(inbox):
    put(inbox, "Book.epub", "Book.toml", "Book.mp3")
    assert delete(at(inbox / "Book.epub"), inbox)
    assert tree(inbox) == ["Book.mp3"]


def test_a_folder_is_deleted_when_nothing_else_is_in_it(inbox):
    put(inbox, "A/One/One.epub", "A/One/TTS/text_chunks/chunks_info.json", "A/Two/Two.epub", "A/Two/mine.json")
    one, two = at(inbox / "A/One"), at(inbox / "A/Two")
    assert delete(one, inbox)
    assert delete(two, inbox)
    assert tree(inbox) == ["A/Two/mine.json"]


def test_what_changed_is_not_deleted(inbox):
    put(inbox, "Book.epub")
    candidate = at(inbox / "Book.epub")
    (inbox / "Book.epub").write_text("a new one")
    assert not delete(candidate, inbox)
    assert tree(inbox) == ["Book.epub"]
