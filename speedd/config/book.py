"""Per-book settings: what a file beside a book may ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, field_validator

from speedd.config.loading import merge, validated
from speedd.config.section import Section
from speedd.config.settings import Config


class BookFields(Section):
    """``[book]`` of per-book settings: what overrides the book's own metadata."""

    title: str | None = None
    subtitle: str | None = None
    author: str | None = None
    narrator: str | None = None
    series: str | None = None
    series_index: str | None = None
    language: str | None = None
    publisher: str | None = None
    published: str | None = None
    description: str | None = None
    genre: str | None = None
    isbn: str | None = None
    asin: str | None = None

    @field_validator("series_index", "published", mode="before")
    @classmethod
    def _number_as_text(cls, value: object) -> object:
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


class BookEngineSettings(Section):
    """``[engine]`` of per-book settings."""

    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{1,64}$")
    voice: str | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None


class BookSettings(Section):
    """Per-book settings, from ``Book.toml`` or a folder's ``speedd.toml``. They come from strangers: no paths."""

    book: BookFields = BookFields()
    engine: BookEngineSettings = BookEngineSettings()
    speech: dict[str, Any] = Field(default_factory=dict)
    output: dict[str, Any] = Field(default_factory=dict)
    pronunciations: dict[str, Any] = Field(default_factory=dict)
    """By word, a respelling, or IPA between strokes."""


def with_book_settings(config: Config, settings: BookSettings, *, pinned: Mapping[str, Any] | None = None) -> Config:
    """Return the configuration for one book.

    Args:
        config: what holds for all books.
        settings: what this book asks for.
        pinned: what the command line and the environment set, nested like the file: it wins.
    Raises:
        ConfigError: if the book's settings are wrong.
    """
    asked = {
        "engine": settings.engine.model_dump(exclude_none=True),
        "speech": settings.speech,
        "output": settings.output,
    }
    # Sections hold their defaults by now: dump what was set, so that validators see the same input as before.
    base = config.model_dump(mode="python")
    return validated(merge(merge(base, asked), dict(pinned or {})), origin="the book's settings")
