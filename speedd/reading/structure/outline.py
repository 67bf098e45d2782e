"""Cutting a run of blocks into sections: where chapters begin and what they are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from speedd.model import Metadata, ParagraphKind
from speedd.reading.structure.manuscript import Block, Section, count_words, uniform_skip_reason
from speedd.reading.structure.skip_reasons import skip_reason_of_title
from speedd.reading.structure.titles import TitleKind, is_within, join_titles, parse_title, tokens

LEAST_CHAPTER_WORDS = 400
"""Stretches that are shorter on average are passages of a chapter, not chapters, where nothing else tells."""

_MOST_TITLE_BLOCKS = 4
_LONGEST_TITLE_PAGE_WORDS = 40
_TITLE_PAGE_WORDS = frozenset({
    "by", "a", "an", "the", "and", "of", "novel", "story", "stories", "tale", "tales", "book", "edition", "written",
    "author", "ebook", "volume", "in", "words",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Point:
    """Where a section begins."""

    index: int
    """Of its first block."""
    title: str = ""
    """As the table of contents has it; empty if only the headings in the text can tell."""
    part: bool = False
    """True if chapters stand below it: it is announced though it may hold no text of its own."""
    fallback: str = ""
    """What to call it in a list if it has no title at all; never spoken."""


def cut(blocks: Sequence[Block], points: Iterable[Point], known: Metadata) -> tuple[Section, ...]:
    """Cut blocks at the given points, and settle what each section is called.

    Args:
        blocks: the whole book.
        points: where sections begin; what stands before the first is a section without a title.
        known: what is known of the book: tells its title page from a chapter.
    """
    settled = _title_sections(blocks, points)
    if not settled or settled[0].index > 0:
        settled.insert(0, Point(0))
    ends = [*(point.index for point in settled[1:]), len(blocks)]
    sections = (_section(point, blocks[point.index : end], known) for point, end in zip(settled, ends, strict=True))
    return tuple(section for section in sections if section.blocks or section.heading_words)


def _title_sections(blocks: Sequence[Block], points: Iterable[Point]) -> list[Point]:
    """Put points in order, before the headings that belong to them, and apart where two share a place."""
    settled: list[Point] = []
    floor = 0
    for point in sorted(points, key=lambda point: point.index):
        index, wanted = max(point.index, floor), tokens(point.title)
        # An anchor may stand behind the heading it means.
        while index > floor and _is_heading_of(blocks[index - 1], wanted):
            index -= 1
        if settled and settled[-1].index == index:
            above = settled[-1]
            if tokens(above.title) == wanted:
                settled[-1] = replace(above, part=above.part and point.part)
                continue
            _, taken = _match_title(above.title, blocks[index:])
            if taken and not _is_heading_of(blocks[index], wanted):
                index += taken
        settled.append(replace(point, index=index))
        floor = index
    return settled


def _is_heading_of(block: Block, wanted: tuple[str, ...]) -> bool:
    return block.kind is ParagraphKind.HEADING and is_within(tokens(block.text), wanted)


def _section(point: Point, blocks: Sequence[Block], known: Metadata) -> Section:
    title, taken = _match_title(point.title, blocks)
    rest = tuple(blocks[taken:])
    heading_words = count_words(blocks[:taken])
    announced = bool(title)
    title = title or ("" if tokens(point.fallback) == tokens(known.title) else point.fallback)
    reason = "" if any(block.marked for block in blocks) else skip_reason_of_title(title)
    if not reason and not count_words(rest):
        reason = uniform_skip_reason(blocks[:taken])
    if not reason and not point.part and _is_title_page(blocks, known):
        reason = "title page"
        title = title if announced else "Title page"
    if point.part:
        # Announced even where only the table of contents names it, unless that is the book's own name.
        heading_words = heading_words or (0 if tokens(title) == tokens(known.title) else len(title.split()))
    return Section(title, rest, announced, reason, heading_words)


def _is_title_page(blocks: Sequence[Block], known: Metadata) -> bool:
    """Say whether there is nothing here but the book's title and its author."""
    words = [word for block in blocks if block.words and not block.skip_reason for word in tokens(block.text)]
    if not words or len(words) > _LONGEST_TITLE_PAGE_WORDS or not known.title:
        return False
    allowed = {*tokens(" ".join((known.title, known.subtitle, known.publisher, *known.authors))), *_TITLE_PAGE_WORDS}
    return set(words) <= allowed and bool(set(words) & set(tokens(known.title)))


