"""Reading Markdown: structure from its headings, text without its marks.

Covers what CommonMark calls blocks, pipe tables and footnotes; nothing that would need a full parser changes what is heard.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from speedd.model import Metadata, ParagraphKind
from speedd.reading.manuscript import Block, Manuscript
from speedd.reading.nfo import metadata_of_pairs, parse_pairs, split_names
from speedd.reading.outline import cut, points_of_headings
from speedd.reading.wording import fold, is_ornament

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))??(?:[ \t]+#+)?[ \t]*")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*")
_RULE = re.compile(r" {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_QUOTE = re.compile(r" {0,3}> ?")
_ITEM = re.compile(r"\s{0,12}(?:[-*+]|\d{1,9}[.)])[ \t]+(?=\S)(?:\[[ xX]\][ \t]+)?")
_TABLE_RULE = re.compile(r"\s*\|?(?:\s*:?-+:?\s*\|)+(?:\s*:?-+:?\s*)?")
_DEFINITION = re.compile(r" {0,3}\[(?!\^)[^\]]+\]:\s*\S+(?:\s+[\"'(].*)?")
_FOOTNOTE = re.compile(r" {0,3}\[\^[^\]]+\]:\s*(.*)")
_FRONT_LIST = re.compile(r"\s*-\s+(.*)")
_BY = re.compile(r"(?:written\s+)?by[:\s]\s*(?P<names>\S.*?)\.?", re.IGNORECASE)
_MOST_BY_CHARS = 80

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_CODE = re.compile(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)")
_IMAGE = re.compile(r"!\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])?")
_NOTE_MARK = re.compile(r"\[\^[^\]]+\]")
_LINK = re.compile(r"\[([^\[\]]+)\](?:\((?:[^()]|\([^()]*\))*\)|\[[^\]]*\])")
_AUTOLINK = re.compile(r"<((?:https?|mailto):[^>\s]+)>")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_STARRED = re.compile(r"(\*{1,3})(?=[^\s*])(.+?)(?<=[^\s*])\1")
_UNDERSCORED = re.compile(r"(?<![^\W_])(_{1,3})(?=[^\s_])(.+?)(?<=[^\s_])\1(?![^\W_])")
_STRUCK = re.compile(r"~~(?=\S)(.+?)(?<=\S)~~")


def read_markdown(text: str) -> Manuscript:
    """Read a Markdown text.

    Args:
        text: with ``\\n`` line ends.
    """
    front, lines = _split_front(_COMMENT.sub("", text).split("\n"))
    known = metadata_of_pairs(parse_pairs(front))
    blocks = list(_blocks(lines))
    blocks, known = _take_title(blocks, known)
    return Manuscript(known, cut(blocks, points_of_headings(blocks), known))


def _split_front(lines: list[str]) -> tuple[list[str], list[str]]:
    """Part YAML front matter from the text, with its lists written on one line."""
    if not lines or lines[0].strip() != "---":
        return [], lines
    end = next((at for at, line in enumerate(lines[1:], 1) if line.strip() in {"---", "..."}), None)
    if end is None:
        return [], lines
    front: list[str] = []
    for line in lines[1:end]:
        if (match := _FRONT_LIST.fullmatch(line)) and front:
            value = match[1].strip("\"' ")
            front[-1] += value if front[-1].rstrip().endswith(":") else f"; {value}"
        elif line[:1].isspace() and front:
            front[-1] += f" {line.strip()}"
        else:
            key, colon, value = line.partition(":")
            listed = re.fullmatch(r"\s*\[(.*)\]\s*", value)
            if listed:
                value = " " + "; ".join(item.strip(" \"'") for item in listed[1].split(","))
            front.append(f"{key}{colon}{value.removesuffix(' |').removesuffix(' >')}")
    return front, lines[end + 1 :]


def _take_title(blocks: list[Block], known: Metadata) -> tuple[list[Block], Metadata]:
    """Take the one heading above all others as the book's title, and a "by" line below it as its author."""
    headings = [block for block in blocks if block.kind is ParagraphKind.HEADING]
    top = [block for block in headings if block.level == 1]
    first = next((block for block in blocks if block.words), None)
    if len(top) != 1 or first is not top[0]:
        return blocks, known
    at = blocks.index(top[0])
    rest = blocks[at + 1 :]
    authors: tuple[str, ...] = ()
    if rest and rest[0].words and len(rest[0].text) <= _MOST_BY_CHARS and (match := _BY.fullmatch(rest[0].text)):
        authors = split_names(match["names"])
        rest = rest[1:]
    known = replace(known, title=known.title or top[0].text, authors=known.authors or authors)
    return rest, known


