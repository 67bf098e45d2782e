"""Word documents, each with one kind of trouble; words were counted by hand."""

import zipfile

import pytest
from reading_books import texts, titles, words
from reading_docx import para, run, write_docx
from reading_jobs import job_of

from speedd.errors import DamagedInputError, InputError
from speedd.model import Book
from speedd.reading import read

PROSE = "She lit the lantern and set it in the window, as she had done every evening for eleven years."
PROSE_WORDS = 19
SUPERSCRIPT = '<w:vertAlign w:val="superscript"/>'


@pytest.fixture
def read_docx(tmp_path):
    def reading(body: str, **more) -> Book:
        options = {key: more.pop(key) for key in ("notes", "matter", "pictures") if key in more}
        return read(job_of(write_docx(tmp_path / "lantern.docx", body, **more)), **options)

    return reading


def test_chapters_come_from_outline_levels_in_any_language(read_docx):
    book = read_docx(
        para("The Lantern", "Title")
        + para("Kapitel Eins", "berschrift1")
        + para(PROSE) * 2
        + para("A smaller heading", "berschrift2")
        + para(PROSE)
        + para("Kapitel Zwei", "House")
        + para(PROSE)
    )
    assert titles(book) == ["Kapitel Eins", "Kapitel Zwei"]
    assert words(book) == [3 * PROSE_WORDS + 3, PROSE_WORDS]
    assert [(part.reason, part.words) for part in book.skipped] == [("title page", 2)]
    assert (book.metadata.title, book.metadata.authors, book.metadata.language) == (
        "The Lantern",
        ("Ann Lee",),
        "en-GB",
    )


def test_titles_set_by_hand_are_found_by_what_they_say(read_docx):
    book = read_docx(
        para("THE LANTERN", properties='<w:jc w:val="center"/>')
        + para("by Ann Lee")
        + "".join(para(f"Chapter {number}") + para(PROSE) for number in ("One", "Two", "Three"))
    )
    assert titles(book) == ["Chapter One", "Chapter Two", "Chapter Three"]
    assert words(book) == [PROSE_WORDS] * 3
    assert [(part.reason, part.words) for part in book.skipped] == [("title page", 5)]


def test_titles_set_by_hand_on_new_pages_are_found_by_their_looks(read_docx):
    page = '<w:p><w:r><w:br w:type="page"/></w:r></w:p>'
    heading = para(run("The Window", "<w:b/>"), properties='<w:jc w:val="center"/>')
    second = para(run("The Boat", "<w:b/>"), properties="<w:pageBreakBefore/>")
    book = read_docx(para(PROSE) + page + heading + para(PROSE) * 2 + second + para(PROSE) * 3)
    assert titles(book) == ["The Lantern", "The Window", "The Boat"]
    assert words(book) == [PROSE_WORDS, 2 * PROSE_WORDS, 3 * PROSE_WORDS]


def test_numbers_that_word_sets_itself_are_read(read_docx):
    numbering = (
        '<w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="upperRoman"/>'
        '<w:lvlText w:val="Chapter %1"/></w:lvl></w:abstractNum>'
        '<w:abstractNum w:abstractNumId="1"><w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/>'
        '<w:lvlText w:val="%1."/></w:lvl><w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="lowerLetter"/>'
        '<w:lvlText w:val="%1%2)"/></w:lvl></w:abstractNum>'
        '<w:abstractNum w:abstractNumId="2"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/><w:lvlText w:val="*"/></w:lvl>'
        "</w:abstractNum>"
        + "".join(f'<w:num w:numId="{n + 1}"><w:abstractNumId w:val="{n}"/></w:num>' for n in range(3))
    )

    def numbered(text: str, number: int, depth: int = 0, style: str = "") -> str:
        place = f'<w:numPr><w:ilvl w:val="{depth}"/><w:numId w:val="{number}"/></w:numPr>'
        return para(text, style, place)

    book = read_docx(
        numbered("The Window", 1, style="berschrift1")
        + numbered("Flour", 2)
        + numbered("sifted", 2, 1)
        + numbered("Butter", 2)
        + numbered("a bullet", 3)
        + numbered("The Boat", 1, style="berschrift1")
        + para(PROSE),
        parts={"numbering": numbering},
    )
    assert titles(book) == ["Chapter I. The Window", "Chapter II. The Boat"]
    assert texts(book) == ["1. Flour", "1a) sifted", "2. Butter", "a bullet"]


def test_notes_leave_no_mark_and_can_be_heard(read_docx):
    footnotes = (
        '<w:footnote w:type="separator" w:id="-1"><w:p><w:r><w:separator/></w:r></w:p></w:footnote>'
        f'<w:footnote w:id="2">{para(" A lamp with a handle.")}</w:footnote>'
    )
    body = (
        para("One", "berschrift1")
        + para(
            run("She lit the lantern.")
            + f'<w:r><w:rPr>{SUPERSCRIPT}</w:rPr><w:footnoteReference w:id="2"/></w:r>'
            + run(" Then she slept.")
            + run("3", SUPERSCRIPT)
        )
        + para("And woke.")
    )
    book = read_docx(body, parts={"footnotes": footnotes})
    assert texts(book) == ["She lit the lantern. Then she slept.", "And woke."]
    assert [(part.reason, part.words) for part in book.skipped] == [("footnotes inside chapters", 5)]
    heard = read_docx(body, parts={"footnotes": footnotes}, notes="inline")
    assert texts(heard) == ["She lit the lantern. Then she slept.", "Note: A lamp with a handle.", "And woke."]
    assert heard.skipped == ()


