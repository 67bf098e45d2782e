"""What Hibari is given to read: its own alphabet for pronunciations, and no chance to take a word for a numeral.

Hibari's text front end (0.2.1) says "number" for the last word of "I said no.", "the book one read" for "the book I
read" and "Queen the zeroth Victoria": after some words it takes any capital I, V, X, L or C for the beginning of a
numeral. Whatever of the kind a text really holds is in words by the time it comes here.

It looks up no word that touches a double quotation mark or a square bracket, and some words that touch a dash: it makes
one unknown word of all that stands together, says "know what?" for “Now what?” and nothing for the "don’t" of
"grow quarrelsome—don’t sleep".
"""

from __future__ import annotations

import re
from collections.abc import Iterable

REVISION = 2
"""Raised when a text comes to sound different by what is done here: it is part of the keys of takes."""

_HIDING = "®"
"""A sign that Hibari leaves out, but only after it has looked for numerals and abbreviations."""
_WORD_AT_STOP = re.compile(r"(?<![\w.])(no|nos|fig|figs|ed|eds|ch|est|Jan|Jun|Mar|Mon|Sat|Sun|Wed)\.(?!\w)")

# Quotation marks have no sound to Hibari; without them it reads the bare word. One that stood between two words, or
# between a sentence and the next, leaves a blank.
_PARTING_QUOTES = re.compile(r"(?<=[^\s(\[{‘])[\"“”„‟«»‹›]+(?=[\w‘(\[{])")
_QUOTES = re.compile(r"[\"“”„‟«»‹›]")
# The brackets of a pronunciation stay; round ones part words.
_BRACKETS = re.compile(r"(?P<opening>[\[{](?![^\[\]]*\]\(/))|[\]}](?!\(/)")
# A dash with a word behind it. An en dash before a figure is a range or a minus.
_DASH = re.compile(r"\s*(—|―|–(?!\s*\d))\s*(?=[^\w\s]{0,3}\w)")

# Alone, "A" is an article to Hibari.
_LETTER_A = re.compile(r"\bA(?= to [B-Z]\b)")

_PRONUNCIATION = re.compile(r"\[(?P<word>[^\]]+)\]\(/(?P<ipa>[^/)]+)/\)")
# From IPA to the alphabet that Hibari was trained on (misaki's, 2025), where they differ.
_SOUNDS = {
    "t͡ʃ": "ʧ", "d͡ʒ": "ʤ", "tʃ": "ʧ", "dʒ": "ʤ", "eɪ": "A", "aɪ": "I", "aʊ": "W", "ɔɪ": "Y", "oʊ": "O", "əʊ": "O",
    "ɜːr": "ɜɹ", "ɜːɹ": "ɜɹ", "ɜːʳ": "ɜɹ", "ɜː": "ɜɹ", "ɜ": "ɜ", "ɝ": "ɜɹ", "ɚ": "əɹ", "ɑː": "ɑ", "ɔː": "ɔ",
    "iː": "i", "uː": "u", "eː": "A", "oː": "O", "aː": "ɑ", "ɪə": "ɪɹ", "eə": "ɛɹ", "ɛə": "ɛɹ", "ʊə": "ʊɹ", "ɒ": "ɑ",
    "e": "ɛ", "a": "ɑ", "ɐ": "ə", "o": "O", "y": "u", "ø": "ɜ", "œ": "ɜ", "ɯ": "u", "ɤ": "ʌ", "ʉ": "u", "r": "ɹ",
    "ɾ": "ɹ", "ɻ": "ɹ", "ʁ": "ɹ", "ʀ": "ɹ", "ɽ": "ɹ", "g": "ɡ", "x": "k", "χ": "k", "ç": "h", "ɣ": "ɡ", "ɟ": "ʤ",
    "c": "k", "q": "k", "ʎ": "lj", "ɲ": "nj", "ɳ": "n", "ɴ": "ŋ", "ɱ": "m", "ɬ": "l", "ɮ": "l", "ɭ": "l", "ɫ": "l",
    "β": "v", "ɸ": "f", "ʋ": "v", "ʍ": "w", "ɦ": "h", "ħ": "h", "ʈ": "t", "ɖ": "d", "ʂ": "ʃ", "ʐ": "ʒ", "ɕ": "ʃ",
    "ʑ": "ʒ", "ɥ": "w", "ɨ": "ɪ",
}  # fmt: skip
_BRITISH_SOUNDS = {
    "oʊ": "Q", "əʊ": "Q", "ɜː": "ɜː", "ɜːr": "ɜː", "ɑː": "ɑː", "ɔː": "ɔː", "iː": "iː", "uː": "uː", "ɪə": "ɪə",
    "eə": "ɛː", "ɛə": "ɛː", "ʊə": "ʊə", "ɒ": "ɒ", "a": "a",
}  # fmt: skip
_KEPT = frozenset("bdfɡhijklmnpstuvwzæðŋɑɔəɛɜɪʃʊʌʒθᵻˈˌʧʤ")
_VOWELS = frozenset("AIOQWYaiuæɑɒɔəɛɜɪʊʌᵻ")
_LONGEST = max(map(len, _SOUNDS))


def before_numerals(words: Iterable[str]) -> re.Pattern[str]:
    """What finds the place where Hibari would look for a numeral, after one of these words."""
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, words))}) (?=[IVXLC])")


def readable(text: str, numerals: re.Pattern[str], *, british: bool = False) -> str:
    """Write a spoken form so that Hibari says just that.

    Args:
        text: pronunciations in it as ``[word](/IPA/)``, with ``‿`` for a blank in the IPA.
        numerals: by `before_numerals`.
        british: whether the voice is a British one.
    """
    text = _PRONUNCIATION.sub(lambda found: f"[{found['word']}](/{_phonemes(found['ipa'], british=british)}/)", text)
    text = _QUOTES.sub("", _PARTING_QUOTES.sub(" ", text))
    text = _BRACKETS.sub(lambda found: "(" if found["opening"] else ")", text)
    text = _DASH.sub(r" \1 ", text)
    text = _LETTER_A.sub("[A](/ˈA/)", text)
    text = _WORD_AT_STOP.sub(rf"\1{_HIDING}.", text)
    return numerals.sub(rf"\g<0>{_HIDING}", text)


def _phonemes(ipa: str, *, british: bool) -> str:
    sounds = _SOUNDS | _BRITISH_SOUNDS if british else _SOUNDS
    written: list[str] = []
    stress = ""
    at = 0
    while at < len(ipa):
        for size in range(min(_LONGEST, len(ipa) - at), 0, -1):
            sign = ipa[at : at + size]
            if sign in sounds or (size == 1 and sign in _KEPT):
                sound = sounds.get(sign, sign)
                break
        else:
            sign, sound = ipa[at], " " if ipa[at] == "‿" else ""
        at += len(sign)
        if sound in ("ˈ", "ˌ"):
            stress = sound
        elif stress and sound[:1] in _VOWELS:  # this alphabet marks the vowel, not the syllable
            written.append(stress + sound)
            stress = ""
        else:
            written.append(sound)
    return "".join(written)
