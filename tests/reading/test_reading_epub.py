"""Small EPUBs, each with one thing to get right."""

import io
import struct
import zipfile

import pytest
from reading_books import texts, titles

from speedd.errors import DamagedInputError, InputError
from speedd.model import ParagraphKind
from speedd.reading import read

PROSE = "<p>She lit the lantern and set it in the window, as she had done every evening for eleven years.</p>"


def link(href: str, title: str, below: str = "") -> str:
    return f'<li><a href="{href}">{title}</a>{f"<ol>{below}</ol>" if below else ""}</li>'


def point(href: str, title: str, below: str = "") -> str:
    return f'<navPoint><navLabel><text>{title}</text></navLabel><content src="{href}"/>{below}</navPoint>'


# --- structure


def test_the_spine_sets_the_order_not_the_manifest(epub):
    pages = {"b.xhtml": f"<h1>Two</h1>{PROSE}", "a.xhtml": f"<h1>One</h1>{PROSE}"}
    assert titles(read(epub(pages, spine=["a.xhtml", "b.xhtml"]))) == ["One", "Two"]


def test_what_is_not_linear_is_left_out(epub):
    pages = {"a.xhtml": f"<h1>One</h1>{PROSE}", "map.xhtml": f"<h1>A Map</h1>{PROSE}"}
    assert titles(read(epub(pages, nonlinear=("map.xhtml",)))) == ["One"]


def test_epub2_titles_come_from_the_ncx(epub):
    pages = {"a.html": f"<p>CHAPTER ONE</p>{PROSE}", "b.html": f"<p>CHAPTER TWO</p>{PROSE}"}
    book = read(epub(pages, ncx=point("a.html", "Chapter 1") + point("b.html", "Chapter 2")))
    assert titles(book) == ["Chapter 1", "Chapter 2"]
    assert [len(texts(book, chapter)) for chapter in (0, 1)] == [1, 1]  # the set title is not read twice


def test_anchors_cut_one_page_into_chapters(epub):
    body = f'<h2 id="a">I</h2>{PROSE}<h2><a id="b"></a>II</h2>{PROSE}<h2>III</h2><p id="c">{PROSE[3:]}'
    nav = link("p.xhtml#a", "I") + link("p.xhtml#b", "II") + link("p.xhtml#c", "III")
    book = read(epub({"p.xhtml": body}, nav=nav))
    assert titles(book) == ["I", "II", "III"]
    assert [len(texts(book, chapter)) for chapter in range(3)] == [1, 1, 1]


def test_nested_parts_become_announced_chapters_of_their_own(epub):
    pages = {
        "p1.xhtml": "<h1>Book I</h1>",
        "a.xhtml": f"<h2>I</h2>{PROSE}",
        "p2.xhtml": "<h1>Book II</h1>",
        "b.xhtml": f"<h2>I</h2>{PROSE}",
    }
    nav = link("p1.xhtml", "Book I", link("a.xhtml", "I")) + link("p2.xhtml", "Book II", link("b.xhtml", "I"))
    book = read(epub(pages, nav=nav))
    assert titles(book) == ["Book I", "I", "Book II", "I"]
    assert texts(book, 0) == []
    assert book.chapters[0].announced


def test_a_part_that_shares_its_page_with_a_chapter_is_told_apart(epub):
    pages = {"a.xhtml": f"<h1>Part One</h1><h2>Chapter 1</h2>{PROSE}", "b.xhtml": f"<h2>Chapter 2</h2>{PROSE}"}
    nav = link("a.xhtml", "Part One", link("a.xhtml", "Chapter 1") + link("b.xhtml", "Chapter 2"))
    book = read(epub(pages, nav=nav))
    assert titles(book) == ["Part One", "Chapter 1", "Chapter 2"]
    assert [len(texts(book, chapter)) for chapter in range(3)] == [0, 1, 1]


def test_short_passages_in_one_page_stay_headings_of_their_chapter(epub):
    page = f'<h1>Cooking</h1>{PROSE}<h2 id="x">Tools</h2>{PROSE}<h2 id="y">Fire</h2>{PROSE}'
    nav = link("a.xhtml", "Cooking", link("a.xhtml#x", "Tools") + link("a.xhtml#y", "Fire"))
    book = read(epub({"a.xhtml": page}, nav=nav))
    assert titles(book) == ["Cooking"]
    assert [one.text for one in book.chapters[0].paragraphs if one.kind is ParagraphKind.HEADING] == ["Tools", "Fire"]