def _blocks(lines: Sequence[str]) -> Iterator[Block]:
    """Walk over the lines, paragraph by paragraph."""
    paragraph: list[str] = []
    note = ""
    fence = ""

    def ended() -> Iterator[Block]:
        nonlocal note
        text = plain_text("\n".join(paragraph))
        paragraph.clear()
        matter, note = note, ""
        if text and is_ornament(text):
            yield Block("", ParagraphKind.BREAK)
        elif text:
            yield Block(text, matter=matter)

    for raw in lines:
        line = raw.expandtabs(4)
        if fence:
            if line.strip().startswith(fence):
                fence = ""
                yield from ended()
            else:
                paragraph.append(line)
            continue
        while match := _QUOTE.match(line):
            line = line[match.end() :]
        if match := _FENCE.match(line):
            yield from ended()
            fence = match[1]
        elif not line.strip():
            yield from ended()
        elif match := _ATX.fullmatch(line):
            yield from ended()
            if title := plain_text(match[2] or ""):
                yield Block(title, ParagraphKind.HEADING, len(match[1]))
        elif paragraph and not note and (match := _SETEXT.fullmatch(line)):
            title = plain_text("\n".join(paragraph))
            paragraph.clear()
            yield Block(title, ParagraphKind.HEADING, 1 if match[1][0] == "=" else 2)
        elif _RULE.fullmatch(line):
            yield from ended()
            yield Block("", ParagraphKind.BREAK)
        elif match := _FOOTNOTE.fullmatch(line):
            yield from ended()
            note = "footnotes"
            paragraph.append(match[1])
        elif _DEFINITION.fullmatch(line) and not paragraph:
            continue
        elif line.lstrip().startswith("|"):
            yield from ended()
            if not _TABLE_RULE.fullmatch(line):
                cells = (cell.strip() for cell in line.strip().strip("|").split("|"))
                paragraph.append(", ".join(filter(None, cells)))
                yield from ended()
        else:
            if (match := _ITEM.match(line)) and not _is_year(line):
                yield from ended()
                line = line[match.end() :]
            paragraph.append(line)
    yield from ended()


def _is_year(line: str) -> bool:
    """Say whether a "list item" is a sentence that begins with a year: "1986. What a year!"."""
    return bool(re.match(r"\s*\d{4,}[.)]", line))


def plain_text(text: str) -> str:
    """Take the marks out of a paragraph: emphasis, links, code, images, note marks, tags, escapes."""
    kept: list[str] = []

    def keep(characters: str) -> str:
        # Private characters stand for what must not be taken for a mark until the end.
        kept.append(characters)
        return f"\ue000{len(kept) - 1}\ue001"

    text = re.sub("[\ue000\ue001]", "", text)
    text = _ESCAPED.sub(lambda match: keep(match[1]), text)
    text = _CODE.sub(lambda match: keep(match[2]), text)
    text = _NOTE_MARK.sub("", _IMAGE.sub("", text))
    text = _AUTOLINK.sub(r"\1", _LINK.sub(r"\1", text))
    text = _TAG.sub("", text)
    for _ in range(3):  # emphasis inside emphasis
        text = _UNDERSCORED.sub(r"\2", _STARRED.sub(r"\2", text))
    text = html.unescape(_STRUCK.sub(r"\1", text))
    text = re.sub(r"\\\n", "\n", text)
    for _ in range(2):  # code may hold an escape
        text = re.sub("\ue000(\\d+)\ue001", lambda match: kept[int(match[1])], text)
    return fold(text)
