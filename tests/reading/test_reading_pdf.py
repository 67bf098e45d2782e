"""PDFs, each with one kind of trouble; words were counted by hand."""

import pytest
from reading_books import skipped, texts, titles, words
from reading_jobs import job_of
from reading_pdf import HEIGHT, LEFT, TOP, WIDTH, Sheet, write_pdf

from speedd.errors import DamagedInputError, InputError
from speedd.model import Book
from speedd.reading import read

# 19 words each.
LANTERN = "She lit the lantern and set it in the window, as she had done every evening for eleven years."
HARBOUR = "Down in the harbour the boats came home one after the other, each with a light at its mast."
KEEPER = "Nobody in the town remembered who had asked her to do it, and she herself had forgotten the man."


@pytest.fixture
def read_sheets(tmp_path):
    def reading(*sheets: Sheet, **more) -> Book:
        options = {key: more.pop(key) for key in ("notes",) if key in more}
        return read(job_of(write_pdf(tmp_path / "lantern.pdf", sheets, **more)), **options)

    return reading


def test_running_heads_page_numbers_and_hyphenation_go(read_sheets):
    sheets = []
    for number in range(6):
        sheet = Sheet()
        sheet.at(LEFT, 625, "THE LANTERN" if number % 2 else "Ann Lee", 8)
        sheet.at(210, 30, str(number + 11), 8)
        if number in {0, 3}:
            sheet.centred(f"Chapter {'Two' if number else 'One'}", 16)
        # 33 words; two are parted and come together, "well-known" is known from inside a line.
        sheet.paragraph(
            f"The well-known {LANTERN[4:]} She took the lan|tern down and car|ried it out to the well|known quay."
        )
        sheet.paragraph(HARBOUR)
        sheets.append(sheet)
    book = read_sheets(*sheets)
    assert titles(book) == ["Chapter One", "Chapter Two"]
    assert texts(book)[0].endswith("She took the lantern down and carried it out to the well-known quay.")
    assert texts(book)[1] == HARBOUR
    assert words(book) == [3 * (33 + 19)] * 2
    # Six times two words at the head and a number at the foot.
    assert skipped(book) == [("running heads and page numbers", 18)]


def test_a_paragraph_goes_on_across_pages_and_lines(read_sheets):
    first, second, third = Sheet(), Sheet(), Sheet()
    first.centred("The Lantern", 16)
    first.paragraph(LANTERN)
    left = first.paragraph(f"{HARBOUR} {KEEPER}", until=2)
    second.paragraph(" ".join(left), indent=0)
    second.paragraph(LANTERN)
    third.paragraph(KEEPER)
    assert texts(read_sheets(first, second, third)) == [LANTERN, f"{HARBOUR} {KEEPER}", LANTERN, KEEPER]


def test_two_columns_below_a_title_are_read_one_after_the_other(read_sheets):
    sheet = Sheet()
    sheet.centred("The Two Sides of the Harbour", 16)
    top = sheet.y
    sheet.paragraph(LANTERN, chars=25, size=9, indent=9)
    sheet.paragraph(HARBOUR, chars=25, size=9, indent=9)
    sheet.y = top
    sheet.paragraph(KEEPER, x=230, chars=25, size=9, indent=9)
    sheet.paragraph(LANTERN, x=230, chars=25, size=9, indent=9)
    book = read_sheets(sheet, info="")
    assert book.metadata.title == "The Two Sides of the Harbour"
    assert texts(book) == [LANTERN, HARBOUR, KEEPER, LANTERN]


def test_bookmarks_name_the_chapters_and_front_pages_are_skipped(read_sheets):
    title, imprint, contents, dedication, one, two = (Sheet() for _ in range(6))
    title.centred("The Lantern", 24)
    title.centred("Ann Lee", 14)
    imprint.paragraph("Copyright 2019 by Ann Lee. All rights reserved.", indent=0)
    imprint.paragraph("ISBN 978-0-306-40615-7", indent=0)
    contents.centred("Contents", 16)
    contents.paragraph("The Window ............ 5", indent=0)
    contents.paragraph("The Boat .............. 6", indent=0)
    dedication.centred("For the keeper of the light.")
    for sheet, name in ((one, "The Window"), (two, "The Boat")):
        sheet.centred(name)  # in the size of the text: only the bookmark tells
        sheet.paragraph(LANTERN)
        sheet.paragraph(HARBOUR)
    book = read_sheets(title, imprint, contents, dedication, one, two, bookmarks=[("The Window", 4), ("The Boat", 5)])
    assert titles(book) == ["The Lantern", "The Window", "The Boat"]
    assert [chapter.announced for chapter in book.chapters] == [False, True, True]
    assert texts(book) == ["For the keeper of the light."]
    assert words(book) == [6, 38, 38]
    assert skipped(book) == [("title page", 4), ("copyright page", 10), ("table of contents", 9)]


def test_notes_at_the_foot_are_told_from_the_text(read_sheets):
    first, second = Sheet(), Sheet()
    first.paragraph(LANTERN)
    first.at(LEFT, first.y, "She was not alone.")
    first.at(LEFT + 18 * 6, first.y, "1", 6, rise=4)
    first.at(LEFT + 20 * 6, first.y, "There was a cat")
    first.y -= 12
    second.paragraph("and a clock.", indent=0)
    second.paragraph(HARBOUR)
    first.at(LEFT, 70, "1 The cat is not in the first edition, where", 7)
    first.at(LEFT, 61, "a dog lies by the fire.", 7)
    book = read_sheets(first, second)
    assert texts(book) == [LANTERN, "She was not alone. There was a cat and a clock.", HARBOUR]
    assert skipped(book) == [("footnotes inside chapters", 15)]
    heard = read_sheets(first, second, notes="inline")
    assert texts(heard)[2] == "Note: The cat is not in the first edition, where a dog lies by the fire."


