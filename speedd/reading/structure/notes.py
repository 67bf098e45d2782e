"""Notes: which paragraphs they are, and which mark in the text each belongs to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from speedd.model import ParagraphKind
from speedd.reading.structure.manuscript import Block

FOOTNOTES = "footnotes"
_MOST_NOTE_BLOCKS = 12
"""A longer stretch that a mark leads to is a chapter of notes or an appendix, not a note."""
_LABEL = re.compile(
    r"\s*(?:[\[(]?(?:\d{1,4}|[*†‡§¶]{1,4}|[a-z]|[ivx]{1,5})(?:[\])][.:]?|[.:])|\d{1,4}(?=\s)|[*†‡§¶]{1,4})\s*"
)
_STRAY_MARK = re.compile(
    r"(?<=[^\W\d_]{3}[.!?])\d{1,3}(?=\s+[“\"‘'(]?[A-ZÀ-Þ]|\s*$)"  # all.1 The
    r"|(?<=[^\W\d_]{2}[.!?,][”\"’'])\d{1,3}(?=\s|$)"  # all.”1 The
    r"|(?<=[.!?,;:”’\"'])[⁰¹²³⁴-⁹]{1,3}"  # all.¹
    r"|(?<=[^\W\d_]{3})[¹²³⁴-⁹]{1,3}(?=[\s.,;:!?—–”’)]|$)"  # word¹
    r"|(?<=[^\s\[(])\[(?:\d{1,3}|[A-Z]|[*†‡])\](?=[\s.,;:!?—–”’)]|$)"  # all.[1], word[A]
)
_ABBREVIATED = re.compile(
    r"(?:vol|fig|sec|art|chap|app|par|ver|eqs?|nos?|pp|col|ill|lib|can|pls?|ref|psa|gen|exo?d|lev|num|deut|rev|matt?|"
    r"mar|luk|joh|act|rom|cor|gal|eph|phil|heb|jas|pet|jud|isa|jer|eze?k?|dan|hos|job|kgs|sam|prov|eccl?|jan|feb|apr|"
    r"jun|jul|aug|sept?|oct|nov|dec)[.,:;]\Z",
    re.IGNORECASE,
)
"""What a number may belong to: "vol.2", "Rev.3", "Jan.5"."""
_WRITTEN_NOTE = re.compile(
    r"\[(?:Footnote\s+)?(?P<mark>\d{1,3}|[A-Z]|[*†‡])(?:\]\s*|:\s*)(?P<text>\S.*?)\]?", re.DOTALL
)
_WRITTEN_MARK = re.compile(r"(?<=[^\s\[(])\[(\d{1,3}|[A-Z]|[*†‡])\]")


def attach_notes(
    blocks: Sequence[Block], spans: Mapping[str, tuple[int, int]], links: Sequence[tuple[int, str]]
) -> tuple[list[Block], dict[str, str]]:
    """Find the note of every mark, and mark what is a note as one.

    What a mark leads to is a note if the source calls it one, if a link in it leads back to a mark, or if it begins
    with a sign such as "2." that is a link or stands beside one.

    Args:
        blocks: the whole book, each with the targets of its marks.
        spans: the first block and the one after the last of every anchor, by target.
        links: block and target of every link within the book.
    Returns:
        the blocks, notes marked; and the text of every note by its target.
    """
    settled = list(blocks)
    texts: dict[str, str] = {}
    back: dict[int, list[str]] = {}
    for at, target in links:
        back.setdefault(at, []).append(target)
    for at, block in enumerate(blocks):
        for target in block.notes:
            start, end = spans.get(target, (0, 0))
            end = max(end, start + 1)
            if target not in spans or start <= at < end or end > len(blocks) or end - start > _MOST_NOTE_BLOCKS:
                continue
            inside = [settled[index] for index in range(start, end)]
            if any(block.kind is ParagraphKind.HEADING for block in inside):
                continue
            called = all(block.skip_reason for block in inside)
            leads_back = any(
                blocks[spans[link][0]].notes
                for index in range(start, end)
                for link in back.get(index, ())
                if link in spans and spans[link][0] < len(blocks)
            )
            labelled = bool(_LABEL.match(inside[0].text)) and bool(back.get(start))
            if not (called or leads_back or labelled):
                continue
            text = " ".join(block.text for block in inside if block.text)
            label = _LABEL.match(text)
            texts[target] = text[label.end() if label else 0 :].rstrip(" ↩↑⤴←\ufe0e\ufe0f")
            for index in range(start, end):
                settled[index] = replace(settled[index], skip_reason=settled[index].skip_reason or FOOTNOTES, note=True)
    return settled, texts


def attach_written_notes(blocks: Sequence[Block]) -> tuple[list[Block], dict[str, str]]:
    """Find the notes of a text without links: "[1]" behind a word, and a later paragraph that begins with "[1]".

    Returns:
        as `attach_notes`.
    """
    settled = list(blocks)
    texts: dict[str, str] = {}
    ahead: dict[str, int] = {}
    for at in range(len(settled) - 1, -1, -1):
        block = settled[at]
        if block.skip_reason or block.kind is not ParagraphKind.TEXT or "[" not in block.text:
            continue
        if match := _WRITTEN_NOTE.fullmatch(block.text):
            ahead[match["mark"]] = at
            continue
        targets = []
        for mark in dict.fromkeys(_WRITTEN_MARK.findall(block.text)):
            if mark in ahead:
                note = settled[ahead[mark]]
                found = _WRITTEN_NOTE.fullmatch(note.text)
                assert found is not None
                targets.append(f"note {ahead[mark]}")
                texts[targets[-1]] = found["text"]
                settled[ahead[mark]] = replace(note, skip_reason=FOOTNOTES, note=True)
        if targets:
            settled[at] = replace(block, notes=(*block.notes, *targets))
    return settled, texts


def without_stray_marks(text: str) -> str:
    """Drop the marks of notes that stand in running text, where nothing else can be meant: "all.1 The", "all.[2]"."""

    def kept(match: re.Match[str]) -> str:
        return match[0] if _ABBREVIATED.search(text[max(0, match.start() - 6) : match.start()]) else ""

    return _STRAY_MARK.sub(kept, text)
