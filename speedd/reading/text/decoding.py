"""From the bytes of a text file to text, whatever it was written on."""

from __future__ import annotations

import codecs
from contextlib import suppress

from speedd.errors import InputError

MAX_TEXT_BYTES = 64 << 20
_MOST_CONTROLS = 0.05
_UTF16_ZERO_SHARE = 0.3
_SAMPLE_BYTES = 1 << 16
_CP1252_HOLES = b"\x81\x8d\x8f\x90\x9d"
_MAC_QUOTES = b"\xd2\xd5\xd3\xd4\xd1"
_WINDOWS_LETTERS = b"\x91\x92\x93\x94\x96\x97\xe0\xe1\xe4\xe8\xe9\xea\xed\xf1\xf6\xfc"
_NO_TEXT = frozenset({"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "utf-7"})
"""What Python calls encodings and no page is in."""


def decode_text(data: bytes, name: str, *, declared: str = "") -> tuple[str, tuple[str, ...]]:
    r"""Decode a text file.

    Args:
        data: its bytes.
        name: what to call it in messages.
        declared: the encoding that it says it is in, if it says one; believed where it is not UTF-8.
    Returns:
        its text with ``\n`` line ends and without NUL bytes, and warnings.
    Raises:
        InputError: if it is no text.
    """
    text, warnings = _decode(data, name, declared)
    if "\0" in text:
        text = text.replace("\0", "")
        warnings = (*warnings, f"{name} holds NUL bytes; they were left out.")
    sample = text[:_SAMPLE_BYTES]
    controls = sum(1 for character in sample if character < " " and character not in "\t\n\r\f\x1b\v")
    if controls > _MOST_CONTROLS * len(sample):
        raise InputError(f"{name} is not text: it holds binary data.")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n\n"), warnings


def _decode(data: bytes, name: str, declared: str) -> tuple[str, tuple[str, ...]]:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and not data.startswith(codecs.BOM_UTF32_LE):
        return _decode_marked(data, "utf-16", name)
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return _decode_marked(data, "utf-32", name)
    if guess := _utf16_without_mark(data[:_SAMPLE_BYTES]):
        text, _ = _decode_marked(data, guess, name)
        return text, (f"{name} does not say how it is encoded; it was read as UTF-16.",)
    try:
        return data.decode("utf-8-sig"), ()
    except UnicodeDecodeError:
        pass
    with suppress(UnicodeDecodeError, LookupError):
        if declared and codecs.lookup(declared).name not in _NO_TEXT:
            return data.decode(declared), ()
    encoding, label = _guess(data)
    warning = f"{name} is not UTF-8; it was read as {label}. If letters sound wrong, save it as UTF-8."
    return data.decode(encoding), (warning,)


def _guess(data: bytes) -> tuple[str, str]:
    """Guess an encoding of one byte a character by its quotes: Mac OS Roman has them where Windows has rare letters."""
    mac, windows = (sum(data.count(byte) for byte in quotes) for quotes in (_MAC_QUOTES, _WINDOWS_LETTERS))
    if mac > windows and any(data.count(byte) for byte in _MAC_QUOTES[:2]):
        return "mac-roman", "Mac OS Roman"
    if any(hole in data for hole in _CP1252_HOLES):
        return "latin-1", "Latin-1"
    return "cp1252", "Windows-1252"


def _decode_marked(data: bytes, encoding: str, name: str) -> tuple[str, tuple[str, ...]]:
    try:
        return data.decode(encoding), ()
    except UnicodeDecodeError:
        return data.decode(encoding, errors="ignore"), (f"{name} holds bytes that are no {encoding.upper()}.",)


def _utf16_without_mark(sample: bytes) -> str:
    """Guess UTF-16 without a byte order mark by where its zero bytes stand."""
    half = max(1, len(sample) // 2)
    for offset, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros, others = sample[offset::2].count(0), sample[1 - offset :: 2].count(0)
        if zeros > _UTF16_ZERO_SHARE * half and others * 10 < zeros:
            return encoding
    return ""
