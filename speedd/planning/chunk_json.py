"""Read a chunk JSON as a plan, and write a plan as a chunk JSON.

The shape is that of chatterbox-DNXS-Spokenword's ``generate_enriched_chunks``; files travel both ways.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from json.encoder import encode_basestring
from pathlib import Path
from typing import Any, TextIO

from speedd.config import SpeechSettings
from speedd.model import Book, Chunk, Metadata, Notation, Plan, Segment, Style, TextLimits
from speedd.planning.chunk_chapters import Chapters, find_chapters
from speedd.planning.chunk_entries import Entries, read_entries
from speedd.planning.dialogue import Dialogue, Quote
from speedd.planning.json_text import read_json
from speedd.planning.lexicon import Lexicon
from speedd.planning.segments import segments_of
from speedd.planning.styling import PARAMETERS

_LOG_VOICE = re.compile(r"\W*voice(?: used)?:\s*(?P<name>\S.*?)\s*", re.IGNORECASE)
_MOST_LOG_LINES = 100_000
_MOST_LINE_CHARS = 4096
_SAMPLE_CHARS = 20_000


def read_chunk_json(  # noqa: PLR0913 - facts of the engine, one by one: planning imports no engine
    path: Path,
    *,
    book: Book | None,
    name: str,
    limits: TextLimits,
    speech: SpeechSettings,
    known: Metadata | None = None,
    amend: Callable[[Metadata, str], Metadata] = lambda metadata, _: metadata,
    speaks: frozenset[Notation] = frozenset(),
    style_fields: Collection[str] = PARAMETERS,
    pronunciations: Lexicon | None = None,
) -> Plan:
    """Read a chunk JSON as a plan.

    Texts, order and gaps in the index are honoured to the letter: nothing is skipped, joined or cut, and neither an
    opening nor headings are added. Values out of range are clamped in use and named in the plan's warnings; the
    original records stay in `Chunk.record`. A ``pause_duration`` is in seconds (above 60: in milliseconds) and wins
    over the boundary's pause.

    Args:
        path: the file.
        book: the book that it lies beside, if there is one: gives chapters and metadata.
        name: of the file or its folder, for a book without a title.
        limits: what the engine takes in one go.
        speech: pauses, and the style of chunks that have none.
        known: what is known of the book where there is none.
        amend: given what is known of the book by then and some of its text, says what is known in the end.
        speaks: what the engine puts into words itself.
        style_fields: what of a style it uses.
        pronunciations: how words are to be said.
    Raises:
        InputError: if it is no chunk JSON, with the position of the first fault.
        DamagedInputError: if it looks cut short.
    """
    entries = read_entries(read_json(path), speech)
    metadata = _metadata(entries.header or {}, book.metadata if book is not None else known or Metadata(), name)
    metadata = amend(metadata, _sample(entries))
    chapters = find_chapters(entries.chunks, book, metadata.title)
    return Plan(
        metadata=metadata,
        chapters=chapters.titles,
        chunks=_chunks(
            entries,
            chapters,
            partial(
                segments_of,
                limits=limits,
                speech=speech,
                language=metadata.language,
                speaks=speaks,
                pronunciations=pronunciations,
            ),
        ),
        voice=entries.voice,
        header=entries.header,
        warnings=(*entries.warnings, *chapters.warnings, *_unused_style(entries, style_fields)),
    )


def write_chunk_json(out: TextIO, plan: Plan, *, generated: str = "", total_chunks: int | None = None) -> int:
    """Write a plan, one chunk after the other; read back, it is the same plan.

    Keys that a chunk's record or the header brought along are written as they came; what they lack is added. Direct
    speech stands under ``dialogue``, a list with where each quotation starts and stops in the text, whether it opens
    and closes in this chunk, and whether somebody else seems to speak; without the key nobody does.

    Args:
        out: open for text in UTF-8.
        plan: its chunks are walked.
        generated: "YYYY-mm-dd HH:MM:SS", for the header.
        total_chunks: how many chunks there will be, where that is known.
    Returns:
        The number of chunks.
    """
    out.write("[\n  " + _dumped(_header(plan, generated, total_chunks)))
    dialogue = Dialogue()
    count = 0
    chapter = -1
    for chunk in plan.chunks:
        title = plan.chapters[chunk.chapter] if chunk.chapter != chapter else None
        chapter = chunk.chapter
        quotes = dialogue.next(chunk.text, chunk.boundary)
        out.write(",\n  " + _dumped(_record(chunk, title, quotes)))
        count += 1
    out.write("\n]\n")
    return count


def voice_from_log(path: Path) -> str:
    """Return the voice that a ``run.log`` of the older tools names, empty if it names none."""
    with path.open(encoding="utf-8", errors="replace") as log:
        for _ in range(_MOST_LOG_LINES):
            line = log.readline(_MOST_LINE_CHARS)
            if not line:
                break
            if match := _LOG_VOICE.fullmatch(line):
                return match["name"]
    return ""


# --- reading -------------------------------------------------------------------------------------------------------


def _unused_style(entries: Entries, style_fields: Collection[str]) -> Iterator[str]:
    unused = [name for name in PARAMETERS if name in entries.styled and name not in style_fields]
    if unused:
        yield f"The engine does not use what the chunks say of {', '.join(unused)}."


def _sample(entries: Entries) -> str:
    """Some of the text, enough to tell its language."""
    texts: list[str] = []
    chars = 0
    for entry in entries.chunks:
        if chars > _SAMPLE_CHARS:
            break
        texts.append(entry.text)
        chars += len(entry.text)
    return " ".join(texts)


def _metadata(header: Mapping[str, Any], metadata: Metadata, name: str) -> Metadata:
    title = _said(header.get("title")) or metadata.title or name
    authors = header.get("authors")
    if not isinstance(authors, list):
        authors = [header.get("author")]
    named = tuple(filter(None, map(_said, authors))) or metadata.authors
    return replace(metadata, title=title, authors=named, language=_said(header.get("language")) or metadata.language)


def _said(value: Any) -> str:
    """A text that says something; "Unknown" is what the older tools write when they do not know."""
    return value.strip() if isinstance(value, str) and value.strip().lower() != "unknown" else ""


def _chunks(entries: Entries, chapters: Chapters, segments: Callable[..., tuple[Segment, ...]]) -> Iterator[Chunk]:
    for position, entry in enumerate(entries.chunks):
        chapter = chapters.of(position)
        yield Chunk(
            index=position,
            chapter=chapter,
            text=entry.text,
            segments=segments(entry.text, boundary=entry.boundary, chapter_title=chapters.titles[chapter]),
            boundary=entry.boundary,
            pause_ms=entry.pause_ms,
            sentiment_raw=entry.sentiment_raw,
            sentiment_compound=entry.sentiment_compound,
            style=entry.style,
            record=entry.record,
        )


# --- writing -------------------------------------------------------------------------------------------------------


def _header(plan: Plan, generated: str, total_chunks: int | None) -> dict[str, Any]:
    known = {
        "title": plan.metadata.title,
        "author": ", ".join(plan.metadata.authors),
        "language": plan.metadata.language,
        "voice_used": plan.voice,
        "generation_timestamp": generated,
    }
    header: dict[str, Any] = {"_metadata": True, **(plan.header or {})}
    header |= {key: value for key, value in known.items() if value}
    if len(plan.metadata.authors) > 1:
        header["authors"] = list(plan.metadata.authors)
    if total_chunks is not None:
        header["total_chunks"] = total_chunks
    return header


def _record(chunk: Chunk, title: str | None, quotes: tuple[Quote, ...]) -> dict[str, Any]:
    record: dict[str, Any] = {
        "index": chunk.index,
        "text": chunk.text,
        "word_count": len(chunk.text.split()),
        "boundary_type": chunk.boundary.value,
        "sentiment_compound": chunk.sentiment_compound,
        "sentiment_raw": chunk.sentiment_raw,
        "tts_params": _params(chunk.style),
    }
    if quotes:
        record["dialogue"] = [asdict(quote) for quote in quotes]
    if title is not None:
        record["chapter"] = title
    given = chunk.record or {}
    merged = {**record, **given}
    if _is_ours(given.get("dialogue")):  # it follows from the text, which somebody may have edited
        merged["dialogue"] = record.get("dialogue", [])
    return merged


def _params(style: Style) -> dict[str, float]:
    """What a chunk says of its style: of 0, which stands for the model's own, nothing."""
    return {name: value for name in PARAMETERS if (value := getattr(style, name))}


def _is_ours(dialogue: Any) -> bool:
    return isinstance(dialogue, list) and all(
        isinstance(quote, dict) and quote.keys() == Quote.__dataclass_fields__.keys() for quote in dialogue
    )


def _dumped(value: Any, indent: str = "\n  ") -> str:
    """Write a value as ``json.dumps`` with ``indent=2`` does: that takes five times as long."""
    if isinstance(value, str):
        return encode_basestring(value)
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, int | float):
        assert math.isfinite(value)
        return repr(value)
    inner = indent + "  "
    if isinstance(value, Mapping):
        written = [f"{encode_basestring(str(key))}: {_dumped(one, inner)}" for key, one in value.items()]
        opening, closing = "{}"
    else:
        written = [_dumped(one, inner) for one in value]
        opening, closing = "[]"
    return f"{opening}{inner}{(',' + inner).join(written)}{indent}{closing}" if written else opening + closing
