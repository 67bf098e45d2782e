"""Titles in a text that has no marks for them: what says "Chapter One", what counts up, what is named like matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from speedd.reading.structure.lines import unwrap, without_italics
from speedd.reading.structure.manuscript import Block, Section, count_words
from speedd.reading.structure.skip_reasons import skip_reason_of_title
from speedd.reading.structure.titles import TitleKind, TitleLine, join_titles, looks_titled, parse_title, tokens
from speedd.reading.structure.wording import fold

_MOST_TITLE_LINES = 3
_MOST_TITLE_CHARS = 100
_MOST_NAME_WORDS = 8
_LEAST_WORDS_PER_NUMBERED = 50
_LEAST_EMPTY_TITLES = 3
_MOST_LISTED_CHARS = 200

Stanza = Sequence[str]
"""A paragraph, still in lines."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A title among the paragraphs."""

    index: int
    """Of its first paragraph."""
    count: int
    """How many paragraphs it takes."""
    title: str
    line: TitleLine | None
    """None for front and back matter."""
    skip_reason: str = ""


def find_heads(stanzas: Sequence[Stanza]) -> list[Heading]:
    """Find the titles: what says "Chapter", what is named like front or back matter, and numbers that count up."""
    candidates = [head for index in range(len(stanzas)) if (head := _candidate(stanzas, index))]
    counting = _counting(candidates, stanzas)
    heads = [
        head
        for head in candidates
        if head.line is None or head.line.kind is not TitleKind.NUMBER or head.index in counting
    ]
    return _without_listings(_with_subtitles(heads, stanzas), stanzas)


def _candidate(stanzas: Sequence[Stanza], index: int) -> Heading | None:
    stanza = [fold(without_italics(line)) for line in stanzas[index]]
    if len(stanza) > _MOST_TITLE_LINES or sum(map(len, stanza)) > _MOST_TITLE_CHARS:
        return None
    if skip_reason := skip_reason_of_title(" ".join(stanza)):
        return Heading(index, 1, " ".join(stanza), None, skip_reason)
    line = parse_title(stanza[0])
    if line is None:
        return None
    rest = " ".join(stanza[1:])
    if rest and not (line.bare and looks_titled(rest) and parse_title(stanza[1]) is None):
        return None
    title = join_titles([stanza[0], rest])
    return Heading(index, 1, title, line if not rest else replace(line, bare=False))


def _counting(candidates: Sequence[Heading], stanzas: Sequence[Stanza]) -> set[int]:
    """Choose the bare numbers that count up from one: a lone "I" is a word.

    Returns:
        the places of those that are titles.
    """
    if sum(1 for head in candidates if head.line and head.line.kind is TitleKind.CHAPTER) > 1:
        return set()  # chapters say that they are chapters; numbers among them are something else
    runs: list[list[Heading]] = []
    for head in candidates:
        if head.line is None or head.line.kind is not TitleKind.NUMBER:
            continue
        value = head.line.number
        if value == 1:
            if runs and len(runs[-1]) == 1:
                runs.pop()
            runs.append([head])
        elif runs and runs[-1][-1].line and value == runs[-1][-1].line.number + 1:
            runs[-1].append(head)
    chosen: set[int] = set()
    for run in runs:
        words = sum(len(" ".join(stanza).split()) for stanza in stanzas[run[0].index : run[-1].index])
        listed = any(head.line and not head.line.bare for head in run)
        if len(run) > 1 and not (listed and words < _LEAST_WORDS_PER_NUMBERED * (len(run) - 1)):
            chosen.update(head.index for head in run)
    return chosen


def _with_subtitles(heads: Sequence[Heading], stanzas: Sequence[Stanza]) -> list[Heading]:
    """Take in the title proper that stands in a paragraph of its own below "Chapter One"."""
    taken = {head.index for head in heads}
    full: list[Heading] = []
    for head in heads:
        below = head.index + 1
        if head.line and head.line.bare and below < len(stanzas) - 1 and below not in taken:
            text = unwrap(stanzas[below])
            if len(stanzas[below]) == 1 and is_name(text):
                full.append(replace(head, count=2, title=join_titles([head.title, text])))
                continue
        full.append(head)
    return full


def is_name(text: str) -> bool:
    """Say whether a short line is a name in capitals or in title case, not a short sentence or a line of dialogue."""
    words = [word for word in text.split() if word[0].isalpha()]
    if not words or len(text.split()) > _MOST_NAME_WORDS or text[0] in "“\"'‘—" or text[-1] in '.!?…”"':
        return False
    small = {"a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with"}
    return all(word[0].isupper() or word.lower() in small for word in words) and words[0][0].isupper()


def _without_listings(heads: list[Heading], stanzas: Sequence[Stanza]) -> list[Heading]:
    """Drop the titles of a table of contents: a row of them without text, which come again later."""
    kept: list[Heading] = []
    row: list[Heading] = []
    last = {tokens(head.title)[:2]: at for at, head in enumerate(heads)}
    for at, head in enumerate(heads):
        after = heads[at + 1].index if at + 1 < len(heads) else len(stanzas)
        if head.line and after == head.index + head.count and last[tokens(head.title)[:2]] > at:
            row.append(head)
            continue
        if len(row) < _LEAST_EMPTY_TITLES:
            kept.extend(row)
        elif not kept or not kept[-1].skip_reason:
            kept.append(Heading(row[0].index, 0, "Contents", None, "table of contents"))
        row = []
        kept.append(head)
    return [*kept, *row]


def sections_at(
    heads: Sequence[Heading], stanzas: Sequence[Stanza], paragraphs: Sequence[Block], start: int
) -> list[Section]:
    """Cut paragraphs into sections at their titles.

    Args:
        heads: as `find_heads` found them.
        stanzas: the paragraphs in lines.
        paragraphs: the same, as they are to be read.
        start: the first that is not yet taken.
    """
    sections: list[Section] = []
    starts = [*(head.index for head in heads), len(stanzas)]
    first = starts[0]
    opening = tuple(paragraphs[start:first])
    if count_words(opening):
        sections.append(Section("", opening, announced=False))
    for head, end in zip(heads, starts[1:], strict=True):
        below = head.index + head.count
        body = stanzas[below:end]
        words = sum(len(" ".join(stanza).split()) for stanza in stanzas[head.index : head.index + head.count])
        listed = len(body)
        if head.skip_reason == "table of contents":
            # A list ends where prose begins, should no title stand between them.
            listed = next((at for at, stanza in enumerate(body) if len(unwrap(stanza)) > _MOST_LISTED_CHARS), listed)
            listed = listed or len(body[:1])
        blocks = tuple(paragraphs[below : below + listed])
        sections.append(Section(head.title, blocks, bool(head.count), head.skip_reason, words))
        if rest := tuple(paragraphs[below + listed : end]):
            sections.append(Section("", rest, announced=False))
    return sections
