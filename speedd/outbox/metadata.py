"""The ``metadata.json`` beside an audiobook, with the keys that Audiobookshelf writes and reads."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from speedd.model import Metadata
from speedd.outbox.names import series_number

_YEAR = re.compile(r"(?<!\d)\d{4}(?!\d)")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class ChapterSpan:
    """A chapter of the finished audio, in seconds from its start."""

    title: str
    start_s: float
    end_s: float


def metadata_json(metadata: Metadata, chapters: Iterable[ChapterSpan]) -> dict[str, Any]:
    """Build the content of ``metadata.json``. What is not known is null or an empty list."""
    year = _YEAR.search(metadata.published)
    date = _DATE.match(metadata.published)
    series = series_label(metadata)
    return {
        "tags": [],
        "chapters": [
            {
                "id": number,
                "start": round(chapter.start_s, 3),
                "end": round(chapter.end_s, 3),
                "title": chapter.title.strip() or f"Chapter {number + 1}",
            }
            for number, chapter in enumerate(chapters)
        ],
        "title": metadata.title or None,
        "subtitle": metadata.subtitle or None,
        "authors": list(metadata.authors),
        "narrators": list(metadata.narrators),
        "series": [series] if series else [],
        "genres": list(metadata.genres),
        "publishedYear": year[0] if year else None,
        "publishedDate": date[0] if date else None,
        "publisher": metadata.publisher or None,
        "description": metadata.description or None,
        "isbn": metadata.isbn or None,
        "asin": metadata.asin or None,
        "language": metadata.language or None,
        "explicit": False,
        "abridged": False,
    }


def series_label(metadata: Metadata) -> str:
    """The series with its number as servers read it: ``Name #1``, ``Name``, or nothing."""
    number = series_number(metadata.series_index)
    name = metadata.series.strip()
    return f"{name} #{number}" if name and number else name
