"""Sources for the reader: jobs over real files, and small EPUBs written from parts."""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from reading_jobs import job_of

from speedd.model import Job

_CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)
_DEFAULT_METADATA = "<dc:title>The Lantern</dc:title><dc:creator>Ann Lee</dc:creator><dc:language>en</dc:language>"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Job]:
    """Write files (name → text or bytes) and make one job of them."""

    def written(files: Mapping[str, str | bytes]) -> Job:
        paths = []
        for name, content in files.items():
            path = tmp_path / name
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            paths.append(path)
        return job_of(*paths)

    return written


def page(body: str, *, title: str = "The Lantern", attributes: str = "") -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html>'
        '<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops">'
        f"<head><title>{title}</title></head><body {attributes}>{body}</body></html>"
    )


@pytest.fixture
def epub(tmp_path: Path) -> Callable[..., Job]:
    """Write an EPUB from its pages, given in the order of the manifest."""

    def written(
        pages: Mapping[str, str],
        *,
        spine: list[str] | None = None,
        nav: str = "",
        ncx: str = "",
        metadata: str = _DEFAULT_METADATA,
        guide: str = "",
        extra: Mapping[str, bytes | str] | None = None,
        items: str = "",
        nonlinear: tuple[str, ...] = (),
    ) -> Job:
        manifest = "".join(f'<item id="{name}" href="{name}" media-type="application/xhtml+xml"/>' for name in pages)
        manifest += '<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>' * bool(nav)
        manifest += '<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>' * bool(ncx)
        references = "".join(
            f'<itemref idref="{name}"{" linear=" + chr(34) + "no" + chr(34) if name in nonlinear else ""}/>'
            for name in spine or pages
        )
        opf = (
            '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata '
            'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:opf="http://www.idpf.org/2007/opf">'
            f"{metadata}</metadata><manifest>{manifest}{items}</manifest>"
            f'<spine toc="ncx">{references}</spine><guide>{guide}</guide></package>'
        )
        path = tmp_path / "lantern.epub"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("mimetype", "application/epub+zip")
            archive.writestr("META-INF/container.xml", _CONTAINER)
            archive.writestr("OEBPS/book.opf", opf)
            if nav:
                archive.writestr("OEBPS/nav.xhtml", page(f'<nav epub:type="toc"><ol>{nav}</ol></nav>'))
            if ncx:
                archive.writestr(
                    "OEBPS/toc.ncx",
                    f'<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/" version="2005-1"><navMap>{ncx}</navMap></ncx>',
                )
            for name, text in pages.items():
                archive.writestr(f"OEBPS/{name}", text if text.startswith("<?xml") else page(text))
            for name, content in (extra or {}).items():
                archive.writestr(name, content)
        return job_of(path)

    return written