@pytest.mark.parametrize(
    ("heading", "listed", "title"),
    [
        ("<h2>Chapter 1</h2><h3>The Window</h3>", "The Window", "Chapter 1. The Window"),
        ("<h2>Chapter 1</h2><h3>The Window</h3>", "Chapter 1: The Window", "Chapter 1: The Window"),
        ("<hgroup><h2>1</h2><p>The Window</p></hgroup>", "1. The Window", "1. The Window"),
        ("<h2>CHAPTER ONE<br/>The Window</h2>", "Chapter One", "CHAPTER ONE. The Window"),
        ("<h2>The Adventure of<br/>the Window</h2>", "The Adventure of the Window", "The Adventure of the Window"),
        ("<h2>Chapter Two</h2>", "2", "Chapter Two"),
        ("<h2>II</h2>", "II", "II"),
    ],
)
def test_title_and_heading_become_one_title(epub, heading, listed, title):
    book = read(epub({"a.xhtml": heading + PROSE}, nav=link("a.xhtml", listed)))
    assert titles(book) == [title]
    assert len(texts(book)) == 1


def test_an_entry_of_the_contents_is_read_with_the_text_between_its_tags(epub):
    entry = "<span>II</span>: <abbr>Mr.</abbr> and <abbr>Mrs.</abbr> Smith"
    for listed in ({"nav": link("a.xhtml", entry)}, {"ncx": point("a.xhtml", entry)}):
        book = read(epub({"a.xhtml": f"<h2>{entry}</h2>{PROSE}"}, **listed))
        assert titles(book) == ["II: Mr. and Mrs. Smith"]
        assert len(texts(book)) == 1  # the heading is the title and not spoken twice


def test_a_title_of_the_metadata_keeps_the_text_between_its_tags(epub):
    metadata = "<dc:title>The <i>Lantern</i> Keeper</dc:title><dc:creator><b>Ann</b> Lee</dc:creator>"
    known = read(epub({"a.xhtml": PROSE}, metadata=metadata)).metadata
    assert (known.title, known.authors) == ("The Lantern Keeper", ("Ann Lee",))


def test_without_a_table_of_contents_headings_cut(epub):
    pages = {
        "title.xhtml": "<h1>The Lantern</h1><p>by Ann Lee</p>",
        "a.xhtml": f"<h2>Chapter One</h2>{PROSE}<h3>Later</h3>{PROSE}<h2>Chapter Two</h2>{PROSE}",
        "a2.xhtml": "<p>Still the second chapter.</p>",
    }
    book = read(epub(pages))
    assert titles(book) == ["Chapter One", "Chapter Two"]
    assert texts(book, 1)[-1] == "Still the second chapter."
    assert [part.reason for part in book.skipped] == ["title page"]


def test_a_page_that_the_contents_forgot_is_read(epub):
    pages = {name: f"<h2>{title}</h2>{PROSE}" for name, title in (("a.xhtml", "One"), ("b.xhtml", "Two"))}
    pages["c.xhtml"] = PROSE
    book = read(epub(pages, nav=link("a.xhtml", "One")))
    assert titles(book) == ["One", "Two"]
    assert len(texts(book, 1)) == 2


# --- what is heard


def test_paragraphs_are_what_a_reader_would_hear(epub):
    body = """<h1>One</h1>
      <p>Soft\u00adhyphen,&nbsp;word\u2060joiner &amp; <em>all</em> that&mdash;folded
         here.<a epub:type="noteref" href="#n1">1</a> Next<sup><a href="#n2">2</a></sup> too.<a href="#n3">[3]</a></p>
      <div>Loose text<p>A line.<br/>Another line.</p>and more.</div>
      <p hidden="hidden">never</p><p style="display: none">never</p><p aria-hidden="true">never</p>
      <p><img src="x.png" alt="never"/></p><script>never()</script>
      <p>Page<span class="pagenum">[Pg 12]</span> end, and <a href="http://example.org/">2</a> stays.</p>
      <hr/><p>* * *</p>
      <table><tr><th>Name</th><th>Age</th></tr><tr><td>Ann</td><td>41</td></tr></table>
      <ul><li>First</li><li>Second</li></ul>
      <aside epub:type="footnote" id="n1"><p>A note.</p></aside>"""
    book = read(epub({"a.xhtml": body}))
    assert texts(book) == [
        "Softhyphen, wordjoiner & all that—folded here. Next too.",
        "Loose text",
        "A line.\nAnother line.",
        "and more.",
        "Page end, and 2 stays.",
        "",
        "Name, Age",
        "Ann, 41",
        "First",
        "Second",
    ]
    assert [one.kind for one in book.chapters[0].paragraphs].count(ParagraphKind.BREAK) == 1
    assert [(part.reason, part.words) for part in book.skipped] == [("footnotes inside chapters", 2)]
    kept = read(epub({"a.xhtml": body}), front_back_matter="keep")
    assert texts(kept)[-1] == "A note."


