"""Sources made to harm: a corpus of known nastiness, and seeded damage to small good sources of every format."""

import io
import json
import os
import random
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fault_formats import good, nasty_files, packed

PROSE = (
    "The old clock in the hall had stopped long before anybody living could remember, and nobody had ever wound it. "
    "“Who winds it?” she asked, and her brother said that nobody did, for the key had been lost in the great flood. "
    "They went up the stairs together, slowly, and listened at every door until they came to the last one of all. "
)
SECRET = "swordfish"
"""What the canary file holds: it must never be read aloud."""

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Case:
    """A source: one file, or several of one stem, and what has to become of it."""

    name: str
    files: Files
    ends: str = "somehow"
    """``refused``, ``narrated`` or ``somehow``: as either."""
    says: str = ""
    """Something that the reason has to hold."""


# --- good sources ----------------------------------------------------------------------------------------------------

CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)


def page(body: str, head: str = "") -> str:
    return (
        f'<?xml version="1.0" encoding="utf-8"?>{head}<html xmlns="http://www.w3.org/1999/xhtml">'
        f"<head><title>A page</title></head><body>{body}</body></html>"
    )


def opf(metadata: str = "", items: str = "", head: str = "", spine: str = '<itemref idref="one"/>') -> str:
    return (
        f'<?xml version="1.0"?>{head}<package xmlns="http://www.idpf.org/2007/opf" version="3.0">'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>The Clock</dc:title>'
        f"<dc:creator>Ann Lee</dc:creator><dc:language>en</dc:language>{metadata}</metadata><manifest>"
        f'<item id="one" href="one.xhtml" media-type="application/xhtml+xml"/>{items}</manifest>'
        f"<spine>{spine}</spine></package>"
    )


def epub(members: Mapping[str, str | bytes] | None = None) -> bytes:
    """An EPUB of one page; ``members`` replace its own or are added to it."""
    parts: dict[str, str | bytes] = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "OEBPS/book.opf": opf(),
        "OEBPS/one.xhtml": page(f"<h1>Chapter 1</h1><p>{PROSE}</p><p>{PROSE}</p>"),
        **(members or {}),
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def chunks(*entries: object, header: object = None) -> bytes:
    records = [{"index": at, "text": one} if isinstance(one, str) else one for at, one in enumerate(entries)]
    return json.dumps([*([header] if header else []), *records]).encode()


