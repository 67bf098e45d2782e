"""What every format reader makes of its source, and how that becomes a `Book`.

A format reader yields blocks of text, cut into sections. Which sections are read out and which are front or back
matter is decided here, once for all formats.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from speedd.model import Book, Chapter, Cover, Metadata, Paragraph, ParagraphKind, Skipped

MatterChoice: TypeAlias = Literal["skip", "keep"]


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, a heading or a break, as it stands in the source."""

    text: str
    kind: ParagraphKind = ParagraphKind.TEXT
    level: int = 0
    """1 to 6 for a heading, 1 the highest; else 0."""
    matter: str = ""
    """Why it is not read out ("imprint", "endnotes"); empty for the book's own text."""
    marked: bool = False
    """True if the source itself says that this is body text, so that nothing need be guessed from a title."""

    @property
    def words(self) -> int:
        """Words of text; a break has none."""
        return 0 if self.kind is ParagraphKind.BREAK else len(self.text.split())


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of the source under one title."""

    title: str
    """Empty where it has none; a list of chapters then shows the book's own."""
    blocks: tuple[Block, ...]
    """Without the blocks that are the title itself."""
    announced: bool = True
    """Whether the title stands in the source, so that it is spoken."""
    matter: str = ""
    """Why the whole section is not read out; empty for the book's own text."""
    heading_words: int = 0
    """Words in the blocks that were taken as its title."""


@dataclass(frozen=True, slots=True)
class Manuscript:
    """A source, read but not yet sorted into what is spoken and what is not."""

    metadata: Metadata
    sections: tuple[Section, ...]
    cover: Cover | None = None
    warnings: tuple[str, ...] = field(default=())


def count_words(blocks: Iterable[Block]) -> int:
    """Count the words of some blocks."""
    return sum(block.words for block in blocks)


def assemble(manuscript: Manuscript, matter: MatterChoice) -> Book:
    """Make the book of a manuscript: the chapters that are read out, and a list of what is not.

    Args:
        manuscript: what the format reader found.
        matter: ``skip`` leaves front and back matter and notes out, ``keep`` reads everything.
    """
    chapters: list[Chapter] = []
    skipped: list[Skipped] = []
    strewn: Counter[str] = Counter()  # notes and the like inside chapters, in words by reason
    for section in manuscript.sections:
        title = section.title or manuscript.metadata.title or "Untitled"
        reason = "" if matter == "keep" else section.matter or uniform_matter(section.blocks)
        if reason:
            words = count_words(section.blocks) + section.heading_words
            if words:
                skipped.append(Skipped(title, reason, words))
            continue
        spoken = [block for block in section.blocks if matter == "keep" or not block.matter]
        for block in section.blocks:
            if matter == "skip" and block.matter:
                strewn[block.matter] += block.words
        paragraphs = _paragraphs(spoken)
        if paragraphs or section.heading_words:
            chapters.append(Chapter(title, paragraphs, section.announced and bool(section.title)))
    skipped.extend(Skipped(reason.capitalize(), f"{reason} inside chapters", words) for reason, words in strewn.items())
    book = Book(manuscript.metadata, tuple(chapters), manuscript.cover, tuple(skipped), manuscript.warnings)
    if matter == "skip" and skipped and not has_text(book):
        everything = assemble(manuscript, "keep")
        warning = "Everything in this book looks like front or back matter, so all of it is read."
        return Book(book.metadata, everything.chapters, book.cover, (), (*book.warnings, warning))
    return book


def has_text(book: Book) -> bool:
    """Say whether there is anything to speak besides titles."""
    return any(
        any(character.isalnum() for character in paragraph.text)
        for chapter in book.chapters
        for paragraph in chapter.paragraphs
    )


def uniform_matter(blocks: Iterable[Block]) -> str:
    """The reason why none of these blocks is read out; empty if one of them is, or if there are none."""
    reasons = [block.matter for block in blocks if block.words]
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
