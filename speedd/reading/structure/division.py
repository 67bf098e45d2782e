"""Cutting a book that brings no table of contents: by its headings, else by lines that read like titles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from speedd.model import Metadata, ParagraphKind
from speedd.reading.structure.front import with_imprint
from speedd.reading.structure.headings import find_heads, sections_at
from speedd.reading.structure.licence import is_licence, mark_licence
from speedd.reading.structure.manuscript import Block, Section
from speedd.reading.structure.outline import cut, points_of_headings
from speedd.reading.structure.titles import TitleKind


def divide(blocks: Sequence[Block], known: Metadata) -> tuple[Section, ...]:
    """Cut the blocks of a whole book into sections.

    Headings that the source marks count. Where there are none but perhaps the book's own title, paragraphs that read
    like titles of chapters do.

    Args:
        blocks: the whole book.
        known: what is known of it.
    """
    blocks = mark_licence(blocks)
    points = [point for point in points_of_headings(blocks) if not is_licence(blocks, point.index)]
    start = points[0].index if points else 0
    blocks = with_imprint(blocks, start)
    return (len(points) <= 1 and divide_by_lines(blocks, known, start)) or cut(blocks, points, known)


def divide_by_lines(blocks: Sequence[Block], known: Metadata, start: int = 0) -> tuple[Section, ...]:
    """Cut the blocks of a book without headings at paragraphs that read like titles of chapters.

    Args:
        blocks: the whole book.
        known: what is known of it.
        start: where chapters may begin.
    Returns:
        the sections; none if there are no such titles.
    """
    stanzas = [block.text.split("\n") if _may_be_title(block) else [""] for block in blocks[start:]]
    heads = find_heads(stanzas)
    if sum(1 for head in heads if head.line and head.line.kind is not TitleKind.NAMED) <= 1:
        return ()
    first = heads[0].index
    before = cut(with_imprint(blocks, start + first)[: start + first], [], known)
    return (*before, *sections_at(heads, stanzas, blocks[start:], first))


def _may_be_title(block: Block) -> bool:
    return block.kind is not ParagraphKind.BREAK and not block.skip_reason


def title_of_first(blocks: Sequence[Block], known: Metadata) -> tuple[list[Block], Metadata]:
    """Mark the one heading above all others as the book's title page, where nothing else names the book.

    Args:
        blocks: the whole book.
        known: what is known of it otherwise.
    """
    headings = [block for block in blocks if block.kind is ParagraphKind.HEADING]
    first = next((block for block in blocks if block.words), None)
    if not headings or first is not headings[0] or first.skip_reason or known.title:
        return list(blocks), known
    if sum(1 for block in headings if block.level <= first.level) > 1:
        return list(blocks), known
    marked = [replace(block, skip_reason="title page") if block is first else block for block in blocks]
    return marked, replace(known, title=first.text)
