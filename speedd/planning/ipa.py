"""The International Phonetic Alphabet, for engines that read only letters.

A pronunciation in IPA becomes a spelling that English eyes read aloud about right: ``kəˈθuːluː`` is "kuh-thooloo".
Sources: the IPA chart (2020) and the English key of Wikipedia's "Help:Pronunciation respelling key".
"""

from __future__ import annotations

import re

_SPELLINGS = {
    # vowels
    "aɪə": "ire", "aʊə": "ower", "eɪ": "ay", "aɪ": "eye", "ɔɪ": "oy", "aʊ": "ow", "oʊ": "oh", "əʊ": "oh",
    "ɪə": "eer", "eə": "air", "ɛə": "air", "ʊə": "oor", "ɑː": "ah", "ɔː": "aw", "ɜː": "ur", "iː": "ee", "uː": "oo",
    "eː": "ay", "oː": "oh", "aː": "ah", "yː": "oo", "øː": "ur", "ɛː": "air", "œ": "ur", "ø": "ur", "y": "oo",
    "ɑ": "ah", "ɒ": "o", "ɔ": "aw", "æ": "a", "a": "a", "ɐ": "uh", "ʌ": "uh", "ə": "uh", "ɚ": "er", "ɝ": "ur",
    "ɜ": "ur", "ɛ": "eh", "e": "eh", "ɪ": "ih", "i": "ee", "ɨ": "ih", "ᵻ": "ih", "ʊ": "u", "u": "oo", "ʉ": "oo",
    "o": "oh", "ɯ": "oo", "ɤ": "oh",
    # consonants
    "tʃ": "ch", "dʒ": "j", "t͡ʃ": "ch", "d͡ʒ": "j", "ʧ": "ch", "ʤ": "j", "ts": "ts", "ʃ": "sh", "ʒ": "zh", "θ": "th",
    "ð": "th", "ŋ": "ng", "ɲ": "ny", "ɳ": "n", "ɴ": "ng", "ɱ": "m", "j": "y", "ɥ": "w", "w": "w", "ʍ": "wh",
    "ɹ": "r", "r": "r", "ɾ": "r", "ɻ": "r", "ʁ": "r", "ʀ": "r", "ɽ": "r", "x": "kh", "χ": "kh", "ç": "h", "ɣ": "g",
    "ɡ": "g", "g": "g", "ɟ": "j", "c": "ky", "q": "k", "ʎ": "ly", "ɬ": "hl", "ɮ": "l", "ɭ": "l", "ɫ": "l", "ʔ": "",
    "β": "v", "ɸ": "f", "ʋ": "v", "ɦ": "h", "ħ": "h", "ʕ": "", "ʈ": "t", "ɖ": "d", "ʂ": "sh", "ʐ": "zh", "ɕ": "sh",
    "ʑ": "zh", "p": "p", "b": "b", "t": "t", "d": "d", "k": "k", "m": "m", "n": "n", "f": "f", "v": "v", "s": "s",
    "z": "z", "h": "h", "l": "l",
}  # fmt: skip
_SILENT = "ˌ‿͜͡ːˑʰʲʷˠˤ̩̯̃̆̊̈̚ʼ|‖()"
_BREAKS = "ˈ. -'’"
_LONGEST = max(map(len, _SPELLINGS))
_KNOWN = frozenset("".join(_SPELLINGS)) | frozenset(_SILENT) | frozenset(_BREAKS)

_HISSING = re.compile(r"(?:[szʃʒʧʤ])[ː.]*$")
_VOICELESS = frozenset("ptkfθ")
_VOICELESS_BEFORE_ED = frozenset("pkfθsʃʧ")


def unknown_signs(ipa: str) -> str:
    """The characters of a text that are no IPA, each once, in order; empty if it can be read."""
    return "".join(dict.fromkeys(sign for sign in ipa if sign not in _KNOWN))


def respelled(ipa: str) -> str:
    """Spell IPA with English letters, with hyphens where a stress or a dot parts syllables.

    Args:
        ipa: without its strokes; signs that are no IPA are passed over.
    """
    spelled: list[str] = []
    at = 0
    while at < len(ipa):
        if ipa[at] in _BREAKS:
            spelled.append(" " if ipa[at] == " " else "-")
            at += 1
            continue
        for size in range(min(_LONGEST, len(ipa) - at), 0, -1):
            if (letters := _SPELLINGS.get(ipa[at : at + size])) is not None:
                spelled.append(letters)
                at += size
                break
        else:
            at += 1
    return " ".join(part.strip("-") for part in re.sub(r"-{2,}", "-", "".join(spelled)).split())


def with_s(ipa: str) -> str:
    """The plural or the possessive: cats, dogs, horses."""
    if _HISSING.search(ipa):
        return ipa + "ɪz"
    return ipa + ("s" if ipa[-1:] in _VOICELESS else "z")


def with_ed(ipa: str) -> str:
    """The past: begged, looked, wanted."""
    if ipa[-1:] in ("t", "d"):
        return ipa + "ɪd"
    return ipa + ("t" if ipa[-1:] in _VOICELESS_BEFORE_ED else "d")
