"""Plain text and Markdown."""

import re
import string

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from reading_books import texts, titles

from speedd.errors import InputError
from speedd.model import Book, ParagraphKind
from speedd.reading import read
from speedd.reading.structure.manuscript import Choices, assemble
from speedd.reading.text.plain import read_plain

PROSE = "She lit the lantern and set it in the window, as she had done every evening for eleven years."


@pytest.fixture
def read_txt(write):
    def reading(*paragraphs: str, separator: str = "\n\n") -> Book:
        return read(write({"lantern.txt": separator.join(paragraphs)}))

    return reading


# --- plain text: paragraphs


def test_hard_wrapped_lines_become_paragraphs(read_txt):
    book = read_txt(
        "She lit the lantern and set it in the\nwindow, as she had done for twenty-\ntwo years--\nor more.",
        "Then\nnot.",
    )
    assert texts(book) == [
        "She lit the lantern and set it in the window, as she had done for twenty-two years--or more.",
        "Then not.",
    ]


def test_long_lines_without_blank_lines_are_paragraphs(read_txt):
    assert texts(read_txt(PROSE * 2, PROSE * 3, PROSE * 2, separator="\n")) == [PROSE * 2, PROSE * 3, PROSE * 2]


def test_indents_part_paragraphs(read_txt):
    book = read_txt(
        "  She lit the lantern and set it\nin the window, as she\nalways did.\n  Then she waited\nfor the boat."
    )
    assert texts(book) == [
        "She lit the lantern and set it in the window, as she always did.",
        "Then she waited for the boat.",
    ]


@pytest.mark.parametrize("mark", ["* * *", "***", "#", "—", "---", "⁂", "  *  *  *  "])
def test_ornaments_are_breaks(read_txt, mark):
    kinds = [one.kind for one in read_txt(PROSE, mark, mark, PROSE).chapters[0].paragraphs]
    assert kinds == [ParagraphKind.TEXT, ParagraphKind.BREAK, ParagraphKind.TEXT]


def test_dots_are_speech_not_a_break(read_txt):
    assert texts(read_txt(PROSE, "“…”", "...", PROSE))[1:3] == ["“…”", "..."]


def test_italics_marks_and_pictures_go(read_txt):
    book = read_txt("It was _very_ late, and _so it\nwent_ on in file_name_here.", "[Illustration: a lamp]", "The end.")
    assert texts(book) == ["It was very late, and so it went on in file_name_here.", "The end."]


# --- plain text: chapters


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Chapter One", "Chapter Two"),
        ("CHAPTER XII.", "CHAPTER XIII."),
        ("I", "II"),
        ("1.", "2."),
        ("Prologue", "Chapter the First"),
        ("Chapter 1: The Window", "Chapter 2 - The Boat"),
        ("Letter 4", "Epilogue"),
    ],
)
def test_titles_standing_alone_begin_chapters(read_txt, first, second):
    book = read_txt(first, PROSE, PROSE, second, PROSE)
    assert titles(book) == [first, second]
    assert [len(texts(book, chapter)) for chapter in (0, 1)] == [2, 1]


def test_numbered_titles_begin_chapters(read_txt):
    book = read_txt("1. The Beginning", *[PROSE] * 4, "2. The End", *[PROSE] * 4)
    assert titles(book) == ["1. The Beginning", "2. The End"]


@pytest.mark.parametrize(
    "line",
    [
        "I",
        "Chapter Two was missing.",
        "1. Flour",
        "12",
        "XII",
        "Part of the way he ran.",
        "Introduction was made.",
        "Mix",
    ],
)
def test_what_only_looks_like_a_title_is_text(read_txt, line):
    book = read_txt(PROSE, line, PROSE)
    assert texts(book) == [PROSE, line, PROSE]
    assert not book.chapters[0].announced


def test_a_list_that_counts_is_no_row_of_chapters(read_txt):
    assert len(titles(read_txt(PROSE, "1. Flour", "2. Butter", "3. Sugar", PROSE))) == 1


