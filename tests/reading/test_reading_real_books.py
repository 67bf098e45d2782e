"""Real books, with figures counted by hand."""

from pathlib import Path

import pytest

from speedd.model import Book, Job, ParagraphKind, Part, Role
from speedd.reading import read

NUMERALS = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"]


def job_over(path: Path) -> Job:
    part = Part(Role.BOOK, path.name, path, "0" * 64, path.stat().st_size)
    return Job("0" * 12, "0" * 64, path.stem, path, path.parent, (part,))


def words_of(book: Book) -> list[int]:
    return [sum(len(paragraph.text.split()) for paragraph in chapter.paragraphs) for chapter in book.chapters]


@pytest.fixture(scope="module")
def time_machine(shared: Path) -> Book:
    return read(job_over(shared / "books" / "the-time-machine.epub"))


def test_the_time_machine_has_its_chapters(time_machine: Book):
    assert [chapter.title for chapter in time_machine.chapters] == [*NUMERALS, "Epilogue"]
    assert all(chapter.announced for chapter in time_machine.chapters)
    assert time_machine.chapters[0].paragraphs[0].text.startswith("The Time Traveller (for so it will be convenient")
    assert time_machine.chapters[-1].paragraphs[-1].text.endswith("lived on in the heart of man.")
    assert [len(chapter.paragraphs) for chapter in time_machine.chapters][:3] == [78, 23, 14]


def test_the_time_machine_leaves_its_matter_out(time_machine: Book):
    assert [(part.title, part.reason, part.words) for part in time_machine.skipped] == [
        ("Titlepage", "title page", 7),
        ("Imprint", "imprint", 191),
        ("Endnotes", "endnotes", 25),
        ("Colophon", "colophon", 144),
        ("Uncopyright", "copyright page", 343),
    ]


def test_the_time_machine_has_clean_text(time_machine: Book):
    text = "\n".join(paragraph.text for chapter in time_machine.chapters for paragraph in chapter.paragraphs)
    assert "\u2060" not in text
    assert "\u00a0" not in text
    assert "gallery sloped at all. The end I had come in at" in text  # a note's mark stood between


def test_the_time_machine_is_known(time_machine: Book):
    known = time_machine.metadata
    assert (known.title, known.authors, known.language) == ("The Time Machine", ("H. G. Wells",), "en-GB")
    assert known.genres == ("Science Fiction", "Time travel--Fiction")
    assert known.published == "2014-05-25"
    assert known.description.startswith("The Time Machine is the novel that gave us")
    assert time_machine.cover is not None
    assert time_machine.cover.media_type == "image/svg+xml"
    assert len(time_machine.cover.data) == 573_514


def test_the_text_file_gives_the_same_chapters(shared: Path, time_machine: Book):
    book = read(job_over(shared / "books" / "the-time-machine.txt"))
    assert [chapter.title for chapter in book.chapters] == [chapter.title for chapter in time_machine.chapters]
    assert words_of(book) == words_of(time_machine)
    assert [part.reason for part in book.skipped] == [part.reason for part in time_machine.skipped]
    assert (book.metadata.title, book.metadata.authors) == ("The Time Machine", ("H. G. Wells",))
    assert book.metadata.language == "en"  # heard from its words


def test_matter_can_be_kept(shared: Path):
    book = read(job_over(shared / "books" / "the-time-machine.epub"), front_back_matter="keep")
    assert [chapter.title for chapter in book.chapters][:3] == ["Titlepage", "Imprint", "I"]
    assert len(book.chapters) == 18
    assert book.skipped == ()


def test_one_page_with_a_nested_nav_is_cut_into_its_stories(shared: Path):
    book = read(job_over(shared / "books" / "childrens-literature.epub"))
    titles = [chapter.title for chapter in book.chapters]
    assert titles[:3] == ["SECTION IV FAIRY STORIES—MODERN FANTASTIC TALES", "INTRODUCTORY", "190 A FOUR-LEAVED CLOVER"]
    assert titles[-1] == "204 THE KING OF THE GOLDEN RIVER OR THE BLACK BROTHERS"
    assert len(titles) == 17
    assert book.chapters[0].paragraphs == ()  # a part: announced, nothing of its own to tell
    clover = [one.text for one in book.chapters[2].paragraphs if one.kind is ParagraphKind.HEADING]
    assert clover[:2] == ["A FOUR-LEAVED CLOVER", "1. The Rabbi and The Diadem"]
    assert [(part.title, part.words) for part in book.skipped] == [
        ("THE CONTENTS", 109),
        ("BIBLIOGRAPHY", 296),
        ("Footnotes", 15),
    ]
    assert book.metadata.subtitle.startswith("A Textbook of Sources")
    assert book.metadata.author == "Charles Madison Curry, Erle Elsworth Clippinger"
    assert book.cover is not None
    assert book.cover.media_type == "image/png"
    text = " ".join(one.text for chapter in book.chapters for one in chapter.paragraphs)
    assert "except as a means for helping" in text  # a page number stood in the sentence
    assert "thou warrior brave" in text  # the word that a note hangs on stays


def test_the_sample_in_the_inbox_reads_well():
    inbox = Path(__file__).parents[2] / "inbox"
    (sample,) = (path for path in inbox.glob("*.md") if path.name != "README.md")
    book = read(job_over(sample))
    assert [chapter.title for chapter in book.chapters] == ["Chapter One: Four Feet", "Chapter Two: The Account"]
    assert book.metadata.title == "The Tide Clerk"
    assert 300 <= sum(words_of(book)) <= 600
    assert [one.kind for one in book.chapters[1].paragraphs].count(ParagraphKind.BREAK) == 1
