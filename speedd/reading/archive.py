"""A zip archive that may have been made to harm: nothing is extracted, everything is counted."""

from __future__ import annotations

import os
import posixpath
import struct
import zipfile
import zlib
from contextlib import ExitStack
from types import TracebackType
from typing import BinaryIO, Self
from urllib.parse import unquote

from speedd.errors import DamagedInputError, InputError
from speedd.reading.input_file import InputFile

MAX_ENTRIES = 20_000
MAX_DIRECTORY_BYTES = 16 << 20
MAX_MEMBER_BYTES = 64 << 20
"""Of one member that is read."""
MAX_READ_BYTES = 512 << 20
"""Of all members that are read."""
MAX_RATIO = 200
"""Unpacked to packed size of a member over 1 MiB. Prose packs about 3 times, the most repetitive real text some 30
times; deflate ends at 1,032."""

_END_RECORD = struct.Struct("<4s4H2LH")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""How Microsoft's compound files begin: old Word documents, and new ones with a password."""
_LONGEST_COMMENT_BYTES = 0xFFFF
_RATIO_FLOOR_BYTES = 1 << 20


class Archive:
    """The members of a zip archive, read one at a time within limits.

    Args:
        source: the archive.
        kind: what it should be, for messages: "EPUB".
    Raises:
        DamagedInputError: if it looks cut short.
        InputError: if it is no zip archive, or an unreasonable one.
    """

    def __init__(self, source: InputFile, kind: str) -> None:
        name = self._name = source.name
        self._left_bytes = MAX_READ_BYTES
        with ExitStack() as opened:
            file = opened.enter_context(source.open())
            _check_directory(file, name, kind)
            try:
                self._zip = opened.enter_context(zipfile.ZipFile(file))
            except (zipfile.BadZipFile, EOFError, struct.error, OverflowError, ValueError) as error:
                raise DamagedInputError(f"{name} is damaged or cut short: {_reason(error)}.") from error
            except NotImplementedError as error:
                raise InputError(f"{name} uses a kind of zip that speedd does not read: {_reason(error)}.") from error
            self._opened = opened.pop_all()
        self._members = {info.filename: info for info in self._zip.infolist() if not info.is_dir()}
        self._by_fold = {filename.casefold(): filename for filename in self._members}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all members."""
        return tuple(self._members)

    def find(self, name: str) -> str | None:
        """Return the name under which a member is stored; a difference in case is forgiven."""
        return name if name in self._members else self._by_fold.get(name.casefold())

    def read(self, name: str) -> bytes:
        """Return a member's bytes.

        Raises:
            DamagedInputError: if it is torn or fails its checksum.
            InputError: if it is missing, too large, packed beyond reason, or locked with a password.
        """
        stored = self.find(name)
        if stored is None:
            raise InputError(f"{self._name} is incomplete: {name} is missing from it.")
        info = self._members[stored]
        limit = min(MAX_MEMBER_BYTES, self._left_bytes)
        packed_limit = max(_RATIO_FLOOR_BYTES, info.compress_size * MAX_RATIO)
        if info.flag_bits & 0x1:
            raise InputError(f"{self._name} is locked with a password.", hint="Unlock it, then drop it again.")
        if info.file_size > limit:
            raise self._too_large(stored)
        try:
            with self._zip.open(info) as member:
                data = member.read(min(limit, packed_limit) + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, OSError, ValueError) as error:
            raise DamagedInputError(f"{self._name} is damaged or cut short at {stored}: {_reason(error)}.") from error
        except (NotImplementedError, RuntimeError) as error:
            raise InputError(f"{self._name} cannot be unpacked at {stored}: {_reason(error)}.") from error
        if len(data) > limit:
            raise self._too_large(stored)
        if len(data) > packed_limit:
            raise InputError(
                f"{stored} in {self._name} unpacks to more than {MAX_RATIO} times its size. "
                "No book does that, so it is not opened."
            )
        self._left_bytes -= len(data)
        return data

    def _too_large(self, member: str) -> InputError:
        return InputError(
            f"{member} in {self._name} is too large: speedd reads up to {MAX_MEMBER_BYTES >> 20} MB of one document "
            f"and {MAX_READ_BYTES >> 20} MB of a book."
        )


def resolve(base: str, href: str) -> tuple[str, str]:
    """Resolve a reference inside an archive.

    Args:
        base: the member that holds the reference.
        href: what it says, percent-encoded.
    Returns:
        the member's name and the fragment; the name is empty if the reference leads out of the archive.
    """
    target, _, fragment = href.strip().partition("#")
    target = unquote(target.partition("?")[0])
    if not target:
        return base, unquote(fragment)
    if ":" in target.partition("/")[0]:  # http:, file:, data:
        return "", ""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(base), target))
    if path.startswith(("/", "..")) or "\\" in path:
        return "", ""
    return path, unquote(fragment)


def _check_directory(file: BinaryIO, name: str, kind: str) -> None:
    """Look at the end of the archive before its directory is loaded: a forged one could fill the memory."""
    head = file.read(len(_OLE))
    size_bytes = file.seek(0, os.SEEK_END)
    file.seek(max(0, size_bytes - _LONGEST_COMMENT_BYTES - _END_RECORD.size))
    tail = file.read()
    if head == _OLE:
        raise InputError(
            f"{name} is locked with a password, or an old .doc under another name.",
            hint="Open it in a word processor and save it as .docx without a password.",
        )
    if head[:2] != b"PK":
        if not head.strip(b"\0"):
            raise DamagedInputError(f"{name} begins with nothing but zeros: its copy seems not to have finished.")
        raise InputError(f"{name} is no {kind}: it is not a zip archive inside.")
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END_RECORD.size:
        raise DamagedInputError(
            f"{name} is cut short: its table of files is missing.", hint="Copy it again, or download it anew."
        )
    _, _, _, _, entries, directory_bytes, _, _ = _END_RECORD.unpack_from(tail, at)
    if entries > MAX_ENTRIES or directory_bytes > MAX_DIRECTORY_BYTES:
        raise InputError(f"{name} holds more than {MAX_ENTRIES} files. No book does, so it is not opened.")


def _reason(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__
