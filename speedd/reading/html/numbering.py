"""The numbers of list items: a page shows them though they stand nowhere in its text."""

from __future__ import annotations

import re
import string
from itertools import islice

from speedd.common.numerals import as_roman
from speedd.reading.html.markup import Element, children

_NUMBERED = re.compile(r"\W{0,2}(?:\d{1,4}|[ivxlc]{1,6}|[a-z])[.):](?:\s|$)", re.IGNORECASE)
_COUNT = re.compile(r"[0-9]{1,9}")
_UNNUMBERED_STYLE = re.compile(r"list-style(?:-type)?\s*:\s*none", re.IGNORECASE)
_MOST_ROMAN = 3999
_LETTERS = string.ascii_lowercase


class Numbering:
    """Counts the items of one list."""

    def __init__(self, listing: Element) -> None:
        start = (listing.get("start") or "").strip()
        self._next = int(start) if _COUNT.fullmatch(start) else 1
        self._type = listing.get("type") or "1"
        shown = not _UNNUMBERED_STYLE.search(listing.get("style") or "")
        # A list of one shows its number, too, but only somebody who says where it starts means it.
        self._counts = shown and (bool(start) or len(list(islice(children(listing, "li"), 2))) > 1)

    def label(self, item: Element) -> str:
        """The number of the next item as it is shown, "3."; empty where the list shows none."""
        value = (item.get("value") or "").strip()
        number = int(value) if _COUNT.fullmatch(value) else self._next
        self._next = number + 1
        return f"{shown(number, self._type)}." if self._counts else ""


def is_numbered(text: str) -> bool:
    """Say whether an item already begins with a number of its own."""
    return bool(_NUMBERED.match(text))


def shown(number: int, kind: str) -> str:
    """A number as a list of this kind shows it: HTML's "a", "A", "i", "I", or "1" for figures."""
    if kind in {"a", "A"} and 0 < number <= len(_LETTERS):
        numeral = _LETTERS[number - 1]
    elif kind in {"i", "I"} and 0 < number <= _MOST_ROMAN:
        numeral = as_roman(number).lower()
    else:
        return str(number)
    return numeral.upper() if kind.isupper() else numeral