def test_titles_in_the_size_of_the_text_are_found_by_what_they_say(read_sheets):
    sheets = []
    for label in ("PROLOGUE", "I", "II", "III"):
        sheet = Sheet()
        sheet.at(LEFT, sheet.y, label)
        sheet.y -= 36
        sheet.paragraph(LANTERN)
        second = Sheet()
        second.paragraph(HARBOUR)
        second.paragraph(KEEPER)
        sheets.extend([sheet, second])
    book = read_sheets(*sheets)
    assert titles(book) == ["PROLOGUE", "I", "II", "III"]
    assert words(book) == [57] * 4


def test_an_initial_joins_its_word_and_verse_keeps_its_lines(read_sheets):
    sheet = Sheet()
    sheet.centred("Chapter One", 16)
    sheet.at(LEFT, sheet.y - 12, "T", 30)
    sheet.paragraph("he sea was calm that night, and", x=LEFT + 20, indent=0)
    sheet.paragraph("nobody was on the quay but the", x=LEFT + 20, indent=0)
    sheet.paragraph(f"keeper. {LANTERN} {KEEPER}", indent=0)
    sheet.y -= 12
    for line in ("The lamp is lit,", "The boats are in,", "The night is long."):
        sheet.paragraph(line, x=LEFT + 40, indent=0)
    sheet.y -= 12
    sheet.paragraph(HARBOUR)
    heard = texts(read_sheets(sheet))
    assert heard[0].startswith("The sea was calm that night, and nobody was on the quay but the keeper. She lit")
    assert heard[1:] == ["The lamp is lit,\nThe boats are in,\nThe night is long.", HARBOUR]


def test_headings_of_two_sizes_are_parts_and_chapters(read_sheets):
    sheets = []
    for part, chapters in (("Part One", ("1", "2")), ("Part Two", ("3", "4"))):
        for at, chapter in enumerate(chapters):
            sheet = Sheet()
            if at == 0:
                sheet.centred(part, 20)
            sheet.centred(chapter, 14)
            sheet.paragraph(LANTERN)
            sheet.paragraph(HARBOUR)
            sheets.append(sheet)
    book = read_sheets(*sheets)
    assert titles(book) == ["Part One", "1", "2", "Part Two", "3", "4"]
    assert words(book) == [0, 38, 38, 0, 38, 38]


def test_columns_of_a_table_stay_rows(read_sheets):
    sheet = Sheet()
    sheet.paragraph(LANTERN)
    sheet.y -= 12
    for name, age in (("Ann", "forty-one"), ("Bo", "twelve"), ("Cy", "seven"), ("Di", "ninety"), ("Ed", "six")):
        sheet.at(LEFT, sheet.y, name)
        sheet.at(LEFT + 200, sheet.y, age)
        sheet.y -= 12
    assert "Bo, twelve" in " ".join(texts(read_sheets(sheet)))


@pytest.mark.parametrize("matrix", [f"0 1 -1 0 {WIDTH} 0", f"-1 0 0 -1 {WIDTH} {HEIGHT}", f"0 -1 1 0 0 {HEIGHT}"])
def test_a_turned_page_is_read_upright(read_sheets, matrix):
    sheet = Sheet()
    sheet.paragraph(LANTERN)
    sheet.paragraph(HARBOUR)
    assert texts(read_sheets(Sheet(drawn=[f"q {matrix} cm", *sheet.drawn, "Q"]))) == [LANTERN, HARBOUR]


# --- refusals


def test_a_scan_is_refused(read_sheets):
    with pytest.raises(InputError, match="is a scan: 3 of its 3 pages are pictures"):
        read_sheets(*(Sheet(picture=True) for _ in range(3)))


def test_a_few_pages_of_pictures_are_a_warning(read_sheets):
    text = Sheet()
    text.paragraph(LANTERN)
    book = read_sheets(text, Sheet(picture=True), Sheet(picture=True))
    assert texts(book) == [LANTERN]
    assert book.warnings == ("2 of 3 pages are pictures without text; what they say is not read.",)


def test_pages_without_anything_are_refused(read_sheets):
    with pytest.raises(InputError, match="no text to read"):
        read_sheets(Sheet())


def test_a_locked_pdf_is_refused(read_sheets):
    locked = f"<< /Filter /Standard /V 1 /R 2 /P -4 /O <{'ab' * 32}> /U <{'cd' * 32}> >>"
    with pytest.raises(InputError, match="locked with a password"):
        read_sheets(Sheet(), encrypt=locked)


def test_a_pdf_cut_short_is_damaged(tmp_path):
    sheet = Sheet()
    sheet.paragraph(LANTERN)
    path = write_pdf(tmp_path / "a.pdf", [sheet])
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(DamagedInputError, match="cut short"):
        read(job_of(path))


@pytest.mark.parametrize(
    ("content", "reason"), [(b"words", "no PDF"), (bytes(5000), "zeros"), (b"%PDF-1.4\n%%EOF", "damaged")]
)
def test_what_is_no_pdf_is_refused(write, content, reason):
    with pytest.raises(InputError, match=reason):
        read(write({"a.pdf": content}))


def test_made_up_titles_are_not_believed(read_sheets):
    sheet = Sheet()
    sheet.paragraph(LANTERN)
    assert read_sheets(sheet, info="/Title (Microsoft Word - draft7.docx)").metadata.title == "lantern"
    assert sheet.y < TOP
