"""Covers: found in the package or beside the book, known by their first bytes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from speedd.errors import InputError
from speedd.model import Cover
from speedd.reading.archive import Archive, resolve
from speedd.reading.epub.package import Item, Package
from speedd.reading.html.markup import attribute, decode_markup, descendants, parse_page

MAX_COVER_BYTES = 32 << 20
_SVG_HEAD_BYTES = 1024


def media_type_of(data: bytes) -> str:
    """The media type of an image by its first bytes, empty if it is none that speedd knows."""
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if b"<svg" in data[:_SVG_HEAD_BYTES]:
        return "image/svg+xml"
    return ""


def read_cover(path: Path) -> Cover | None:
    """Read a cover that lies beside the book; None if it is no image or far too large."""
    if path.stat().st_size > MAX_COVER_BYTES:
        return None
    data = path.read_bytes()
    media_type = media_type_of(data)
    return Cover(data, media_type) if media_type else None


def find_cover(archive: Archive, package: Package) -> Cover | None:
    """Find the cover of an EPUB: EPUB 3's property, EPUB 2's meta, the guide, or a file called cover.

    A cover that cannot be read is no reason to refuse a book.
    """
    return first_image(archive, _candidates(archive, package))


def first_image(archive: Archive, names: Iterable[str]) -> Cover | None:
    """Take the first of some members of an archive that is an image and can be read."""
    for name in names:
        try:
            data = archive.read(name)
        except InputError:
            continue
        if len(data) <= MAX_COVER_BYTES and (media_type := media_type_of(data)):
            return Cover(data, media_type)
    return None


def _candidates(archive: Archive, package: Package) -> list[str]:
    names: list[str] = []
    if item := package.with_property("cover-image"):
        names.append(item.path)
    named = [item for item in package.items if package.cover_id and package.cover_id in {item.id, item.path}]
    guided = [path for kind, path, _ in package.guide if kind == "cover"]
    for path in (*(item.path for item in named), *guided):
        names.extend([path] if _is_image(package, path) else _images_of_page(archive, path))
    names.extend(item.path for item in package.items if _is_called_cover(item))
    return [name for name in dict.fromkeys(names) if name and archive.find(name)]


def _is_called_cover(item: Item) -> bool:
    stem = item.path.rpartition("/")[2].rpartition(".")[0].lower()
    return item.media_type.startswith("image/") and ("cover" in item.id.lower() or stem == "cover")


def _is_image(package: Package, path: str) -> bool:
    return any(item.path == path and item.media_type.startswith("image/") for item in package.items)


def _images_of_page(archive: Archive, path: str) -> list[str]:
    if not archive.find(path):
        return []
    try:
        root = parse_page(decode_markup(archive.read(path)))
    except InputError:
        return []
    if root is None:
        return []
    return [
        resolve(path, element.get("src") or attribute(element, "href"))[0]
        for element in descendants(root, "img", "image")
    ]