def test_broken_xhtml_is_still_read(epub):
    broken = (
        '<?xml version="1.0"?><html><head><title/></head><body><a id="x"/><h1>One</h1>'
        "<p>Fish & chips<br>and <b>tea</p><p>Unclosed &nbsp; <i>to the end"
    )
    book = read(epub({"a.xhtml": broken}))
    assert texts(book) == ["Fish & chips\nand tea", "Unclosed to the end"]


def test_pronunciations_are_collected_from_pages_and_lexicons(epub):
    body = (
        '<p xmlns:ssml="http://www.w3.org/2001/10/synthesis">The <span ssml:alphabet="ipa" ssml:ph="kiː">quay</span> '
        'and <i ssml:alphabet="x-sampa" ssml:ph="&quot;gVn@l">gunwale</i>, <b ssml:ph="x">odd</b>.</p>'
    )
    links = (
        '<link rel="pronunciation" type="application/pls+xml" hreflang="en" href="en.pls"/>'
        '<link rel="pronunciation" hreflang="de" href="de.pls"/>'
    )
    linked = (
        '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>t</title>'
        f"{links}</head><body>{body}</body></html>"
    )
    lexicon = (
        '<lexicon xmlns="http://www.w3.org/2005/01/pronunciation-lexicon" version="1.0" alphabet="{}" xml:lang="{}">'
        "<lexeme><grapheme>{}</grapheme><phoneme>{}</phoneme></lexeme>{}</lexicon>"
    )
    alias = "<lexeme><grapheme>HMS</grapheme><grapheme>H.M.S.</grapheme><alias>Her Majesty’s Ship</alias></lexeme>"
    extra = {
        "OEBPS/en.pls": lexicon.format("ipa", "en-GB", "bowline", "ˈbəʊlɪn", alias),
        "OEBPS/de.pls": lexicon.format("ipa", "de", "Kai", "kaɪ", ""),
        "OEBPS/bad.pls": "<<<",
    }
    items = '<item id="bad" href="bad.pls" media-type="application/pls+xml"/>'
    book = read(epub({"a.xhtml": linked}, extra=extra, items=items))
    assert book.pronunciations == {
        "bowline": "/ˈbəʊlɪn/",
        "HMS": "Her Majesty’s Ship",
        "H.M.S.": "Her Majesty’s Ship",
        "quay": "/kiː/",
        "gunwale": "/ˈɡʌnəl/",
    }
    assert texts(book) == ["The quay and gunwale, odd."]
    assert "bad.pls" in book.warnings[0]


def test_endnotes_in_a_file_of_their_own_can_be_heard_inline(epub):
    pages = {
        "a.xhtml": '<h1>One</h1><p>She lit it.<a href="n.xhtml#n1" epub:type="noteref">1</a></p><p>And slept.</p>',
        "n.xhtml": '<section epub:type="endnotes"><h2>Notes</h2><ol><li epub:type="endnote" id="n1"><p>1. At dusk. '
        '<a href="a.xhtml#r1" epub:type="backlink">Back</a></p></li></ol></section>',
    }
    assert texts(read(epub(pages))) == ["She lit it.", "And slept."]
    inline = read(epub(pages), notes="inline")
    assert texts(inline) == ["She lit it.", "Note: At dusk.", "And slept."]


def test_a_book_of_pictures_of_its_pages_is_refused(epub):
    pages = {f"{n}.xhtml": f'<div><img src="{n}.jpg" alt="page {n}"/></div>' for n in range(9)}
    with pytest.raises(InputError, match="its pages are pictures"):
        read(epub(pages))


