"""HTML pages, each with one kind of trouble; words were counted by hand."""

import pytest
from reading_books import skipped, texts, titles, words

from speedd.errors import InputError
from speedd.model import Book, ParagraphKind
from speedd.reading import read

# 19 words.
PROSE = "She lit the lantern and set it in the window, as she had done every evening for eleven years."
TEXT = f"<p>{PROSE}</p>"
WRAPPED = (
    "She lit the lantern and set it in the window as",
    "she had done every evening for eleven years, and",
    "nobody had ever asked her why she did it at all.",
)


@pytest.fixture
def read_html(write):
    def reading(body: str, head: str = "<title>The Lantern</title>", **options) -> Book:
        return read(write({"lantern.html": f"<html><head>{head}</head><body>{body}</body></html>"}), **options)

    return reading


def test_a_book_of_one_page(read_html):
    listed = "".join(f'<p><a href="#c{n}">Chapter {n}</a></p>' for n in range(1, 7))
    chapters = "".join(f'<h2 id="c{n}">Chapter {n}</h2>{TEXT * n}' for n in range(1, 7))
    book = read_html(
        f"<h1>The Lantern</h1><p>by Ann Lee</p><p>Contents</p>{listed}{chapters}",
        '<title>The Lantern</title><meta name="author" content="Ann Lee"><meta name="DC.Language" content="en-GB">',
    )
    assert titles(book) == [f"Chapter {n}" for n in range(1, 7)]
    assert words(book) == [19, 38, 57, 76, 95, 114]
    assert (book.metadata.title, book.metadata.authors, book.metadata.language) == (
        "The Lantern",
        ("Ann Lee",),
        "en-GB",
    )
    assert skipped(book) == [("title page", 2 + 3 + 1 + 6 * 2)]  # title, author, "Contents", six entries


def test_a_title_that_only_a_heading_gives_is_said_once(read_html):
    book = read_html(f"<h1>The Two Lamps</h1><h2>One</h2>{TEXT}<h2>Two</h2>{TEXT}", "")
    assert book.metadata.title == "The Two Lamps"
    assert titles(book) == ["One", "Two"]
    assert skipped(book) == [("title page", 3)]


def test_what_is_judged_by_its_text_is_judged_by_all_of_it(read_html):
    cells = "".join(f"<tr><td><b>{n}</b> lamps were lit</td></tr>" for n in range(12))
    book = read_html(
        f'<h2>One</h2>{TEXT}<table>{cells}</table><p>See <a href="#b">(<i>b</i>) the second case</a>.</p>',
        "<title>The <i>Lantern</i> Keeper</title>",
    )
    assert book.metadata.title == "The Lantern Keeper"
    # No table of figures, and no mark of a note.
    assert texts(book)[1:] == [*(f"{n} lamps were lit" for n in range(12)), "See (b) the second case."]


def test_a_page_without_headings_is_cut_by_what_it_says(read_html):
    book = read_html("".join(f"<p><b>CHAPTER {numeral}</b></p>{TEXT}" for numeral in ("I", "II", "III")))
    assert titles(book) == ["CHAPTER I", "CHAPTER II", "CHAPTER III"]
    assert words(book) == [19, 19, 19]


def test_the_article_of_a_web_page_is_read_and_what_stands_around_it_is_not(read_html):
    book = read_html(
        "<header><p>The Daily Lamp</p></header><nav><ul><li><a href='/'>Home</a></li></ul></nav>"
        f"<main><article><h1>The Lantern</h1>{TEXT * 3}</article></main><footer><p>Read more here.</p></footer>",
    )
    assert words(book) == [57]
    assert [chapter.announced for chapter in book.chapters] == [False]  # the opening says the title
    assert sum(part.words for part in book.skipped) == 3 + 1 + 3


def test_the_licence_around_a_book_is_skipped(read_html):
    book = read_html(
        "<p>The Project Gutenberg eBook of The Lantern</p>"
        "<p>*** START OF THE PROJECT GUTENBERG EBOOK THE LANTERN ***</p>"
        f"<h2>Chapter One</h2>{TEXT}<h2>Chapter Two</h2>{TEXT}"
        "<p>*** END OF THE PROJECT GUTENBERG EBOOK THE LANTERN ***</p><h2>The Full License</h2><p>You may copy it.</p>",
        "<title>The Project Gutenberg eBook of The Lantern, by Ann Lee</title>",
    )
    assert titles(book) == ["Chapter One", "Chapter Two"]
    assert (book.metadata.title, book.metadata.authors) == ("The Lantern", ("Ann Lee",))
    assert words(book) == [19, 19]
    assert sum(part.words for part in book.skipped) == 7 + 10 + 10 + 3 + 4


@pytest.mark.parametrize(
    ("source", "heard"),
    [
        ('<span class="dropcap">T</span> he sea', "The sea"),
        ('<span class="dropcap">I</span> saw it', "I saw it"),
        ('<span class="dropcap">I</span> t was late', "It was late"),
        ('<b class="first-letter">“O</b>nly once', "“Only once"),
        ('<img class="cap" src="t.png" alt="T">he sea', "The sea"),
        ('<span class="sc">The Old</span> Clock', "The Old Clock"),
        ("soft\u00adhyphen", "softhyphen"),
        ("It ended there.<sup>12</sup> Then", "It ended there. Then"),
        ("It was 10<sup>2</sup> feet", "It was 10² feet"),
        ("on the 1<sup>st</sup> day", "on the 1st day"),
        ("That was all.1 The rest", "That was all. The rest"),
        ("See vol.2 The rest", "See vol.2 The rest"),
        ("It cost 3.50 The rest", "It cost 3.50 The rest"),
        ("“That was all.”3 The rest", "“That was all.” The rest"),
        ("all¹ and more.² Then", "all and more. Then"),
        ("<ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp></ruby> is read once", "漢 is read once"),
        ("The curfew tolls<br>The lowing herd<br>The ploughman", "The curfew tolls\nThe lowing herd\nThe ploughman"),
        (f"{WRAPPED[0]}<br>{WRAPPED[1]}<br>{WRAPPED[2]}", " ".join(WRAPPED)),
    ],
)
def test_what_is_heard_of_a_paragraph(read_html, source, heard):
    assert texts(read_html(f"<p>{source}</p>")) == [heard]


