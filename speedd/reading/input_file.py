"""What is read: a file in the spool, or a member of an archive in memory."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from speedd.errors import InputError


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file to read."""

    name: str
    """Its own name as its owner knows it, for messages and for its suffix."""
    held: Path | bytes

    @property
    def suffix(self) -> str:
        """The last suffix in lower case, with its dot; empty if there is none."""
        return PurePosixPath(self.name).suffix.lower()

    @property
    def size_bytes(self) -> int:
        """How large it is."""
        return self.held.stat().st_size if isinstance(self.held, Path) else len(self.held)

    def open(self) -> BinaryIO:
        """Open it to be read from any place; the caller closes it."""
        return self.held.open("rb") if isinstance(self.held, Path) else io.BytesIO(self.held)

    def read_bytes(self, most_bytes: int) -> bytes:
        """Return all of it.

        Raises:
            InputError: if it is larger than ``most_bytes``.
        """
        if self.size_bytes > most_bytes:
            raise InputError(
                f"{self.name} is {self.size_bytes >> 20} MB; speedd reads text files of up to {most_bytes >> 20} MB.",
                hint="A long novel has about 1 MB. Cut it into volumes.",
            )
        return self.held.read_bytes() if isinstance(self.held, Path) else self.held
