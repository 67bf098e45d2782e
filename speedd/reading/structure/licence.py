"""What Project Gutenberg puts before and after a book: its header and its licence are not read out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from speedd.reading.structure.manuscript import Block

LICENCE_START = re.compile(r"\s*\*{3}\s*START OF (?:THE|THIS) PROJECT GUTENBERG.*?\*{3}\s*", re.IGNORECASE)
LICENCE_END = re.compile(
    r"\s*(?:\*{3}\s*END OF (?:THE|THIS) PROJECT GUTENBERG.*|End of (?:the )?Project Gutenberg.{0,80})", re.IGNORECASE
)
_LICENCE = "licence"


def mark_licence(blocks: Sequence[Block]) -> list[Block]:
    """Mark the header and the licence among the blocks of a whole book."""
    marked = list(blocks)
    start = next((at for at, block in enumerate(marked) if LICENCE_START.fullmatch(block.text)), -1)
    end = next((at for at in range(start + 1, len(marked)) if LICENCE_END.fullmatch(marked[at].text)), len(marked))
    for at in (*range(start + 1), *range(end, len(marked))):
        marked[at] = replace(marked[at], skip_reason=_LICENCE)
    return marked


def is_licence(blocks: Sequence[Block], index: int) -> bool:
    """Say whether a block lies inside the licence, but not at its beginning."""
    return 0 < index < len(blocks) and blocks[index].skip_reason == blocks[index - 1].skip_reason == _LICENCE
