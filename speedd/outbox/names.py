"""Names for folders and files that every file system on a home network accepts.

What is refused, and by whom: https://learn.microsoft.com/windows/win32/fileio/naming-a-file (SMB shares, NTFS, exFAT)
and 255 bytes per name (ext4, XFS, btrfs, ZFS). Unicode stays as it is, in the composed form (NFC).
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath

from speedd.model import Metadata

MAX_NAME_BYTES = 255
SUFFIX_ROOM_BYTES = 32
"""Kept free at the end of a title for what is put behind it: ``.m4b``, ``.chunks_info.json``, `` (12)``."""

_COLON = re.compile(r"\s*:\s+|\s+:")
_REPLACED = str.maketrans({":": "-", "/": "-", "\\": "-", "|": "-", '"': "'", "<": "", ">": "", "?": "", "*": ""})
_RESERVED = re.compile(r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9¹²³])(?:[ ]*\..*)?", re.IGNORECASE)
_SERIES_NUMBER = re.compile(r"(\d{1,4})(?:\.(\d{1,2}))?")

_JOINERS = "\u200c\u200d"  # between letters in Persian and Indic scripts, and inside emoji


def safe_name(text: str, max_bytes: int = MAX_NAME_BYTES, *, fallback: str = "Untitled") -> str:
    r"""Turn any text into one name for a file or folder.

    Args:
        text: what the name should say.
        max_bytes: its longest form in UTF-8; at least 12.
        fallback: what it is called if nothing is left; must be a safe name itself.
    Returns:
        A name that is never empty, ``.`` or ``..``, never starts with a dot or ends in a dot or space, holds none of
        ``<>:"/\|?*`` and no control characters, and is no reserved name of Windows. Safe names come back unchanged.
    """
    text = _COLON.sub(" - ", unicodedata.normalize("NFC", text)).translate(_REPLACED)
    text = " ".join("".join(filter(_is_kept, text)).split())
    # Once more: what was dropped may have stood between a letter and its accent.
    name = _cut(unicodedata.normalize("NFC", text), max_bytes)
    if _RESERVED.fullmatch(name):
        name = _cut(f"_{name}", max_bytes)
    return name or fallback


def title_folder(metadata: Metadata) -> PurePosixPath:
    """Where a book goes in the outbox: ``Author/Title`` or ``Author/Series/Vol 1 - Title``."""
    author = safe_name(metadata.author, fallback="Unknown")
    room = MAX_NAME_BYTES - SUFFIX_ROOM_BYTES
    if not metadata.series.strip():
        return PurePosixPath(author, safe_name(metadata.title, room))
    number = series_number(metadata.series_index)
    prefix = f"Vol {number} - " if number else ""
    title = prefix + safe_name(metadata.title, room - len(prefix))
    return PurePosixPath(author, safe_name(metadata.series, fallback="Series"), title)


def series_number(series_index: str) -> str:
    """The number of a volume as servers read it: ``1`` for ``1.0``, ``1.5``, and nothing for what is no number."""
    found = _SERIES_NUMBER.fullmatch(series_index.strip())
    if not found:
        return ""
    whole, part = str(int(found[1])), (found[2] or "").rstrip("0")
    return f"{whole}.{part}" if part else whole


def _is_kept(character: str) -> bool:
    category = unicodedata.category(character)
    if category == "Cf":  # soft hyphens and marks of direction: unseen, and in names a way to deceive
        return character in _JOINERS or _is_tag(character)
    return character.isspace() or category not in ("Cc", "Cs")


def _cut(text: str, max_bytes: int) -> str:
    """Shorten to ``max_bytes`` of UTF-8 between characters as readers see them, and trim the ends."""
    text = text.strip(" .")
    encoded = text.encode()
    if len(encoded) <= max_bytes:
        return text
    end = longest = len(encoded[:max_bytes].decode(errors="ignore"))
    while end and _belong_together(text[end - 1], text[end]):
        end -= 1
    return text[: end or longest].strip(" .")


def _belong_together(left: str, right: str) -> bool:
    """Whether a cut between the two would spoil an accented letter or an emoji."""
    return (
        unicodedata.category(right).startswith("M")
        or right in _JOINERS
        or left in _JOINERS
        or "\U0001f3fb" <= right <= "\U0001f3ff"  # skin tones
        or _is_tag(right)
        or (_is_flag_letter(left) and _is_flag_letter(right))
    )


def _is_flag_letter(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _is_tag(character: str) -> bool:
    return "\U000e0020" <= character <= "\U000e007f"  # in the flags of England, Scotland and Wales