def test_what_a_reader_would_not_see_or_say_is_left_out(read_docx):
    entry = (
        '<w:hyperlink w:anchor="_Toc1"><w:r><w:t>One</w:t></w:r><w:r><w:tab/></w:r><w:r><w:fldChar '
        'w:fldCharType="begin"/></w:r><w:r><w:instrText> PAGEREF _Toc1 </w:instrText></w:r><w:r><w:fldChar '
        'w:fldCharType="separate"/></w:r><w:r><w:t>7</w:t></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>'
        "</w:hyperlink>"
    )
    deleted = "<w:del><w:r><w:delText>never</w:delText></w:r></w:del><w:ins><w:r><w:t>always </w:t></w:r></w:ins>"
    soft = run("here, soft") + "<w:r><w:softHyphen/></w:r>" + run("ly.")
    lines = run("co") + "<w:r><w:noBreakHyphen/></w:r>" + run("operate") + "<w:r><w:br/></w:r>" + run("On two lines")
    book = read_docx(
        para("Contents")
        + para(entry, "TOC1")
        + para("One", "berschrift1")
        + para(run("She was ") + run("hidden ", "<w:vanish/>") + deleted + soft)
        + para("Figure 1. A lamp", "Caption")
        + para(lines)
    )
    assert titles(book) == ["One"]
    assert texts(book) == ["She was always here, softly.", "co-operate\nOn two lines"]
    assert [(part.reason, part.words) for part in book.skipped] == [
        ("table of contents", 2),
        ("captions inside chapters", 4),
    ]


def test_an_initial_in_a_frame_joins_its_word_and_blank_lines_part_scenes(read_docx):
    frame = '<w:framePr w:dropCap="drop" w:lines="3"/>'
    book = read_docx(
        para("One", "berschrift1")
        + para("T", properties=frame)
        + para("he sea was calm.")
        + para(PROSE) * 5
        + para("")
        + para(PROSE) * 5
    )
    assert texts(book)[0] == "The sea was calm."
    assert [paragraph.kind for paragraph in book.chapters[0].paragraphs].index("break") == 6
    assert words(book) == [4 + 10 * PROSE_WORDS]


def test_tables_are_read_row_by_row_and_text_boxes_once(read_docx):
    def cell(text: str) -> str:
        return f"<w:tc>{para(text)}</w:tc>"

    table = f"<w:tbl><w:tr>{cell('Name')}{cell('Age')}</w:tr><w:tr>{cell('Ann')}{cell('41')}</w:tr></w:tbl>"
    box = f"<w:txbxContent>{para('In a box.')}</w:txbxContent>"
    drawn = (
        '<w:r><mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
        f"<mc:Choice><w:drawing>{box}</w:drawing></mc:Choice><mc:Fallback><w:pict>{box}</w:pict></mc:Fallback>"
        "</mc:AlternateContent></w:r>"
    )
    book = read_docx(para("One", "berschrift1") + table + para(run("Beside.") + drawn))
    assert texts(book) == ["Name, Age", "Ann, 41", "Beside.", "In a box."]


# --- refusals


def test_a_locked_document_is_refused(write):
    with pytest.raises(InputError, match="locked with a password"):
        read(write({"a.docx": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000)}))


def test_something_else_called_docx_is_refused(write, tmp_path):
    with pytest.raises(InputError, match="no DOCX"):
        read(write({"a.docx": b"%PDF-1.7 and so on"}))
    with zipfile.ZipFile(tmp_path / "b.docx", "w") as archive:
        archive.writestr("content.xml", "<office/>")
    with pytest.raises(InputError, match="no Word document in it"):
        read(job_of(tmp_path / "b.docx"))


def test_a_document_cut_short_is_damaged(tmp_path):
    path = write_docx(tmp_path / "a.docx", para(PROSE))
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(DamagedInputError, match="cut short"):
        read(job_of(path))


def test_a_document_of_pictures_is_refused(tmp_path):
    picture = '<w:r><w:drawing><wp:docPr xmlns:wp="x" descr="a page"/></w:drawing></w:r>'
    with pytest.raises(InputError, match="its pages are pictures"):
        read(job_of(write_docx(tmp_path / "a.docx", para(picture) * 4)))


@pytest.mark.parametrize("part", ["word/styles.xml", "word/numbering.xml", "docProps/core.xml"])
def test_a_broken_part_spoils_nothing(tmp_path, part):
    path = write_docx(tmp_path / "a.docx", para(PROSE))
    members = {}
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**members, part: b"<w:broken"}.items():
            archive.writestr(name, content)
    assert texts(read(job_of(path))) == [PROSE]
