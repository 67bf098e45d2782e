"""What every format reader makes of its source, and how that becomes a `Book`.

A format reader yields blocks of text, cut into sections. Which sections are read out and which are front or back
matter is decided here, once for all formats.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from speedd.model import Book, Chapter, Cover, Metadata, Paragraph, ParagraphKind, Skipped
from speedd.reading.structure.titles import tokens

CAPTIONS = "captions"
DESCRIPTIONS = "picture descriptions"


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, a heading or a break, as it stands in the source."""

    text: str
    kind: ParagraphKind = ParagraphKind.TEXT
    level: int = 0
    """1 to 6 for a heading, 1 the highest; else 0."""
    skip_reason: str = ""
    """Why it is not read out ("imprint", "endnotes"); empty for the book's own text."""
    marked: bool = False
    """True if the source itself says that this is body text, so that nothing need be guessed from a title."""
    notes: tuple[str, ...] = ()
    """The targets of the note marks that stood in it: keys of `Manuscript.notes`, where the note was found."""
    note: bool = False
    """True if it is the text of a note to which a mark leads."""
    spacer: bool = False
    """True for a break that is only an empty paragraph in the source."""

    @property
    def words(self) -> int:
        """Words of the book's text; a break has none, and what describes a picture is not the book's text."""
        return 0 if self.kind is ParagraphKind.BREAK or self.skip_reason == DESCRIPTIONS else len(self.text.split())


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of the source under one title."""

    title: str
    """Empty where it has none; a list of chapters then shows the book's own."""
    blocks: tuple[Block, ...]
    """Without the blocks that are the title itself."""
    announced: bool = True
    """Whether the title stands in the source, so that it is spoken."""
    skip_reason: str = ""
    """Why the whole section is not read out; empty for the book's own text."""
    heading_words: int = 0
    """Words in the blocks that were taken as its title."""


@dataclass(frozen=True, slots=True)
class Manuscript:
    """A source, read but not yet sorted into what is spoken and what is not."""

    metadata: Metadata
    sections: tuple[Section, ...]
    cover: Cover | None = None
    warnings: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    """The text of notes by the target of their marks."""
    pronunciations: Mapping[str, str] = field(default_factory=dict)
    """As in `Book.pronunciations`."""
    pictures: int = 0
    """How many pictures the source shows."""
    left_out: tuple[Skipped, ...] = ()
    """What nobody would ever want to hear, and the reader therefore left out itself."""


def count_words(blocks: Iterable[Block]) -> int:
    """Count the words of some blocks."""
    return sum(block.words for block in blocks)


@dataclass(frozen=True, slots=True)
class Choices:
    """What a listener wants to hear besides the text."""

    front_back_matter: Literal["skip", "keep"] = "skip"
    """``keep``: front and back matter, notes and all else at its place."""
    notes: Literal["skip", "inline"] = "skip"
    """``inline``: the text of a note after the paragraph with its mark."""
    pictures: Literal["skip", "read"] = "skip"
    """``read``: captions, and what describes a picture."""

    def reason(self, block: Block) -> str:
        """Why a block is not read out; empty if it is."""
        if self.notes == "inline" and block.note:
            return block.skip_reason or "footnotes"
        if block.skip_reason in {CAPTIONS, DESCRIPTIONS} and self.pictures == "read":
            return ""
        if self.front_back_matter == "keep" and block.skip_reason != DESCRIPTIONS:
            return ""
        return block.skip_reason


def assemble(manuscript: Manuscript, choices: Choices) -> Book:
    """Make the book of a manuscript: the chapters that are read out, and a list of what is not.

    Args:
        manuscript: what the format reader found.
        choices: what a listener wants to hear.
    """
    chapters: list[Chapter] = []
    skipped: list[Skipped] = []
    strewn: Counter[str] = Counter()  # notes and the like inside chapters, in words by reason
    for section in _without_double_title(manuscript) if choices.front_back_matter == "skip" else manuscript.sections:
        title = section.title or manuscript.metadata.title or "Untitled"
        inlined = choices.notes == "inline"
        reason = (
            "" if choices.front_back_matter == "keep" else section.skip_reason or uniform_skip_reason(section.blocks)
        )
        if reason:
            unheard = [block for block in section.blocks if not (inlined and block.note)]
            words = count_words(unheard) + section.heading_words
            if words and (unheard or not section.blocks):
                skipped.append(Skipped(title, reason, words))
            continue
        spoken: list[Block] = []
        for block in section.blocks:
            if why := choices.reason(block):
                strewn[why] += 0 if inlined and block.note else block.words
                continue
            spoken.append(block)
            if inlined:
                spoken.extend(
                    Block(f"Note: {text}") for target in block.notes if (text := manuscript.notes.get(target))
                )
        paragraphs = _paragraphs(spoken)
        if paragraphs or section.heading_words:
            chapters.append(Chapter(title, paragraphs, section.announced and bool(section.title)))
    skipped.extend(
        Skipped(reason.capitalize(), f"{reason} inside chapters", words) for reason, words in strewn.items() if words
    )
    skipped.extend(manuscript.left_out)
    book = Book(
        manuscript.metadata,
        tuple(chapters),
        manuscript.cover,
        tuple(skipped),
        manuscript.warnings,
        manuscript.pronunciations,
    )
    if choices.front_back_matter == "skip" and skipped and not has_text(book):
        everything = assemble(manuscript, Choices("keep"))
        warning = "Everything in this book looks like front or back matter, so all of it is read."
        return replace(book, chapters=everything.chapters, skipped=(), warnings=(*book.warnings, warning))
    return book


def _without_double_title(manuscript: Manuscript) -> Iterator[Section]:
    """Take the book's title off its first chapter: the opening says it."""
    wanted = tokens(manuscript.metadata.title)
    first = True
    for section in manuscript.sections:
        if not first or section.skip_reason or uniform_skip_reason(section.blocks):
            yield section
            continue
        first = False
        blocks = section.blocks
        if section.announced and section.title and tokens(section.title) == wanted and count_words(blocks):
            yield replace(section, announced=False)
        elif (
            not (section.announced and section.title)
            and blocks
            and wanted
            and tokens(blocks[0].text) == wanted
            and count_words(blocks) > blocks[0].words
        ):
            yield replace(section, blocks=(replace(blocks[0], skip_reason="title page"), *blocks[1:]))
        else:
            yield section


def has_text(book: Book) -> bool:
    """Say whether there is anything to speak besides titles."""
    return any(
        any(character.isalnum() for character in paragraph.text)
        for chapter in book.chapters
        for paragraph in chapter.paragraphs
    )


def uniform_skip_reason(blocks: Iterable[Block]) -> str:
    """The reason why none of these blocks is read out; empty if one of them is, or if there are none."""
    reasons = [block.skip_reason for block in blocks if block.words]
    return reasons[0] if reasons and all(reasons) else ""


def _paragraphs(blocks: Iterable[Block]) -> tuple[Paragraph, ...]:
    """Turn blocks into paragraphs: no break at either end, none twice in a row."""
    paragraphs: list[Paragraph] = []
    for block in blocks:
        if block.kind is ParagraphKind.BREAK:
            if paragraphs and paragraphs[-1].kind is not ParagraphKind.BREAK:
                paragraphs.append(Paragraph("", ParagraphKind.BREAK))
        elif block.text:
            paragraphs.append(Paragraph(block.text, block.kind))
    while paragraphs and paragraphs[-1].kind is ParagraphKind.BREAK:
        paragraphs.pop()
    return tuple(paragraphs)
