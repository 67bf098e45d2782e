"""What stands on a page and is never heard: scripts, hidden text, page numbers, the marks of notes."""

from __future__ import annotations

import re

from speedd.reading.html.markup import Element, descendants, local_name, text_of, types

SILENT = frozenset({
    "head", "script", "style", "template", "svg", "img", "image", "object", "embed", "video", "audio", "iframe",
    "noscript", "canvas", "map", "button", "input", "select", "textarea", "rt", "rtc", "rp",
})  # fmt: skip
"""Of ruby the base is read, so its readings are not."""
_PAGE_NUMBER_CLASSES = frozenset({"pagenum", "pagenumber", "page-number", "pageno", "pagebreak", "page-break", "pb"})
_PAGE_NUMBER = re.compile(r"\W*(?:pg|page|p)?\W*[\divxlc]{0,6}\W*", re.IGNORECASE)
_NOTE_MARK = re.compile(r"[\[({]?(?:\d{1,4}|[*†‡§¶]{1,4}|[a-z]|[ivx]{1,5})[\])}]?", re.IGNORECASE)
_RAISED_MARK = re.compile(r"[\[(]?(?:\d{1,3}|[*†‡§¶]{1,3})[\])]?")
_AFTER_WORD = re.compile(r"(?:[^\W\d_]{3,}|[.,;:!?…”’\"')\]])\s?\Z")
_BACK = re.compile(r"[\s\[(]*(?:[↩↑⤴^←⏎]|back|return|jump (?:up|back))[\ufe0e\ufe0f\s\w]{0,20}[\])]?", re.IGNORECASE)
_INVISIBLE_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


def is_silent(element: Element) -> bool:
    """Say whether an element is never heard, with all that is in it."""
    name = local_name(element)
    if not name or name in SILENT or element.get("hidden") is not None or element.get("aria-hidden") == "true":
        return True
    kinds = types(element)
    if any(kind.removeprefix("doc-") in {"pagebreak", "noteref", "backlink"} for kind in kinds):
        return True
    if _INVISIBLE_STYLE.search(element.get("style") or ""):
        return True
    classes = _classes(element)
    if classes & _PAGE_NUMBER_CLASSES and _PAGE_NUMBER.fullmatch(text_of(element)):
        return True
    return name in {"a", "sup"} and (_is_note_mark(element, classes) or (name == "a" and _leads_back(element, classes)))


def is_raised_mark(element: Element, before: str) -> bool:
    """Say whether a superscript without a link is the mark of a note: "all.¹", not "10²" or "m²".

    Args:
        element: the ``<sup>``.
        before: the text that stands before it.
    """
    return (
        local_name(element) == "sup"
        and _RAISED_MARK.fullmatch(text_of(element)) is not None
        and _AFTER_WORD.search(before[-8:]) is not None
    )


def target_of_mark(element: Element) -> str:
    """Where the mark of a note leads; empty if the element is none."""
    kinds = types(element)
    if not any(kind.removeprefix("doc-") == "noteref" for kind in kinds) and not _is_note_mark(
        element, _classes(element)
    ):
        return ""
    link = element if local_name(element) == "a" else next(descendants(element, "a"), None)
    return "" if link is None else str(link.get("href") or "")


def _classes(element: Element) -> set[str]:
    return set((element.get("class") or "").lower().split())


def _is_note_mark(element: Element, classes: set[str]) -> bool:
    """Say whether a link is the mark of a note: a superscript or bracketed figure that leads to an anchor."""
    name = local_name(element)
    if name not in {"a", "sup"}:
        return False
    text = text_of(element)
    if not _NOTE_MARK.fullmatch(text):
        return False
    link = element if name == "a" else next(descendants(element, "a"), None)
    if link is None or "#" not in (link.get("href") or ""):
        return False
    raised = name == "sup" or next(descendants(element, "sup"), None) is not None or _is_in_sup(element)
    return raised or not text.isalnum() or any("note" in word for word in classes)


def _leads_back(element: Element, classes: set[str]) -> bool:
    """Say whether a link only leads from a note back to its mark."""
    if not (element.get("href") or "").partition("#")[2]:
        return False
    return bool(_BACK.fullmatch(text_of(element))) or any("backref" in word or "back-link" in word for word in classes)


def _is_in_sup(element: Element) -> bool:
    parent = element.getparent()
    return parent is not None and local_name(parent) == "sup"
