"""Which language a book is in: what its metadata says, in one form, or what its words say."""

from __future__ import annotations

import re

SAMPLE_CHARS = 20_000
_LEAST_CHARS = 80
"""Below this length a guess is worth nothing: "One two three." comes out as Latin."""

_TWO_LETTERS = {
    "eng": "en", "english": "en", "deu": "de", "ger": "de", "german": "de", "deutsch": "de", "fra": "fr", "fre": "fr",
    "french": "fr", "français": "fr", "spa": "es", "spanish": "es", "español": "es", "ita": "it", "italian": "it",
    "por": "pt", "portuguese": "pt", "nld": "nl", "dut": "nl", "dutch": "nl", "swe": "sv", "swedish": "sv",
    "dan": "da", "danish": "da", "nor": "no", "nob": "nb", "norwegian": "no", "fin": "fi", "finnish": "fi",
    "pol": "pl", "polish": "pl", "ces": "cs", "cze": "cs", "czech": "cs", "rus": "ru", "russian": "ru", "ukr": "uk",
    "ell": "el", "gre": "el", "greek": "el", "tur": "tr", "turkish": "tr", "hun": "hu", "hungarian": "hu",
    "jpn": "ja", "japanese": "ja", "zho": "zh", "chi": "zh", "chinese": "zh", "kor": "ko", "korean": "ko",
    "ara": "ar", "arabic": "ar", "heb": "he", "hebrew": "he", "lat": "la", "latin": "la",
}  # fmt: skip
_TAG = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*")


def normal_tag(language: str) -> str:
    """Write a language as a BCP 47 tag with its shortest primary part: "eng" and "English" become "en".

    Returns:
        the tag, or an empty text where the language is not said ("und") or the text is no language.
    """
    language = language.strip().replace("_", "-")
    head, dash, tail = language.partition("-")
    head = _TWO_LETTERS.get(head.lower(), head.lower())
    tag = f"{head}{dash}{tail}"
    return tag if _TAG.fullmatch(tag) and head not in {"und", "mul", "zxx", "mis"} else ""


def detect(sample: str) -> str:
    """Guess the language of a text.

    Args:
        sample: some of it; the first `SAMPLE_CHARS` characters are looked at.
    Returns:
        its primary subtag, empty if the text is too short to tell or looks like no language at all (a long list).
    """
    sample = sample[:SAMPLE_CHARS]
    if len(sample) < _LEAST_CHARS:
        return ""
    # Costs 0.6 s and 75 MB, which only a book without a language should pay.
    from py3langid.langid import classify  # noqa: PLC0415

    code, _ = classify(sample)
    return normal_tag(str(code))
