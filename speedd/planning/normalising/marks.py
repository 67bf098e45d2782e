"""Punctuation that engines stumble over."""

from __future__ import annotations

import re

from speedd.planning.normalising.rules import Rule, Trait

_SEVERAL = re.compile(r"[!?]{2,}|‽|⁉|⁈")
_INNER_QUOTES = re.compile(r"(?<=“)(?P<before>[^“”]{0,2000}?)‘(?P<inner>[^‘’“”]*(?:\w’\w[^‘’“”]*)*)’(?!\w)")
_FOREIGN_QUOTES = re.compile(r"[«„‟»]")
_DASH = re.compile(r"(?<=\S) – (?=\S)|(?<=[^\W\d_])–(?=\s|$)")


def _one(match: re.Match[str]) -> str:
    marks = match[0]
    if "?" not in marks:
        return "?!" if marks in "‽⁉⁈" else "!"
    return "?!" if "!" in marks else "?"


RULES = (
    Rule(Trait.MARK, _SEVERAL, _one),
    Rule(Trait.MARK, _FOREIGN_QUOTES, lambda match: "”" if match[0] == "»" else "“"),
    Rule(Trait.MARK, _INNER_QUOTES, r"\g<before>\g<inner>"),
    Rule(Trait.MARK, _DASH, lambda match: " — " if match[0].startswith(" ") else "—"),
)
