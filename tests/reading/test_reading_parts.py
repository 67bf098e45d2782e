"""A folder of parts: which one is read, and who has the last word."""

import subprocess
import sys

import pytest

from speedd.errors import InputError
from speedd.model import Cover, Job
from speedd.reading import read
from speedd.reading.language import detect, normal_tag

PROSE = "She lit the lantern and set it in the window, as she had done every evening for eleven years."
GERMAN = "Sie zündete die Laterne an und stellte sie ins Fenster, wie an jedem Abend seit elf Jahren. " * 3
OPF = """<package xmlns="http://www.idpf.org/2007/opf" version="2.0"><metadata
  xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:opf="http://www.idpf.org/2007/opf">
  <dc:title>From Calibre</dc:title><dc:creator opf:role="aut">Cal Ibre</dc:creator><dc:language>eng</dc:language>
  <meta name="calibre:series" content="Lights"/><meta name="calibre:series_index" content="3.0"/>
  </metadata><manifest/><spine/></package>"""
PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)


def test_the_nfo_stands_over_the_opf_over_the_book(write):
    nfo = "Title : From the nfo\nNarrated by: Bo Ray\nGenre: Sea, Night\nYear: 1924\nRating: 5\nno pair here\n"
    book = read(
        write({"a.md": f"# From the book\n\nby Ann Lee\n\n## One\n\n{PROSE}", "book.nfo": nfo, "metadata.opf": OPF})
    )
    known = book.metadata
    assert (known.title, known.authors, known.narrators) == ("From the nfo", ("Cal Ibre",), ("Bo Ray",))
    assert (known.genres, known.published, known.language) == (("Sea", "Night"), "1924", "en")
    assert (known.series, known.series_index) == ("Lights", "3")


def test_a_place_belongs_to_its_series(write):
    book = read(write({"a.txt": PROSE, "book.nfo": "series: Other Lights", "metadata.opf": OPF}))
    assert (book.metadata.series, book.metadata.series_index) == ("Other Lights", "")


@pytest.mark.parametrize(
    ("series", "expected"),
    [("Lights #2", ("Lights", "2")), ("Lights, Book 2", ("Lights", "2")), ("Book 2", ("Book 2", ""))],
)
def test_a_series_may_carry_its_place(write, series, expected):
    known = read(write({"a.txt": PROSE, "book.nfo": f"series: {series}"})).metadata
    assert (known.series, known.series_index) == expected


def test_authors_in_an_nfo(write):
    known = read(write({"a.txt": PROSE, "book.nfo": "author: Lee, Ann & Bo Ray; Cy Day".encode("cp1252")})).metadata
    assert known.authors == ("Lee, Ann", "Bo Ray", "Cy Day")


def test_a_damaged_opf_is_a_warning(write):
    book = read(write({"a.txt": PROSE, "metadata.opf": "no xml at all"}))
    assert "metadata.opf is not used" in book.warnings[0]


def test_a_cover_beside_the_book_is_taken(write, epub):
    assert read(write({"a.txt": PROSE, "cover.jpg": PNG})).cover == Cover(PNG, "image/png")
    book = read(write({"a.txt": PROSE, "cover.jpg": "no image"}))
    assert book.cover is None
    assert "cover.jpg" in book.warnings[0]


def test_of_several_formats_the_best_is_read(write):
    job = write({"a.txt": f"Text. {PROSE}", "a.md": f"Markdown. {PROSE}", "a.pdf": "%PDF"})
    assert read(job).chapters[0].paragraphs[0].text.startswith("Markdown.")


def test_two_of_a_format_that_holds_whole_books_are_refused(write):
    with pytest.raises(InputError, match=r"2 \.epub files \(a\.epub, b\.epub\)"):
        read(write({"b.epub": "x", "a.epub": "x"}))


def test_a_job_without_a_book_is_refused(write):
    job: Job = write({"book.nfo": "title: x"})
    with pytest.raises(InputError, match="no book"):
        read(job)


def test_the_language_is_heard_where_nobody_says_it(write):
    assert read(write({"a.txt": GERMAN})).metadata.language == "de"
    assert read(write({"a.txt": GERMAN, "book.nfo": "language: und"})).metadata.language == "de"
    assert read(write({"a.txt": GERMAN, "book.nfo": "language: English"})).metadata.language == "en"
    assert read(write({"a.txt": "Too short to tell."})).metadata.language == ""
    tally = " ".join(f"Line {number} read." for number in range(900))  # py3langid: "zxx", no language at all
    assert read(write({"a.txt": tally})).metadata.language == ""


@pytest.mark.parametrize(
    ("said", "tag"),
    [("eng", "en"), ("English", "en"), ("en_US", "en-US"), ("UND", ""), ("de-DE", "de-DE"), ("what?", ""), ("", "")],
)
def test_languages_come_in_one_form(said, tag):
    assert normal_tag(said) == tag


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (PROSE, "en"),
        (GERMAN, "de"),
        ("Zij stak de lantaarn aan en zette die in het raam, zoals elke avond, al elf jaren lang. " * 3, "nl"),
        ("She said nothing at all.", ""),
    ],
)
def test_a_language_is_told_by_its_words(text, language):
    assert detect(text) == language


def test_english_needs_no_model():
    program = (
        "import sys; from speedd.reading import detect; assert detect(sys.argv[1]) == 'en'; "
        "print(any(name.startswith('py3langid') for name in sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", program, PROSE * 3], text=True).strip() == "False"
