"""What a source is known by: its content."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable

from speedd.inbox import names
from speedd.model import Part, Role


def digest_of(parts: Iterable[Part]) -> str:
    """Return what a source is known by: SHA-256, hex, over the roles and digests of its parts in any order.

    The format of a book counts, too: one that was refused as ``.text`` comes back as ``.txt``. So do the names of
    several files of one format: they are chapters, and in the order of their names.
    """
    parts = tuple(parts)
    formats = Counter(names.suffix(part.name) for part in parts if part.role is Role.BOOK)
    lines = []
    for part in parts:
        suffix = names.suffix(part.name)
        kind = f"{part.role}.{suffix}" if part.role is Role.BOOK else part.role
        if part.role is Role.BOOK and formats[suffix] > 1:
            kind += f" {part.name}"
        lines.append(f"{kind} {part.digest}\n")
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()