def png(width: int, height: int, pixels: bytes | None = None) -> bytes:
    """A picture; without pixels it only claims its size."""

    def block(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = pixels if pixels is not None else b"\0" * (height * (1 + 3 * width))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + block(b"IHDR", head) + block(b"IDAT", zlib.compress(rows, 9)) + block(b"IEND", b"")


def samples() -> dict[str, Files]:
    """A small good source of every format."""
    text = f"The Clock\n\nby Ann Lee\n\nChapter 1\n\n{PROSE}\n\nChapter 2\n\n{PROSE}{PROSE}\n".encode()
    markdown = (
        f"---\ntitle: The Clock\n---\n# One\n\n{PROSE}\n\n* a list\n* of *things*\n\n> quoted\n\n"
        f"## Two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n[link](http://x) ![picture](y.png)\n\n"
        f"```\ncode\n```\n\n{PROSE}\n"
    ).encode()
    record = {
        "index": 0,
        "text": PROSE,
        "boundary_type": "paragraph_end",
        "pause_duration": 0.5,
        "sentiment_compound": 0.1,
        "tts_params": {"exaggeration": 0.5, "cfg_weight": 0.5, "temperature": 0.8},
    }
    header = {"_metadata": True, "title": "The Clock", "author": "Ann Lee", "voice_used": "ann"}
    settings = (
        b'[book]\ntitle = "The Clock"\nauthor = "Ann Lee"\n[speech]\nspeed = 1.1\n[output]\nbitrate_kbps = 48\n'
        b"[engine]\nseed = 3\n"
    )
    nfo = b"Title: The Clock\nAuthor: Ann Lee\nSeries: Clocks\nYear: 1999\nDescription: A clock that stands.\n"
    return {
        "epub": {"Book.epub": epub({"OEBPS/cover.png": png(8, 8)})},
        "txt": {"Book.txt": text},
        "md": {"Book.md": markdown},
        "json": {"Book.json": chunks(record, PROSE, {**record, "index": 2, "chapter": "Two"}, header=header)},
        "book and json": {"Book.txt": text, "Book.json": chunks(PROSE, PROSE)},
        "toml": {"Book.txt": text, "Book.toml": settings},
        "nfo": {"Book.txt": text, "Book.nfo": nfo},
        "opf": {"Book.txt": text, "Book.opf": opf("<dc:subject>Clocks</dc:subject>").encode()},
        "png": {"Book.txt": text, "Book.png": png(8, 8)},
        "jpg": {"Book.txt": text, "Book.jpg": _jpeg()},
        **good(PROSE),
    }


def _jpeg() -> bytes:
    from PIL import Image  # noqa: PLC0415 - only here

    out = io.BytesIO()
    Image.new("RGB", (16, 16), "navy").save(out, "JPEG")
    return out.getvalue()


# --- seeded damage ---------------------------------------------------------------------------------------------------

TOKENS = (
    *(b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\\ud800", b"\\u0000", b"NaN", b"-Infinity", b"1e999"),
    *(b"9" * 5000, b"-1", b"[" * 2000, b'{"a":' * 500, b"]", b"}", b'"', b"\\", b"null", b"true", b"\r", b"\x1a"),
    *(b"<" * 300, b"<![CDATA[", b"<!--", b"]]>", b"&lt;", b"&bogus;", b"&#0;", b"&#xD800;", b"&#99999999999;"),
    *(b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>', b"<div>" * 600, b"</p>", b"<svg>", b"<script>"),
    *(b"../../../../", b"/etc/passwd", b"%2e%2e%2f", b"file:///etc/passwd", b"http://127.0.0.1:9/", b"CON", b"C:\\"),
    *(b"> " * 800, b"[" * 800, b"`" * 300, b"*" * 900, b"|" * 500, b"#" * 200, b"\t" * 999, b"- " * 400, b"\n" * 999),
    *("\u202e\u0301\u200b".encode() * 50, "🎧".encode() * 60, "e\u0301".encode() * 80, b"a" * 70_000, b"= [" * 300),
    *(b"PK\x05\x06", b"PK\x03\x04", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"1" * 400 + b".0", b"[[" * 99 + b"]]"),
)


def damaged(seed: int) -> Case:
    """A good source with one to four faults in one of its files, and always the same for the same seed."""
    chance = random.Random(seed)
    kind, files = chance.choice(list(samples().items()))
    name = chance.choice(list(files)[1:] if len(files) > 1 and chance.random() < 0.8 else list(files))
    data = files[name]
    inside = name.endswith((".epub", ".docx", ".zip")) and chance.random() < 0.7  # so that damage gets beyond the zip
    data = (_damaged_inside if inside else _damage)(data, chance)
    return Case(f"{kind} {seed}", {**files, name: data})


def _damaged_inside(data: bytes, chance: random.Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    victim = chance.choice([name for name in members if name != "mimetype"])
    match chance.randrange(6):
        case 0:
            members["../" * chance.randint(1, 9) + "etc/" + victim] = members.pop(victim)
        case 1:
            members.pop(victim)
        case _:
            members[victim] = _damage(members[victim], chance)
    return packed(members)


def _damage(data: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        until = min(len(data), at + chance.choice((1, 4, 30, 300)))
        match chance.randrange(7):
            case 0:
                data = data[:at]
            case 1:
                data = data[:at] + data[until:]
            case 2:
                data = data[:until] + data[at:until] * chance.randint(1, 50) + data[until:]
            case 3:
                data = data[:at] + chance.randbytes(until - at) + data[until:]
            case 4:
                data = data[:at] + bytes(until - at) + data[until:]
            case _:
                data = data[:at] + chance.choice(TOKENS) + data[at:]
    return data


# --- known nastiness -------------------------------------------------------------------------------------------------


def nasty(canary: Path, *, large: bool) -> Iterator[Case]:
    """Every bullet of the page on hostile input.

    Args:
        canary: a file outside of the spool that holds `SECRET`.
        large: at full size, such as 1 GB in one line; else small enough for a quick run.
    """
    yield from _json()
    yield from _text(large=large)
    yield from _zips(canary, large=large)
    yield from _xml(canary)
    yield from _beside(canary)
    for name, (file, content, ends, says) in nasty_files(PROSE, canary).items():
        yield Case(name, {file: content}, ends, says)
    for suffix in ("rtf", "mp3", "mobi"):
        yield Case(f"a {suffix}", {f"Book.{suffix}": PROSE.encode()}, "refused", f".{suffix}")


def _json() -> Iterator[Case]:
    def one(name: str, data: bytes | str, ends: str = "refused", says: str = "") -> Case:
        return Case(f"json {name}", {"Book.json": data if isinstance(data, bytes) else data.encode()}, ends, says)

    text = json.dumps(PROSE)
    yield one("deep", "[" * 100_000, says="deep")
    yield one("deep record", f'[{{"text": {text}, "x": {"[" * 200}{"]" * 200}}}]', says="deep")
    yield one("NaN", f'[{{"text": {text}, "sentiment_compound": NaN}}]', says="NaN")
    yield one("infinite", f'[{{"text": {text}, "pause_duration": 1e999}}]', says="too large")
    yield one("lone surrogate", '[{"text": "a\\ud800b"}]', says="surrogate")
    yield one("NUL", '[{"text": "a\\u0000b"}]', says="NUL")
    yield one("BOM", b"\xef\xbb\xbf" + chunks(PROSE), "narrated")
    yield one("UTF-16", chunks(PROSE).decode().encode("utf-16"), "narrated")
    yield one("digits", f'[{{"text": {text}, "index": {"9" * 5000}}}]', says="digits")
    yield one("huge index", f'[{{"text": {text}, "index": {"9" * 200}}}]', "somehow")
    yield one(
        "negative", f'[{{"text": {text}, "index": -1, "pause_duration": -5, "tts_params": {{"speed": -1}}}}]', "somehow"
    )
    yield one("wrong types", '[{"text": {"a": 1}}]')
    yield one("strange tts_params", f'[{{"text": {text}, "tts_params": "loud"}}]', "somehow")
    yield one("nothing", b"")
    yield one("null", "null")
    yield one("a number", "42")
    yield one("an empty list", "[]")
    yield one("only space", chunks(" \n "))
    yield one("zeros", bytes(5000))
    yield one("cut short", chunks(PROSE, PROSE)[:-40], says="cut short")
    yield one("Latin-1", '[{"text": "café"}]'.encode("latin-1"))
    yield one("one long word", chunks("a" * 200_000), "somehow")


def _text(*, large: bool) -> Iterator[Case]:
    def one(name: str, data: bytes, ends: str = "somehow", suffix: str = "txt", says: str = "") -> Case:
        return Case(f"{suffix} {name}", {f"Book.{suffix}": data}, ends, says)

    prose = PROSE.encode()
    yield one("empty", b"", "refused", says="empty")
    yield one("only space", b" \n\t\r\n" * 99, "refused")
    yield one("only signs", "… — * * * !?".encode() * 20)
    yield one("NUL bytes", prose.replace(b" ", b" \0"), "narrated")
    yield one("all zeros", bytes(9999), "refused")
    yield one("binary", random.Random(1).randbytes(20_000), "refused")
    yield one("UTF-16", PROSE.encode("utf-16"), "narrated")
    yield one("UTF-16 cut", PROSE.encode("utf-16")[:-1], "narrated")
    yield one("UTF-32", PROSE.encode("utf-32"), "narrated")
    yield one("BOM", b"\xef\xbb\xbf" + prose, "narrated")
    yield one(
        "Windows-1252", PROSE.replace("“", '"').replace("”", '"').encode() + "café déjà vu".encode("cp1252"), "narrated"
    )
    yield one("surrogates in UTF-8", prose + b"\xed\xa0\x80\xed\xb0\x80" + prose)
    yield one("controls", prose + bytes(range(32)) + b"\x7f\x80\x9f" + prose)
    yield one("marks", (PROSE + "Z" + "\u0301\u0300\u0334" * 3000 + " \u202eright to left\u202c.").encode(), "narrated")
    yield one("emoji", ("🎧👩‍👩‍👧‍👦🏳️‍🌈 " * 500 + PROSE).encode())
    yield one("one line", prose * (1000 if large else 300), "narrated")
    yield one("one word", b"a" * (2_000_000 if large else 200_000))
    yield one("one line of a GB", b"sparse:%d" % (2**30 if large else 80 * 2**20), "refused", says="MB")
    yield one("titles", b"Chapter 1\n\n" * 3000)
    yield one("quotes", b">" * 20_000 + b" deep\n\n" + prose, suffix="md")
    yield one("brackets", b"[" * 50_000 + prose + b"](" * 20_000, suffix="md")
    yield one("stars", b"**a *b" * 20_000 + prose, suffix="md")
    yield one("lists", b"\n".join(b"  " * depth + b"- a" for depth in range(400)) + b"\n\n" + prose, suffix="md")
    yield one("front matter", b"---\n" + b"a: [" * 20_000 + b"\n---\n" + prose, suffix="md")
    yield one("tags", b"<div>" * 20_000 + prose, suffix="md")


def _zips(canary: Path, *, large: bool) -> Iterator[Case]:
    def one(name: str, data: bytes, ends: str = "refused", says: str = "") -> Case:
        return Case(f"zip {name}", {"Book.epub": data}, ends, says)

    good = epub()
    yield one("good", good, "narrated")
    yield one("empty", b"")
    yield one("zeros", bytes(4096))
    yield one("no zip", PROSE.encode(), says="no EPUB")
    yield one("no EPUB", _zip({"a.txt": PROSE}))
    yield one("empty archive", _zip({}))
    yield one("cut short", good[: len(good) // 2], says="cut short")
    yield one("wrong checksum", good.replace(good[200:204], b"\0\0\0\0", 1), "somehow")
    yield one("bomb", epub({"OEBPS/one.xhtml": page("<p>" + " " * (60 << 20) + "</p>")}), says="times its size")
    yield one("too large a member", epub({"OEBPS/one.xhtml": bytes(65 << 20)}), says="too large")
    yield one("many members", _zip({f"{n}": "" for n in range(70_000 if large else 20_500)}), says="files")
    yield one("forged counts", _forged(good))
    yield one("nested", epub({"OEBPS/one.xhtml": epub()}), "somehow")
    escaping = {f"{'../' * 8}{str(canary.parent)[1:]}/escaped.xhtml": page(PROSE), str(canary): "overwritten"}
    yield one("names that escape", epub(escaping), "narrated")
    outside = opf(items=f'<item id="two" href="{"../" * 20}{str(canary)[1:]}" media-type="application/xhtml+xml"/>'
                  f'<item id="three" href="file://{canary}" media-type="application/xhtml+xml"/>',
                  spine='<itemref idref="one"/><itemref idref="two"/><itemref idref="three"/>')  # fmt: skip
    yield one("spine that escapes", epub({"OEBPS/book.opf": outside}), "somehow")
    yield one("link as a member", _linked(canary), "somehow")
    yield one("locked", _locked(good), says="password")
    yield one("no package", epub({"META-INF/container.xml": CONTAINER.replace("book.opf", "none.opf")}), "somehow")
    yield one("no pages", epub({"OEBPS/book.opf": opf(spine="")}), "somehow")
    spine = '<itemref idref="one"/>' * 50_000
    yield one("the same page again and again", epub({"OEBPS/book.opf": opf(spine=spine)}), "somehow")


def _zip(members: Mapping[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def _forged(good: bytes) -> bytes:
    """An archive whose end says that its directory is huge."""
    at = good.rfind(b"PK\x05\x06")
    return good[: at + 8] + struct.pack("<HHII", 0xFFFF, 0xFFFF, 0xFFFFFFF0, 0x10) + good[at + 20 :]


def _linked(canary: Path) -> bytes:
    out = io.BytesIO(
        epub(
            {
                "OEBPS/book.opf": opf(
                    items='<item id="two" href="two.xhtml" media-type="application/xhtml+xml"/>',
                    spine='<itemref idref="one"/><itemref idref="two"/>',
                )
            }
        )
    )
    with zipfile.ZipFile(out, "a") as archive:
        link = zipfile.ZipInfo("OEBPS/two.xhtml")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, str(canary))
    return out.getvalue()


def _locked(good: bytes) -> bytes:
    """Set the flag of encryption in every member, in both headers."""
    data = bytearray(good)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(mark)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(mark, at + 4)
    return bytes(data)


def _xml(canary: Path) -> Iterator[Case]:
    laughs = '<!DOCTYPE html [<!ENTITY a "ha">' + "".join(
        f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
    )
    quadratic = f'<!DOCTYPE html [<!ENTITY a "{"ha " * 20_000}">]>'
    external = f'<!DOCTYPE html [<!ENTITY a SYSTEM "file://{canary}">]>'
    parameter = f'<!DOCTYPE html [<!ENTITY % p SYSTEM "file://{canary}"> %p;]>'
    far = '<!DOCTYPE html SYSTEM "http://127.0.0.1:9/far.dtd">'

    def of(name: str, **members: str) -> Case:
        return Case(f"xml {name}", {"Book.epub": epub({f"OEBPS/{part}": text for part, text in members.items()})})

    prose = f"<p>{PROSE}</p>"
    for name, head in (
        ("laughs", laughs + "]>"),
        ("quadratic", quadratic),
        ("external", external),
        ("parameter", parameter),
        ("far", far),
    ):
        uses = {"laughs": "&j;", "quadratic": "&a;" * 500, "external": "&a;"}.get(name, "")
        yield of(f"{name} in a page", **{"one.xhtml": page(f"<p>{uses}</p>{prose}", head)})
        yield of(f"{name} in the package", **{"book.opf": opf(f"<dc:subject>{uses}</dc:subject>", head=head)})
    inclusion = f'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file://{canary}" parse="text"/>'
    yield of("inclusion", **{"one.xhtml": page(prose + inclusion)})
    sheet = f'<?xml-stylesheet href="file://{canary}"?>'
    yield of("stylesheet", **{"one.xhtml": page(prose, sheet)})
    yield of("deep", **{"one.xhtml": page("<div>" * 100_000 + prose + "</div>" * 100_000)})
    yield of("deep and broken", **{"one.xhtml": page("<b>" * 50_000 + prose)})
    attributes = " ".join(f'a{n}="x"' for n in range(20_000))
    yield of("many attributes", **{"one.xhtml": page(f"<p {attributes}>{PROSE}</p>")})
    yield of("long attribute", **{"one.xhtml": page(f'<p title="{"x" * 500_000}">{PROSE}</p>')})
    yield of("no character", **{"one.xhtml": page(f"<p>&#0;&#xD800;&#x110000;{PROSE}</p>")})
    yield of("another encoding", **{"one.xhtml": page(prose).replace("utf-8", "utf-7")})
    yield of("an unknown encoding", **{"one.xhtml": page(prose).replace("utf-8", "klingon")})
    cover = '<item id="c" href="cover.svg" media-type="image/svg+xml" properties="cover-image"/>'
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="90" height="90">'
        f'<image xlink:href="file://{canary}" width="90" height="90"/><image href="http://127.0.0.1:9/a.png"/></svg>'
    )
    yield of("a picture that loads files", **{"book.opf": opf(items=cover), "cover.svg": svg})
    huge = '<svg xmlns="http://www.w3.org/2000/svg" width="900000000" height="900000000"><rect/></svg>'
    yield of("a picture without bounds", **{"book.opf": opf(items=cover), "cover.svg": huge})


def _beside(canary: Path) -> Iterator[Case]:
    text = PROSE.encode()

    def beside(name: str, partner: str, data: bytes | str, ends: str = "narrated", says: str = "") -> Case:
        content = data if isinstance(data, bytes) else data.encode()
        return Case(f"beside {name}", {"Book.txt": text, partner: content}, ends, says)

    yield beside("a cover of 10 gigapixels", "Book.png", png(100_000, 100_000, b"\0" * 1000))
    yield beside("a cover bomb", "Book.png", png(12_000, 12_000, b"\0" * (12_000 * 36_001 // 4)))
    yield beside("a cover that is none", "Book.jpg", text)
    yield beside("a cover of zeros", "Book.jpg", bytes(9999))
    yield beside("a torn cover", "Book.png", png(80, 80)[:60])
    yield beside("a binary nfo", "Book.nfo", random.Random(2).randbytes(5000))
    yield beside("a huge nfo", "Book.nfo", b"Title: " + b"x" * (5 << 20))
    yield beside(
        "an opf that laughs", "Book.opf", opf(head='<!DOCTYPE a [<!ENTITY b "ha">]>').replace("Lee", "&b;" * 9)
    )
    external = f'<!DOCTYPE a [<!ENTITY b SYSTEM "file://{canary}">]>'
    yield beside("an opf that reads files", "Book.opf", opf(head=external).replace("Lee", "&b;"))
    yield beside("no toml", "Book.toml", "this is = = no toml", "refused", "TOML")
    yield beside("a binary toml", "Book.toml", b"\xff\xfe\0", "refused", "TOML")
    yield beside("a deep toml", "Book.toml", "a = " + "[" * 5000 + "]" * 5000, "refused")
    yield beside("a huge toml", "Book.toml", "# " + "x" * 300_000, "refused", "too large")
    yield beside("a toml of digits", "Book.toml", f"[engine]\nseed = {'9' * 5000}", "refused", "digits")
    yield beside("a toml with paths", "Book.toml", f'[paths]\noutbox = "{canary.parent}"', "refused", "no such setting")
    yield beside("a toml with NaN", "Book.toml", "[speech]\nspeed = nan", "refused")
    yield beside("an engine from elsewhere", "Book.toml", '[engine]\nname = "../../x"', "refused")
    yield beside("a voice from elsewhere", "Book.toml", f'[engine]\nvoice = "../../../..{canary}"')
    escape = f'[book]\ntitle = "../../../../{canary.parent}/escaped"\nauthor = "/{canary.parent}"\n'
    yield beside("a title that escapes", "Book.toml", escape)
    yield beside("a title of dots", "Book.toml", '[book]\ntitle = ".."\nauthor = "."\n')
    yield beside("a title of NULs", "Book.toml", '[book]\ntitle = "a\\u0000b"\n', "somehow")
    yield beside("an endless title", "Book.toml", f'[book]\ntitle = "{"🎧" * 5000}"\nseries = "{"x" * 9000}"\n')
    yield beside("a json that is none", "Book.json", "{", "refused")


def write(case: Case, folder: Path) -> list[Path]:
    """Write a case's files; ``sparse:N`` as a content stands for N bytes of nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, content in case.files.items():
        path = folder / name
        if content.startswith(b"sparse:"):
            with path.open("wb") as file:
                file.truncate(int(content.removeprefix(b"sparse:")))
        else:
            path.write_bytes(content)
        paths.append(path)
    return paths


# --- what is no file, and what has a strange name --------------------------------------------------------------------


def special(inbox: Path, canary: Path) -> dict[str, Callable[[], None]]:
    """What may lie in an inbox and be no source at all: makers by name; each ends refused."""

    def linked_folder() -> None:
        (inbox / "Linked folder").symlink_to(canary.parent)

    def linked_inside() -> None:
        (inbox / "Inside").mkdir()
        (inbox / "Inside" / "book.txt").symlink_to(canary)

    makers: dict[str, Callable[[], None]] = {
        "A link": lambda: (inbox / "A link.txt").symlink_to(canary),
        "A dangling link": lambda: (inbox / "A dangling link.epub").symlink_to("nowhere"),
        "A link to itself": lambda: (inbox / "A link to itself.md").symlink_to("A link to itself.md"),
        "Linked folder": linked_folder,
        "Inside": linked_inside,
        "A pipe": lambda: os.mkfifo(inbox / "A pipe.epub"),
        "A socket": lambda: os.mknod(inbox / "A socket.txt", stat.S_IFSOCK | 0o644),
    }
    if os.geteuid() == 0:
        makers["A device"] = lambda: os.mknod(inbox / "A device.txt", stat.S_IFCHR | 0o644, os.makedev(1, 5))
    return makers


def strange_names() -> list[bytes]:
    """Names that are no fault of the book: each is narrated."""
    emoji = "🎧".encode() * 62 + "é.txt".encode()
    return [
        emoji + b"",
        "🎧".encode() * 62 + b"abc.txt",
        b"caf\xe9 \xff\xfe.txt",
        b"line\nbreak\ttab.txt",
        b"-rf --no-preserve.txt",
        b"$(touch pwned) `id` ;&|.txt",
        b"  spaces  .txt",
        b"dots....txt",
        b"%s %n {0} {book}.txt",
        "e\u0301 and é.txt".encode(),
        "\u202etxt.epub\u202c.txt".encode(),
        b"CON.txt",
        b"NOTHING.TXT",
    ]
