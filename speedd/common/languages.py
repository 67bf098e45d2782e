"""Tags of languages (BCP 47)."""

from __future__ import annotations


def primary_subtag(language: str) -> str:
    """The language itself in lower case, without its region or script: "en" of "en-GB"; empty if it is not known."""
    return language.replace("_", "-").partition("-")[0].lower()
