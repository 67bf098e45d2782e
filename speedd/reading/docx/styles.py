"""The styles and the automatic numbers of a DOCX, as far as they change what is read."""

from __future__ import annotations

import re
from dataclasses import dataclass

from speedd.common.numerals import cardinal
from speedd.reading.html.markup import Element, attribute, children, descendants
from speedd.reading.html.numbering import shown

_BODY_LEVEL = 9
_DEEPEST_HEADING = 6
_MOST_STEPS = 20
_LEVELS = 9
_KINDS = {"lowerRoman": "i", "upperRoman": "I", "lowerLetter": "a", "upperLetter": "A"}


@dataclass(frozen=True, slots=True)
class _Style:
    name: str
    based_on: str
    properties: Element | None


class Styles:
    """What the paragraph styles of a document say.

    Args:
        root: ``styles.xml``; None if there is none.
    """

    def __init__(self, root: Element | None) -> None:
        self._styles: dict[str, _Style] = {}
        self._default = ""
        self.language = ""
        """What the text is in by default, as Word's proofing has it."""
        if root is None:
            return
        for defaults in children(root, "docdefaults"):
            self.language = next((attribute(lang, "val") for lang in descendants(defaults, "lang")), "")
        for style in children(root, "style"):
            if attribute(style, "type") not in {"", "paragraph"}:
                continue
            known = _Style(_value(style, "name").lower(), _value(style, "basedon"), next(children(style, "ppr"), None))
            self._styles[attribute(style, "styleId")] = known
            if attribute(style, "default") in {"1", "true"}:
                self._default = attribute(style, "styleId")

    def of(self, properties: Element | None) -> str:
        """The name of a paragraph's style in lower case: "heading 1", "toc 2"; empty if it has none."""
        named = _value(properties, "pstyle") or self._default
        return self._styles[named].name if named in self._styles else named.lower()

    def level(self, properties: Element | None) -> int:
        """1 to 6 if a paragraph is a heading, else 0."""
        for place in self.chain(properties):
            if outline := _value(place, "outlinelvl"):
                level = int(outline) if re.fullmatch(r"\d", outline) else _BODY_LEVEL
                return 0 if level >= _BODY_LEVEL else min(level + 1, _DEEPEST_HEADING)
        match = re.fullmatch(r"heading ?(\d)", self.of(properties))
        return min(int(match[1]), _DEEPEST_HEADING) if match and match[1] != "0" else 0

    def chain(self, properties: Element | None) -> list[Element]:
        """A paragraph's own properties, then those of its style and of what that is based on."""
        found = [properties] if properties is not None else []
        named = _value(properties, "pstyle") or self._default
        for _ in range(_MOST_STEPS):
            style = self._styles.get(named)
            if style is None:
                break
            if style.properties is not None:
                found.append(style.properties)
            named = style.based_on
        return found


@dataclass(slots=True)
class _Level:
    kind: str
    text: str
    start: int


class Numbers:
    """Counts the paragraphs that Word numbers by itself.

    Args:
        root: ``numbering.xml``; None if there is none.
    """

    def __init__(self, root: Element | None) -> None:
        self._lists: dict[str, str] = {}
        self._levels: dict[str, dict[int, _Level]] = {}
        self._counts: dict[str, list[int]] = {}
        if root is None:
            return
        for abstract in children(root, "abstractnum"):
            levels: dict[int, _Level] = {}
            for level in children(abstract, "lvl"):
                depth = _number(attribute(level, "ilvl"))
                if depth < _LEVELS:
                    levels[depth] = _Level(
                        _value(level, "numfmt") or "decimal", _value(level, "lvltext"), _number(_value(level, "start"))
                    )
            self._levels[attribute(abstract, "abstractNumId")] = levels
        for number in children(root, "num"):
            self._lists[attribute(number, "numId")] = _value(number, "abstractnumid")

    def label(self, properties: Element | None, styles: Styles) -> str:
        """The number of a paragraph as Word shows it, "Chapter 3" or "b)"; empty for none and for a bullet."""
        places = (next(children(above, "numpr"), None) for above in styles.chain(properties))
        place = next((found for found in places if found is not None), None)
        if place is None:
            return ""
        listing = self._lists.get(_value(place, "numid"), "")
        depth = min(_number(_value(place, "ilvl")), _LEVELS - 1)
        levels = self._levels.get(listing, {})
        level = levels.get(depth)
        if level is None:
            return ""
        counts = self._counts.setdefault(listing, [levels[n].start - 1 if n in levels else 0 for n in range(_LEVELS)])
        counts[depth] += 1
        for deeper in range(depth + 1, _LEVELS):
            counts[deeper] = levels[deeper].start - 1 if deeper in levels else 0
        if level.kind in {"bullet", "none"}:
            return ""

        def counted(match: re.Match[str]) -> str:
            at = int(match[1]) - 1
            kind = levels[at].kind if at in levels else "decimal"
            return _shown(max(counts[at], levels[at].start if at in levels else 1), kind)

        return re.sub(r"%([1-9])", counted, level.text).strip()


def _shown(number: int, kind: str) -> str:
    return cardinal(number).capitalize() if kind == "cardinalText" else shown(number, _KINDS.get(kind, "1"))


def _value(element: Element | None, name: str) -> str:
    """The ``w:val`` of a child; empty if it is not there."""
    child = None if element is None else next(children(element, name), None)
    return attribute(child, "val") if child is not None else ""


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"\d{1,6}", text) else 0