@pytest.mark.parametrize("tags", ["<p><font>", "<div>", "<ol><li>", "<table><tr><td>", "<p><b><font><span>"])
@pytest.mark.parametrize("times", [600, 6000])
def test_tags_that_are_never_closed_lose_no_text(read_html, tags, times):
    heard = " ".join(texts(read_html(f"{tags} word " * times)))
    assert heard.count("word") == times


def test_two_line_ends_part_paragraphs(read_html):
    assert texts(read_html(f"{PROSE}<br><br>{PROSE}<br><br>{PROSE}")) == [PROSE] * 3


def test_verse_is_one_paragraph_of_lines(read_html):
    lines = '<div class="line">The lamp is lit</div><div class="line">and the night is long.</div>'
    stanza = f'<div class="stanza">{lines}</div>'
    book = read_html(f'{TEXT}<div class="poem">{stanza * 2}</div>{TEXT}')
    assert texts(book) == [PROSE, *["The lamp is lit\nand the night is long."] * 2, PROSE]


def test_lists_are_numbered_as_they_are_seen(read_html):
    book = read_html(
        '<ol start="3"><li>Flour</li><li><p>Butter</p><ul><li>soft</li></ul></li></ol>'
        '<ol type="a"><li>Milk</li><li>b. Sugar</li></ol><ol><li>alone</li></ol>'
    )
    assert texts(book) == ["3. Flour", "4. Butter", "soft", "a. Milk", "b. Sugar", "alone"]


def test_a_table_of_figures_is_left_out_and_a_table_of_words_read(read_html):
    rows = "".join(f"<tr><td>{n}</td><td>{n * 3}.5</td><td>${n * 100}</td></tr>" for n in range(5))
    book = read_html(f"<table><tr><td>Ann</td><td>keeper</td></tr></table>{TEXT}<table>{rows}</table>")
    assert texts(book) == ["Ann, keeper", PROSE]
    assert skipped(book) == [("tables of figures inside chapters", 15)]


def test_captions_and_descriptions_are_heard_only_if_wanted(read_html):
    body = f'{TEXT}<figure><img alt="A lamp in a window" src="a.png"><figcaption>Her lamp</figcaption></figure>{TEXT}'
    book = read_html(body)
    assert texts(book) == [PROSE, PROSE]
    assert skipped(book) == [("captions inside chapters", 2)]
    assert texts(read_html(body, pictures="read")) == [PROSE, "Picture: A lamp in a window", "Her lamp", PROSE]


def test_notes_that_nothing_marks_are_found_by_their_links(read_html):
    body = (
        '<h2>One</h2><p>She lit it.<a id="r1" href="#n1"><sup>1</sup></a></p><p>And slept.</p>'
        '<h2>Two</h2><p>She woke.<a id="r2" href="#n2"><sup>2</sup></a></p>'
        '<p id="n1">1. A lamp with a handle. <a href="#r1">↩</a></p>'
        '<p><a id="n2" href="#r2">2.</a> At noon.</p>'
    )
    book = read_html(body)
    assert (texts(book, 0), texts(book, 1)) == (["She lit it.", "And slept."], ["She woke."])
    inline = read_html(body, notes="inline")
    assert texts(inline, 0) == ["She lit it.", "Note: A lamp with a handle.", "And slept."]
    assert texts(inline, 1) == ["She woke.", "Note: At noon."]
    assert inline.skipped == ()


def test_rare_empty_paragraphs_are_breaks(read_html):
    book = read_html(f"{TEXT * 6}<p>&nbsp;</p>{TEXT * 6}")
    assert [one.kind for one in book.chapters[0].paragraphs].index(ParagraphKind.BREAK) == 6
    spaced = read_html(f"{TEXT}<p>&nbsp;</p>" * 6)
    assert ParagraphKind.BREAK not in [one.kind for one in spaced.chapters[0].paragraphs]


@pytest.mark.parametrize(
    ("encoding", "declared", "warned"),
    [
        ("utf-8", "", False),
        ("cp1251", '<meta charset="windows-1251">', False),
        ("mac-roman", "", True),
        ("cp1252", "", True),
        ("utf-16", "", False),
    ],
)
def test_encodings_are_found_and_told(write, encoding, declared, warned):
    text = "“Здравствуй”, she said." if encoding == "cp1251" else "“Café,” she said—and “no.”"
    page = f"<html><head>{declared}</head><body><p>{text}</p></body></html>".encode(encoding)
    book = read(write({"a.html": page}))
    assert texts(book) == [text]
    assert bool(book.warnings) == warned


def test_a_page_without_words_is_refused(read_html):
    with pytest.raises(InputError, match="its pages are pictures"):
        read_html('<img src="1.png"><img src="2.png">')
    with pytest.raises(InputError, match="no text to read"):
        read_html("<p> </p>")
