"""Parsing XML and HTML from strangers: no external entities, no network, no bombs, and broken pages still read."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

from lxml import etree

from speedd.errors import InputError

_OPS = "{http://www.idpf.org/2007/ops}type"
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_DECLARED_ENCODING = re.compile(rb"""^[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_META_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?([A-Za-z0-9._-]+)""", re.IGNORECASE)
_DOCTYPE = re.compile(r"<!DOCTYPE[^\[>]*(\[.*?\]\s*)?>", re.DOTALL | re.IGNORECASE)
_DOCTYPE_CHARS = 1 << 16
"""How far to look for a DTD; one that goes on longer is left to the parser, which expands nothing."""
_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]{0,30});")
_NUMBERED_CHARACTER = re.compile(r"&#(?:[xX]([0-9A-Fa-f]+)|([0-9]+));?")
_LONGEST_CODE_POINT = 7  # digits, in either base
_XML_ENTITIES = frozenset({"amp", "lt", "gt", "quot", "apos"})
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_SELF_CLOSED = re.compile(
    r"<((?:title|script|style|a|p|div|span|i|b|em|strong|section|iframe|textarea|td|li|sup)\b[^<>]*)/>", re.IGNORECASE
)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_FLAT = re.compile(r"</?(?:html|head|title|body|h[1-6]|br|hr|script|style)\b", re.IGNORECASE)
_BLOCK = re.compile(r"</?(?:p|div|li|td|th|tr|dd|dt|section|article|blockquote|table|ul|ol|pre)\b", re.IGNORECASE)
_NAME_IN_TAG = re.compile(r"[A-Za-z0-9:]+")

Element = Any
"""An lxml element; lxml brings no types."""


def declared_encoding(data: bytes) -> str:
    """The encoding that a page says it is in; empty if it says none."""
    declared = _DECLARED_ENCODING.match(data) or _META_CHARSET.search(data[:4096])
    return declared[1].decode("ascii") if declared else ""


def decode_markup(data: bytes) -> str:
    """Decode a page by its byte order mark, its declaration or as UTF-8; as Windows-1252 where nothing fits."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    declared = declared_encoding(data)
    names = ["utf-8-sig", *([declared] if declared else []), "cp1252"]
    for name in names:
        try:
            return data.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
    return data.decode("latin-1")


def _prepare(text: str) -> str:
    """Take out what a parser could trip over or be attacked with: declaration, DTD, named HTML entities, controls."""
    text = _ILLEGAL.sub("", text)
    text = _DECLARATION.sub("", text, count=1)
    head, rest = text[:_DOCTYPE_CHARS], text[_DOCTYPE_CHARS:]
    text = _DOCTYPE.sub("", head, count=1) + rest
    return _ENTITY.sub(_named_character, _NUMBERED_CHARACTER.sub(_numbered_character, text))


def _numbered_character(match: re.Match[str]) -> str:
    """Resolve a character reference as HTML does: ``&#151;`` is a dash; what is no character, a surrogate say, goes.

    libxml2's recovering parsers let surrogates through, which no Python string can take.
    """
    digits = (match[1] or match[2]).lstrip("0")
    if not digits or len(digits) > _LONGEST_CODE_POINT:
        return ""
    return html.escape(_ILLEGAL.sub("", html.unescape(f"{match[0].removesuffix(';')};")).replace("\ufffd", ""))


def _named_character(match: re.Match[str]) -> str:
    if match[1] in _XML_ENTITIES:
        return match[0]
    character = html.unescape(match[0])
    # What a DTD would have to define is dropped with it: left in place it would hide the text that follows.
    return html.escape(character) if character != match[0] else ""


def _xml_parser(*, recover: bool = False) -> etree.XMLParser:
    return etree.XMLParser(
        recover=recover,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        encoding="utf-8",
    )


def parse_xml(data: bytes, name: str) -> Element:
    """Parse a small XML file such as an OPF. What is not well-formed is read as far as it makes sense.

    Raises:
        InputError: if nothing in it does.
    """
    prepared = _prepare(decode_markup(data)).encode()
    for recover in (False, True):
        try:
            root = etree.fromstring(prepared, _xml_parser(recover=recover))
        except (etree.XMLSyntaxError, ValueError):
            continue
        if root is not None:
            return root
    raise InputError(f"{name} is no XML.")


def parse_page(text: str) -> Element | None:
    """Parse a page as XHTML, or as HTML if it is broken. None if there is nothing in it."""
    prepared = _prepare(text)
    try:
        return etree.fromstring(prepared.encode(), _xml_parser())
    except (etree.XMLSyntaxError, ValueError):
        # An HTML parser takes <title/> or <a id="x"/> for an opening tag and swallows what follows.
        opened = _SELF_CLOSED.sub(lambda tag: f"<{tag[1]}></{_tag_name(tag[1])}>", prepared)
        root, whole = _parse_html(opened)
        # The parser stops at 2,048 open elements and would lose the rest: tags that are never closed come to that.
        return root if whole else _parse_html(_flattened(opened))[0]


def _parse_html(text: str) -> tuple[Element | None, bool]:
    """Parse HTML; say also whether all of it was read."""
    parser = etree.HTMLParser(no_network=True, remove_comments=True, remove_pis=True, huge_tree=True, encoding="utf-8")
    try:
        root = etree.fromstring(text.encode(), parser)
    except (etree.XMLSyntaxError, ValueError):
        return None, not any("depth" in str(entry.message) for entry in parser.error_log)
    return root, not any("depth" in str(entry.message) for entry in parser.error_log)


def _flattened(text: str) -> str:
    """Leave of a page only paragraphs, headings and line ends, none inside another."""
    return _TAG.sub(lambda tag: tag[0] if _FLAT.match(tag[0]) else "<p>" if _BLOCK.match(tag[0]) else "", text)


def _tag_name(tag: str) -> str:
    match = _NAME_IN_TAG.match(tag)
    return match[0] if match else tag


def local_name(element: Element) -> str:
    """The name of an element in lower case, without its namespace; empty for an entity."""
    tag = element.tag
    return tag.rpartition("}")[2].rpartition(":")[2].lower() if isinstance(tag, str) else ""


def children(element: Element, *names: str) -> Iterator[Element]:
    """The child elements with one of these local names; all of them if none is given."""
    return (child for child in element if (name := local_name(child)) and (not names or name in names))


def descendants(element: Element, *names: str) -> Iterator[Element]:
    """The elements inside with one of these local names, in document order."""
    return (child for child in element.iter() if local_name(child) in names)


def attribute(element: Element, name: str) -> str:
    """An attribute by its local name, whatever its namespace; empty if it is not there."""
    if (value := element.get(name)) is not None:
        return str(value)
    for key, value in element.attrib.items():
        if key.rpartition("}")[2].rpartition(":")[2] == name:
            return str(value)
    return ""


def types(element: Element) -> tuple[str, ...]:
    """What an element says it is: the words of its ``epub:type`` and its ``role``."""
    semantic = element.get(_OPS) or element.get("epub:type") or ""
    return tuple(f"{semantic} {element.get('role') or ''}".lower().split())


def text_of(element: Element) -> str:
    """All text inside an element, also between and after those inside it, white space folded."""
    return " ".join("".join(element.itertext()).split())


def append(element: Element, text: str | None) -> None:
    """Add text behind what an element holds."""
    if text and len(element):
        element[-1].tail = (element[-1].tail or "") + text
    elif text:
        element.text = (element.text or "") + text
