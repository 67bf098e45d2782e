"""What an EPUB says of how its words are spoken: SSML attributes in its pages, PLS lexicons linked from it.

Follows EPUB 3.3 (``ssml:ph``, ``ssml:alphabet``), PLS 1.0 (W3C, 2008) and X-SAMPA (Wells, 1995).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from speedd.common.languages import primary_subtag
from speedd.reading.archive import Archive, resolve
from speedd.reading.html.markup import Element, attribute, children, descendants, local_name, parse_xml, text_of
from speedd.reading.structure.wording import fold

PLS_TYPE = "application/pls+xml"
_MOST_CHARS = 80
"""Of a word or a pronunciation; a longer one is a sentence."""
_MOST_ENTRIES = 20_000

# Longest signs first: what begins with another must be tried before it.
_SAMPA = {
    "_h": "ʰ", "_j": "ʲ", "_w": "ʷ", "_~": "\u0303", "_=": "\u0329", "_0": "\u0325", "_d": "\u032a", "r\\`": "ɻ",
    "r\\": "ɹ", "l\\": "ɺ", "h\\": "ɦ", "s\\": "ɕ", "z\\": "ʑ", "x\\": "ɧ", "j\\": "ʝ", "p\\": "ɸ", "B\\": "ʙ",
    "R\\": "ʀ", "N\\": "ɴ", "G\\": "ɢ", "L\\": "ʟ", "H\\": "ʜ", "K\\": "ɮ", "M\\": "ɰ", "X\\": "ħ", "?\\": "ʕ",
    "@\\": "ɘ", "3\\": "ɞ", "I\\": "ᵻ", "U\\": "ᵿ", ":\\": "ˑ", "t`": "ʈ", "d`": "ɖ", "n`": "ɳ", "s`": "ʂ", "z`": "ʐ",
    "l`": "ɭ", "r`": "ɽ", "@`": "ɚ", "3`": "ɝ", "||": "‖", "A": "ɑ", "B": "β", "C": "ç", "D": "ð", "E": "ɛ", "F": "ɱ",
    "G": "ɣ", "H": "ɥ", "I": "ɪ", "J": "ɲ", "K": "ɬ", "L": "ʎ", "M": "ɯ", "N": "ŋ", "O": "ɔ", "P": "ʋ", "Q": "ɒ",
    "R": "ʁ", "S": "ʃ", "T": "θ", "U": "ʊ", "V": "ʌ", "W": "ʍ", "X": "χ", "Y": "ʏ", "Z": "ʒ", "@": "ə", "{": "æ",
    "}": "ʉ", "1": "ɨ", "2": "ø", "3": "ɜ", "4": "ɾ", "5": "ɫ", "6": "ɐ", "7": "ɤ", "8": "ɵ", "9": "œ", "&": "ɶ",
    "?": "ʔ", ":": "ː", '"': "ˈ", "%": "ˌ", "=": "\u0329", "~": "\u0303", "'": "ʲ", "$": ".", "g": "ɡ", "v\\": "ʋ",
}  # fmt: skip
_SIGNS = sorted(_SAMPA, key=len, reverse=True)


def said_in_pages(said: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    """Turn the SSML attributes of pages into pronunciations.

    Args:
        said: words with their pronunciation and its alphabet, as pages hold them.
    Returns:
        as `Book.pronunciations`; a word that a book pronounces in two ways has none.
    """
    found: dict[str, str] = {}
    contested: set[str] = set()
    for written, spoken, alphabet in said:
        word, ipa = fold(written), _ipa(spoken, alphabet)
        if not (0 < len(word) <= _MOST_CHARS) or not ipa or len(found) >= _MOST_ENTRIES:
            continue
        if found.setdefault(word, ipa) != ipa:
            contested.add(word)
    return {word: ipa for word, ipa in found.items() if word not in contested}


def linked_lexicons(root: Element, path: str) -> Iterator[tuple[str, str]]:
    """The lexicons that a page links to, with the language each is for.

    Args:
        root: the parsed page.
        path: its name in the archive.
    """
    for link in descendants(root, "link"):
        if "pronunciation" in (link.get("rel") or "").lower().split():
            yield resolve(path, link.get("href") or "")[0], (link.get("hreflang") or "").lower()


def read_lexicon(archive: Archive, path: str, language: str) -> dict[str, str]:
    """Read a PLS lexicon.

    Args:
        archive: the book.
        path: its name in it.
        language: the book's; a lexicon for another is passed over. Empty if it is not known.
    Returns:
        as `Book.pronunciations`.
    Raises:
        InputError: if it cannot be read.
    """
    root = parse_xml(archive.read(path), path)
    own = primary_subtag(attribute(root, "lang"))
    if local_name(root) != "lexicon" or (own and language and own != primary_subtag(language)):
        return {}
    alphabet = root.get("alphabet") or ""
    found: dict[str, str] = {}
    for lexeme in children(root, "lexeme"):
        spoken = ""
        for way in children(lexeme, "phoneme", "alias"):
            said = text_of(way)
            spoken = fold(said) if local_name(way) == "alias" else _ipa(said, way.get("alphabet") or alphabet)
            if spoken:
                break
        for grapheme in children(lexeme, "grapheme"):
            word = fold(text_of(grapheme))
            if spoken and len(spoken) <= _MOST_CHARS and 0 < len(word) <= _MOST_CHARS and len(found) < _MOST_ENTRIES:
                found.setdefault(word, spoken)
    return found


def _ipa(spoken: str, alphabet: str) -> str:
    """Write a pronunciation as IPA between strokes; empty if its alphabet is not known."""
    spoken = fold(spoken).strip("/[]")
    alphabet = alphabet.lower()
    if not spoken or len(spoken) > _MOST_CHARS:
        return ""
    if alphabet in {"x-sampa", "sampa", "x-sampa-1995"}:
        return f"/{_from_sampa(spoken)}/"
    if alphabet in {"ipa", ""}:
        # EPUB asks for the alphabet to be named; where it is not, signs beyond ASCII can only be IPA.
        return "" if not alphabet and spoken.isascii() else f"/{spoken}/"
    return ""


def _from_sampa(spoken: str) -> str:
    ipa, at = "", 0
    while at < len(spoken):
        sign = next((sign for sign in _SIGNS if spoken.startswith(sign, at)), spoken[at])
        ipa += _SAMPA.get(sign, sign)
        at += len(sign)
    return ipa
