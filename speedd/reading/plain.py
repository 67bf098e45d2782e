"""Reading plain text: paragraphs out of lines, chapters out of lines that look like titles."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from speedd.model import Metadata, ParagraphKind
from speedd.reading.manuscript import Block, Manuscript, Section, count_words
from speedd.reading.matter import matter_of_title
from speedd.reading.nfo import metadata_of_pairs, parse_pairs, split_names
from speedd.reading.titles import TitleKind, TitleLine, join_titles, looks_titled, parse_title, tokens
from speedd.reading.wording import fold, is_ornament

_LICENCE_START = re.compile(r"\s*\*{3}\s*START OF (?:THE|THIS) PROJECT GUTENBERG.*?\*{3}\s*", re.IGNORECASE)
_LICENCE_END = re.compile(
    r"\s*(?:\*{3}\s*END OF (?:THE|THIS) PROJECT GUTENBERG.*|End of (?:the )?Project Gutenberg.{0,80})", re.IGNORECASE
)
_BY = re.compile(r"(?:written\s+)?by[:\s]\s*(?P<names>\S.*)", re.IGNORECASE)
_PICTURE = re.compile(r"\[\s*Illustration\b[^\]]*\]", re.IGNORECASE)
_PRODUCED = re.compile(
    r"(?:Produced|E-?text prepared|This e-?text was (?:produced|prepared)|Transcribed) (?:by|from)\b"
)
_ITALICS = re.compile(r"(?<![^\W_])_(?=\S)([^_]{1,2000}?)(?<=\S)_(?![^\W_])")

_WRAPPED_CHARS = 100
"""Lines up to this long come from a hard-wrapped text; longer ones are whole paragraphs."""
_MOST_TITLE_LINES = 3
_MOST_TITLE_CHARS = 100
_MOST_NAME_WORDS = 8
_LEAST_WORDS_PER_NUMBERED = 50
_LEAST_EMPTY_TITLES = 3
_MOST_LISTED_CHARS = 200


def read_plain(text: str) -> Manuscript:
    r"""Read a plain text.

    Args:
        text: with ``\n`` line ends.
    """
    lines, licence, header = _without_licence(text.split("\n"))
    stanzas = [stanza for stanza in _stanzas(lines) if not _PICTURE.fullmatch(fold(" ".join(stanza)))]
    # A date in the header is that of the electronic text, not of the book.
    known = replace(metadata_of_pairs(parse_pairs(header)), published="")
    heads = _heads(stanzas)
    first = heads[0].index if heads else len(stanzas)
    opening = _read_opening(stanzas[:first], known, has_heads=bool(heads))
    metadata = replace(known, title=known.title or opening.title, authors=known.authors or opening.authors)
    sections = licence[:1] if header else []
    if opening.taken:
        page = tuple(_block(stanza) for stanza in stanzas[: opening.taken])
        sections.append(Section("Title page", page, announced=False, matter="title page"))
    sections.extend(_sections(stanzas, heads, opening.taken))
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
    start = next((at for at, line in enumerate(lines) if _LICENCE_START.fullmatch(line)), None)
    if start is not None:
        header = lines[: start + 1]
        lines = lines[start + 1 :]
        parts.append(_licence("Project Gutenberg header", header))
    end = next((at for at, line in enumerate(lines) if _LICENCE_END.fullmatch(line)), None)
    if end is not None:
        parts.append(_licence("Project Gutenberg licence", lines[end:]))
        lines = lines[:end]
    return lines, parts, header


def _licence(title: str, lines: Sequence[str]) -> Section:
    return Section(title, (Block(fold(" ".join(lines))),), announced=False, matter="licence")


def _stanzas(lines: Sequence[str]) -> list[list[str]]:
    """Group lines into paragraphs, each still in lines.

    Blank lines part paragraphs. Where lines are long, each is a paragraph of its own; where there are no blank lines in
    a hard-wrapped text, indents do.
    """
    groups: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            groups[-1].append(line)
        elif groups[-1]:
            groups.append([])
    groups = [group for group in groups if group]
    lengths = [len(line) for group in groups if len(group) > 1 for line in group]
    if not lengths:
        return groups
    if statistics.quantiles(lengths, n=20)[-1] > _WRAPPED_CHARS:
        return [[line] for group in groups for line in group]
    return [stanza for group in groups for stanza in _split_at_indents(group)]


def _split_at_indents(group: list[str]) -> list[list[str]]:
    """Part paragraphs that only an indent of their first line tells apart."""
    indented = [line[0] in " \t" and not line.startswith(" " * 9) for line in group]
    if not any(indented[1:]) or sum(indented) * 2 > len(group):
        return [group]
    parts: list[list[str]] = []
    for line, opens in zip(group, indented, strict=True):
        if opens or not parts:
            parts.append([])
        parts[-1].append(line)
    return parts


def _unwrap(stanza: Sequence[str]) -> str:
    """Join hard-wrapped lines. A word that was parted at its own hyphen or a dash comes together again."""
    text = ""
    for line in map(str.strip, stanza):
        parted = text.endswith(("-", "—")) and len(text) > 1 and not text[-2].isspace()
        text += line if not text or (parted and not line.startswith(("-", "—"))) else f" {line}"
    return fold(_ITALICS.sub(r"\1", text))


def _block(stanza: Sequence[str]) -> Block:
    text = _unwrap(stanza)
    return Block("", ParagraphKind.BREAK) if is_ornament(text) else Block(text)


# --- titles --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Head:
    """A title among the paragraphs."""

    index: int
    """Of its first paragraph."""
    count: int
    """How many paragraphs it takes."""
    title: str
    line: TitleLine | None
    """None for front and back matter."""
    matter: str = ""


def _heads(stanzas: Sequence[Sequence[str]]) -> list[_Head]:
    """Find the titles: what says "Chapter", what is named like front or back matter, and numbers that count up."""
    candidates = [head for index in range(len(stanzas)) if (head := _candidate(stanzas, index))]
    counting = _counting(candidates, stanzas)
    heads = [
        head
        for head in candidates
        if head.line is None or head.line.kind is not TitleKind.NUMBER or head.index in counting
    ]
    return _without_listings(_with_subtitles(heads, stanzas), stanzas)


def _candidate(stanzas: Sequence[Sequence[str]], index: int) -> _Head | None:
    stanza = [fold(_ITALICS.sub(r"\1", line)) for line in stanzas[index]]
    if len(stanza) > _MOST_TITLE_LINES or sum(map(len, stanza)) > _MOST_TITLE_CHARS:
        return None
    if matter := matter_of_title(" ".join(stanza)):
        return _Head(index, 1, " ".join(stanza), None, matter)
    line = parse_title(stanza[0])
    if line is None:
        return None
    rest = " ".join(stanza[1:])
    if rest and not (line.bare and looks_titled(rest) and parse_title(stanza[1]) is None):
        return None
    title = join_titles([stanza[0], rest])
    return _Head(index, 1, title, line if not rest else replace(line, bare=False))


def _counting(candidates: Sequence[_Head], stanzas: Sequence[Sequence[str]]) -> set[int]:
    """Choose the bare numbers that count up from one: a lone "I" is a word.

    Returns:
        the places of those that are titles.
    """
    if sum(1 for head in candidates if head.line and head.line.kind is TitleKind.CHAPTER) > 1:
        return set()  # chapters say that they are chapters; numbers among them are something else
    runs: list[list[_Head]] = []
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


def _with_subtitles(heads: Sequence[_Head], stanzas: Sequence[Sequence[str]]) -> list[_Head]:
    """Take in the title proper that stands in a paragraph of its own below "Chapter One"."""
    taken = {head.index for head in heads}
    full: list[_Head] = []
    for head in heads:
        below = head.index + 1
        if head.line and head.line.bare and below < len(stanzas) - 1 and below not in taken:
            text = _unwrap(stanzas[below])
            if len(stanzas[below]) == 1 and _is_name(text):
                full.append(replace(head, count=2, title=join_titles([head.title, text])))
                continue
        full.append(head)
    return full


def _is_name(text: str) -> bool:
    """Say whether a short line is a name in capitals or in title case, not a short sentence or a line of dialogue."""
    words = [word for word in text.split() if word[0].isalpha()]
    if not words or len(text.split()) > _MOST_NAME_WORDS or text[0] in "“\"'‘—" or text[-1] in '.!?…”"':
        return False
    small = {"a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with"}
    return all(word[0].isupper() or word.lower() in small for word in words) and words[0][0].isupper()


def _without_listings(heads: list[_Head], stanzas: Sequence[Sequence[str]]) -> list[_Head]:
    """Drop the titles of a table of contents: a row of them without text, which come again later."""
    kept: list[_Head] = []
    row: list[_Head] = []
    last = {tokens(head.title)[:2]: at for at, head in enumerate(heads)}
    for at, head in enumerate(heads):
        after = heads[at + 1].index if at + 1 < len(heads) else len(stanzas)
        if head.line and after == head.index + head.count and last[tokens(head.title)[:2]] > at:
            row.append(head)
            continue
        if len(row) < _LEAST_EMPTY_TITLES:
            kept.extend(row)
        elif not kept or not kept[-1].matter:
            kept.append(_Head(row[0].index, 0, "Contents", None, "table of contents"))
        row = []
        kept.append(head)
    return [*kept, *row]


# --- the opening and the sections ----------------------------------------------------------------------------------


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
    start = 1 if stanzas and _PRODUCED.match(_unwrap(stanzas[0])) else 0
    if start == len(stanzas):
        return _Opening(taken=start)
    first = [fold(line) for line in stanzas[start]]
    texts = [_unwrap(stanza) for stanza in stanzas[start : start + 4]]
    pairs = parse_pairs(first)
    match = _BY.fullmatch(first[-1])
    if "title" in pairs:
        named = metadata_of_pairs(pairs)
        opening = _Opening(named.title, named.authors, 1)
    elif match and 1 < len(first) <= _MOST_TITLE_LINES:
        opening = _Opening(" ".join(first[:-1]), _names(match["names"]), 1)
    else:
        opening = _read_by_line(texts)
    alone = has_heads and len(stanzas) == start + 1 and _is_name(texts[0])
    if not opening.taken and (alone or (known.title and tokens(texts[0]) == tokens(known.title))):
        opening = _Opening(texts[0], (), 1)
    return replace(opening, taken=start + opening.taken)


def _read_by_line(texts: Sequence[str]) -> _Opening:
    """Find a "by" line in one of the paragraphs after the first."""
    if len(texts[0]) > _MOST_TITLE_CHARS:
        return _Opening()
    for at, line in list(enumerate(texts))[1:3]:
        if (match := _BY.fullmatch(line)) and len(line) <= _MOST_TITLE_CHARS:
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


def _sections(stanzas: Sequence[Sequence[str]], heads: Sequence[_Head], start: int) -> list[Section]:
    sections: list[Section] = []
    starts = [*(head.index for head in heads), len(stanzas)]
    first = starts[0]
    opening = tuple(_block(stanza) for stanza in stanzas[start:first])
    if count_words(opening):
        sections.append(Section("", opening, announced=False))
    for head, end in zip(heads, starts[1:], strict=True):
        body = stanzas[head.index + head.count : end]
        words = sum(len(" ".join(stanza).split()) for stanza in stanzas[head.index : head.index + head.count])
        listed = len(body)
        if head.matter == "table of contents":
            # A list ends where prose begins, should no title stand between them.
            listed = next((at for at, stanza in enumerate(body) if len(_unwrap(stanza)) > _MOST_LISTED_CHARS), listed)
            listed = listed or len(body[:1])
        blocks = tuple(_block(stanza) for stanza in body[:listed])
        sections.append(Section(head.title, blocks, bool(head.count), head.matter, words))
        if rest := tuple(_block(stanza) for stanza in body[listed:]):
            sections.append(Section("", rest, announced=False))
    return sections