def test_parts_let_numbers_begin_anew(read_txt):
    book = read_txt("PART ONE", "I", PROSE, "II", PROSE, "PART TWO", "I", PROSE, "II", PROSE)
    assert titles(book) == ["PART ONE", "I", "II", "PART TWO", "I", "II"]


def test_a_name_below_its_number_belongs_to_the_title(read_txt):
    book = read_txt("CHAPTER I", "THE WINDOW", PROSE, "CHAPTER II\nThe Boat", PROSE, "CHAPTER III", "“Go!”", PROSE)
    assert titles(book) == ["CHAPTER I. THE WINDOW", "CHAPTER II. The Boat", "CHAPTER III"]


@pytest.mark.parametrize("separator", ["\n", "\n\n"])
def test_a_table_of_contents_is_skipped(read_txt, separator):
    listed = separator.join(["CHAPTER I. The Window", "CHAPTER II. The Boat", "CHAPTER III. The Light"])
    book = read_txt(
        "The Lantern", "by Ann Lee", "CONTENTS", listed,
        "CHAPTER I. The Window", PROSE, "CHAPTER II. The Boat", PROSE, "CHAPTER III. The Light", PROSE,
    )  # fmt: skip
    assert titles(book) == ["CHAPTER I. The Window", "CHAPTER II. The Boat", "CHAPTER III. The Light"]
    assert [len(texts(book, chapter)) for chapter in range(3)] == [1, 1, 1]
    assert [part.reason for part in book.skipped] == ["title page", "table of contents"]
    assert book.metadata.title == "The Lantern"


def test_contents_do_not_swallow_a_book_without_titles(read_txt):
    book = read_txt("Contents", "The Window", "The Boat", PROSE * 3, PROSE * 3)
    assert texts(book) == [PROSE * 3, PROSE * 3]


@pytest.mark.parametrize(
    "opening",
    [
        "The Lantern\n\nBy Ann Lee.",
        "The Lantern\nby Ann Lee",
        "The Lantern\n\nby\n\nAnn Lee",
        "Title: The Lantern\nAuthor: Ann Lee",
    ],
)
def test_title_and_author_stand_on_top(read_txt, opening):
    book = read_txt(opening, "Chapter One", PROSE)
    assert (book.metadata.title, book.metadata.authors) == ("The Lantern", ("Ann Lee",))
    assert titles(book) == ["Chapter One"]
    assert [part.reason for part in book.skipped] == ["title page"]


def test_an_imprint_before_the_first_chapter_is_skipped(read_txt):
    book = read_txt(
        "The Lantern", "by Ann Lee", "Copyright © 2019 Ann Lee. All rights reserved.", "For the keeper.",
        "Chapter One", PROSE, "Chapter Two", PROSE,
    )  # fmt: skip
    assert titles(book) == ["The Lantern", "Chapter One", "Chapter Two"]
    assert texts(book) == ["For the keeper."]
    assert [(part.reason, part.words) for part in book.skipped] == [
        ("title page", 5),
        ("copyright page inside chapters", 8),
    ]


def test_an_initial_keeps_its_stop(read_txt):
    assert read_txt("The Lantern", "by Ann L.", "Chapter One", PROSE).metadata.authors == ("Ann L.",)


def test_a_licence_around_the_book_is_skipped(read_txt):
    book = read_txt(
        "The Project Gutenberg eBook of The Lantern", "Title: The Lantern\n\nAuthor: Ann Lee\n\nLanguage: English",
        "Release date: May 3, 2004 [eBook #1]",
        "*** START OF THE PROJECT GUTENBERG EBOOK THE LANTERN ***", "Produced by Bo Ray", "THE LANTERN", "by Ann Lee",
        "Chapter One", PROSE, "Chapter Two", PROSE,
        "*** END OF THE PROJECT GUTENBERG EBOOK THE LANTERN ***", "Chapter Three of the licence", "You may copy it.",
    )  # fmt: skip
    assert titles(book) == ["Chapter One", "Chapter Two"]
    assert [part.reason for part in book.skipped] == ["licence", "title page", "licence"]
    known = book.metadata
    assert (known.title, known.authors, known.language, known.published) == ("The Lantern", ("Ann Lee",), "en", "")


