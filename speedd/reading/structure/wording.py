"""White space, invisible characters and ornaments: what text looks like once it is a paragraph."""

from __future__ import annotations

import re

_INVISIBLE = dict.fromkeys(
    [
        *range(0x09),  # C0 controls but for white space; NUL among them
        *range(0x0E, 0x20),
        *range(0x7F, 0x85),  # C1 controls but for NEL
        *range(0x86, 0xA0),
        0xAD,  # soft hyphen
        0x200B,  # zero width space
        0x200E,  # direction marks
        0x200F,
        *range(0x202A, 0x202F),
        0x2060,  # word joiner
        *range(0x2066, 0x206A),
        0xFEFF,  # byte order mark, zero width no-break space
        0xFFFE,
        0xFFFF,
    ]
)
"""Characters that are never heard. Zero-width joiners (U+200C, U+200D) stay: they change letters."""

_ORNAMENT = re.compile(r"[*#—–_~•·∙◦⁂⁎⁕❦❧☙✦✧✶✽✻✢◆◇◊○●■□=+\s-]+")
_STRONG_ORNAMENT = re.compile(r"[*#—•·∙⁂⁎⁕❦❧☙✦✧✶✽✻✢◆◇◊○●■□~]|[-–_=+]\s*[-–_=+]\s*[-–_=+]")


def drop_invisible(text: str) -> str:
    """Remove characters that take part in no word and no pause: soft hyphens, word joiners, controls."""
    return text.translate(_INVISIBLE)


def fold(text: str) -> str:
    """Make one line of a text: white space of any kind becomes single spaces, invisible characters go."""
    return " ".join(drop_invisible(text).split())


def is_ornament(text: str) -> bool:
    """Say whether a line is a section break such as ``* * *``, ``***``, ``#``, ``—`` or ``---``."""
    return bool(_ORNAMENT.fullmatch(text) and _STRONG_ORNAMENT.search(text))
