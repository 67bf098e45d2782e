"""Writes small PDFs from scratch: text at places, pictures, bookmarks, nothing that a library would hide."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

WIDTH, HEIGHT = 432, 648
LEFT, TOP = 54, 590
ADVANCE = 0.6
"""Of every letter in Courier, in sizes of type."""


def wrapped(text: str, chars: int) -> list[str]:
    """Break a text into lines of at most so many characters; a line may also be broken where it holds ``|``."""
    lines: list[str] = []
    for word in text.split():
        head, bar, tail = word.partition("|")
        if lines and len(lines[-1]) + 1 + len(head) <= chars:
            lines[-1] += f" {head}"
        else:
            lines.append(head)
        if bar:
            lines[-1] += "-"
            lines.append(tail)
    return lines


@dataclass
class Sheet:
    """One page."""

    drawn: list[str] = field(default_factory=list)
    picture: bool = False
    y: float = TOP

    def at(self, x: float, y: float, text: str, size: float = 10, font: str = "F1", rise: float = 0) -> None:
        escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        raw = escaped.encode("cp1252").decode("latin-1")
        self.drawn.append(f"BT /{font} {size} Tf {rise} Ts 1 0 0 1 {x:.2f} {y:.2f} Tm ({raw}) Tj ET")

    def centred(self, text: str, size: float = 10, font: str = "F1", gap: float = 24) -> None:
        self.y -= gap
        self.at((WIDTH - len(text) * ADVANCE * size) / 2, self.y, text, size, font)
        self.y -= gap

    def paragraph(
        self,
        text: str,
        *,
        x: float = LEFT,
        chars: int = 54,
        size: float = 10,
        indent: float = 15,
        until: int | None = None,
        leading: float = 1.2,
    ) -> list[str]:
        """Set a paragraph, its first line indented; returns what is left after ``until`` lines."""
        lines = wrapped(text, chars)
        for number, line in enumerate(lines[:until]):
            self.at(x + (indent if number == 0 else 0), self.y, line, size)
            self.y -= leading * size
        return lines[until:] if until else []


def write_pdf(
    path: Path,
    sheets: Sequence[Sheet],
    *,
    info: str = "/Title (The Lantern) /Author (Ann Lee)",
    bookmarks: Sequence[tuple[str, int]] = (),
    encrypt: str = "",
) -> Path:
    """Write a PDF.

    Args:
        path: where to.
        sheets: the pages.
        info: entries of the information dictionary.
        bookmarks: titles and pages, from 0.
        encrypt: the encryption dictionary, if there is to be one.
    """
    objects: list[bytes] = []

    def add(body: str | bytes) -> int:
        objects.append(body.encode("latin-1") if isinstance(body, str) else body)
        return len(objects)

    def stream(data: bytes, entries: str = "") -> int:
        packed = zlib.compress(data)
        head = f"<< /Length {len(packed)} /Filter /FlateDecode {entries} >>\nstream\n"
        return add(head.encode() + packed + b"\nendstream")

    catalog, tree = add(""), add("")
    fonts = [
        add(f"<< /Type /Font /Subtype /Type1 /BaseFont /{name} /Encoding /WinAnsiEncoding >>")
        for name in ("Courier", "Courier-Bold")
    ]
    picture = stream(
        bytes(8 * 8), "/Type /XObject /Subtype /Image /Width 8 /Height 8 /ColorSpace /DeviceGray /BitsPerComponent 8"
    )
    kids = []
    for sheet in sheets:
        drawn = [*sheet.drawn, *([f"q {WIDTH} 0 0 {HEIGHT} 0 0 cm /I1 Do Q"] if sheet.picture else [])]
        content = stream("\n".join(drawn).encode("latin-1"))
        kids.append(
            add(
                f"<< /Type /Page /Parent {tree} 0 R /MediaBox [0 0 {WIDTH} {HEIGHT}] /Contents {content} 0 R "
                f"/Resources << /Font << /F1 {fonts[0]} 0 R /F2 {fonts[1]} 0 R >> "
                f"/XObject << /I1 {picture} 0 R >> >> >>"
            )
        )
    outlines = ""
    if bookmarks:
        root = len(objects) + 1
        items = range(root + 1, root + 1 + len(bookmarks))
        add(f"<< /Type /Outlines /First {items[0]} 0 R /Last {items[-1]} 0 R /Count {len(items)} >>")
        for at, (title, page) in enumerate(bookmarks):
            next_one = f"/Next {items[at + 1]} 0 R" if at + 1 < len(items) else ""
            previous = f"/Prev {items[at - 1]} 0 R" if at else ""
            add(f"<< /Title ({title}) /Parent {root} 0 R {next_one} {previous} /Dest [{kids[page]} 0 R /Fit] >>")
        outlines = f"/Outlines {root} 0 R"
    objects[catalog - 1] = f"<< /Type /Catalog /Pages {tree} 0 R {outlines} >>".encode()
    listed = " ".join(f"{kid} 0 R" for kid in kids)
    objects[tree - 1] = f"<< /Type /Pages /Kids [{listed}] /Count {len(kids)} >>".encode()
    about = add(f"<< {info} >>")
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    locked = f"/Encrypt {encrypt} /ID [<00> <00>]" if encrypt else ""
    out += f"trailer\n<< /Size {len(objects) + 1} /Root {catalog} 0 R /Info {about} 0 R {locked} >>\n".encode()
    out += b"startxref\n%d\n%%%%EOF\n" % start
    path.write_bytes(out)
    return path