def test_the_title_falls_back_to_the_name(read_txt):
    book = read_txt(PROSE)
    assert book.metadata.title == "lantern"
    assert [(chapter.title, chapter.announced) for chapter in book.chapters] == [("lantern", False)]


words = st.text(string.ascii_letters + "äéß’,.!?“”", min_size=1, max_size=9)
paragraphs = st.lists(words, min_size=1, max_size=30).map(" ".join)
tempting = st.sampled_from(
    [
        "I",
        "II",
        "III",
        "1",
        "2.",
        "Chapter One",
        "CHAPTER 2",
        "PART ONE",
        "1. Flour",
        "Notes",
        "Contents",
        "by Ann",
        "by",
        "Prologue",
        "The End",
        "* * *",
        "_so_",
        "Title: x",
    ]
)


def letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text)


@given(
    st.lists(paragraphs | tempting, min_size=1, max_size=12),
    st.sampled_from(["\n\n", "\n", "\n\n\n"]),
    st.integers(20, 200),
)
@example(["I", "II", "x y", "Contents", "III"], "\n\n", 70)
@example(["Chapter One", "Notes", "By Ann"], "\n", 70)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_word_of_a_text_is_lost(texts, separator, width):
    source = separator.join("\n".join(text[at : at + width] for at in range(0, len(text), width)) for text in texts)
    heard = "".join(
        letters((chapter.title if chapter.announced else "") + "".join(one.text for one in chapter.paragraphs))
        for chapter in assemble(read_plain(source), Choices("keep")).chapters
    )
    assert heard == letters(source)


# --- Markdown


@pytest.fixture
def read_md(write):
    def reading(text: str) -> Book:
        return read(write({"lantern.md": text}))

    return reading


def test_markdown_headings_are_chapters(read_md):
    book = read_md(
        f"# The Lantern\n\nby Ann Lee\n\n## One\n\n{PROSE}\n\n### Later ###\n\n{PROSE}\n\nTwo\n---\n\n{PROSE}\n"
    )
    assert book.metadata.title == "The Lantern"
    assert book.metadata.authors == ("Ann Lee",)
    assert titles(book) == ["One", "Two"]
    assert [one.kind for one in book.chapters[0].paragraphs] == ["text", "heading", "text"]


def test_markdown_with_one_level_has_chapters_on_it(read_md):
    book = read_md(f"# One\n{PROSE}\n# Two\n{PROSE}\n")
    assert titles(book) == ["One", "Two"]
    assert book.metadata.title == "lantern"


def test_markdown_with_one_heading_is_one_story(read_md):
    book = read_md(f"# The Lantern\n\n{PROSE}\n")
    assert book.metadata.title == "The Lantern"
    assert [(chapter.title, chapter.announced) for chapter in book.chapters] == [("The Lantern", False)]


def test_markdown_front_matter_is_metadata(read_md):
    book = read_md(
        "---\ntitle: 'The Lantern'\nauthor:\n  - Ann Lee\n  - Bo Ray\ntags: [Sea, Night]\ndate: 2019-03-01\n"
        f"lang: en-GB\ndescription: >\n  A light\n  in a window.\n---\n\n# Chapter One\n\n{PROSE}\n"
    )
    known = book.metadata
    assert (known.title, known.authors, known.genres) == ("The Lantern", ("Ann Lee", "Bo Ray"), ("Sea", "Night"))
    assert (known.published, known.language, known.description) == ("2019-03-01", "en-GB", "A light in a window.")
    assert titles(book) == ["Chapter One"]


