"""metadata.json holds exactly the keys that Audiobookshelf knows."""

import json

from speedd.model import Metadata
from speedd.outbox.metadata import ChapterSpan, metadata_json

KEYS = [
    "tags",
    "chapters",
    "title",
    "subtitle",
    "authors",
    "narrators",
    "series",
    "genres",
    "publishedYear",
    "publishedDate",
    "publisher",
    "description",
    "isbn",
    "asin",
    "language",
    "explicit",
    "abridged",
]


def test_a_whole_book():
    book = Metadata(
        title="Foundation",
        subtitle="A Novel",
        authors=("Isaac Asimov",),
        narrators=("Heart",),
        series="Foundation",
        series_index="1.0",
        language="en-US",
        published="1951-06-01",
        genres=("Science Fiction",),
        isbn="9780553293357",
    )
    content = metadata_json(book, [ChapterSpan("I", 0, 61.23456), ChapterSpan(" ", 61.23456, 120)])
    assert list(content) == KEYS
    assert content["chapters"] == [
        {"id": 0, "start": 0, "end": 61.235, "title": "I"},
        {"id": 1, "start": 61.235, "end": 120, "title": "Chapter 2"},
    ]
    assert content["series"] == ["Foundation #1"]
    assert (content["publishedYear"], content["publishedDate"]) == ("1951", "1951-06-01")
    assert content["tags"] == []
    assert content["publisher"] is None
    assert json.loads(json.dumps(content)) == content


def test_nothing_known():
    content = metadata_json(Metadata(), [])
    assert list(content) == KEYS
    assert {key for key, value in content.items() if value} == set()


def test_years():
    assert metadata_json(Metadata(published="1895"), [])["publishedYear"] == "1895"
    assert metadata_json(Metadata(published="1895"), [])["publishedDate"] is None
    assert metadata_json(Metadata(published="c. 1895, London"), [])["publishedYear"] == "1895"
    assert metadata_json(Metadata(published="long ago"), [])["publishedYear"] is None


def test_a_series_without_a_number():
    assert metadata_json(Metadata(series="Discworld", series_index="x"), [])["series"] == ["Discworld"]
