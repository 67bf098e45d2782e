"""Web pages, Word documents, PDFs, FictionBooks and zips of chapters: small good ones, and known nastiness."""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_STYLE = '<w:style w:type="paragraph" w:styleId="H"><w:name w:val="heading 1"/></w:style>'
_NOTE = '<w:footnote w:id="2"><w:p><w:r><w:t>A note.</w:t></w:r></w:p></w:footnote>'
_XML = '<?xml version="1.0" encoding="utf-8"?>'


def html(body: str, head: str = "") -> bytes:
    return (
        f'{head}<!DOCTYPE html><html lang="en"><head><title>The Clock</title></head><body>{body}</body></html>'.encode()
    )


def packed(members: Mapping[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def docx(body: str, members: Mapping[str, str | bytes] | None = None, head: str = "") -> bytes:
    return packed(
        {
            "word/document.xml": f"{_XML}{head}<w:document {_W}><w:body>{body}</w:body></w:document>",
            "word/styles.xml": f"<w:styles {_W}>{_STYLE}</w:styles>",
            "word/footnotes.xml": f"<w:footnotes {_W}>{_NOTE}</w:footnotes>",
            **(members or {}),
        }
    )


def word(text: str, style: str = "") -> str:
    named = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{named}<w:r><w:t>{text}</w:t></w:r></w:p>"


def pdf(
    texts: list[str], *, content: bytes | None = None, extra: str = "", entries: str = "", packing: str = ""
) -> bytes:
    """A PDF of one page that holds some lines; its streams are plain, so that damage gets inside."""
    lines = "".join(f"1 0 0 1 50 {700 - 14 * at} Tm ({text}) Tj\n" for at, text in enumerate(texts))
    drawn = content if content is not None else f"BT /F1 11 Tf\n{lines}ET".encode("cp1252")
    bodies = [
        f"<< /Type /Catalog /Pages 2 0 R {extra} >>".encode(),
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R {entries} "
        "/Resources << /Font << /F1 5 0 R >> >> >>".encode(),
        f"<< /Length {len(drawn)} {packing} >>\nstream\n".encode() + drawn + b"\nendstream",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier >>",
    ]
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(bodies, 1):
        places.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start = len(out)
    out += b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
    return bytes(out + b"trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % start)


def fb2(body: str, head: str = "") -> bytes:
    return (
        f'{_XML}{head}<FictionBook xmlns="http://www.gribuser.ru/xml/fictionbook/2.0" '
        'xmlns:l="http://www.w3.org/1999/xlink"><description><title-info><author><first-name>Ann</first-name>'
        "<last-name>Lee</last-name></author><book-title>The Clock</book-title><lang>en</lang></title-info>"
        "</description>"
        f"<body>{body}</body></FictionBook>"
    ).encode()


def good(prose: str) -> dict[str, dict[str, bytes]]:
    """A small good source of every one of these formats, by kind and name."""
    page = html(
        f'<h1>The Clock</h1><h2>One</h2><p class="dropcap">{prose}</p><ol><li>a</li><li>b</li></ol>'
        f"<table><tr><td>x</td></tr></table><h2>Two</h2>"
        f'<p>{prose}<a href="#n"><sup>1</sup></a></p><p id="n">1. note</p>'
    )
    document = docx(word("One", "H") + word(prose) + word("Two", "H") + word(prose))
    lines = ["CHAPTER ONE", *prose.encode("ascii", "ignore").decode().split(". "), "1"]
    chapters = packed({f"{n:02} Part.txt": f"{prose}\n\n{prose}" for n in range(3)} | {"cover.jpg": b"\xff\xd8\xff"})
    fiction = fb2(
        f"<section><title><p>One</p></title><p>{prose}</p><poem><stanza><v>a</v><v>b</v></stanza></poem></section>"
    )
    return {
        "html": {"Book.html": page},
        "docx": {"Book.docx": document},
        "pdf": {"Book.pdf": pdf(lines)},
        "zip": {"Book.zip": chapters},
        "fb2": {"Book.fb2": fiction},
    }


def nasty_files(prose: str, canary: Path) -> dict[str, tuple[str, bytes, str, str]]:
    """Name of the file, content, how it must end and what the reason says, by the name of a case."""
    laughs = '<!DOCTYPE a [<!ENTITY a "ha">' + "".join(
        f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
    )
    external = f'<!DOCTYPE a [<!ENTITY a SYSTEM "file://{canary}">]>'
    deep = "<div>" * 60_000
    flood = zlib.compress(b"(" * 200_000_000, 9)
    nested = "[" * 40_000 + "]" * 40_000
    far = "/AA << /O << /S /URI /URI (http://127.0.0.1:9/) >> >>"
    strange = b"1e38 0 0 1e38 1e38 -1e38 Tm (a) Tj 0 0 0 0 0 0 Tm (b) Tj " * 900
    kids = b"/Kids [2 0 R 3 0 R]"
    ascii_prose = prose.encode("ascii", "ignore").decode()
    png = b"\x89PNG\r\n\x1a\n"
    return {
        "html empty": ("Book.html", b"", "refused", "empty"),
        "html no words": ("Book.html", html("<p></p>"), "refused", "no text"),
        "html binary": ("Book.html", bytes(range(256)) * 40, "somehow", ""),
        "html zeros": ("Book.html", bytes(9999), "refused", ""),
        "html deep": ("Book.html", html(deep + prose), "somehow", ""),
        "html laughs": ("Book.html", html(f"<p>&j;{prose}</p>", laughs + "]>"), "narrated", ""),
        "html reads files": (
            "Book.html",
            html(f"<p>&a;{prose}</p><img src='file://{canary}'>", external),
            "narrated",
            "",
        ),
        "html cells": ("Book.html", html("<table>" * 400 + f"<tr><td>{prose}"), "somehow", ""),
        "html links": (
            "Book.html",
            html("".join(f'<a href="#{n}">{n}</a>' for n in range(30_000)) + prose),
            "somehow",
            "",
        ),
        "html lists": ("Book.html", html("<ol><li>" * 300 + prose), "somehow", ""),
        "html notes": (
            "Book.html",
            html("".join(f'<p id="n{n}">{n} <sup><a href="#n{n + 1}">1</a></sup></p>' for n in range(5000)) + prose),
            "somehow",
            "",
        ),
        "html UTF-16": ("Book.html", html(f"<p>{prose}</p>").decode().encode("utf-16"), "narrated", ""),
        "docx no zip": ("Book.docx", prose.encode(), "refused", "no DOCX"),
        "docx locked": ("Book.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(5000), "refused", "password"),
        "docx another zip": ("Book.docx", packed({"a.txt": prose}), "refused", "Word document"),
        "docx cut short": ("Book.docx", docx(word(prose))[:-200], "refused", "cut short"),
        "docx bomb": ("Book.docx", docx(word(" " * (60 << 20))), "refused", "times its size"),
        "docx laughs": ("Book.docx", docx(word(f"&j;{prose}"), head=laughs + "]>"), "narrated", ""),
        "docx reads files": ("Book.docx", docx(word(f"&a;{prose}"), head=external), "narrated", ""),
        "docx deep": ("Book.docx", docx("<w:tbl><w:tr><w:tc>" * 20_000 + word(prose)), "somehow", ""),
        "docx styles in a circle": (
            "Book.docx",
            docx(
                word(prose, "A"),
                {
                    "word/styles.xml": f'<w:styles {_W}><w:style w:styleId="A"><w:basedOn w:val="B"/></w:style>'
                    '<w:style w:styleId="B"><w:basedOn w:val="A"/></w:style></w:styles>'
                },
            ),
            "narrated",
            "",
        ),
        "docx numbers": (
            "Book.docx",
            docx(
                f'<w:p><w:pPr><w:numPr><w:ilvl w:val="{"9" * 4000}"/><w:numId w:val="1"/></w:numPr></w:pPr>'
                f"<w:r><w:t>{prose}</w:t></w:r></w:p>"
            ),
            "narrated",
            "",
        ),
        "docx escapes": (
            "Book.docx",
            docx(
                word(prose),
                {"_rels/.rels": f'<r><Relationship Type="x/officeDocument" Target="../../../..{canary}"/></r>'},
            ),
            "narrated",
            "",
        ),
        "pdf no pdf": ("Book.pdf", prose.encode(), "refused", "no PDF"),
        "pdf empty": ("Book.pdf", b"", "refused", "empty"),
        "pdf zeros": ("Book.pdf", bytes(9000), "refused", "zeros"),
        "pdf cut short": ("Book.pdf", pdf([ascii_prose])[:300], "refused", "cut short"),
        "pdf without pages": ("Book.pdf", pdf([]), "refused", "no text"),
        "pdf flood": ("Book.pdf", pdf([], content=flood, packing="/Filter /FlateDecode"), "refused", ""),
        "pdf pages in a circle": (
            "Book.pdf",
            pdf([ascii_prose]).replace(b"/Kids [3 0 R]", kids).replace(b"/Count 1", b"/Count 999999"),
            "somehow",
            "",
        ),
        "pdf nested": ("Book.pdf", pdf([ascii_prose], extra=f"/X {nested}"), "somehow", ""),
        "pdf runs a script": (
            "Book.pdf",
            pdf([ascii_prose], extra="/OpenAction << /S /JavaScript /JS (app.alert\\(1\\)) >>"),
            "narrated",
            "",
        ),
        "pdf reads files": (
            "Book.pdf",
            pdf(
                [ascii_prose],
                extra=f"/OpenAction << /S /Launch /F ({canary}) >> {far}",
            ),
            "narrated",
            "",
        ),
        "pdf of a huge page": (
            "Book.pdf",
            pdf([ascii_prose], entries="/UserUnit 75000").replace(b"612 792", b"9999999999 9999999999"),
            "somehow",
            "",
        ),
        "pdf of strange places": (
            "Book.pdf",
            pdf(
                [],
                content=b"BT /F1 11 Tf " + strange + b"ET",
            ),
            "somehow",
            "",
        ),
        "fb2 no xml": ("Book.fb2", prose.encode(), "refused", ""),
        "fb2 another xml": ("Book.fb2", b"<html><p>words</p></html>", "refused", "no FictionBook"),
        "fb2 cut short": ("Book.fb2", fb2(f"<section><p>{prose}</p></section>")[:-80], "refused", "cut short"),
        "fb2 laughs": ("Book.fb2", fb2(f"<section><p>&j;{prose}</p></section>", laughs + "]>"), "narrated", ""),
        "fb2 reads files": ("Book.fb2", fb2(f"<section><p>&a;{prose}</p></section>", external), "narrated", ""),
        "fb2 deep": ("Book.fb2", fb2("<section>" * 20_000 + f"<p>{prose}</p>" + "</section>" * 20_000), "somehow", ""),
        "fb2 deep in a line": ("Book.fb2", fb2(f"<p>{'<emphasis>' * 9000}{prose}"), "somehow", ""),
        "zip of nothing": ("Book.zip", packed({}), "refused", ""),
        "zip of pictures": ("Book.zip", packed({"1.png": png, "2.png": png}), "refused", "pictures"),
        "zip of a zip": ("Book.zip", packed({"a.zip": packed({"a.txt": prose})}), "refused", "no book"),
        "zip of two books": ("Book.zip", packed({"a.epub": b"PK", "b.epub": b"PK"}), "refused", "2 .epub files"),
        "zip that escapes": (
            "Book.zip",
            packed({f"{'../' * 9}{canary}": prose, "a.txt": prose, "C:\\b.txt": prose}),
            "narrated",
            "",
        ),
        "zip of many": ("Book.zip", packed({f"{n}.txt": f"{n} {prose}" for n in range(3000)}), "narrated", ""),
        "zip bomb": ("Book.zip", packed({f"{n}.txt": bytes(60 << 20) for n in range(2)}), "refused", "times its size"),
        "zip locked": ("Book.zip", _locked(packed({"a.txt": prose})), "refused", "password"),
        "zip no zip": ("Book.zip", prose.encode(), "refused", "no zip"),
    }


def _locked(data: bytes) -> bytes:
    locked = bytearray(data)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = locked.find(mark)
        while at >= 0:
            (flags,) = struct.unpack_from("<H", locked, at + offset)
            struct.pack_into("<H", locked, at + offset, flags | 1)
            at = locked.find(mark, at + 4)
    return bytes(locked)
