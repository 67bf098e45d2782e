"""Reading Markdown: structure from its headings, text without its marks.

Covers CommonMark's blocks, pipe tables, footnotes and YAML front matter, as far as they change what is heard.
"""

from __future__ import annotations

import html
import re
from dataclasses import replace

from speedd.model import Metadata, ParagraphKind
from speedd.reading.nfo import metadata_of_pairs, parse_pairs, split_names
from speedd.reading.structure.manuscript import Block, Manuscript
from speedd.reading.structure.outline import cut, points_of_headings
from speedd.reading.structure.titles import parse_title, tokens
from speedd.reading.structure.wording import fold, is_ornament

_ATX = re.compile(r" {0,3}(#{1,6})(?:\s+(.*))?")
_ATX_CLOSE = re.compile(r"(?:^|\s+)#+\s*$")
_SETEXT = re.compile(r" {0,3}(=+|-+)\s*")
_RULE = re.compile(r" {0,3}(?:(?:\*\s*){3,}|(?:-\s*){3,}|(?:_\s*){3,})")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_QUOTE = re.compile(r" {0,3}> ?")
_ITEM = re.compile(r"\s{0,12}(?:[-*+]|\d{1,3}[.)])\s+(?=\S)(?:\[[ xX]\]\s+)?")
_TABLE_RULE = re.compile(r"[\s|:-]*--[\s|:-]*")
_DEFINITION = re.compile(r" {0,3}\[(?!\^)[^\]]+\]:\s*\S+(?:\s+[\"'(].*)?")
_FOOTNOTE = re.compile(r" {0,3}\[\^[^\]]+\]:\s*(.*)")
_FRONT_ITEM = re.compile(r"\s*-\s+(.*)")
_FRONT_LIST = re.compile(r"\s*\[(.*)\]\s*")
_BY = re.compile(r"(?:written\s+)?by[:\s]\s*(?P<names>\S.*)", re.IGNORECASE)
_MOST_BY_CHARS = 80

# Between the two ends of a mark stands no other of its kind: every pattern is linear, whatever comes in.
_CODE = re.compile(r"(`{1,4})([^`]+)\1")
_IMAGE = re.compile(r"!\[[^\[\]]{0,1000}\](?:\([^()\n]{0,2000}\)|\[[^\[\]]{0,200}\])?")
_NOTE_MARK = re.compile(r"\[\^[^\[\]]{1,200}\]")
_LINK = re.compile(
    r"\[([^\[\]]{1,2000})\](?:\([^()\n]{0,1000}(?:\([^()\n]{0,500}\)[^()\n]{0,500})?\)|\[[^\[\]]{0,200}\])"
)
_AUTOLINK = re.compile(r"<((?:https?|mailto):[^<>\s]{1,2000})>")
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,2000}>")
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_LITERAL = re.compile(r"(?<=\s)[*_]+(?=\s)|(?<=[^\W_])_+(?=[^\W_])")
"""A mark between spaces or inside a word: "5 * 3", "snake_case"."""
_EMPHASIS = tuple(
    re.compile(rf"(?<!{mark})({mark}{{{count}}})(?=[^\s{mark}])([^{mark}]+)(?<=[^\s{mark}])\1(?!{mark})")
    for count in (3, 1, 2)
    for mark in (r"\*", "_")
)
_STRUCK = re.compile(r"~~(?=\S)([^~]+)(?<=\S)~~")
_LONGEST_MARKED_CHARS = 1_000_000
"""A longer paragraph is no Markdown that anybody wrote; it is read as it stands."""
_KEPT = re.compile("\ue000(\\d+)\ue001")


def read_markdown(text: str) -> Manuscript:
    r"""Read a Markdown text.

    Args:
        text: with ``\n`` line ends.
    """
    front, lines = _split_front(_without_comments(text).split("\n"))
    known = metadata_of_pairs(parse_pairs(front))
    walker = _Walker()
    for line in lines:
        walker.take(line.expandtabs(4))
    walker.end()
    blocks, known = _take_title(walker.blocks, known)
    return Manuscript(known, cut(blocks, points_of_headings(blocks), known))


def _without_comments(text: str) -> str:
    """Drop HTML comments; one that is never closed stays text."""
    kept: list[str] = []
    at = 0
    while (start := text.find("<!--", at)) >= 0 and (end := text.find("-->", start)) >= 0:
        kept.append(text[at:start])
        at = end + len("-->")
    return "".join((*kept, text[at:]))


def _split_front(lines: list[str]) -> tuple[list[str], list[str]]:
    """Part YAML front matter from the text; its lists and folded values come to stand on one line."""
    if not lines or lines[0].strip() != "---":
        return [], lines
    end = next((at for at, line in enumerate(lines[1:], 1) if line.strip() in {"---", "..."}), None)
    if end is None or not any(":" in line for line in lines[1:end]):
        return [], lines
    front: list[str] = []
    for line in lines[1:end]:
        if (match := _FRONT_ITEM.fullmatch(line)) and front:
            value = match[1].strip("\"' ")
            front[-1] += f" {value}" if front[-1].rstrip().endswith(":") else f"; {value}"
        elif line[:1].isspace() and front:
            front[-1] += f" {line.strip()}"
        else:
            key, colon, value = line.partition(":")
            if match := _FRONT_LIST.fullmatch(value):
                value = " " + "; ".join(item.strip(" \"'") for item in match[1].split(","))
            front.append(f"{key}{colon}{'' if value.strip() in {'|', '>', '|-', '>-'} else value}")
    return front, lines[end + 1 :]


