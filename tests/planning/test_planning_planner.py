from dataclasses import replace
from unittest.mock import ANY

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speedd.config import SpeechSettings
from speedd.model import (
    Book,
    Boundary,
    Chapter,
    Metadata,
    Paragraph,
    ParagraphKind,
    Segment,
    TextLimits,
)
from speedd.planning import plan_book
from speedd.planning.planner import opening_of

ONE = TextLimits(best_chars=200, max_chars=300, one_sentence=True)
MANY = TextLimits(best_chars=60, max_chars=120, min_chars=20)
BREAK = Paragraph("* * *", ParagraphKind.BREAK)


def plan(*chapters, limits=ONE, title="The Storm", authors=("Ann Bee",), **speech):
    book = Book(Metadata(title=title, authors=authors), chapters)
    made = plan_book(book, limits=limits, speech=SpeechSettings(**speech))
    return made, list(made.chunks)


def test_a_book_from_its_opening_to_its_end():
    made, chunks = plan(
        Chapter("II", (Paragraph("It rained. “Why?” he asked."), BREAK, Paragraph("So; they  went"))),
        Chapter("Epilogue", (Paragraph("Part Two", ParagraphKind.HEADING), Paragraph("The end."))),
    )
    assert made.chapters == ("II", "Epilogue")
    assert [(c.index, c.chapter, c.text, c.boundary.value, c.pause_ms) for c in chunks] == [
        (0, 0, "The Storm, by Ann Bee.", "paragraph_end", 1000),
        (1, 0, "II", "chapter_start", 1195),
        (2, 0, "It rained.", "period", 500),
        (3, 0, "“Why?” he asked.", "section_break", 700),
        (4, 0, "So; they went", "chapter_end", 1100),
        (5, 1, "Epilogue", "chapter_start", 1195),
        (6, 1, "Part Two", "paragraph_end", 1000),
        (7, 1, "The end.", "paragraph_end", 1000),
    ]
    assert [c.segments for c in chunks][1:6] == [
        (Segment("Two."),),
        (Segment("It rained."),),
        (Segment("“Why?” he asked."),),
        (Segment("So; they went."),),
        (Segment("Epilogue."),),
    ]


def test_the_opening_and_the_headings_can_be_turned_off():
    chapters = (Chapter("I", (Paragraph("One."),)), Chapter("II", ()), Chapter("III", (Paragraph("Three."),)))
    made, chunks = plan(*chapters, opening=False, headings=False)
    assert [c.text for c in chunks] == ["One.", "Three."]
    assert made.chapters == ("I", "III")
    assert [c.chapter for c in chunks] == [0, 1]


def test_chapters_are_skipped_by_title_and_by_number():
    chapters = [Chapter(title, (Paragraph("One two. Three."),)) for title in ("Foreword.", "I", "II", "Notes")]
    empty = Chapter("", (BREAK,))
    made, chunks = plan(empty, *chapters, opening=True, skip=["foreword", 3, "Index", 9])
    assert made.chapters == ("I", "Notes")
    assert [(one.title, one.reason, one.words) for one in made.skipped] == [
        ("Foreword.", "skipped by the settings", 3),
        ("II", "skipped by the settings", 3),
    ]
    assert made.warnings == ("There is no chapter “Index” to skip.", "There is no chapter 9 to skip.")
    assert [(c.chapter, c.text) for c in chunks if c.boundary is not Boundary.PERIOD] == [
        (0, "The Storm, by Ann Bee."), (0, "I"), (0, "Three."), (1, "Notes"), (1, "Three."),
    ]  # fmt: skip


def test_a_title_that_is_not_in_the_book_is_not_spoken():
    _, chunks = plan(Chapter("part0001", (Paragraph("One."),), announced=False), opening=False)
    assert [c.text for c in chunks] == ["One."]


def test_a_chapter_that_is_only_a_heading_is_spoken_as_one():
    _, chunks = plan(Chapter("I", ()), Chapter("II", (Paragraph("Two."),)), opening=False)
    assert [(c.text, c.segments[0].text, c.boundary) for c in chunks[:2]] == [
        ("I", "One.", Boundary.CHAPTER_END),
        ("II", "Two.", Boundary.CHAPTER_START),
    ]


@pytest.mark.parametrize(
    ("title", "authors", "opening"),
    [
        ("The Storm", (), "The Storm."),
        ("The Storm", ("H. G. Wells",), "The Storm, by H. G. Wells."),
        ("The Storm", ("A", "B", "C"), "The Storm, by A, B and C."),
        ("Who?", ("Sam Jr.",), "Who? By Sam Jr."),
        (" ", ("A",), ""),
    ],
)
def test_openings(title, authors, opening):
    assert opening_of(Metadata(title=title, authors=authors)) == opening


