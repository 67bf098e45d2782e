"""Names are accepted by every file system of a home network, and still say what the book is called."""

import re
import unicodedata
from pathlib import PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from speedd.model import Metadata
from speedd.outbox.layout import file_names
from speedd.outbox.names import safe_name, series_number, title_folder

RESERVED = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"} | {
    f"{d}{n}" for d in ("COM", "LPT") for n in "0123456789¹²³"
}
FAMILY = "👨‍👩‍👧"
ENGLAND = "🏴󠁧󠁢󠁥󠁮󠁧󠁿"

hostile_text = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from('CONAUXLPT1 ./\\:*?"<>|\0\n\x1f\x7f\u202e\u200d\u0301\ud800\ufeff👩🏽🇩🇪é'),
    ),
    max_size=400,
)


def assert_is_safe(name: str, max_bytes: int) -> None:
    assert 0 < len(name.encode()) <= max_bytes
    assert not re.search(r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f]', name)
    assert not name.startswith((".", " "))
    assert not name.endswith((".", " "))
    assert name.partition(".")[0].rstrip().upper() not in RESERVED
    assert unicodedata.is_normalized("NFC", name)


@given(hostile_text, st.integers(12, 255))
@example("CON", 255)
@example("con .txt", 255)
@example("CON" + "\u0301" * 300, 12)
@example("<\u0338e<\u0301", 255)
@example("a" * 11 + "." * 5 + "b", 12)
def test_any_text_becomes_a_safe_name(text, max_bytes):
    name = safe_name(text, max_bytes)
    assert_is_safe(name, max_bytes)
    assert safe_name(name, max_bytes) == name


@given(st.text(st.characters(categories=["Lu", "Ll", "Lo", "Nd"]), min_size=1, max_size=60))
def test_letters_and_digits_of_any_script_stay(text):
    kept = unicodedata.normalize("NFC", text)
    if kept.upper() not in RESERVED and len(kept.encode()) <= 255:
        assert safe_name(text) == kept


@given(hostile_text)
def test_any_name_can_be_made_and_found_again(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("names")
    (folder / safe_name(text)).mkdir()
    assert [entry.name for entry in folder.iterdir()] == [safe_name(text)]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Dune: Messiah", "Dune - Messiah"),
        ("Dune : Messiah", "Dune - Messiah"),
        ("3:10 to Yuma", "3-10 to Yuma"),
        ("Either/Or", "Either-Or"),
        ("What If?", "What If"),
        ('The "Genius"', "The 'Genius'"),
        ("A\tB\n  C", "A B C"),
        ("...And Justice for All...", "And Justice for All"),
        ("S.", "S"),
        ("..", "Untitled"),
        ("???", "Untitled"),
        ("", "Untitled"),
        ("../../etc/passwd", "-..-etc-passwd"),
        ("Nul", "_Nul"),
        ("aux.book", "_aux.book"),
        ("COM¹", "_COM¹"),
        ("Console", "Console"),
        ("Cafe\u0301", "Café"),
        ("ספר הג'ונגל", "ספר הג'ונגל"),
        ("\u202eevil\u202c", "evil"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        (f"{FAMILY} {ENGLAND}", f"{FAMILY} {ENGLAND}"),
        ("half \ud83d pair", "half pair"),
    ],
)
def test_names_read_well(text, name):
    assert safe_name(text) == name


@pytest.mark.parametrize(
    ("unit", "whole"), [("é", 127), ("語", 85), ("🐉", 63), (FAMILY, 14), ("👩🏽", 31), ("e\u0323\u0323", 51)]
)
def test_a_cut_falls_between_characters_as_readers_see_them(unit, whole):
    assert safe_name(unit * 200) == unicodedata.normalize("NFC", unit) * whole


@pytest.mark.parametrize("room", range(12, 48))
def test_a_family_is_not_torn_apart_wherever_the_cut_falls(room):
    assert safe_name("x" * 11 + FAMILY * 9, room) == "x" * 11 + FAMILY * ((room - 11) // len(FAMILY.encode()))


def test_where_a_book_goes():
    metadata = Metadata(title="The Time Machine", authors=("H. G. Wells",))
    assert title_folder(metadata) == PurePosixPath("H. G. Wells/The Time Machine")
    series = Metadata(title="Foundation: A Novel", authors=("Isaac Asimov",), series="Foundation", series_index="1.0")
    assert title_folder(series) == PurePosixPath("Isaac Asimov/Foundation/Vol 1 - Foundation - A Novel")
    unnumbered = Metadata(title="T", authors=("A", "B"), series="S", series_index="../..")
    assert title_folder(unnumbered) == PurePosixPath("A, B/S/T")
    assert title_folder(Metadata()) == PurePosixPath("Unknown/Untitled")
    assert title_folder(Metadata(authors=("?",))) == PurePosixPath("Unknown/Untitled")


@given(hostile_text, hostile_text, hostile_text, hostile_text)
def test_a_folder_never_leaves_the_outbox(author, series, index, title):
    folder = title_folder(Metadata(title=title, authors=(author,), series=series, series_index=index))
    assert not folder.is_absolute()
    assert len(folder.parts) in (2, 3)
    for part in folder.parts:
        assert_is_safe(part, 255)
    assert len(f"{folder.name} (999)".encode()) <= 255


@pytest.mark.parametrize(
    ("given_index", "number"),
    [("1", "1"), ("1.0", "1"), (" 2.50 ", "2.5"), ("01", "1"), ("I", ""), ("", ""), ("-1", "")],
)
def test_numbers_of_volumes(given_index, number):
    assert series_number(given_index) == number


@given(hostile_text, hostile_text)
def test_names_of_files_are_safe_and_differ(title, source):
    names = file_names(Metadata(title=title), "m4b", source_name=f"x{source}")
    for name in (names.audio, names.captions, names.source):
        assert_is_safe(name, 255)
    assert names.audio.endswith(".m4b")


def test_a_source_takes_the_title_and_never_a_fixed_name():
    assert file_names(Metadata(title="Emma"), "m4b", source_name="book.EPUB").source == "Emma.epub"
    assert file_names(Metadata(title="Run"), "m4b", source_name="a.json").source == "Run (source).json"
    assert file_names(Metadata(title="Emma"), "m4b").source == ""