def test_a_licence_in_the_pages_is_skipped(epub):
    pages = {
        "h.xhtml": "<p>The Project Gutenberg eBook of The Lantern</p>"
        "<p>*** START OF THE PROJECT GUTENBERG EBOOK THE LANTERN ***</p><h1>THE LANTERN</h1><p>by Ann Lee</p>",
        "a.xhtml": f"<h2>One</h2>{PROSE}",
        "b.xhtml": f"<h2>Two</h2>{PROSE}<p>*** END OF THE PROJECT GUTENBERG EBOOK THE LANTERN ***</p>"
        "<h2>THE FULL LICENSE</h2><p>Section 1.</p><h2>More</h2><p>You may copy it.</p>",
    }
    book = read(epub(pages, nav=link("a.xhtml", "One") + link("b.xhtml", "Two")))
    assert titles(book) == ["One", "Two"]
    assert [len(texts(book, at)) for at in (0, 1)] == [1, 1]


# --- matter


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ('<section epub:type="imprint"><p>Printed in the spring of the year.</p></section>', "imprint"),
        ('<section role="doc-index"><p>Lantern, 3</p></section>', "index"),
        ("<h2>Copyright</h2><p>All rights reserved by nobody in particular.</p>", "copyright page"),
        ("<h2>Also by Ann Lee</h2><p>The Window</p>", "other books"),
    ],
)
def test_matter_is_skipped_and_listed(epub, page, reason):
    book = read(epub({"m.xhtml": page, "a.xhtml": f"<h2>One</h2>{PROSE}"}))
    assert titles(book) == ["One"]
    assert [part.reason for part in book.skipped] == [reason]


def test_the_guide_and_file_names_tell_matter(epub):
    pages = {"front.xhtml": PROSE, "copyright.xhtml": PROSE, "a.xhtml": f"<h2>One</h2>{PROSE}"}
    book = read(epub(pages, guide='<reference type="title-page" href="front.xhtml"/>'))
    assert titles(book) == ["One"]
    assert [part.reason for part in book.skipped] == ["title page", "copyright page"]


def test_an_imprint_that_nothing_names_is_known_by_its_words(epub):
    pages = {
        "p1.xhtml": "<p>Copyright © 2019 by Ann Lee</p><p>All rights reserved.</p><p>ISBN 978-0-306-40615-7</p>",
        "p2.xhtml": "<p>For the keeper of the light.</p>",
        "p3.xhtml": f"<h2>One</h2>{PROSE}",
        "p4.xhtml": f"<h2>Two</h2>{PROSE}<p>“All rights reserved,” she read, and laughed.</p>",
    }
    book = read(epub(pages, nav=link("p3.xhtml", "One") + link("p4.xhtml", "Two")))
    assert titles(book) == ["The Lantern", "One", "Two"]
    assert texts(book) == ["For the keeper of the light."]
    assert len(texts(book, 2)) == 2
    assert [(part.reason, part.words) for part in book.skipped] == [("copyright page", 6 + 3 + 2)]


def test_the_authors_own_words_before_the_first_chapter_are_read(epub):
    pages = {
        "d.xhtml": '<section epub:type="dedication"><p>For the keeper of the light.</p></section>',
        "p.xhtml": f'<section epub:type="preface"><h2>Preface</h2>{PROSE}</section>',
        "a.xhtml": f"<h2>One</h2>{PROSE}",
    }
    book = read(epub(pages, nav=link("p.xhtml", "Preface") + link("a.xhtml", "One")))
    assert titles(book) == ["The Lantern", "Preface", "One"]
    assert [chapter.announced for chapter in book.chapters] == [False, True, True]


def test_a_book_that_is_all_matter_is_read_after_all(epub):
    book = read(epub({"notes.xhtml": f"<h1>Notes</h1>{PROSE}"}))
    assert titles(book) == ["Notes"]
    assert len(book.warnings) == 1


# --- metadata


