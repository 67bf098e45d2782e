"""Read JSON that may come from anyone: strict about what it is, and able to say where it goes wrong."""

from __future__ import annotations

import codecs
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from speedd.errors import DamagedInputError, InputError

_MAX_BYTES = 256 * 2**20  # a book of ten million words is smaller
_MAX_DEPTH = 64
_MAX_DIGITS = 300  # more than a double can hold
_MOST_SHOWN = 20  # characters of a number, in a message
_ODD_ESCAPE = re.compile(r"\\u(?:[dD][89a-fA-F]|0000)")
_SURROGATE = re.compile("[\ud800-\udfff]")
_NUMBER_REST = re.compile(r"\.|[eE][+-]?")  # what is left where "1.5e-3" ends too soon
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_COMMENT_LINES = re.compile(r"(?:[ \t]*(?://[^\n]*)?\r?\n)+")
_HINT = "Mend it or take it out of the inbox; without it the book is read from its text."


@dataclass(frozen=True, slots=True)
class _Unfit:
    """Stands in a parsed document where something was that no JSON should hold."""

    what: str


@dataclass(frozen=True, slots=True)
class JsonText:
    """A parsed document."""

    value: Any
    comments: tuple[str, ...]
    """What the lines that begin with ``//`` before the document say."""
    odd_strings: bool
    """Whether a string may hold a NUL or half a surrogate pair."""

    def fault_in(self, value: Any) -> str:
        """Say what is wrong in a part of the document, in words; empty if nothing is.

        Found are numbers that are none (NaN, 1e999, thousands of digits), characters that are none (NUL, half of a
        surrogate pair), and nesting that no tool writes.
        """
        waiting: list[tuple[Any, int]] = [(value, 1)]
        while waiting:
            one, depth = waiting.pop()
            if isinstance(one, str):
                if self.odd_strings and (what := _fault_in_text(one)):
                    return what
            elif isinstance(one, _Unfit):
                return one.what
            elif isinstance(one, dict | list):
                if depth > _MAX_DEPTH:
                    return f"it is nested more than {_MAX_DEPTH} levels deep"
                inner = [*one.keys(), *one.values()] if isinstance(one, dict) else one
                waiting.extend((part, depth + 1) for part in reversed(inner))
        return ""


def read_json(path: Path) -> JsonText:
    """Parse a file; numbers that are none stay in the value until `JsonText.fault_in` is asked.

    Raises:
        InputError: if it is no JSON, with line and column of the first fault.
        DamagedInputError: if it looks cut short.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise InputError(f"The chunk file is larger than {_MAX_BYTES // 2**20} MB, which no book needs.", hint=_HINT)
    text = _decoded(path.read_bytes())
    comments: tuple[str, ...] = ()
    if head := _COMMENT_LINES.match(text):
        comments = tuple(line.strip().removeprefix("//").strip() for line in head[0].splitlines() if "//" in line)
        # Blank lines in their place keep the line numbers of later faults.
        text = "\n" * head[0].count("\n") + text[head.end() :]
    if not text.strip(" \t\r\n\0"):
        raise DamagedInputError("The chunk file is empty.", hint="Copy it again.")
    return JsonText(_parsed(text), comments, odd_strings=bool(_ODD_ESCAPE.search(text)))


def _decoded(data: bytes) -> str:
    encoding = "utf-8-sig"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding == "utf-16" or _ends_in_mid_character(data[error.start :]):
            raise _cut_short(f"after {len(data)} bytes") from error
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"The chunk file is no UTF-8 text: the fault is in line {line}.", hint=_HINT) from error


def _ends_in_mid_character(rest: bytes) -> bool:
    """Whether a torn copy explains what UTF-8 cannot: nothing but filling follows the beginning of a character."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        return not decoder.decode(rest.rstrip(b"\0\r\n\t "), final=False)
    except UnicodeDecodeError:
        return False


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_unfit_constant, parse_float=_float, parse_int=_int)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        if _is_cut_short(text, error):
            raise _cut_short(f"in {place}") from error
        raise InputError(
            f"The chunk file is no JSON: {error.msg[0].lower()}{error.msg[1:]}, {place}.", hint=_HINT
        ) from error
    except RecursionError:
        _refuse_depth(text)


def _unfit_constant(token: str) -> _Unfit:
    return _Unfit(f"{token} is no number")


def _float(token: str) -> float | _Unfit:
    value = float(token)
    return value if math.isfinite(value) else _Unfit(f"the number {_shown(token)} is too large")


def _int(token: str) -> int | _Unfit:
    return int(token) if len(token) <= _MAX_DIGITS else _Unfit(f"a number has {len(token)} digits")


def _shown(token: str) -> str:
    return token if len(token) <= _MOST_SHOWN else token[:_MOST_SHOWN] + "…"


def _fault_in_text(text: str) -> str:
    if "\0" in text:
        return "a text holds a NUL character"
    if _SURROGATE.search(text):
        return "a text holds half of a surrogate pair, which is no character"
    return ""


def _is_cut_short(text: str, error: json.JSONDecodeError) -> bool:
    """Whether the text only lacks its end. A copy that runs may have zeros where the rest will be."""
    whole = text.rstrip(" \t\r\n\0")
    rest = whole[error.pos :]
    if not rest or error.msg.startswith("Unterminated string"):
        return True
    in_escape = error.msg.startswith("Invalid \\") and len(rest) < len("\\uXXXX")
    in_number = _NUMBER_REST.fullmatch(rest) is not None
    in_literal = any(literal.startswith(rest) for literal in ("true", "false", "null", "-", "NaN", "Infinity"))
    # A string that runs into zeros stops at the first of them.
    in_zeros = len(whole) < len(text) and error.pos >= len(whole)
    return in_escape or in_number or in_literal or in_zeros


def _cut_short(where: str) -> DamagedInputError:
    return DamagedInputError(f"The chunk file is cut short: it ends {where}.", hint="Copy it again.")


def _refuse_depth(text: str) -> NoReturn:
    depth = 0
    at = 0
    for match in _TOKEN.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
        if depth > _MAX_DEPTH:
            at = match.start()
            break
    line = text.count("\n", 0, at) + 1
    column = at - text.rfind("\n", 0, at)
    raise InputError(
        f"The chunk file is nested more than {_MAX_DEPTH} levels deep, line {line}, column {column}.", hint=_HINT
    )
