"""Books that lie in several files: folders and zips of chapters. Words were counted by hand."""

import io
import zipfile

import pytest
from reading_books import titles, words

from speedd.errors import InputError
from speedd.reading import read
from speedd.reading.bundle import in_order, title_of_name

# 19 words.
PROSE = "She lit the lantern and set it in the window, as she had done every evening for eleven years."


def zipped(members: dict[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


CHAPTERS = {
    "10 - The End.txt": PROSE,
    "2 - The Boat.txt": f"{PROSE}\n\n{PROSE}",
    "1 - The Window.txt": f"{PROSE}\n\n{PROSE}\n\n{PROSE}",
}


def test_a_folder_of_chapters_is_read_in_natural_order_under_their_names(write):
    book = read(write(CHAPTERS))
    assert titles(book) == ["The Window", "The Boat", "The End"]
    assert words(book) == [57, 38, 19]
    assert all(chapter.announced for chapter in book.chapters)


def test_a_zip_of_chapters_is_the_same_and_brings_its_cover(write):
    extra = {
        "__MACOSX/._1.txt": b"\0\1",
        "cover.jpg": b"\xff\xd8\xff\xe0",
        "readme.txt": "Read me.",
        ".hidden.txt": "no",
    }
    book = read(write({"Lanterns.zip": zipped({f"book/{name}": text for name, text in CHAPTERS.items()} | extra)}))
    assert titles(book) == ["The Window", "The Boat", "The End"]
    assert words(book) == [57, 38, 19]
    assert book.metadata.title == "Lanterns"
    assert book.cover is not None


def test_headings_inside_stand_over_names(write):
    book = read(
        write(
            {
                "ch1.html": f"<html><head><title>x</title></head><body><h1>The Window</h1><p>{PROSE}</p></body></html>",
                "ch2.html": f"<html><body><p>{PROSE}</p></body></html>",
                "ch3.html": f"<html><body><h2>The Boat</h2><p>{PROSE}</p><h2>The Quay</h2><p>{PROSE}</p></body></html>",
            }
        )
    )
    assert titles(book) == ["The Window", "Ch2", "The Boat", "The Quay"]
    assert words(book) == [19] * 4


def test_a_first_line_that_is_the_title_is_not_read_twice(write):
    book = read(
        write(
            {
                "Chapter 1.txt": f"Chapter 1\n\nThe Window\n\n{PROSE}\n\n{PROSE}",
                "Chapter 2.txt": f"Chapter 2\n{PROSE}\n\n{PROSE}",
                "The Boat.txt": f"The Boat\n\n{PROSE}\n\n{PROSE}",
            }
        )
    )
    assert sorted(titles(book)) == ["Chapter 1. The Window", "Chapter 2", "The Boat"]
    assert words(book) == [38, 38, 38]


def test_matter_among_the_files_is_skipped(write):
    book = read(
        write(
            {"00 Copyright.md": "All rights reserved.", "01 One.md": PROSE, "02 Two.md": PROSE, "99 Index.md": "a, 1"}
        )
    )
    assert titles(book) == ["One", "Two"]
    assert [part.reason for part in book.skipped] == ["copyright page", "index"]


def test_many_of_one_kind_are_the_book_and_one_of_another_goes_with_it(write):
    book = read(write({**CHAPTERS, "README.md": "Thanks for downloading.", "notes.txt": "Mine."}))
    assert titles(book) == ["The Window", "The Boat", "The End"]


def test_a_zip_of_one_book_in_any_format(write):
    book = read(write({"a.zip": zipped({"story.md": f"# The Lantern\n\n## One\n\n{PROSE}\n\n## Two\n\n{PROSE}"})}))
    assert book.metadata.title == "The Lantern"
    assert titles(book) == ["One", "Two"]


@pytest.mark.parametrize(
    ("names", "ordered"),
    [
        (["10.txt", "9.txt", "1.txt"], ["1.txt", "9.txt", "10.txt"]),
        (["IX.txt", "V.txt", "X.txt", "I.txt"], ["I.txt", "V.txt", "IX.txt", "X.txt"]),
        (
            ["Epilogue.md", "Chapter Two.md", "Chapter One.md", "Prologue.md", "Chapter Eleven.md"],
            ["Prologue.md", "Chapter One.md", "Chapter Two.md", "Chapter Eleven.md", "Epilogue.md"],
        ),
        (["a/2.txt", "b/1.txt", "a/10.txt"], ["a/2.txt", "a/10.txt", "b/1.txt"]),
    ],
)
def test_names_in_reading_order(names, ordered):
    assert in_order(names) == ordered


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("03 - The Window.txt", "The Window"),
        ("03_the_window.txt", "The window"),
        ("Chapter 3.txt", "Chapter 3"),
        ("chapter_03.html", "Chapter 03"),
        ("part0003.html", ""),
        ("003.txt", ""),
        ("12 Angry Men.txt", "Angry Men"),
        ("IV.txt", "IV"),
    ],
)
def test_titles_from_names(name, title):
    assert title_of_name(name) == title


# --- refusals


def test_a_chapter_that_cannot_be_read_spoils_the_book(write):
    with pytest.raises(InputError, match=r"2\.txt is not text"):
        read(write({"1.txt": PROSE, "2.txt": bytes(range(8)) * 99, "3.txt": PROSE}))


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({}, "holds no book"),
        ({"1.png": b"", "2.png": b""}, "holds pictures and no text"),
        ({"a.mp3": b"x"}, r"holds no book that speedd reads \(only \.mp3\)"),
        ({"a.epub": b"PK", "b.epub": b"PK"}, r"2 \.epub files"),
        ({"META-INF/container.xml": "x", "a.xhtml": "x"}, "is an EPUB inside"),
        ({"a.txt": ""}, "is empty"),
    ],
)
def test_a_zip_without_a_book_is_refused(write, members, reason):
    with pytest.raises(InputError, match=reason):
        read(write({"a.zip": zipped(members)}))


def test_a_zip_that_was_never_written_is_empty(write):
    with pytest.raises(InputError, match=r"a\.zip is empty"):
        read(write({"a.zip": b""}))