def test_epub3_metadata(epub):
    metadata = """<dc:title id="t">The Lantern</dc:title><dc:title id="s">A Story of Light</dc:title>
      <meta refines="#s" property="title-type">subtitle</meta><meta refines="#t" property="title-type">main</meta>
      <dc:creator id="c">Ann Lee</dc:creator><meta refines="#c" property="role">aut</meta>
      <dc:contributor id="n">Bo Ray</dc:contributor><meta refines="#n" property="role">nrt</meta>
      <dc:contributor id="x">Cy Day</dc:contributor><meta refines="#x" property="role">ill</meta>
      <meta property="belongs-to-collection" id="b">Lights</meta>
      <meta refines="#b" property="collection-type">series</meta><meta refines="#b" property="group-position">2</meta>
      <dc:language>en-US</dc:language><dc:publisher>Quay Press</dc:publisher><dc:date>2019-03-01T00:00:00Z</dc:date>
      <dc:description>&lt;p&gt;One &amp;amp; only.&lt;/p&gt;&lt;p&gt;Two.&lt;/p&gt;</dc:description>
      <dc:subject>Fiction</dc:subject><dc:identifier>urn:isbn:9780306406157</dc:identifier>"""
    known = read(epub({"a.xhtml": PROSE}, metadata=metadata)).metadata
    assert (known.title, known.subtitle) == ("The Lantern", "A Story of Light")
    assert (known.authors, known.narrators) == (("Ann Lee",), ("Bo Ray",))
    assert (known.series, known.series_index) == ("Lights", "2")
    assert (known.language, known.publisher, known.published) == ("en-US", "Quay Press", "2019-03-01")
    assert (known.description, known.genres) == ("One & only.\n\nTwo.", ("Fiction",))
    assert known.isbn == "9780306406157"


def test_epub2_and_calibre_metadata(epub):
    metadata = """<dc:title>The Lantern</dc:title><dc:creator opf:role="aut" opf:file-as="Lee, Ann">Ann Lee</dc:creator>
      <dc:creator opf:role="edt">Ed Itor</dc:creator><dc:language>eng</dc:language><dc:date>0101-01-01</dc:date>
      <dc:identifier opf:scheme="ISBN">0-306-40615-2</dc:identifier>
      <meta name="calibre:series" content="Lights"/><meta name="calibre:series_index" content="3.0"/>
      <meta name="cover" content="pic"/>"""
    png = b"\x89PNG\r\n\x1a\n" + bytes(32)
    items = '<item id="pic" href="images/a%20b.png" media-type="image/png"/>'
    book = read(epub({"a.xhtml": PROSE}, metadata=metadata, items=items, extra={"OEBPS/images/a b.png": png}))
    known = book.metadata
    assert (known.authors, known.language, known.published) == (("Ann Lee",), "en", "")
    assert (known.series, known.series_index, known.isbn) == ("Lights", "3", "0306406152")
    assert book.cover is not None
    assert (book.cover.data, book.cover.media_type) == (png, "image/png")


# --- hostile and damaged


def encryption(algorithm: str, target: str) -> str:
    return (
        '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" '
        'xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptedData>'
        f'<enc:EncryptionMethod Algorithm="{algorithm}"/><enc:CipherData><enc:CipherReference URI="{target}"/>'
        "</enc:CipherData></enc:EncryptedData></encryption>"
    )


def test_drm_is_refused_by_name(epub):
    locked = encryption("http://www.w3.org/2001/04/xmlenc#aes128-cbc", "OEBPS/a.xhtml")
    extra = {"META-INF/encryption.xml": locked, "META-INF/rights.xml": "<rights/>"}
    with pytest.raises(InputError, match=r"protected by DRM \(Adobe\)"):
        read(epub({"a.xhtml": PROSE}, extra=extra))


def test_hidden_fonts_are_no_drm(epub):
    extra = {"META-INF/encryption.xml": encryption("http://www.idpf.org/2008/embedding", "OEBPS/f.otf")}
    assert read(epub({"a.xhtml": PROSE}, extra=extra)).chapters


@pytest.mark.parametrize("share", [0.2, 0.6, 0.99])
def test_a_truncated_epub_is_damaged(epub, share):
    job = epub({"a.xhtml": PROSE * 50})
    path = job.parts[0].path
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(DamagedInputError, match="cut short"):
        read(job)


def test_a_copy_that_is_zeros_so_far_is_damaged(write):
    with pytest.raises(DamagedInputError, match="zeros"):
        read(write({"a.epub": bytes(4096)}))


def test_a_torn_page_is_damaged(epub):
    job = epub({"a.xhtml": "".join(f"<p>{number:x}</p>" for number in range(9000))})
    path = job.parts[0].path
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        at = archive.getinfo("OEBPS/a.xhtml").header_offset + 200
    data[at : at + 64] = bytes(64)
    path.write_bytes(data)
    with pytest.raises(DamagedInputError, match="a\\.xhtml"):
        read(job)


def test_something_else_called_epub_is_refused(write):
    with pytest.raises(InputError, match="not a zip archive"):
        read(write({"a.epub": b"%PDF-1.7 and so on"}))


