"""The same book in its other shapes: a text file, an older tool's chunk JSON alone, and that JSON beside the EPUB.

What is published is compared to the letter over the whole book, spoken by an engine that takes no time (`tone`); by the
real voice a chapter of each is narrated and listened to.
"""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from acceptance_daemon import NUMERALS, Audiobook, running_daemon

pytestmark = pytest.mark.timeout(900)

PUBLISHED_WITHIN_S = 600
CHAPTERS = [*NUMERALS, "Epilogue"]
STEM = "the-time-machine"
FOREIGN = "index", "text", "word_count", "boundary_type", "sentiment_compound", "sentiment_raw", "tts_params"
"""What the older tool writes of a chunk."""


@pytest.fixture(scope="module")
def chunk_json(shared: Path) -> Path:
    return shared / "chunks" / f"{STEM}.chunks_info.json"


@pytest.fixture(scope="module")
def foreign(chunk_json: Path) -> list[dict]:
    """The chunks of the older tool."""
    return json.loads(chunk_json.read_text(encoding="utf-8"))[1:]


@pytest.fixture(scope="module")
def publish(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Audiobook]:
    """Drop sources into the inbox of a daemon that speaks in tones, and wait for the audiobook."""

    def run(*sources: Path) -> Audiobook:
        with running_daemon(tmp_path_factory.mktemp("shape"), engine="tone", speech__speed="2") as daemon:
            daemon.drop(*sources)
            return daemon.audiobook(within_s=PUBLISHED_WITHIN_S)

    return run


def bare(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", re.sub(r"['’]", "", text.lower()))


def chapter_openings(book: Path) -> dict[str, list[str]]:
    """The heading of each chapter and the first words after it, by the plain text file."""
    lines = [line.strip() for line in book.read_text(encoding="utf-8").splitlines() if line.strip()]
    return {title: bare(title) + bare(lines[lines.index(title) + 1])[:4] for title in CHAPTERS}


def chunk_of_first_words(opening: list[str], chunks: list[dict]) -> int:
    """Where the text under a heading begins; the older tool leaves the heading at the end of the chunk before."""
    owners = [(word, at) for at, chunk in enumerate(chunks) for word in bare(chunk["text"])]
    (first,) = (
        place
        for place in range(len(owners) - len(opening))
        if all(owners[place + offset][0] == word for offset, word in enumerate(opening))
    )
    return owners[first + 1][1]


def test_the_text_file_has_the_chapters_of_the_book(shared: Path, publish: Callable[..., Audiobook]):
    book = shared / "books" / f"{STEM}.txt"
    published = publish(book)
    assert published.folder.parts[-2:] == ("H. G. Wells", "The Time Machine")
    assert published.titles == CHAPTERS
    assert [part["reason"] for part in published.run["skipped"]] == [
        "title page", "imprint", "endnotes", "colophon", "copyright page",
    ]  # fmt: skip
    text = book.read_text(encoding="utf-8")
    story = text[text.index("\nI\n") : text.index("\nEndnotes\n")].replace("\u2060", "")
    story = story.replace("sloped at all.1 The", "sloped at all. The")  # the mark of its only note
    assert published.chunks[0]["text"] == "The Time Machine, by H. G. Wells."
    assert " ".join(chunk["text"] for chunk in published.chunks[1:]).split() == story.split()


def test_a_chunk_json_alone_is_one_chapter_to_the_letter(
    chunk_json: Path, foreign: list[dict], publish: Callable[..., Audiobook]
):
    published = publish(chunk_json)
    assert published.folder.parts[-2:] == ("Unknown", STEM)
    assert published.titles == [STEM]
    assert [{key: chunk[key] for key in FOREIGN} for chunk in published.chunks] == foreign
    assert [cue.text for cue in published.cues] == [chunk["text"] for chunk in foreign]


def test_a_chunk_json_beside_its_book_has_the_books_chapters(
    shared: Path, chunk_json: Path, foreign: list[dict], publish: Callable[..., Audiobook]
):
    published = publish(chunk_json, shared / "books" / f"{STEM}.epub")
    assert published.folder.parts[-2:] == ("H. G. Wells", "The Time Machine")
    assert (published.folder / "cover.jpg").is_file()
    assert [{key: chunk[key] for key in FOREIGN} for chunk in published.chunks] == foreign

    # The front matter of the JSON is read out, for a JSON knows no skip list; the book's chapters follow.
    assert published.titles == ["Opening", *CHAPTERS]
    openings = chapter_openings(shared / "books" / f"{STEM}.txt")
    firsts = {title: chunk_of_first_words(opening, foreign) for title, opening in openings.items()}
    marks = [(chunk["chapter"], chunk["index"]) for chunk in published.chunks if "chapter" in chunk]
    assert marks == [("Opening", 0), *firsts.items()]
    starts_s = {title: start_s for title, start_s, _ in published.chapters}
    spoken_s = {title: published.run["chunks"][first]["start_s"] for title, first in firsts.items()}
    assert starts_s == pytest.approx({"Opening": 0.0} | spoken_s, abs=0.01)

    # A chapter that begins in mid-chunk is marked there, and that is noted.
    inside = [title for title, first in firsts.items() if bare(foreign[first]["text"])[0] != openings[title][1]]
    assert inside == ["VII", "XII", "Epilogue"]
    noted = [warning for warning in published.run["warnings"] if "starts inside chunk" in warning]
    assert len(noted) == len(inside)
    for title, warning in zip(inside, noted, strict=True):
        assert f"“{title}”" in warning
        assert f"chunk {firsts[title] + 1} " in warning


# --- heard ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def source(request: pytest.FixtureRequest, shared: Path, chunk_json: Path, tmp_path: Path) -> tuple[Path, list[str]]:
    """The Epilogue in one of its shapes: what to narrate, and which part of it."""
    folder = tmp_path / "source"
    folder.mkdir()
    if request.param == "text":
        return shared / "books" / f"{STEM}.txt", ["--chapters", "13"]
    if request.param == "JSON beside the EPUB":
        for file in (chunk_json, shared / "books" / f"{STEM}.epub"):
            shutil.copyfile(file, folder / file.name)
        return folder / f"{STEM}.epub", ["--chapters", "14"]
    header, *chunks = json.loads(chunk_json.read_text(encoding="utf-8"))
    # Cut out of the whole, so with a gap in its numbers from the first on.
    part = folder / chunk_json.name
    part.write_text(json.dumps([header, *chunks[1530:1545]]), encoding="utf-8")
    return part, []


@pytest.mark.asr
@pytest.mark.parametrize("source", ["text", "JSON alone", "JSON beside the EPUB"], indirect=True)
def test_the_epilogue_is_heard(
    source: tuple[Path, list[str]], ear, reference, narrate: Callable[..., Audiobook], tmp_path: Path
):
    from acceptance_ear import decode, differences, word_error_rate  # noqa: PLC0415  what it imports may be missing

    book, options = source
    recording = decode(narrate(book, *options).m4b, tmp_path / "samples.s16")
    passage = reference.passage(ear.hear(recording.between(0.0, 60.0), recording.rate_hz))
    assert "one cannot choose but wonder" in " ".join(passage.text.split()[:20])
    assert passage.stop - passage.start > 120
    assert word_error_rate([passage]) <= 0.06, differences([passage])