def test_a_section_break_beats_the_end_of_the_chapter():
    _, chunks = plan(Chapter("I", (Paragraph("One."), BREAK)), Chapter("II", (BREAK, Paragraph("Two."))))
    assert chunks[2].boundary is Boundary.SECTION_BREAK
    assert chunks[3].boundary is Boundary.SECTION_BREAK  # the heading, with an ornament below it


def test_stars_that_the_reader_left_as_text_become_their_pause():
    _, chunks = plan(Chapter("", (Paragraph("***"), Paragraph("One."))), opening=False)
    assert (chunks[0].segments, chunks[0].pause_ms) == ((), 700)


def test_pauses_follow_the_settings():
    _, chunks = plan(Chapter("", (Paragraph("One ~1 two ~2."),)), opening=False, inline_pauses_ms={"long": 99})
    assert [segment.pause_ms for segment in chunks[0].segments] == [150, 99]
    _, chunks = plan(Chapter("", (Paragraph("One. Two."),)), opening=False, pauses_ms={"period": 321})
    assert chunks[0].pause_ms == 321


def test_a_sentence_that_trails_off_is_given_the_time_of_a_full_stop():
    _, chunks = plan(Chapter("", (Paragraph("He waited… Then he left. Yes."),)), opening=False)
    assert [(c.text, c.pause_ms) for c in chunks[:2]] == [("He waited…", 500), ("Then he left.", 500)]
    long = "He said a word … and another that took his breath for a while … and so it went on to the end."
    _, chunks = plan(Chapter("", (Paragraph(long),)), opening=False, limits=TextLimits(40, 70))
    assert [(c.text[-1], c.pause_ms) for c in chunks] == [("…", 80), (".", 1000)]


@pytest.mark.parametrize("limits", [ONE, MANY])
def test_a_line_of_verse_ends_in_a_breath(limits):
    verse = Paragraph("The tide came in upon the sand\nAnd no one saw it come,\nFor nobody was near")
    _, chunks = plan(Chapter("", (verse,)), opening=False, limits=limits)
    heard = [(segment.text, segment.pause_ms) for chunk in chunks for segment in chunk.segments]
    if limits is ONE:
        assert [(text, c.pause_ms) for (text, _), c in zip(heard, chunks, strict=True)] == [
            ("The tide came in upon the sand", 150),
            ("And no one saw it come,", 150),
            ("For nobody was near.", 1000),
        ]
    else:
        assert heard == [("The tide came in upon the sand, And no one saw it come, For nobody was near.", 0)]


def test_a_book_of_nothing_has_no_chunks():
    made, chunks = plan(Chapter("", (Paragraph("  "), BREAK)))
    assert (made.chapters, chunks) == ((), [])


def test_chunks_are_made_as_they_are_asked_for():
    chapters = tuple(Chapter(str(n), (Paragraph("One. Two."),) * 1000) for n in range(300))
    made = plan_book(Book(Metadata(), chapters), limits=ONE, speech=SpeechSettings())
    assert next(iter(made.chunks)).text == "0"


_paragraphs = st.lists(
    st.builds(
        Paragraph,
        st.lists(st.sampled_from(
            ["He", "said,", "“Why?”", "St.", "so;", "~1", "[pause:2s]", "—", "…", "end.", "12", "II", "y" * 40, "“I",
             "Mr.", "Ann", "Lee", "£3.50", "million", "‘tis", "go.’", "\n", "\nAnd", "No.", "5", '"Oh!"', "*so*"]
        ), max_size=40).map(" ".join),
        st.sampled_from([ParagraphKind.TEXT, ParagraphKind.TEXT, ParagraphKind.HEADING, ParagraphKind.BREAK]),
    ),
    max_size=5,
)  # fmt: skip
_chapters = st.lists(st.builds(Chapter, st.sampled_from(["I", "The Storm", "x", ""]), _paragraphs.map(tuple),
                               announced=st.booleans()), max_size=4)  # fmt: skip


@given(_chapters, st.sampled_from([ONE, MANY]), st.booleans())
def test_every_paragraph_is_in_its_chunks_and_no_chunk_is_too_long(chapters, limits, headings):
    made, chunks = plan(*chapters, limits=limits, opening=False, headings=headings)
    expected, spoken_chapters = [], 0
    for chapter in chapters:
        texts = [chapter.title] if chapter.announced and headings else []
        texts += [p.text for p in chapter.paragraphs if p.kind is not ParagraphKind.BREAK]
        words = " ".join(texts).split()
        if words:
            expected.append(words)
            spoken_chapters += 1
    assert len(made.chapters) == spoken_chapters
    assert [c.index for c in chunks] == list(range(len(chunks)))
    for number, words in enumerate(expected):
        assert " ".join(c.text for c in chunks if c.chapter == number).split() == words
    assert all(len(c.text) <= limits.max_chars for c in chunks)
    assert all(len(s.text) <= limits.max_chars for c in chunks for s in c.segments)
    assert plan(*chapters, limits=limits, opening=False, headings=headings) == (replace(made, chunks=ANY), chunks)
