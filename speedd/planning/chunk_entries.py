"""What a chunk JSON says, chunk by chunk, in every shape met in the wild, checked and brought into one form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from speedd.config import SpeechSettings
from speedd.errors import InputError
from speedd.model import Boundary, Style
from speedd.planning.boundaries import boundary_of
from speedd.planning.json_text import JsonText
from speedd.planning.segments import MAX_PAUSE_MS
from speedd.planning.styling import PARAMETERS, style_for

_VOICE_COMMENT = re.compile(r"voice(?: used)?:\s*(.+)", re.IGNORECASE)
_MOST_PLAUSIBLE_PAUSE_S = 60.0
_PAIR = 2


@dataclass(frozen=True, slots=True)
class Entry:
    """A chunk as the file gives it."""

    text: str
    boundary: Boundary
    pause_ms: int
    sentiment_raw: float
    sentiment_compound: float
    style: Style
    title: str | None
    """Of the chapter, if the entry names one."""
    record: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Entries:
    """A chunk JSON, checked."""

    header: Mapping[str, Any] | None
    voice: str
    chunks: tuple[Entry, ...]
    """In the order of their index, those of one index in the order of the file."""
    warnings: tuple[str, ...]
    styled: frozenset[str]
    """What any of them says of how it is to be spoken, as keys of `PARAMETERS`."""


def read_entries(document: JsonText, speech: SpeechSettings) -> Entries:
    """Check a parsed chunk JSON and bring it into one form.

    Raises:
        InputError: if it is no chunk JSON, naming the first fault and the chunk it is in.
    """
    header, items, first_number = _header_and_items(document)
    reader = _EntryReader(speech)
    indexed = []
    for number, item in enumerate(items, start=first_number):
        if fault := document.fault_in(item):
            raise _refused(number, fault)
        indexed.append(reader.read(number, item))
    indexed.sort(key=lambda one: one[0])
    return Entries(
        header=header,
        voice=_voice(header, document.comments),
        chunks=tuple(entry for _, entry in indexed),
        warnings=tuple(reader.warnings()),
        styled=frozenset(reader.styled),
    )


def _header_and_items(document: JsonText) -> tuple[Mapping[str, Any] | None, list[Any], int]:
    """The header if there is one, the chunks, and the number by which people know the first of them."""
    value = document.value
    header: Mapping[str, Any] | None = None
    if isinstance(value, dict):
        lists = [key for key, inner in value.items() if isinstance(inner, list)]
        key = "chunks" if "chunks" in lists else lists[0] if len(lists) == 1 else None
        if key is None:
            raise InputError(
                "The file is JSON, but no chunk JSON: it holds no list of chunks.",
                hint="A chunk JSON is a list of objects with a text each; `speedd plan` writes one.",
            )
        header = {name: inner for name, inner in value.items() if name != key}
        value = value[key]
    if not isinstance(value, list):
        raise InputError(
            f"The file is JSON, but no chunk JSON: it holds {_kind(value)} where a list of chunks should be.",
            hint="A chunk JSON is a list of objects with a text each; `speedd plan` writes one.",
        )
    items = value
    if items and isinstance(items[0], dict) and items[0].get("_metadata"):
        header = {**(header or {}), **items[0]}
        items = items[1:]
    if header is not None and (fault := document.fault_in(header)):
        raise InputError(f"The chunk JSON is refused: in its head, {fault}.")
    if not items:
        raise InputError("The chunk JSON holds no chunk.")
    return header, items, 1


def _voice(header: Mapping[str, Any] | None, comments: tuple[str, ...]) -> str:
    named = (header or {}).get("voice_used")
    if isinstance(named, str) and named.strip():
        return named.strip()
    found = (_VOICE_COMMENT.match(comment) for comment in comments)
    return next((match[1].strip() for match in found if match), "")


class _EntryReader:
    """Reads one chunk after the other and remembers what had to be bent."""

    def __init__(self, speech: SpeechSettings) -> None:
        self._speech = speech
        self._bent: dict[str, tuple[int, str]] = {}
        self.styled: set[str] = set()

    def read(self, number: int, item: Any) -> tuple[int, Entry]:
        """Read one chunk; ``number`` is its place in the file, from 1. Returns its index with it."""
        record = item if isinstance(item, dict) else None
        if isinstance(item, list):
            item = _from_pair(number, item)
        if not isinstance(item, dict):
            raise _refused(number, f"it is {_kind(item)}, not an object with a text")
        if "text" not in item:
            raise _refused(number, "it has no text")
        text = _text(number, item["text"])
        boundary = self._boundary(number, item.get("boundary_type"))
        raw = self._sentiment(number, item, "sentiment_raw")
        compound = self._sentiment(number, item, "sentiment_compound")
        if compound is None:
            compound = self._sentiment(number, item, "sentiment_score")
        smoothed = compound if compound is not None else raw or 0.0
        entry = Entry(
            text=text,
            boundary=boundary,
            pause_ms=self._pause_ms(number, item, boundary),
            sentiment_raw=raw if raw is not None else smoothed,
            sentiment_compound=smoothed,
            style=self._style(number, item.get("tts_params"), smoothed),
            title=_title(item.get("chapter")),
            record=record,
        )
        return _index(number, item.get("index")), entry

    def warnings(self) -> list[str]:
        """One sentence for every kind of bending, with how often and where first."""
        return [
            f"{what}, in {count} chunk{'s' if count > 1 else ''}, first in {first}."
            for what, (count, first) in self._bent.items()
        ]

    def _boundary(self, number: int, value: Any) -> Boundary:
        if value is None:
            return Boundary.NONE
        try:
            return Boundary(str(value).strip().lower())
        except ValueError:
            self._bend(number, "An unknown boundary_type is read as none", str(value))
            return Boundary.NONE

    def _pause_ms(self, number: int, item: dict[str, Any], boundary: Boundary) -> int:
        """The silence after the chunk: its own ``pause_duration`` in seconds, else what its boundary asks for."""
        seconds = _number(number, item, "pause_duration")
        if seconds is None:
            return self._speech.pause_ms(boundary)
        if seconds > _MOST_PLAUSIBLE_PAUSE_S:
            self._bend(number, "A pause_duration above 60 is read as milliseconds", f"{seconds:g}")
            seconds /= 1000
        pause_ms = round(seconds * 1000)
        if not 0 <= pause_ms <= MAX_PAUSE_MS:
            self._bend(number, "A pause_duration is out of range; the nearest of 0 to 60 s is used", f"{seconds:g}")
        return max(0, min(pause_ms, MAX_PAUSE_MS))

    def _sentiment(self, number: int, item: dict[str, Any], key: str) -> float | None:
        value = _number(number, item, key)
        if value is not None and not -1 <= value <= 1:
            self._bend(number, f"{key} is out of range; the nearest of -1 to 1 is used", f"{value:g}")
            value = max(-1.0, min(1.0, value))
        return value

    def _style(self, number: int, params: Any, compound: float) -> Style:
        """The chunk's own parameters, the book's where it has none."""
        style = style_for(compound, self._speech)
        if params is None:
            return style
        if not isinstance(params, dict):
            raise _refused(number, f"its tts_params is {_kind(params)}, not an object")
        given: dict[str, Any] = {}
        for field in fields(Style):
            parameter = PARAMETERS.get(field.name)
            value = _number(number, params, field.name) if parameter else None
            if parameter is None or value is None:
                continue
            self.styled.add(field.name)
            given[field.name] = parameter.clamped(value)
            if given[field.name] != value:
                what = f"{field.name} is out of range; the nearest of {parameter.span} is used"
                self._bend(number, what, f"{value:g}")
        return replace(style, **given)

    def _bend(self, number: int, what: str, value: str) -> None:
        count, first = self._bent.get(what, (0, f"chunk {number} ({value[:40]})"))
        self._bent[what] = (count + 1, first)


def _from_pair(number: int, item: list[Any]) -> dict[str, Any]:
    """The oldest shape, ``[text, is_paragraph_end]``, in the form of the others."""
    if len(item) != _PAIR or not isinstance(item[1], bool | int):
        raise _refused(number, "it is a list, but not a text with whether its paragraph ends")
    text = _text(number, item[0])
    return {"text": text, "boundary_type": Boundary.PARAGRAPH_END if item[1] else boundary_of(text)}


def _text(number: int, value: Any) -> str:
    if not isinstance(value, str):
        raise _refused(number, f"its text is {_kind(value)}")
    if not value.strip():
        raise _refused(number, "its text is empty")
    return value


def _index(number: int, value: Any) -> int:
    """The index, or the place in the file for a chunk without one."""
    if value is None:
        return number - 1
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise _refused(number, "its index is no whole number")
    return int(value)


def _title(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    return f"Chapter {value}" if isinstance(value, int) and not isinstance(value, bool) else None


def _number(number: int, item: Mapping[str, Any], key: str) -> float | None:
    value = item.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refused(number, f"its {key} is {_kind(value)}, not a number")
    return float(value)


def _refused(number: int, fault: str) -> InputError:
    return InputError(
        f"The chunk JSON is refused: chunk {number} (counted from 1): {fault}.",
        hint="Mend the chunk, or take the file out of the inbox.",
    )


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    number = "a number"
    names = {bool: "true or false", int: number, float: number, str: "a text", list: "a list", dict: "an object"}
    return names.get(type(value), "something else")