@pytest.mark.parametrize(
    ("source", "heard"),
    [
        ("It was **very** *late*, ***indeed***.", "It was very late, indeed."),
        ("It was __very__ _late_, snake_case_word.", "It was very late, snake_case_word."),
        ("5 * 3 * 2 is 30 \\* not.", "5 * 3 * 2 is 30 * not."),
        (
            "See [the *quay*](http://a.org/a_(b)) and <http://a.org>.",
            "See the quay and http://a.org.",
        ),
        (f"{PROSE} A ![lamp](a.png) burned.[^1]", f"{PROSE} A burned."),
        ("Use `a * b * c` &amp; ~~no~~ more.", "Use a * b * c & no more."),
        ("One<br>two <span class='x'>three</span>.", "One\ntwo three."),
        ("One\\\ntwo  \nthree", "One\ntwo\nthree"),
        ("One\ntwo\nthree", "One two three"),
        ("| The lamp is lit,\n| the boats are in.", "The lamp is lit,\nthe boats are in."),
        ("Read [the [great] book](http://a.org/b).", "Read the [great] book."),
        ("    She *lit*\n    the lantern.", "She lit the lantern."),
        ("1986. It was a great year.", "1986. It was a great year."),
        ("5 <sup>*</sup> < 6, <title> and <x", "5 * < 6, and <x"),
        ("Ten is 10<sup>1</sup>, [^2 and ^_^] too.", "Ten is 10¹, [^2 and ^_^] too."),
    ],
)
def test_markdown_marks_are_not_heard(read_md, source, heard):
    assert texts(read_md(source)) == [heard]


def test_markdown_blocks(read_md):
    book = read_md(
        f"{PROSE}\n\n***\n\n> Quoted\n> text.\n\n- One\n- [x] Two\n\n1. Three\n\n| A | B |\n|---|---|\n| 1 | 2 |\n\n"
        "```\ncode here\n```\n\n<!-- never -->\n[ref]: http://example.org\n\n[^1]: A note.\n\n---\n"
    )
    assert texts(book) == [PROSE, "", "Quoted text.", "One", "Two", "1. Three", "A, B", "1, 2", "code here"]
    assert [(part.reason, part.words) for part in book.skipped] == [("footnotes inside chapters", 2)]


@pytest.mark.parametrize(
    ("source", "heard"),
    [
        ("3. Flour\n1. Butter\n   - Salted\n\n   or not", ["3. Flour", "4. Butter", "Salted", "or not"]),
        ("a | b\n---|---\n1 | *2*", ["a, b", "1, 2"]),
        ("<h2>Title</h2>\n<div hidden><script>\n\n*x*\n</script>\n\nHeard.", ["x", "Heard."]),
        ("<p>One</p>\n<p>two", ["One", "two"]),
        ("Heard.\n\n<!-- *too*\n\n", ["Heard.", "<!-- too"]),
        ("---\n\n“Go: now,” she said.\n\n---\n\nHeard.", ["“Go: now,” she said.", "", "Heard."]),
    ],
)
def test_markdown_blocks_are_heard_whole(read_md, source, heard):
    assert texts(read_md(source)) == heard


def test_markdown_notes_are_taken_out_with_all_their_paragraphs(write):
    source = write({"a.md": f"She slept.[^a%]\n\n[^a%]: At dusk.\n\n    In a *chair*.\n\n{PROSE}"})
    book = read(source)
    assert texts(book) == ["She slept.", PROSE]
    assert [(part.reason, part.words) for part in book.skipped] == [("footnotes inside chapters", 5)]
    assert texts(read(source, notes="inline")) == ["She slept.", "Note: At dusk. In a chair.", PROSE]