def _take_title(blocks: list[Block], known: Metadata) -> tuple[list[Block], Metadata]:
    """Take the one heading above all others as the book's title, and a "by" line below it as its author."""
    top = [block for block in blocks if block.kind is ParagraphKind.HEADING and block.level == 1]
    first = next((block for block in blocks if block.words), None)
    if len(top) != 1 or first is not top[0] or parse_title(first.text):
        return blocks, known
    if known.title and tokens(known.title) != tokens(first.text):
        return blocks, known
    rest = blocks[blocks.index(first) + 1 :]
    authors: tuple[str, ...] = ()
    if rest and len(rest[0].text) <= _MOST_BY_CHARS and (match := _BY.fullmatch(rest[0].text)):
        authors = split_names(match["names"])
        rest = rest[1:]
    return rest, replace(known, title=known.title or first.text, authors=known.authors or authors)


class _Walker:
    """Walks over the lines and gathers paragraphs."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._lines: list[str] = []
        self._matter = ""
        self._fence = ""

    def take(self, line: str) -> None:
        """Take in the next line."""
        if self._fence:
            if line.strip().startswith(self._fence):
                self._fence = ""
                self.end()
            else:
                self._lines.append(line)
            return
        while match := _QUOTE.match(line):
            line = line[match.end() :]
        if not line.strip():
            self.end()
        elif not (self._take_heading(line) or self._take_apart(line)):
            if match := _ITEM.match(line):
                self.end()
                line = line[match.end() :]
            self._lines.append(line)

    def _take_heading(self, line: str) -> bool:
        if match := _ATX.fullmatch(line):
            self.end()
            self._add_heading(_ATX_CLOSE.sub("", match[2] or ""), len(match[1]))
            return True
        if self._lines and not self._matter and (match := _SETEXT.fullmatch(line)):
            title = "\n".join(self._lines)
            self._lines.clear()
            self._add_heading(title, 1 if match[1][0] == "=" else 2)
            return True
        return False

    def _take_apart(self, line: str) -> bool:
        """Take a line that stands for itself: a rule, a fence, a note, a definition, a row of a table."""
        if _RULE.fullmatch(line):
            self.end()
            self.blocks.append(Block("", ParagraphKind.BREAK))
        elif match := _FENCE.match(line):
            self.end()
            self._fence = match[1]
        elif match := _FOOTNOTE.fullmatch(line):
            self.end()
            self._matter = "footnotes"
            self._lines.append(match[1])
        elif line.lstrip().startswith("|"):
            self.end()
            if not _TABLE_RULE.fullmatch(line):
                self._lines.append(", ".join(filter(None, (cell.strip() for cell in line.split("|")))))
                self.end()
        elif self._lines or not _DEFINITION.fullmatch(line):
            return False
        return True

    def _add_heading(self, title: str, level: int) -> None:
        if text := plain_text(title):
            self.blocks.append(Block(text, ParagraphKind.HEADING, level))

    def end(self) -> None:
        """End the paragraph."""
        text = plain_text("\n".join(self._lines))
        self._lines.clear()
        if text and is_ornament(text):
            self.blocks.append(Block("", ParagraphKind.BREAK))
        elif text:
            self.blocks.append(Block(text, skip_reason=self._matter))
        self._matter = ""


def plain_text(text: str) -> str:
    """Take the marks out of a paragraph: emphasis, links, code, images, note marks, tags, escapes."""
    if len(text) > _LONGEST_MARKED_CHARS:
        return fold(text)
    kept: list[str] = []

    def keep(characters: str) -> str:
        # What must not be taken for a mark waits aside until the end, under a number between private characters.
        kept.append(characters)
        return f"\ue000{len(kept) - 1}\ue001"

    text = re.sub("[\ue000\ue001]", "", text)
    text = _ESCAPED.sub(lambda match: keep(match[1]), text)
    text = _CODE.sub(lambda match: keep(match[2]), text)
    text = _NOTE_MARK.sub("", _IMAGE.sub("", text))
    text = _AUTOLINK.sub(r"\1", _LINK.sub(r"\1", text))
    text = _TAG.sub("", text)
    text = _LITERAL.sub(lambda match: keep(match[0]), text)
    for pattern in (*_EMPHASIS, *_EMPHASIS):  # twice, for emphasis inside emphasis
        text = pattern.sub(r"\2", text)
    text = html.unescape(_STRUCK.sub(r"\1", text)).replace("\\\n", "\n")
    for _ in range(2):  # code may hold an escape
        text = _KEPT.sub(lambda match: kept[int(match[1])], text)
    return fold(text)
