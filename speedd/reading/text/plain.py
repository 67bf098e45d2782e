"""Reading plain text: paragraphs out of lines, chapters out of lines that look like titles."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from speedd.model import Metadata, ParagraphKind
from speedd.reading.nfo import BY, metadata_of_pairs, parse_pairs, split_names
from speedd.reading.structure.front import with_imprint
from speedd.reading.structure.headings import find_heads, is_name, sections_at
from speedd.reading.structure.licence import LICENCE_END, LICENCE_START
from speedd.reading.structure.lines import unwrap
from speedd.reading.structure.manuscript import Block, Manuscript, Section
from speedd.reading.structure.titles import tokens
from speedd.reading.structure.wording import fold, is_ornament

_PICTURE = re.compile(r"\[\s*Illustration\b[^\]]*\]", re.IGNORECASE)
_PRODUCED = re.compile(
    r"(?:Produced|E-?text prepared|This e-?text was (?:produced|prepared)|Transcribed) (?:by|from)\b"
)

_WRAPPED_CHARS = 100
"""Lines up to this long come from a hard-wrapped text; longer ones are whole paragraphs."""
_VERSE_WIDTH = 0.75
"""Lines that all end so far short of the margin were not broken by it."""
_LEAST_VERSE_LINES = 8
_VERSE_LOW_SHARE = 0.15
"""In verse few lines begin with a small letter, in wrapped prose most do."""
_MOST_TITLE_LINES = 3
_MOST_TITLE_CHARS = 100


def read_plain(text: str) -> Manuscript:
    r"""Read a plain text.

    Args:
        text: with ``\n`` line ends.
    """
    lines, licence, header = _without_licence(text.split("\n"))
    found, width = _stanzas(lines)
    stanzas = [stanza for stanza in found if not _PICTURE.fullmatch(fold(" ".join(stanza)))]
    paragraphs = _blocks(stanzas, width)
    # A date in the header is that of the electronic text, not of the book.
    known = replace(metadata_of_pairs(parse_pairs(header)), published="")
    heads = find_heads(stanzas)
    first = heads[0].index if heads else len(stanzas)
    opening = _read_opening(stanzas[:first], known, has_heads=bool(heads))
    paragraphs = with_imprint(paragraphs, first) if heads else paragraphs
    metadata = replace(known, title=known.title or opening.title, authors=known.authors or opening.authors)
    sections = licence[:1] if header else []
    if opening.taken:
        page = tuple(paragraphs[: opening.taken])
        sections.append(Section("Title page", page, announced=False, skip_reason="title page"))
    sections.extend(sections_at(heads, stanzas, paragraphs, opening.taken))
    sections.extend(licence[1:] if header else licence)
    return Manuscript(metadata, tuple(sections))


# --- lines to paragraphs -------------------------------------------------------------------------------------------


def _without_licence(lines: list[str]) -> tuple[list[str], list[Section], list[str]]:
    """Cut off what Project Gutenberg puts before and after a book.

    Returns:
        the book's lines, the cut-off parts as sections, and the lines of the header (title, author, language).
    """
    parts: list[Section] = []
    header: list[str] = []
    start = next((at for at, line in enumerate(lines) if LICENCE_START.fullmatch(line)), None)
    if start is not None:
        header = lines[: start + 1]
        lines = lines[start + 1 :]
        parts.append(_licence("Project Gutenberg header", header))
    end = next((at for at, line in enumerate(lines) if LICENCE_END.fullmatch(line)), None)
    if end is not None:
        parts.append(_licence("Project Gutenberg licence", lines[end:]))
        lines = lines[:end]
    return lines, parts, header


def _licence(title: str, lines: Sequence[str]) -> Section:
    return Section(title, (Block(fold(" ".join(lines))),), announced=False, skip_reason="licence")


def _stanzas(lines: Sequence[str]) -> tuple[list[list[str]], float]:
    """Group lines into paragraphs, each still in lines.

    Blank lines part paragraphs. Where lines are long, each is a paragraph of its own; where there are no blank lines in
    a hard-wrapped text, indents do.

    Returns:
        the paragraphs, and how long the lines are that they were wrapped to; 0 if they were not.
    """
    groups: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            groups[-1].append(line)
        elif groups[-1]:
            groups.append([])
    groups = [group for group in groups if group]
    lengths = [len(line.rstrip()) for group in groups if len(group) > 1 for line in group]
    if not lengths:
        return groups, 0
    width = statistics.quantiles(lengths, n=20)[-1]
    if width > _WRAPPED_CHARS:
        return [[line] for group in groups for line in group], 0
    return [stanza for group in groups for stanza in _split_at_indents(group, _VERSE_WIDTH * width)], width


def _split_at_indents(group: list[str], longest_verse: float) -> list[list[str]]:
    """Part paragraphs that only an indent of their first line tells apart."""
    if _is_verse(group, longest_verse):
        return [group]
    indented = [line[0] in " \t" and not line.startswith(" " * 9) for line in group]
    if not any(indented[1:]) or sum(indented) * 2 > len(group):
        return [group]
    parts: list[list[str]] = []
    for line, opens in zip(group, indented, strict=True):
        if opens or not parts:
            parts.append([])
        parts[-1].append(line)
    return parts


def _blocks(stanzas: Sequence[Sequence[str]], width: float) -> list[Block]:
    """Make paragraphs of stanzas: wrapped prose is joined, the lines of verse stay lines.

    Args:
        stanzas: in lines.
        width: how long the text's longest lines are; 0 if it does not wrap them.
    """
    following = [line.lstrip()[0] for stanza in stanzas if len(stanza) > 1 for line in stanza[1:]]
    low = sum(1 for letter in following if letter.islower())
    verse = len(following) >= _LEAST_VERSE_LINES and low < _VERSE_LOW_SHARE * len(following)
    # Where all is verse, no margin shows.
    return [_block(stanza, math.inf if verse else _VERSE_WIDTH * width) for stanza in stanzas]


def _block(stanza: Sequence[str], longest_verse: float) -> Block:
    text = unwrap(stanza)
    if is_ornament(text):
        return Block("", ParagraphKind.BREAK)
    if _is_verse(stanza, longest_verse):
        return Block("\n".join(unwrap([line]) for line in stanza))
    return Block(text)


def _is_verse(stanza: Sequence[str], longest: float) -> bool:
    """Say whether the lines of a paragraph end where somebody wanted them to."""
    if len(stanza) == 1 or max(len(line.strip()) for line in stanza) >= longest:
        return False
    low = sum(1 for line in stanza[1:] if line.strip()[0].islower())
    return low * 3 <= len(stanza) - 1


# --- the opening ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Opening:
    """What stands on the first lines."""

    title: str = ""
    authors: tuple[str, ...] = ()
    taken: int = 0
    """How many paragraphs it takes."""


def _read_opening(stanzas: Sequence[Sequence[str]], known: Metadata, *, has_heads: bool) -> _Opening:
    """Find title and author in the first lines: a short line, then "by" somebody.

    Args:
        stanzas: what stands before the first title.
        known: what the header says.
        has_heads: whether there is a first title at all.
    """
    start = 1 if stanzas and _PRODUCED.match(unwrap(stanzas[0])) else 0
    if start == len(stanzas):
        return _Opening(taken=start)
    first = [fold(line) for line in stanzas[start]]
    texts = [unwrap(stanza) for stanza in stanzas[start : start + 4]]
    pairs = parse_pairs(first)
    match = BY.fullmatch(first[-1])
    if "title" in pairs:
        named = metadata_of_pairs(pairs)
        opening = _Opening(named.title, named.authors, 1)
    elif match and 1 < len(first) <= _MOST_TITLE_LINES:
        opening = _Opening(" ".join(first[:-1]), _names(match["names"]), 1)
    else:
        opening = _read_by_line(texts)
    alone = has_heads and len(stanzas) == start + 1 and is_name(texts[0])
    if not opening.taken and (alone or (known.title and tokens(texts[0]) == tokens(known.title))):
        opening = _Opening(texts[0], (), 1)
    return replace(opening, taken=start + opening.taken)


def _read_by_line(texts: Sequence[str]) -> _Opening:
    """Find a "by" line in one of the paragraphs after the first."""
    if len(texts[0]) > _MOST_TITLE_CHARS:
        return _Opening()
    for at, line in list(enumerate(texts))[1:3]:
        if (match := BY.fullmatch(line)) and len(line) <= _MOST_TITLE_CHARS:
            return _Opening(texts[0], _names(match["names"]), at + 1)
        if line.lower() == "by" and at + 1 < len(texts) and len(texts[at + 1]) <= _MOST_TITLE_CHARS:
            return _Opening(texts[0], _names(texts[at + 1]), at + 2)
    return _Opening()


def _names(names: str) -> tuple[str, ...]:
    """Authors of a "by" line: its full stop goes, that of an initial or a "Jr." stays."""
    last = names.rsplit(maxsplit=1)[-1]
    if last.endswith(".") and len(last) > len("Jr."):
        names = names[:-1]
    return split_names(names)
