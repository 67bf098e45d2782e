"""FictionBooks; words were counted by hand."""

import base64
import io
import zipfile

import pytest
from reading_books import texts, titles

from speedd.errors import DamagedInputError, InputError
from speedd.model import ParagraphKind
from speedd.reading import read

# 19 words.
PROSE = "She lit the lantern and set it in the window, as she had done every evening for eleven years."
PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)
INFO = (
    "<genre>sf</genre><author><first-name>Ann</first-name><last-name>Lee</last-name></author>"
    "<book-title>The Lantern</book-title><annotation><p>A light.</p></annotation><date value='1924-01-01'>1924</date>"
    "<coverpage><image l:href='#c'/></coverpage><lang>en</lang><sequence name='Lights' number='2'/>"
)


def fb2(body: str, notes: str = "", encoding: str = "utf-8") -> bytes:
    text = (
        f'<?xml version="1.0" encoding="{encoding}"?><FictionBook xmlns="http://www.gribuser.ru/xml/fictionbook/2.0" '
        f'xmlns:l="http://www.w3.org/1999/xlink"><description><title-info>{INFO}</title-info></description>'
        f"<body><title><p>Ann Lee</p><p>The Lantern</p></title>{body}</body>{notes}"
        f'<binary id="c" content-type="image/png">{base64.b64encode(PNG).decode()}</binary></FictionBook>'
    )
    return text.encode(encoding)


def test_sections_are_parts_and_chapters(write):
    chapter = "<section><title><p>{}</p></title><p>" + PROSE + "</p></section>"
    body = "".join(
        f"<section><title><p>Part {part}</p></title>{chapter.format(f'Chapter {2 * n + 1}')}"
        f"{chapter.format(f'Chapter {2 * n + 2}')}</section>"
        for n, part in enumerate(("One", "Two"))
    )
    book = read(write({"a.fb2": fb2(body)}))
    assert titles(book) == ["Part One", "Chapter 1", "Chapter 2", "Part Two", "Chapter 3", "Chapter 4"]
    assert [sum(len(text.split()) for text in texts(book, at)) for at in range(6)] == [0, 19, 19, 0, 19, 19]
    assert [(part.reason, part.words) for part in book.skipped] == [("title page", 4)]
    known = book.metadata
    assert (known.title, known.authors, known.language) == ("The Lantern", ("Ann Lee",), "en")
    assert (known.series, known.series_index, known.published) == ("Lights", "2", "1924")
    assert (known.description, known.genres) == ("A light.", ("sf",))
    assert book.cover is not None
    assert book.cover.data == PNG


def test_verse_notes_and_breaks(write):
    body = (
        "<section><title><p>Chapter 1</p><p>The Window</p></title><epigraph><p>Light!</p></epigraph>"
        f'<p>She <emphasis>lit</emphasis> it.<a l:href="#n1" type="note">[1]</a> So.</p>{f"<p>{PROSE}</p>" * 5}'
        f"<empty-line/>{f'<p>{PROSE}</p>' * 5}"
        "<poem><stanza><v>The lamp is lit</v><v>and the night is long.</v></stanza><text-author>Bo Ray</text-author>"
        "</poem></section>"
        f"<section><title><p>Chapter 2</p></title><p>{PROSE}</p></section>"
    )
    note = '<section id="n1"><title><p>1</p></title><p>At dusk.</p></section>'
    notes = f'<body name="notes"><title><p>Notes</p></title>{note}</body>'
    book = read(write({"a.fb2": fb2(body, notes)}))
    assert titles(book) == ["Chapter 1. The Window", "Chapter 2"]
    assert texts(book)[:2] == ["Light!", "She lit it. So."]
    assert texts(book)[-2:] == ["The lamp is lit\nand the night is long.", "Bo Ray"]
    assert [one.kind for one in book.chapters[0].paragraphs].count(ParagraphKind.BREAK) == 1
    assert [(part.reason, part.words) for part in book.skipped] == [("title page", 4), ("footnotes inside chapters", 2)]
    inline = read(write({"a.fb2": fb2(body, notes)}), notes="inline")
    assert texts(inline)[2] == "Note: At dusk."


def test_a_link_keeps_its_blanks_and_what_is_between_its_tags(write):
    line = '<p>See<a l:href="#x"> the <emphasis>second</emphasis> lamp </a>there.</p>'
    assert texts(read(write({"a.fb2": fb2(f"<section>{line}</section>")}))) == ["See the second lamp there."]


def test_its_encoding_and_its_zip_are_known(write):
    data = fb2(f"<section><p>Привет, {PROSE}</p></section>", encoding="windows-1251")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("lantern.fb2", data)
    book = read(write({"a.fb2.zip": out.getvalue()}))
    assert texts(book) == [f"Привет, {PROSE}"]
    assert book.metadata.title == "The Lantern"


@pytest.mark.parametrize(
    ("data", "kind", "reason"),
    [
        (b"<html/>", InputError, "no FictionBook"),
        (b"words", InputError, "no XML"),
        (fb2(f"<section><p>{PROSE}</p></section>")[:-200], DamagedInputError, "cut short"),
    ],
)
def test_what_is_no_whole_fictionbook_is_refused(write, data, kind, reason):
    with pytest.raises(kind, match=reason):
        read(write({"a.fb2": data}))
