"""Front and back matter: what belongs to the printed book but is not read out.

Kinds follow the EPUB 3 Structural Semantics Vocabulary and the ARIA digital publishing roles. Dedications, epigraphs,
forewords, prefaces, afterwords, appendices and acknowledgements are the author's words and are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_REASONS = {
    "cover": "cover",
    "titlepage": "title page",
    "title-page": "title page",
    "halftitlepage": "half title page",
    "halftitle": "half title page",
    "seriespage": "other books of the series",
    "imprint": "imprint",
    "imprimatur": "imprint",
    "copyright-page": "copyright page",
    "copyright": "copyright page",
    "colophon": "colophon",
    "credits": "credits",
    "credit": "credits",
    "contributors": "credits",
    "other-credits": "credits",
    "toc": "table of contents",
    "toc-brief": "table of contents",
    "landmarks": "table of contents",
    "loi": "list of illustrations",
    "lot": "list of tables",
    "loa": "list of recordings",
    "lov": "list of videos",
    "page-list": "page list",
    "pagelist": "page list",
    "endnotes": "endnotes",
    "rearnotes": "endnotes",
    "notes": "endnotes",
    "endnote": "endnotes",
    "rearnote": "endnotes",
    "footnotes": "footnotes",
    "footnote": "footnotes",
    "note": "",  # an admonition, not a footnote
    "annotation": "footnotes",
    "index": "index",
    "bibliography": "bibliography",
    "backlink": "",
    "errata": "errata",
    "speedd-around": "web page around the text",  # set by the reader of web pages
}

_BODY = frozenset({
    "bodymatter", "chapter", "part", "volume", "division", "prologue", "epilogue", "preface", "foreword",
    "introduction", "preamble", "afterword", "conclusion", "dedication", "epigraph", "appendix", "acknowledgments",
    "subchapter",
})  # fmt: skip

_TITLES = {
    "cover": "cover",
    "cover page": "cover",
    "front cover": "cover",
    "back cover": "cover",
    "title page": "title page",
    "titlepage": "title page",
    "half title": "half title page",
    "half title page": "half title page",
    "halftitle": "half title page",
    "halftitlepage": "half title page",
    "imprint": "imprint",
    "copyright": "copyright page",
    "copyright page": "copyright page",
    "copyright notice": "copyright page",
    "copyright information": "copyright page",
    "uncopyright": "copyright page",
    "colophon": "colophon",
    "credits": "credits",
    "contents": "table of contents",
    "the contents": "table of contents",
    "table of contents": "table of contents",
    "brief contents": "table of contents",
    "detailed contents": "table of contents",
    "list of illustrations": "list of illustrations",
    "illustrations": "list of illustrations",
    "list of figures": "list of illustrations",
    "list of tables": "list of tables",
    "list of maps": "list of illustrations",
    "endnotes": "endnotes",
    "end notes": "endnotes",
    "notes": "endnotes",
    "footnotes": "footnotes",
    "index": "index",
    "bibliography": "bibliography",
    "works cited": "bibliography",
    "references": "bibliography",
    "also by the author": "other books",
    "books by the author": "other books",
    "other books": "other books",
    "about the author": "about the author",
    "about the authors": "about the author",
    "about the publisher": "about the publisher",
    "about this book": "about this edition",
    "about this ebook": "about this edition",
    "about this edition": "about this edition",
    "newsletter": "advertisement",
    "advertisement": "advertisement",
    "advertisements": "advertisement",
    "transcriber s note": "transcriber’s note",
    "transcriber s notes": "transcriber’s note",
    "transcribers note": "transcriber’s note",
    "transcribers notes": "transcriber’s note",
    "project gutenberg license": "licence",
    "the full project gutenberg license": "licence",
    "license": "licence",
}
_OPENINGS = (
    ("also by ", "other books"),
    ("other books by ", "other books"),
    ("books by ", "other books"),
    ("praise for ", "praise"),
    ("also available ", "other books"),
)
_INDEX = re.compile(
    r"(?:(?:general|subject|name|author|concept|topic|function and data|author and subject) index|"
    r"index of (?:\w+|(?:\w+ ){1,2}and \w+|first lines))"
)
_LONGEST_OPENING_WORDS = 8

_FILE_NAME = re.compile(
    r"(?:^|[^a-z])(cover|title-?page|half-?title(?:-?page)?|copyright|uncopyright|imprint|colophon|toc|contents|"
    r"endnotes|footnotes|notes|bibliography)(?:[^a-z]|$)"
)


def skip_reason_of_types(types: Iterable[str]) -> str:
    """Why an element is not read out, by its ``epub:type``, role or guide type; empty if it is read."""
    for name in types:
        if reason := _REASONS.get(name.removeprefix("doc-").removeprefix("se:"), ""):
            return reason
    return ""


def is_body(types: Iterable[str]) -> bool:
    """Say whether a type marks the book's own text."""
    return any(name.removeprefix("doc-") in _BODY for name in types)


def skip_reason_of_title(title: str) -> str:
    """Why a section with this title is not read out; empty if it is read.

    Only a title that is nothing else counts: "Notes" is, "Notes from the Underground" is not.
    """
    plain = " ".join(re.findall(r"[^\W_]+", title.casefold()))
    if reason := _TITLES.get(plain, ""):
        return reason
    if _INDEX.fullmatch(plain):
        return "index"
    if len(plain.split()) <= _LONGEST_OPENING_WORDS:
        return next((reason for opening, reason in _OPENINGS if plain.startswith(opening)), "")
    return ""


def skip_reason_of_file_name(path: str) -> str:
    """Why a document with this name is not read out: the last resort, for documents that nothing else describes."""
    stem = path.rsplit("/", 1)[-1].rsplit(".", 1)[0].lower().replace("_", "-")
    match = _FILE_NAME.search(stem)
    return skip_reason_of_title(match[1].replace("-", " ").replace("toc", "contents")) if match else ""