@pytest.mark.parametrize(
    "mark",
    ["*a ", "_a ", "`", "[", "[a](", "[a](<", "<!--", "<a", "![", "~~a ", "\\", "(", "[^", "> ", "- ", "a|b\n-|-\n"],
)
def test_marks_in_great_number_are_read_in_time(read_md, mark):
    assert read_md("words here " + mark * (100_000 // len(mark)) + " and there").chapters


@pytest.mark.parametrize("mark", ["> ", "- ", "1. ", "> - ", "[^a]: "])
def test_nesting_is_bounded(read_md, mark):
    assert texts(read_md(f"{mark * 10_000}x\n\nHeard."))[-1].endswith("Heard.")


def test_megabytes_of_brackets_are_read_as_they_stand(read_md):
    assert texts(read_md(f"{'[' * 5_000_000}*x*")) == [f"{'[' * 5_000_000}*x*"]


# --- encodings and refusals


@pytest.mark.parametrize(
    ("encoding", "warnings"),
    [("utf-8", 0), ("utf-8-sig", 0), ("utf-16", 0), ("utf-16-le", 1), ("cp1252", 1), ("utf-32", 0)],
)
def test_encodings(write, encoding, warnings):
    text = "“Good evening,” said the café’s owner — quietly, as ever."
    book = read(write({"a.txt": text.encode(encoding)}))
    assert texts(book) == [text]
    assert len(book.warnings) == warnings


def test_line_ends_of_other_systems(write):
    assert texts(read(write({"a.txt": f"{PROSE}\r\n\r\n{PROSE}\r\r{PROSE}"}))) == [PROSE] * 3


def test_nul_bytes_are_left_out_with_a_warning(write):
    book = read(write({"a.txt": PROSE.replace("lantern", "lan\0tern")}))
    assert texts(book) == [PROSE]
    assert "NUL" in book.warnings[0]


@pytest.mark.parametrize("suffix", [".mobi", ".AZW3", ".rtf", ".odt", ".doc", ".mp3"])
def test_other_formats_are_refused_by_name(write, suffix):
    with pytest.raises(InputError, match=rf"speedd does not read {re.escape(suffix.lower())} files; it reads \.epub, "):
        read(write({f"lantern{suffix}": "words"}))


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "is empty"), (b" \n\n * * * \n", "no text to read"), (bytes(range(8)) * 99, "not text")],
)
@pytest.mark.parametrize("suffix", [".txt", ".MD"])
def test_nothing_to_read_is_refused(write, content, reason, suffix):
    with pytest.raises(InputError, match=reason):
        read(write({f"a{suffix}": content}))


def test_a_text_far_too_large_is_refused(write):
    job = write({"a.txt": "x"})
    with job.parts[0].path.open("r+b") as file:
        file.truncate((64 << 20) + 1)
    with pytest.raises(InputError, match="up to 64 MB"):
        read(job)


# --- titles


@pytest.mark.parametrize(
    ("name", "opening", "title"),
    [
        ("The Lantern", "The Lantern", "The Lantern"),
        ("the-lantern", "THE LANTERN", "THE LANTERN"),
        ("the_lantern", "The lantern", "The lantern"),
    ],
)
def test_a_title_on_the_first_line_is_said_once(write, name, opening, title):
    book = read(write({f"{name}.txt": f"{opening}\n\n{PROSE}\n\n{PROSE}"}))
    assert book.metadata.title == title
    assert texts(book) == [PROSE, PROSE]
    assert [(part.reason, part.words) for part in book.skipped] == [("title page inside chapters", 2)]
    assert texts(read(write({f"{name}.txt": f"{opening}\n\n{PROSE}"}), front_back_matter="keep")) == [opening, PROSE]


def test_a_first_line_that_is_no_title_is_read(write):
    assert texts(read(write({"a.txt": f"Fire!\n\n{PROSE}"}))) == ["Fire!", PROSE]


# --- lines


def test_verse_keeps_its_lines_and_prose_does_not(read_txt):
    wrapped = (
        "She lit the lantern and set it in the window, as she had done every\n"
        "evening for eleven years, and nobody had ever asked her why she did it."
    )
    verse = "    The lamp is lit,\n    The boats are in,\n    And long the night."
    book = read_txt(wrapped, verse, wrapped)
    prose = wrapped.replace("\n", " ")
    assert texts(book) == [prose, "The lamp is lit,\nThe boats are in,\nAnd long the night.", prose]


def test_notes_in_brackets_are_taken_out_and_can_be_heard(write):
    text = (
        f"She lit the lantern.[1] Then she slept.[A]\n\n{PROSE}\n\n[1] At dusk.\n\n[Footnote A: In a chair.]\n\n{PROSE}"
    )
    book = read(write({"a.txt": text}))
    assert texts(book) == ["She lit the lantern. Then she slept.", PROSE, PROSE]
    assert [(part.reason, part.words) for part in book.skipped] == [("footnotes inside chapters", 8)]
    inline = read(write({"a.txt": text}), notes="inline")
    assert texts(inline)[:4] == ["She lit the lantern. Then she slept.", "Note: At dusk.", "Note: In a chair.", PROSE]
