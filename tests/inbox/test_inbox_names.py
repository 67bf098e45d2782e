import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speedd.inbox import names
from speedd.model import Role


@pytest.mark.parametrize(
    "name",
    [
        ".hidden",
        ".stfolder",
        ".stversions",
        "~syncthing~Book.epub.tmp",
        "~$Book.docx",
        "Book.txt~",
        "Book.epub.part",
        "Book.epub.partial",
        "Book.epub.filepart",
        "Book.epub.crdownload",
        "Book.TMP",
        "@eaDir",
        "#recycle",
        "@Recycle",
        "__MACOSX",
        "Thumbs.db",
        "thumbs.db",
        "desktop.ini",
        "Desktop.ini",
    ],
)
def test_what_is_ignored_everywhere(name):
    assert names.ignored(name, top=True)
    assert names.ignored(name, top=False)


@pytest.mark.parametrize("name", ["_done", "_failed", "README.md", "ReadMe.txt", "metadata.db"])
def test_what_is_ignored_only_directly_in_the_inbox(name):
    assert names.ignored(name, top=True)
    assert not names.ignored(name, top=False)


def test_our_own_reason_is_no_book_when_a_failed_folder_is_dropped_again():
    assert names.ignored("REASON.txt", top=False)
    assert names.ignored("REASON (2).txt", top=False)
    assert not names.ignored("Reasons.txt", top=False)


@pytest.mark.parametrize("name", ["Book.epub", "Party.txt", "Department.md", "temp.txt", "_done.epub", "README.epub"])
def test_what_is_not_ignored(name):
    assert not names.ignored(name, top=True)


@pytest.mark.parametrize(
    ("name", "stem", "tail", "role"),
    [
        ("Book.epub", "Book", ".epub", Role.BOOK),
        ("Book.EPUB", "Book", ".EPUB", Role.BOOK),
        ("Book.json", "Book", ".json", Role.CHUNKS),
        ("Book_chunks.json", "Book", "_chunks.json", Role.CHUNKS),
        ("Book.chunks_info.json", "Book", ".chunks_info.json", Role.CHUNKS),
        ("chunks_info.json", "chunks_info", ".json", Role.CHUNKS),
        ("Dr. No.toml", "Dr. No", ".toml", Role.SETTINGS),
        ("Book.JPEG", "Book", ".JPEG", Role.COVER),
        ("Book.nfo", "Book", ".nfo", Role.NFO),
        ("Book.fb2.zip", "Book", ".fb2.zip", Role.BOOK),
        ("Book.pdf.zip", "Book.pdf", ".zip", Role.BOOK),
        ("two\nlines.txt", "two\nlines", ".txt", Role.BOOK),
    ],
)
def test_stems_and_roles(name, stem, tail, role):
    assert names.take_apart(name) == (stem, tail, role)


@pytest.mark.parametrize("name", ["Book.mp3", "Book", "epub", ".epub", "Book.\N{KELVIN SIGN}fx"])
def test_what_belongs_to_no_group(name):
    assert names.take_apart(name) is None


@pytest.mark.parametrize(
    ("name", "voice"),
    [
        ("My Book [Ann Bee].m4b", "Ann Bee"),
        ("book[ann_1].WAV", "ann_1"),
        ("My [First] Book [Ann].mp3", "Ann"),
        ("My Book [Ann] 2.m4b", ""),
        ("My Book [Ann].txt", ""),
        ("[Ann].m4b", ""),
        ("My Book [].m4b", ""),
        ("My Book.m4b", ""),
    ],
)
def test_the_voice_in_the_name_of_an_earlier_output(name, voice):
    assert names.voice_of_output(name) == voice


@given(st.binary(min_size=1, max_size=255).filter(lambda raw: b"/" not in raw and b"\0" not in raw))
def test_every_name_becomes_readable(raw):
    shown = names.readable(os.fsdecode(raw))
    shown.encode("utf-8")
    assert not any(ord(char) < 32 for char in shown)


@given(st.text(min_size=1, max_size=300), st.integers(1, 12))
def test_a_numbered_name_fits_and_keeps_its_tail(stem, number):
    stem = stem.encode("utf-8", "replace").decode()
    name = names.numbered(stem, ".epub", number)
    assert len(name.encode()) <= names.MAX_NAME_BYTES
    assert name.endswith(".epub")
    assert name.endswith(f" ({number}).epub") == (number > 1 or stem.endswith(f" ({number})"))


def test_the_longest_name_is_cut_between_characters():
    name = names.numbered("🦉" * 62, ".epub", 2)
    assert name == "🦉" * 61 + " (2).epub"
