"""``key: value`` lines: the book.nfo of the older tools, YAML front matter, the header of a Gutenberg text."""

from __future__ import annotations

import re
from collections.abc import Iterable

from speedd.model import Metadata
from speedd.reading.language import normal_tag
from speedd.reading.structure.wording import fold

_LINE = re.compile(r"\s*([A-Za-z][A-Za-z _-]{0,30}?)\s*[:=]\s*(.*)")
_FIELDS = {
    "title": "title", "book title": "title", "name": "title",
    "subtitle": "subtitle",
    "author": "authors", "authors": "authors", "artist": "authors", "creator": "authors", "writer": "authors",
    "written by": "authors",
    "narrator": "narrators", "narrators": "narrators", "reader": "narrators", "read by": "narrators",
    "narrated by": "narrators",
    "genre": "genres", "genres": "genres", "tags": "genres", "subject": "genres", "subjects": "genres",
    "series": "series", "series name": "series",
    "series index": "series_index", "series part": "series_index", "series number": "series_index",
    "series position": "series_index", "volume": "series_index", "book number": "series_index",
    "year": "published", "date": "published", "published": "published", "publication date": "published",
    "release date": "published", "copyright": "published",
    "publisher": "publisher",
    "language": "language", "lang": "language",
    "description": "description", "summary": "description", "synopsis": "description", "comment": "description",
    "isbn": "isbn", "asin": "asin",
}  # fmt: skip
_WISHES = {
    "voice": "voice", "voice used": "voice", "engine": "engine", "tts engine": "engine", "preset": "preset",
    "speed": "speed", "pace": "speed", "skip": "skip", "skip chapters": "skip",
}  # fmt: skip
_PLACE = re.compile(r"(.*?)[\s,]*(?:#|\bbook\s+|\bvol(?:ume|\.)?\s*)(\d+(?:\.\d+)?)\s*\)?", re.IGNORECASE)
DATE = re.compile(r"\d{4}(?:-\d{2}(?:-\d{2})?)?")
BY = re.compile(r"(?:written\s+)?by[:\s]\s*(?P<names>\S.*)", re.IGNORECASE)
"""A line that names the authors."""


def parse_pairs(lines: Iterable[str]) -> dict[str, str]:
    """Find the known keys among some lines.

    Returns:
        values by the name of the field of `Metadata`; the first of two counts, a description runs on to the next key.
    """
    pairs: dict[str, str] = {}
    running = ""
    for line in lines:
        match = _LINE.fullmatch(line)
        field = _FIELDS.get(_key(match[1])) if match else None
        if match and field:
            value = fold(match[2]).strip("\"'")
            if field not in pairs:
                pairs[field] = value
            running = field if field == "description" else ""
        elif running and line.strip():
            pairs[running] = f"{pairs[running]} {fold(line)}".strip()
    return {field: value for field, value in pairs.items() if value}


def parse_wishes(lines: Iterable[str]) -> dict[str, str]:
    """Find what an nfo asks for besides naming the book: its voice, engine, preset, speed and chapters to skip.

    Returns:
        Values by ``voice``, ``engine``, ``preset``, ``speed`` and ``skip``; the first of two counts.
    """
    wishes: dict[str, str] = {}
    for line in lines:
        match = _LINE.fullmatch(line)
        if match and (wish := _WISHES.get(_key(match[1]))) and (value := fold(match[2]).strip("\"'")):
            wishes.setdefault(wish, value)
    return wishes


def _key(written: str) -> str:
    return " ".join(written.lower().replace("_", " ").replace("-", " ").split())


def metadata_of_pairs(pairs: dict[str, str]) -> Metadata:
    """Turn the pairs of `parse_pairs` into metadata."""
    series, index = pairs.get("series", ""), pairs.get("series_index", "")
    if (match := _PLACE.fullmatch(series)) and match[1]:
        series, index = match[1].strip(" ,(-–"), index or match[2]
    date = DATE.search(pairs.get("published", ""))
    return Metadata(
        title=pairs.get("title", ""),
        subtitle=pairs.get("subtitle", ""),
        authors=split_names(pairs.get("authors", "")),
        narrators=split_names(pairs.get("narrators", "")),
        series=series,
        series_index=index,
        language=normal_tag(pairs.get("language", "")),
        publisher=pairs.get("publisher", ""),
        published=date[0] if date else "",
        description=pairs.get("description", ""),
        genres=tuple(
            dict.fromkeys(name for name in map(str.strip, re.split(r"[,;]", pairs.get("genres", ""))) if name)
        ),
        isbn=pairs.get("isbn", "").replace("-", ""),
        asin=pairs.get("asin", ""),
    )


def split_names(names: str) -> tuple[str, ...]:
    """Split "Ann Lee & Bo Ray; Cy Day" into names. A comma stays: it may be "Lee, Ann"."""
    return tuple(dict.fromkeys(name for name in map(str.strip, re.split(r";|\s&\s|\s+and\s+", names)) if name))