def test_a_zip_without_a_package_is_refused(write):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("holiday.txt", "no book")
    with pytest.raises(InputError, match="package"):
        read(write({"a.epub": buffer.getvalue()}))


@pytest.mark.parametrize("padding", [0, 100_000])
def test_external_entities_are_not_read(epub, tmp_path, padding):
    (tmp_path / "secret.txt").write_text("the secret")
    hostile = (
        f'<?xml version="1.0"?><!DOCTYPE html [{" " * padding}<!ENTITY x SYSTEM "file://{tmp_path}/secret.txt">]>'
        '<html xmlns="http://www.w3.org/1999/xhtml"><body><p>Before &x; after, so the evening went.</p></body></html>'
    )
    book = read(epub({"a.xhtml": hostile}))
    assert "secret" not in texts(book)[0]
    assert texts(book)[0].startswith("Before")


@pytest.mark.parametrize("padding", [0, 100_000])
def test_an_entity_bomb_stays_small(epub, padding):
    entities = '<!ENTITY a "ha">' + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(12))
    bomb = (
        f'<?xml version="1.0"?><!DOCTYPE html [{" " * padding}{entities}]>'
        '<html xmlns="http://www.w3.org/1999/xhtml"><body><p>Laugh: &m; and so the evening went.</p></body></html>'
    )
    book = read(epub({"a.xhtml": bomb}))
    assert sum(map(len, texts(book))) < 10_000


def test_references_to_no_character_are_dropped(epub):
    broken = '<p title="&#xD800;">One&#xD800; &#0;two&#151;three &#60;four&#x1F600; &#99999999999999; <i>open</p>'
    assert texts(read(epub({"a.xhtml": broken}))) == ["One two—three <four😀 open"]


def test_a_zip_bomb_is_not_opened(epub):
    with pytest.raises(InputError, match="200 times its size"):
        read(epub({"a.xhtml": f"<p>{'a' * 8_000_000}</p>"}))


def test_a_page_that_lies_about_its_size_is_caught(epub):
    job = epub({"a.xhtml": f"<p>{'a' * 8_000_000}</p>"})
    path = job.parts[0].path
    data = path.read_bytes()
    size = next(info.file_size for info in zipfile.ZipFile(path).infolist() if info.filename.endswith("a.xhtml"))
    path.write_bytes(data.replace(struct.pack("<L", size), struct.pack("<L", 100)))
    with pytest.raises(InputError):
        read(job)


def test_too_many_entries_are_not_listed(write):
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 60_000, 60_000, 60_000 * 46, 4, 0)
    with pytest.raises(InputError, match="more than"):
        read(write({"a.epub": b"PK\x03\x04" + end}))


def test_names_that_lead_outside_are_of_no_use(epub, tmp_path):
    (tmp_path / "outside.xhtml").write_text("<html><body><p>outside</p></body></html>")
    items = '<item id="out" href="../../outside.xhtml" media-type="application/xhtml+xml"/>'
    extra = {"../outside.xhtml": "<p>outside</p>", "/etc/outside": "x", "C:\\outside": "x"}
    book = read(epub({"a.xhtml": PROSE}, spine=["a.xhtml", "out"], items=items, extra=extra))
    assert "outside" not in " ".join(texts(book))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lantern.epub", "outside.xhtml"]


def test_a_missing_page_is_a_warning(epub):
    items = '<item id="gone" href="gone.xhtml" media-type="application/xhtml+xml"/>'
    book = read(epub({"a.xhtml": PROSE}, spine=["a.xhtml", "gone"], items=items))
    assert "gone.xhtml" in book.warnings[0]


def test_an_epub_without_words_is_refused(epub):
    with pytest.raises(InputError, match="no text to read"):
        read(epub({"a.xhtml": '<p><img src="a.png" alt="words"/></p>'}))


def test_deep_and_wide_pages_are_read(epub):
    deep = "<div>" * 3000 + "deep" + "</div>" * 3000
    wide = "".join(f'<h2 id="h{n}">{n}</h2><p>word</p>' for n in range(3000))
    nav = "".join(link(f"b.xhtml#h{n}", str(n)) for n in range(3000))
    book = read(epub({"a.xhtml": f"{PROSE}{deep}", "b.xhtml": wide}, nav=nav))
    assert titles(book)[-1] == "2999"
    assert len(book.chapters) == 3001