def _match_title(title: str, blocks: Sequence[Block]) -> tuple[str, int]:
    """Find the blocks at the start of a section that are its title.

    Returns:
        the title, in the fuller of the two wordings, and how many blocks it takes.
    """
    lead: list[Block] = []
    for block in blocks[:_MOST_TITLE_BLOCKS]:
        if block.kind is not ParagraphKind.HEADING:
            break
        lead.append(block)
    if not title:
        if not lead:
            return "", 0
        return _with_subtitle(lead[0].text, lead, 1)
    wanted = tokens(title)
    for count in range(len(lead), 0, -1):
        if is_within(_tokens_of(lead[:count]), wanted):
            return _with_subtitle(title, lead, count)
    for count in range(1, len(lead) + 1):
        if wanted and is_within(wanted, _tokens_of(lead[:count])):
            return _with_subtitle(join_titles([block.text for block in lead[:count]]), lead, count)
    return title, _count_plain_title(wanted, blocks)


def _with_subtitle(title: str, lead: Sequence[Block], taken: int) -> tuple[str, int]:
    """Add the heading that follows a bare "Chapter One"."""
    line = parse_title(title)
    if line and line.bare and taken < len(lead) and parse_title(lead[taken].text) is None:
        return join_titles([title, lead[taken].text]), taken + 1
    return title, taken


def _count_plain_title(wanted: tuple[str, ...], blocks: Sequence[Block]) -> int:
    """Count the leading paragraphs that are the title, in books that set their titles as paragraphs."""
    taken = 0
    for count, block in enumerate(blocks[:_MOST_TITLE_BLOCKS], 1):
        together = _tokens_of(blocks[:count])
        if not together or len(together) > len(wanted):
            break
        if together == wanted:
            return count
        line = parse_title(block.text)
        if count == 1 and line and line.bare and is_within(together, wanted):
            taken = 1
    return taken


def _tokens_of(blocks: Iterable[Block]) -> tuple[str, ...]:
    return tuple(word for block in blocks for word in tokens(block.text))


def points_of_headings(blocks: Sequence[Block]) -> list[Point]:
    """Find where chapters begin by headings alone.

    Chapters are the highest level of heading that comes more than once, or that reads like a chapter's title. A level
    above it whose headings hold no text of their own is a level of parts.
    """
    headings = [(index, block) for index, block in enumerate(blocks) if block.kind is ParagraphKind.HEADING]
    levels = sorted({block.level for _, block in headings})
    counts = Counter(block.level for _, block in headings)
    repeated = [level for level in levels if counts[level] > 1]
    if not headings:
        return []
    chapter_level = repeated[0] if repeated else levels[-1]
    chapter_level = min([chapter_level, *(block.level for _, block in headings if _is_chapter_label(block.text))])
    part_level = 0
    if len(repeated) > 1 and repeated[0] == chapter_level and _are_parts(blocks, headings, repeated[0], repeated[1]):
        part_level, chapter_level = repeated[0], repeated[1]
    points: list[Point] = []
    for index, block in headings:
        if block.level > chapter_level:
            continue
        if index and points and points[-1].index == index - 1 and blocks[index - 1].level == block.level:
            above = parse_title(blocks[index - 1].text)
            if above and above.bare and parse_title(block.text) is None:
                continue  # "Chapter One" and its name in two headings of one level
        points.append(Point(index, part=bool(part_level) and block.level <= part_level))
    return points


def _are_parts(blocks: Sequence[Block], headings: Sequence[tuple[int, Block]], upper: int, lower: int) -> bool:
    """Say whether the headings of the upper level are parts, and those of the lower their chapters."""
    uppers = [index for index, block in headings if block.level == upper]
    if any(_is_chapter_label(blocks[index].text) for index in uppers):
        return False
    if sum(1 for index in uppers if _is_part_label(blocks[index].text)) * 2 > len(uppers):
        return True
    followed = sum(1 for index in uppers if index + 1 < len(blocks) and blocks[index + 1].level == lower)
    lowers = sum(1 for _, block in headings if block.level == lower)
    return followed * 2 > len(uppers) and count_words(blocks) >= LEAST_CHAPTER_WORDS * lowers


def _is_part_label(text: str) -> bool:
    line = parse_title(text)
    return line is not None and line.kind is TitleKind.PART


def _is_chapter_label(text: str) -> bool:
    line = parse_title(text)
    return line is not None and line.kind in {TitleKind.CHAPTER, TitleKind.NUMBER}
