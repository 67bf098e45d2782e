"""Tables of contents printed on a page: all of it, or a row of paragraphs, is links into the book and little else."""

from __future__ import annotations

from dataclasses import replace

from speedd.model import ParagraphKind
from speedd.reading.html.markup import Element, descendants, text_of
from speedd.reading.structure.manuscript import Block
from speedd.reading.structure.skip_reasons import skip_reason_of_title

CONTENTS = "table of contents"
_LEAST_LINKS = 5
LINK_SHARE = 0.7


def is_list_of_links(root: Element) -> bool:
    """Say whether a page is a table of contents: links into the book, and little else."""
    links = [text_of(link) for link in descendants(root, "a") if link.get("href")]
    if len(links) < _LEAST_LINKS:
        return False
    body = next(descendants(root, "body"), root)
    letters = sum(len(part) for part in body.itertext() if part.strip())
    return sum(map(len, links)) > LINK_SHARE * max(1, letters)


def mark_lists_of_links(blocks: list[Block], listed: set[int]) -> list[Block]:
    """Mark a row of paragraphs that are nothing but links into the book as a table of contents."""
    row: list[int] = []
    for at in range(len(blocks) + 1):
        if at in listed and not blocks[at].skip_reason:
            row.append(at)
        elif at == len(blocks) or blocks[at].words:
            if len(row) >= _LEAST_LINKS:
                for index in row:
                    blocks[index] = replace(blocks[index], skip_reason=CONTENTS, kind=ParagraphKind.TEXT, level=0)
            row = []
    for at in range(len(blocks) - 1):
        if (
            blocks[at + 1].skip_reason == CONTENTS
            and not blocks[at].skip_reason
            and skip_reason_of_title(blocks[at].text) == CONTENTS
        ):
            blocks[at] = replace(blocks[at], skip_reason=CONTENTS, kind=ParagraphKind.TEXT, level=0)
    return blocks
