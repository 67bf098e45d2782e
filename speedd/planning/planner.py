"""Cut a book into chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from speedd.config import SpeechSettings
from speedd.model import (
    Book,
    Boundary,
    Chapter,
    Chunk,
    Metadata,
    Notation,
    ParagraphKind,
    Plan,
    Segment,
    Skipped,
    TextLimits,
)
from speedd.planning.boundaries import boundary_after_sentence, boundary_of, is_section_break
from speedd.planning.fitting import Piece, chunk_pieces
from speedd.planning.lexicon import Lexicon
from speedd.planning.segments import segments_of
from speedd.planning.styling import Sentiment, style_for


def plan_book(
    book: Book,
    *,
    limits: TextLimits,
    speech: SpeechSettings,
    skips_asked_here: bool = True,
    speaks: frozenset[Notation] = frozenset(),
    pronunciations: Lexicon | None = None,
) -> Plan:
    """Plan a book: what is said in which order, with which silences and in which style.

    Every paragraph's text is in its chunks, in order: joined with single spaces they are the paragraph with its white
    space folded. Chunks are made while the plan is walked, so memory does not grow with the book.

    Args:
        book: the book, read.
        limits: what the engine takes in one go.
        speech: pauses, preset, smoothing, whether the opening and the headings are spoken, and what is skipped.
        skips_asked_here: whether what is skipped was asked for this very book: then a warning says what of it there is
            not. What is skipped in all books need not be in each.
        speaks: what the engine puts into words itself.
        pronunciations: how words are to be said.
    Returns:
        A plan with the chapters that have something to say; those without a word are left out.
    """
    speaking = [chapter for chapter in book.chapters if _speaks(chapter, speech)]
    chapters, skipped, unmet = _left_out(speaking, speech)
    return Plan(
        metadata=book.metadata,
        chapters=tuple(chapter.title for chapter in chapters),
        chunks=_chunks(
            book.metadata,
            chapters,
            limits,
            speech,
            partial(
                segments_of,
                limits=limits,
                speech=speech,
                language=book.metadata.language,
                speaks=speaks,
                pronunciations=pronunciations,
            ),
        ),
        skipped=skipped,
        warnings=unmet if skips_asked_here else (),
    )


def opening_of(metadata: Metadata) -> str:
    """What a narrator says first, "Title, by Author."; empty for a book without a title."""
    title = " ".join(metadata.title.split())
    if not title:
        return ""
    authors = [folded for author in metadata.authors if (folded := " ".join(author.split()))]
    if authors:
        named = " and ".join(filter(None, [", ".join(authors[:-1]), authors[-1]]))
        title = f"{title} By {named}" if title[-1] in ".!?…" else f"{title}, by {named}"
    return title if title[-1] in ".!?…" else f"{title}."


@dataclass(slots=True)
class _Draft:
    """A chunk whose boundary may still become a greater one."""

    chapter: int
    text: str
    boundary: Boundary


def _speaks(chapter: Chapter, speech: SpeechSettings) -> bool:
    has_text = any(p.kind is not ParagraphKind.BREAK and p.text.strip() for p in chapter.paragraphs)
    return has_text or _is_announced(chapter, speech)


def _left_out(
    chapters: list[Chapter], speech: SpeechSettings
) -> tuple[list[Chapter], tuple[Skipped, ...], tuple[str, ...]]:
    """Take out what ``speech.skip`` names; what it names that is not there is said."""
    wanted: set[str | int] = {_folded(one) if isinstance(one, str) else one for one in speech.skip}
    kept: list[Chapter] = []
    skipped: list[Skipped] = []
    met: set[str | int] = set()
    for number, chapter in enumerate(chapters, start=1):
        own: set[str | int] = {number, _folded(chapter.title)}
        names = own & wanted
        met |= names
        if not names:
            kept.append(chapter)
            continue
        words = sum(len(paragraph.text.split()) for paragraph in chapter.paragraphs)
        skipped.append(Skipped(chapter.title or f"Chapter {number}", "skipped by the settings", words))
    unmet = [one for one in speech.skip if (_folded(one) if isinstance(one, str) else one) not in met]
    warnings = tuple(
        f"There is no chapter {one} to skip." if isinstance(one, int) else f"There is no chapter “{one}” to skip."
        for one in unmet
    )
    return kept, tuple(skipped), warnings


def _folded(title: str) -> str:
    return " ".join(title.split()).rstrip(".:").casefold()


def _is_announced(chapter: Chapter, speech: SpeechSettings) -> bool:
    return speech.headings and chapter.announced and bool(chapter.title.strip())


def _chunks(
    metadata: Metadata,
    chapters: list[Chapter],
    limits: TextLimits,
    speech: SpeechSettings,
    segments: Callable[..., tuple[Segment, ...]],
) -> Iterator[Chunk]:
    sentiment = Sentiment(speech)
    for index, draft in enumerate(_drafts(metadata, chapters, limits, speech)):
        raw, compound = sentiment.next(draft.text)
        yield Chunk(
            index=index,
            chapter=draft.chapter,
            text=draft.text,
            segments=segments(draft.text, boundary=draft.boundary, chapter_title=chapters[draft.chapter].title),
            boundary=draft.boundary,
            pause_ms=speech.pause_ms(draft.boundary),
            sentiment_raw=raw,
            sentiment_compound=compound,
            style=style_for(compound, speech),
        )


def _drafts(
    metadata: Metadata, chapters: list[Chapter], limits: TextLimits, speech: SpeechSettings
) -> Iterator[_Draft]:
    for number, chapter in enumerate(chapters):
        opening = opening_of(metadata) if speech.opening and number == 0 else ""
        last: _Draft | None = None
        for draft in _chapter_drafts(number, chapter, opening, limits, speech):
            if draft is None:  # a section break
                if last is not None:
                    last.boundary = Boundary.SECTION_BREAK
                continue
            if last is not None:
                yield last
            last = draft
        if last is not None:
            if number + 1 < len(chapters) and last.boundary is not Boundary.SECTION_BREAK:
                last.boundary = Boundary.CHAPTER_END
            yield last


def _chapter_drafts(
    number: int, chapter: Chapter, opening: str, limits: TextLimits, speech: SpeechSettings
) -> Iterator[_Draft | None]:
    """The chunks of a chapter in order, and None for every section break between them."""
    if opening:
        yield from _paragraph_drafts(number, opening, Boundary.PARAGRAPH_END, limits)
    if _is_announced(chapter, speech):
        yield from _paragraph_drafts(number, chapter.title, Boundary.CHAPTER_START, limits)
    for paragraph in chapter.paragraphs:
        if paragraph.kind is ParagraphKind.BREAK:
            yield None
        elif is_section_break(paragraph.text):
            yield from _paragraph_drafts(number, paragraph.text, Boundary.SECTION_BREAK, limits)
        else:
            yield from _paragraph_drafts(number, paragraph.text, Boundary.PARAGRAPH_END, limits)


def _paragraph_drafts(number: int, text: str, end: Boundary, limits: TextLimits) -> Iterable[_Draft]:
    """The chunks of one paragraph; the last of them ends in ``end``."""
    drafts = [_Draft(number, piece.text, _boundary_of(piece)) for piece in chunk_pieces(text, limits)]
    if drafts:
        drafts[-1].boundary = end
    return drafts


def _boundary_of(piece: Piece) -> Boundary:
    boundary = boundary_after_sentence(piece.text) if piece.whole else boundary_of(piece.text)
    # At the end of a line of verse a reader takes a short breath, whatever stands there.
    return Boundary.COMMA if boundary is Boundary.NONE and piece.after == "\n" else boundary
