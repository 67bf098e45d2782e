"""What a line must look like to be the title of a chapter, and when two wordings are the same title."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from speedd.common.numerals import NUMBER_WORDS, roman

_VALUES = NUMBER_WORDS | {"last": 0}
_WORD = "|".join(sorted(_VALUES, key=len, reverse=True))
_NUMBER = rf"(?:\d{{1,4}}|(?:(?:{_WORD})(?:[-\s](?:{_WORD}))?)|[ivxlcdm]+)"
_LABEL = re.compile(
    r"(?P<kind>chapter|part|book|volume|section|letter|stave|canto|act|scene|episode)\s+"
    rf"(?:the\s+)?(?P<number>{_NUMBER})(?![\w’'])(?P<rest>.*)",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"(?P<number>\d{1,3}|[IVXLC]+)(?P<rest>[.:)]?(?:\s+\S.*)?)")
_NAMED = re.compile(
    r"(?:the\s+)?(?:prologue|epilogue|preface|foreword|introduction|interlude|intermezzo|afterword|postscript|"
    r"preamble|conclusion|dedication|epigraph|acknowledge?ments?|author[’']s note|"
    r"appendix(?:\s+(?:[a-z]|\d+|[ivx]+))?)"
    r"(?P<rest>\W*|\s*[:.—–-]\s*\S.*)",
    re.IGNORECASE,
)
_SEPARATOR = re.compile(r"\s*[.:;,—–-]+\s*")
_LONGEST_TITLE_WORDS = 14
_LONGEST_TITLE_CHARS = 200


class TitleKind(StrEnum):
    """What a title says of itself."""

    PART = "part"  # "Book I", "Part Two": above chapters
    CHAPTER = "chapter"  # "Chapter 12: The Letter"
    NUMBER = "number"  # "XII", "12", "12. The Letter": a title only where such numbers count up
    NAMED = "named"  # "Prologue"


@dataclass(frozen=True, slots=True)
class TitleLine:
    """A line that looks like a title."""

    kind: TitleKind
    number: int = 0
    """The number it bears, 0 if none."""
    bare: bool = True
    """True if it is only a label and a number, so that a title proper may follow on the next line."""


_MOST_DIGITS = 9
"""A longer row of digits counts nothing; Python refuses to read thousands of them."""


def number(text: str) -> int | None:
    """Value of "12", "XII", "twelve" or "twenty-first"; None if it is no number."""
    if text.isascii() and text.isdigit():
        return int(text) if len(text) <= _MOST_DIGITS else None
    if value := roman(text):
        return value
    words = re.split(r"[-\s]+", text.lower())
    if words and all(word in _VALUES for word in words):
        return sum(_VALUES[word] for word in words)
    return None


def parse_title(line: str) -> TitleLine | None:
    """Say what kind of title a line is, None if it looks like text.

    A `TitleKind.NUMBER` is only a candidate: "I" may also be a word.
    """
    line = line.strip()
    if not line or len(line) > _LONGEST_TITLE_CHARS or len(line.split()) > _LONGEST_TITLE_WORDS:
        return None
    return _parse_label(line) or _parse_name(line) or _parse_number(line)


def _parse_label(line: str) -> TitleLine | None:
    """Read "Chapter One", "PART II. The Return"."""
    if (match := _LABEL.fullmatch(line)) and (value := number(match["number"])) is not None:
        rest = match["rest"]
        if not _is_subtitle(rest):
            return None
        kind = TitleKind.PART if match["kind"].lower() in {"part", "book", "volume"} else TitleKind.CHAPTER
        return TitleLine(kind, value, bare=not any(letter.isalnum() for letter in rest))
    return None


def _parse_name(line: str) -> TitleLine | None:
    """Read "Prologue", "Epilogue: Ten Years On"."""
    match = _NAMED.fullmatch(line)
    return TitleLine(TitleKind.NAMED, bare=False) if match and _is_subtitle(match["rest"]) else None


def _parse_number(line: str) -> TitleLine | None:
    """Read "XII", "12.", "1. The Beginning", "IV. A Letter", but not "12 men came in." or "I saw him"."""
    if (match := _NUMBERED.fullmatch(line)) and (value := number(match["number"])) is not None:
        rest = match["rest"].lstrip(".:)").strip()
        if not rest:
            return TitleLine(TitleKind.NUMBER, value)
        separated = match["rest"][0] in ".:)"
        if separated and looks_titled(rest):
            return TitleLine(TitleKind.NUMBER, value, bare=False)
    return None


def _is_subtitle(rest: str) -> bool:
    """Say whether what follows a label is empty or a title, not the rest of a sentence."""
    words = _SEPARATOR.sub("", rest, count=1) if _SEPARATOR.match(rest) else rest.strip()
    return not words or looks_titled(words) or bool(_SEPARATOR.match(rest) and not words[:1].islower())


def looks_titled(text: str) -> bool:
    """Say whether a line is written like a title: it starts high and does not end like a sentence."""
    first = next((letter for letter in text if letter.isalnum()), "")
    return bool(first) and not first.islower() and not text.rstrip("”’\"'").endswith((".", ",", ";", ":"))


def join_titles(texts: list[str]) -> str:
    """Join the lines of a title: ``["Chapter One", "The Arrival"]`` becomes "Chapter One. The Arrival"."""
    joined = ""
    for text in filter(None, texts):
        joined += text if not joined else f" {text}" if joined.endswith((".", ":", "!", "?", "—")) else f". {text}"
    return joined


def join_heading_lines(lines: list[str]) -> str:
    """Join the lines of one heading: a label stands apart, a title broken for its looks does not."""
    lines = [line for line in lines if line]
    first = parse_title(lines[0]) if lines else None
    if first and first.bare and len(lines) > 1:
        return join_titles([lines[0], " ".join(lines[1:])])
    return " ".join(lines)


def tokens(text: str) -> tuple[str, ...]:
    """The words of a title in a form to compare: no case, no punctuation, numbers as digits."""
    words = re.findall(r"[^\W_]+", re.sub(r"[’']", "", text.casefold()))
    return tuple(word if (value := number(word)) is None else str(value) for word in words)


def is_within(part: tuple[str, ...], whole: tuple[str, ...]) -> bool:
    """Say whether some words stand in a row inside others."""
    return bool(part) and any(whole[at : at + len(part)] == part for at in range(len(whole) - len(part) + 1))
