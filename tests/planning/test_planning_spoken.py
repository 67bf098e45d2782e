import pytest

from speedd.config import SpeechSettings
from speedd.model import Boundary, Segment, TextLimits
from speedd.planning.boundaries import boundary_of, is_section_break
from speedd.planning.segments import segments_of
from speedd.planning.spoken import folded_marks, spoken_form, spoken_heading

ONE = TextLimits(best_chars=100, max_chars=200, one_sentence=True)
MANY = TextLimits(best_chars=100, max_chars=200)


def segments(text, limits=ONE, boundary=Boundary.PERIOD, title=""):
    return segments_of(text, boundary=boundary, chapter_title=title, limits=limits, speech=SpeechSettings())


@pytest.mark.parametrize(
    ("heading", "spoken"),
    [
        ("I", "One."),
        ("II", "Two."),
        ("XII", "Twelve."),
        ("XLIX.", "Forty-nine."),
        ("7", "Seven."),
        ("Chapter II", "Chapter two."),
        ("Chapter IV: The Storm", "Chapter four. The Storm."),
        ("CHAPTER IV. THE STORM", "Chapter four. The Storm."),
        ("Chapter XIV—Home", "Chapter fourteen. Home."),
        ("Chapter iv", "Chapter four."),
        ("Chapter Two. The Arrival", "Chapter Two. The Arrival."),
        ("Book III, Chapter II", "Book three, Chapter two."),
        ("Part 2 of the Tale", "Part two of the Tale."),
        ("IV The Storm", "Four. The Storm."),
        ("3. The Storm", "Three. The Storm."),
        ("Epilogue", "Epilogue."),
        ("What Now?", "What Now?"),
        ("I Am Legend", "I Am Legend."),
        ("V for Vendetta", "V for Vendetta."),
        ("1984", "1984."),
        ("MIX", "Mix."),
        ("Did Civil", "Did Civil."),
    ],
)
def test_headings_are_spoken(heading, spoken):
    assert spoken_heading(heading) == spoken


def test_a_chunk_is_a_heading_by_its_boundary_or_by_its_chapter():
    assert spoken_form("I", boundary=Boundary.CHAPTER_START, chapter_title="x") == "One."
    assert spoken_form("I", boundary=Boundary.CHAPTER_END, chapter_title="I") == "One."
    assert spoken_form("I", boundary=Boundary.NONE, chapter_title="x") == "I"
    assert spoken_form("Part II", boundary=Boundary.PARAGRAPH_END, chapter_title="x") == "Part two."


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("this way\u2060—marking", "this way—marking"),
        ("*so* and **this** and _that_", "so and this and that"),
        ("snake_case and 2*3*4 and C#", "snake_case and 2*3*4 and C#"),
        ("so——or -- so", "so—or — so"),
        ("wait . . . what", "wait … what"),
        ("in\u00advisible", "invisible"),
        ("* * *", ""),
        ("“Well—”", "“Well—”"),
    ],
)
def test_marks_for_the_eye_are_folded(text, spoken):
    assert folded_marks(text) == spoken


@pytest.mark.parametrize(
    ("text", "boundary"),
    [
        ("He left.", Boundary.PERIOD),
        ("“Where?”", Boundary.QUESTION_MARK),
        ("“Go!” ", Boundary.EXCLAMATION),
        ("way\u2060—", Boundary.DASH),
        ("so,”", Boundary.COMMA),
        ("thus;", Boundary.SEMICOLON),
        ("namely:", Boundary.COLON),
        ("well…", Boundary.ELLIPSIS),
        ("well . . .", Boundary.ELLIPSIS),
        ("well...", Boundary.ELLIPSIS),
        ("called “Thing”", Boundary.QUOTE_END),
        ("and", Boundary.NONE),
        ("", Boundary.NONE),
    ],
)
def test_boundaries_are_read_off_the_punctuation(text, boundary):
    assert boundary_of(text) is boundary


def test_section_breaks():
    assert [is_section_break(t) for t in ("* * *", "###", "———", "**", "*", "", "* a *")] == [True] * 3 + [False] * 4


def test_inline_pauses_are_heard_not_spoken():
    assert segments("One ~1 two~2 three [pause:1.5s] four.") == (
        Segment("One", 150),
        Segment("two", 700),
        Segment("three", 1500),
        Segment("four.", 0),
    )
    assert segments("~2 Then.") == (Segment("", 700), Segment("Then.", 0))
    assert segments("Then. ~2 ~1") == (Segment("Then.", 850),)
    assert segments("One ~1 two.", MANY) == (Segment("One", 150), Segment("two.", 0))


def test_a_pause_is_at_most_a_minute():
    assert segments("Wait [pause:9999s] here.")[0].pause_ms == 60_000
    assert segments("[pause:50s][pause:50s]") == (Segment("", 60_000),)


def test_numbers_with_a_tilde_are_no_pauses():
    assert segments("It took ~20 days and ~1.5 tons.") == (
        Segment("It took about twenty days and about one point five tons.", 0),
    )


def test_nothing_to_speak_is_no_segment():
    assert segments("* * *") == ()
    assert segments("…—”") == ()


def test_one_sentence_at_a_time_with_the_pause_of_its_punctuation():
    assert segments("Yes! No? Well. So") == (
        Segment("Yes!", 200),
        Segment("No?", 500),
        Segment("Well.", 500),
        Segment("So", 0),
    )
    assert segments("Yes! No? Well. So", MANY) == (Segment("Yes! No? Well. So", 0),)


def test_no_segment_is_longer_than_the_engine_takes():
    text = "word, " * 100 + "x" * 500
    for limits in (ONE, MANY):
        cut = segments(text, limits)
        assert all(0 < len(one.text) <= limits.max_chars for one in cut)
        assert "".join(one.text for one in cut).replace(" ", "") == text.replace(" ", "")
