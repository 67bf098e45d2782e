"""What the pages before the first chapter are, by what stands on them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from speedd.model import ParagraphKind
from speedd.reading.structure.manuscript import Block
from speedd.reading.structure.skip_reasons import skip_reason_of_title

IMPRINT = "copyright page"
_TOC = "table of contents"
_IMPRINT_LINE = re.compile(
    r"(?:©|\(c\)\s*\d{4}|\bcopyright\b.{0,30}\d{4}|\ball rights reserved\b|\bISBN\b"
    r"|\bno part of this (?:book|publication)"
    r"|\bfirst (?:published|edition|printing)\b|\bprinted (?:and bound )?in\b|\bpublished (?:by|in)\b"
    r"|\blibrary of congress\b|\bcataloguing|\bcataloging|\bwork of fiction\b.{0,80}\bcoinciden)",
    re.IGNORECASE,
)
_STRONG = re.compile(
    r"\bISBN\b|\ball rights reserved\b|\bno part of this (?:book|publication)|©\s*\d{4}", re.IGNORECASE
)
_LISTED = re.compile(r".*\S[\s.·…_,]*[\s.,…](?:\d{1,4}|[ivxlc]{1,6})")
_LEAST_LISTED = 4
_LISTED_SHARE = 0.6
_MOST_IMPRINT_WORDS = 600
_MOST_PARAGRAPH_WORDS = 150
_FRONT_BLOCKS = 60


def skip_reason_of_page(lines: Sequence[str]) -> str:
    """Why a page in front of a book is not read out; empty if it is.

    Args:
        lines: of the page, from top to bottom.
    """
    lines = [line for line in lines if line.strip()]
    if not lines:
        return ""
    listed = sum(1 for line in lines if _LISTED.fullmatch(line))
    if skip_reason_of_title(lines[0]) == _TOC and listed * 2 >= len(lines) - 1:
        return _TOC
    if listed >= _LEAST_LISTED and listed >= _LISTED_SHARE * len(lines):
        return _TOC
    said = sum(1 for line in lines if _IMPRINT_LINE.search(line))
    words = sum(len(line.split()) for line in lines)
    if words <= _MOST_IMPRINT_WORDS and (said > 1 or any(_STRONG.search(line) for line in lines)):
        return IMPRINT
    return ""


def with_imprint(blocks: Sequence[Block], end: int) -> list[Block]:
    """Mark the paragraphs of an imprint among the first blocks of a book.

    Args:
        blocks: the whole book.
        end: where its chapters begin.
    """
    marked = list(blocks)
    for at in range(min(end, _FRONT_BLOCKS)):
        block = marked[at]
        said = _STRONG.search(block.text) if block.kind is ParagraphKind.TEXT and not block.skip_reason else None
        if said and len(block.text.split()) <= _MOST_PARAGRAPH_WORDS:
            marked[at] = replace(block, skip_reason=IMPRINT)
    return marked
