"""Reading Markdown: CommonMark with tables, footnotes and task lists becomes a page like any other.

YAML front matter is metadata. The time it takes is linear in the length, whatever comes in.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from lxml import etree
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock, paragraph
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.tasklists import tasklists_plugin

from speedd.model import Metadata, ParagraphKind
from speedd.reading.html.markup import descendants, parse_page
from speedd.reading.html.page import read_page
from speedd.reading.nfo import BY, metadata_of_pairs, parse_pairs, split_names
from speedd.reading.structure.division import divide
from speedd.reading.structure.manuscript import Block, Manuscript
from speedd.reading.structure.titles import parse_title, tokens

_FRONT_LINE = re.compile(r"(?:[\s#-].*|\w[\w .-]{0,40}:(?:\s.*)?)?")
_FRONT_ITEM = re.compile(r"\s*-\s+(.*)")
_FRONT_LIST = re.compile(r"\s*\[(.*)\]\s*")
_MOST_BY_CHARS = 80
_VERSE = re.compile(r"^ {0,3}\| +([^|\n]+)$", re.MULTILINE)
"""A line of a line block, as pandoc has them: ``| The lamp is lit,``."""
_NOTE_MARK = re.compile(r"\[\^([^\[\]\s]{1,200})\]")
_HEARD_TAG = re.compile(r"<(?:br\s*/?|/?sup)>", re.IGNORECASE)
_BRACKET = re.compile(r"[\[\]]")
_DEEPEST_BRACKET = 4
_MOST_WILD = 50
"""With so many brackets deeper than that, or after so many without a partner, a paragraph is no Markdown."""
_DEEPEST = 100
"""How deep blocks may nest; what lies deeper is a paragraph."""


def read_markdown(text: str) -> Manuscript:
    r"""Read a Markdown text.

    Args:
        text: with ``\n`` line ends.
    """
    front, text = _split_front(_without_comments(text))
    known = metadata_of_pairs(parse_pairs(front))
    html = _parser().render(_VERSE.sub(r"\1  ", text))
    root = parse_page(f"<html><body>{html}</body></html>")
    assert root is not None
    page = read_page(root)
    blocks, notes = page.settled()
    blocks, known = _take_title(blocks, known)
    return Manuscript(known, divide(blocks, known), notes=notes, pictures=page.pictures)


def _without_comments(text: str) -> str:
    """Drop HTML comments; one that is never closed stays text."""
    kept: list[str] = []
    at = 0
    while (start := text.find("<!--", at)) >= 0 and (end := text.find("-->", start)) >= 0:
        kept.append(text[at:start])
        at = end + len("-->")
    return "".join((*kept, text[at:].replace("<!--", "&lt;!--")))


def _split_front(text: str) -> tuple[list[str], str]:
    """Part YAML front matter from the text; its lists and folded values come to stand on one line."""
    lines = text.split("\n")
    end = next((at for at, line in enumerate(lines[1:], 1) if line.strip() in {"---", "..."}), 0)
    front: list[str] = []
    if lines[0].strip() != "---" or not all(map(_FRONT_LINE.fullmatch, lines[1:end])):
        return front, text
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
    return (front, "\n".join(lines[end + 1 :])) if any(":" in line for line in front) else ([], text)


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
    if rest and len(rest[0].text) <= _MOST_BY_CHARS and (match := BY.fullmatch(rest[0].text)):
        authors = split_names(match["names"])
        rest = rest[1:]
    return rest, replace(known, title=known.title or first.text, authors=known.authors or authors)


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"maxNesting": 2 * _DEEPEST}, renderer_cls=_Renderer)
    # A paragraph that is indented is one: stories are not full of programs.
    parser.enable(["table", "strikethrough"]).disable("code").use(tasklists_plugin)
    parser.use(footnote_plugin, inline=False, move_to_end=False)
    parser.inline.ruler.at("footnote_ref", _take_note_mark)  # the plugin's own takes quadratic time on "[^[^[^"
    parser.block.ruler.before("table", "deep", _stop_nesting)
    parser.core.ruler.before("inline", "wild", _leave_wild)
    return parser


def _stop_nesting(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    return state.level >= _DEEPEST and paragraph(state, start, end, silent)


def _take_note_mark(state: StateInline, silent: bool) -> bool:
    match = _NOTE_MARK.match(state.src, state.pos, state.posMax)
    if match and not silent:
        state.push("note_mark", "", 0).meta = {"label": match[1]}
    state.pos = match.end() if match else state.pos
    return match is not None


def _leave_wild(state: StateCore) -> None:
    """Read as it stands what is no Markdown: the parser looks for the end of every bracket, over all that follows."""
    for token in state.tokens:
        depth = wild = 0
        for bracket in _BRACKET.findall(token.content) if token.type == "inline" else ():
            depth = depth + 1 if bracket == "[" else max(0, depth - 1)
            wild += depth > _DEEPEST_BRACKET
        if wild > _MOST_WILD:
            token.type = "text"


def _anchor(token: Token) -> str:
    return f"note-{token.meta['label'].encode().hex()}"


class _Renderer(RendererHTML):
    """Writes what the page reader knows: notes by their role, HTML in the text as whole elements."""

    def note_mark(self, tokens: Sequence[Token], at: int, *_: Any) -> str:
        return f'<a role="doc-noteref" href="#{_anchor(tokens[at])}"></a>'

    def footnote_reference_open(self, tokens: Sequence[Token], at: int, *_: Any) -> str:
        return f'<aside role="doc-footnote" id="{_anchor(tokens[at])}">'

    def footnote_reference_close(self, *_: Any) -> str:
        return "</aside>"

    def ordered_list_open(self, tokens: Sequence[Token], at: int, *rest: Any) -> str:
        tokens[at].attrs.setdefault("start", 1)  # somebody typed it, so it is heard even in a list of one
        return self.renderToken(tokens, at, *rest)

    def html_inline(self, tokens: Sequence[Token], at: int, *_: Any) -> str:
        return tokens[at].content if _HEARD_TAG.fullmatch(tokens[at].content) else ""

    def html_block(self, tokens: Sequence[Token], at: int, *_: Any) -> str:
        root = parse_page(tokens[at].content)
        if root is None:
            return ""
        body = next(descendants(root, "body"), root)
        body.tag = "div" if body.tag == "body" else body.tag
        return str(etree.tostring(body, encoding="unicode"))
