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
# Each common in English and next to unknown elsewhere. They make up a third of any prose, a twentieth of Dutch.
_ENGLISH = frozenset((
    "the", "and", "of", "to", "that", "with", "for", "was", "his", "her", "you", "it", "not", "but", "they", "this",
    "have", "from", "at", "by", "which", "be", "had", "were", "are", "she", "he", "as", "my", "your", "their",
))  # fmt: skip
_LEAST_ENGLISH_SHARE = 0.2
_WORD = re.compile(r"[^\W\d_]+")
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
    if _is_plainly_english(sample):
        return "en"
    # Costs half a second and 75 MB, which only a book should pay that needs it.
    from py3langid.langid import classify  # noqa: PLC0415

    code, _ = classify(sample)
    return normal_tag(str(code))


def _is_plainly_english(sample: str) -> bool:
    words = _WORD.findall(sample.lower())
    return sum(word in _ENGLISH for word in words) >= _LEAST_ENGLISH_SHARE * len(words) > 0
