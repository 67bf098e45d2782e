"""The container, as players and audiobook servers read it."""

import io

import av
import numpy as np
import pytest
from audio_measures import decoded
from mutagen.mp4 import MP4
from PIL import Image

from speedd.audio import Piece
from speedd.audio.codecs import mp4
from speedd.model import Metadata

BOOK = Metadata(
    title="Der Fährmann 渡し守",
    subtitle="A Tale",
    authors=("Ada Löwe", "B. Writer"),
    narrators=("hibari",),
    series="Rivers",
    series_index="2",
    language="en-GB",
    publisher="Sandbox",
    published="1895-05-07",
    description="Long.\nVery long.",
    genres=("Fiction", "Classics"),
    isbn="9780000000002",
    asin="B000000000",
)


@pytest.fixture(scope="module")
def cover() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 60), "navy").save(out, "JPEG")
    return out.getvalue()


def read(path):
    with av.open(str(path)) as container:
        return dict(container.metadata), container.chapters(), [(s.type, s.duration) for s in container.streams]


def test_tags_are_read_back(publish, takes, cover):
    made = publish([("One", [Piece(takes[0], 500)])], metadata=BOOK, cover=cover)
    tags = MP4(made.path).tags
    assert tags["\xa9nam"] == tags["\xa9alb"] == [BOOK.title]
    assert tags["\xa9ART"] == tags["aART"] == ["Ada Löwe, B. Writer"]
    assert tags["\xa9wrt"] == ["hibari"]
    assert tags["\xa9day"] == ["1895-05-07"]
    assert tags["\xa9gen"] == ["Fiction, Classics"]
    assert tags["\xa9grp"] == ["Rivers #2"]
    assert tags["desc"] == tags["\xa9cmt"] == [BOOK.description]
    assert tags["stik"] == [2]
    assert bytes(tags["covr"][0]) == cover
    assert tags["----:com.apple.iTunes:SERIES"] == [b"Rivers"]
    seen, _, streams = read(made.path)
    assert seen["major_brand"] == "M4B "
    assert seen["title"] == BOOK.title
    assert seen["composer"] == "hibari"
    assert seen["grouping"] == "Rivers #2"
    assert seen["media_type"] == "2"
    assert (seen["SERIES"], seen["SERIES-PART"], seen["ISBN"], seen["ASIN"], seen["LANGUAGE"]) == (
        "Rivers",
        "2",
        BOOK.isbn,
        BOOK.asin,
        "en-GB",
    )
    assert [kind for kind, _ in streams].count("audio") == 1
    assert "video" in [kind for kind, _ in streams]


def test_a_book_of_which_nothing_is_known(publish, takes):
    made = publish([("", [Piece(takes[0], 500)])], metadata=Metadata())
    tags = MP4(made.path).tags
    assert tags["\xa9ART"] == ["Unknown"]
    assert "covr" not in tags
    assert "\xa9grp" not in tags


def test_chapters_of_any_script_start_where_they_should(publish, takes):
    titles = ["I", "第二章 渡し守", "Глава 3: «Ночь»", "🙂 " + "x" * 400]
    made = publish([(title, [Piece(takes[number], 500)]) for number, title in enumerate(titles)])
    _, chapters, _ = read(made.path)
    assert [chapter["metadata"]["title"] for chapter in chapters] == titles
    assert [chapter["start"] for chapter in chapters] == [mark.start for mark in made.chapters]
    assert [chapter["end"] for chapter in chapters] == [mark.stop for mark in made.chapters]
    seen = MP4(made.path).chapters  # Nero's list, its titles of at most 255 bytes
    assert [chapter.title for chapter in seen][:3] == titles[:3]
    assert len(seen[3].title.encode()) <= 255
    assert [round(chapter.start, 3) for chapter in seen] == [
        pytest.approx(mark.start / made.sample_rate_hz, abs=0.002) for mark in made.chapters
    ]


def test_three_hundred_chapters(publish, store):
    beep = store((0.2 * np.sin(0.1 * np.arange(2400))).astype(np.float32))
    made = publish([(f"Chapter {n}", [Piece(beep, 100)]) for n in range(300)])
    _, chapters, _ = read(made.path)
    assert len(chapters) == 300
    assert chapters[299]["metadata"]["title"] == "Chapter 299"
    assert chapters[299]["start"] == made.chapters[299].start


def test_the_index_comes_first_and_the_same_book_gives_the_same_file(publish, takes, cover):
    tracks = [("One", [Piece(takes[0], 500)])]
    one = publish(tracks, name="1.m4b", cover=cover).path.read_bytes()
    assert one == publish(tracks, name="2.m4b", cover=cover).path.read_bytes()
    assert one[4:8] == b"ftyp"
    assert 0 < one.index(b"moov") < one.index(b"mdat")


def test_boxes_for_books_beyond_32_bits_are_read(publish, takes, monkeypatch):
    # A book of more than 4 GB and 49 h would take long to make: let the wide boxes begin at a few kilobytes instead.
    tracks = [("One", [Piece(takes[1], 500)]), ("Two", [Piece(takes[3], 500)])]
    narrow = publish(tracks, name="narrow.m4b")
    monkeypatch.setattr(mp4, "FIRST_64_BIT", 4096)
    wide = publish(tracks, name="wide.m4b")
    assert b"co64" in wide.path.read_bytes()
    assert b"co64" not in narrow.path.read_bytes()
    assert np.array_equal(decoded(wide.path), decoded(narrow.path))
    assert read(wide.path)[1] == read(narrow.path)[1]
    assert MP4(wide.path).info.length == pytest.approx(MP4(narrow.path).info.length)


@pytest.mark.parametrize(("coder", "bitrate_kbps"), [("fast", 64), ("fast", 128), ("twoloop", 32), ("twoloop", 128)])
def test_the_bit_rate_is_the_one_asked_for(publish, takes, coder, bitrate_kbps):
    """Not with ``fast`` at 32: after silence it spends all that a frame may hold, until it has found its rate again."""
    made = publish([("One", [Piece(take, 200) for take in takes])], coder=coder, bitrate_kbps=bitrate_kbps)
    assert MP4(made.path).info.codec == "mp4a.40.2"
    rate = made.path.stat().st_size * 8 / made.duration_s / 1000
    assert rate == pytest.approx(bitrate_kbps, rel=0.25)
