"""From the text of record to what is spoken.

Marks for the eye go, headings get their numbers as words, `normalising` puts into words what the engine does not, and
pronunciations stand above all of it. What is spoken follows from a chunk's text, its boundary, its chapter's title and
its book's language, so that a plan read back from its JSON is spoken in the same way.
"""

from __future__ import annotations

import re

from speedd.common.languages import primary_subtag
from speedd.common.numerals import cardinal, roman
from speedd.model import Boundary, Notation
from speedd.planning.lexicon import Lexicon
from speedd.planning.normalising import normalised

# What stands in for a word that has a pronunciation: a private character, which no book has a use for.
_FIRST_STAND_IN = 0xF0000
_STAND_INS = 0xFFFE
_STAND_IN = re.compile("[\U000f0000-\U000ffffd]")

# What one rule says may be read by a rule before it ("Dr. Dr."): nothing that people write takes more than two rounds.
_MOST_ROUNDS = 8

_INVISIBLE = str.maketrans("", "", "\u200b\u200c\u200d\u2060\ufeff\u00ad")
# *so*, **so**, _so_: marks for the eye. Not 2*3*4, not snake_case.
_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,3}|_{1,3})(?=[^\s*_])([^*_]{0,2000}?)(?<=\S)\1(?![\w*])")
_LEFTOVER_MARKS = re.compile(r"(?<!\w)[*_#~]+(?!\w)|_{2,}|\*{2,}")
_DASHES = re.compile(r"[—―⸺⸻]{1,}(?:\s?[—―⸺⸻])*|(?<!-)--+(?!-)|---+")
_ELLIPSES = re.compile(r"\.(?:\s?\.){2,}")

_MAX_BARE_NUMBER = 300  # more chapters than any novel has; "MIX" and "1984" are titles
_ROMAN = r"(?=[IVXLC])(?:C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})"
_NUMBER = rf"(?:\d{{1,4}}|{_ROMAN})"
_KEYWORDS = "chapter|part|book|volume|section|act|scene|canto|letter|stave|episode"
_SEPARATOR = r"(?:\s*[.:;—–-]+\s*|\s+(?=[\"'“‘]?[A-Z]))"
_NUMBERED = re.compile(
    rf"\b(?P<word>(?i:{_KEYWORDS}))\s+(?P<number>\d{{1,4}}|(?i:{_ROMAN}))(?!\w)(?P<separator>{_SEPARATOR})?"
)
_BARE = re.compile(rf"(?P<number>{_NUMBER})(?P<end>\s*[.:—–-]+\s*|\s*$|(?<=[IVXLC]{{2}})\s+(?=[\"'“‘]?[A-Z]))")
_LONE_NUMBER = re.compile(rf"(?!I\b|L\b|C\b)(?:\d{{1,3}}|{_ROMAN})\.?")
_MOST_HEADING_CHARS = 120
_STRUCTURAL = (Boundary.CHAPTER_START, Boundary.CHAPTER_END, Boundary.SECTION_BREAK, Boundary.PARAGRAPH_END)


def spoken_form(
    text: str,
    *,
    boundary: Boundary,
    chapter_title: str,
    language: str = "en",
    speaks: frozenset[Notation] = frozenset(),
    pronunciations: Lexicon | None = None,
) -> str:
    """Return what is spoken of a chunk's text, inline pauses untouched.

    Args:
        text: the text of record.
        boundary: what follows the chunk.
        chapter_title: of the chapter the chunk is in; a chunk that is nothing but the title is its heading.
        language: BCP 47; empty counts as English. Of other languages only marks for the eye are taken out.
        speaks: what the engine puts into words itself; that is left to it.
        pronunciations: how words are to be said. They hold whatever else is done to a text.
    """
    spoken = folded_marks(_STAND_IN.sub("", text))
    said: list[str] = []
    if pronunciations is not None:
        spoken, said = _set_aside(spoken, pronunciations, speaks)
    if is_english(language):
        is_title = text.strip() == chapter_title.strip()
        if spoken and (is_title or boundary is Boundary.CHAPTER_START or looks_like_heading(spoken)):
            spoken = spoken_heading(spoken)
        spoken = _in_words(spoken, speaks)
    # A line that ends in a word is closed, or the voice stays up in the air.
    if boundary in _STRUCTURAL and _ends_in_word(spoken):
        spoken += "."
    return _STAND_IN.sub(lambda found: said[ord(found[0]) - _FIRST_STAND_IN], spoken) if said else spoken


def _in_words(text: str, speaks: frozenset[Notation]) -> str:
    for _ in range(_MOST_ROUNDS):
        said = normalised(text, speaks=speaks)
        if said == text:
            break
        text = folded_marks(said)
    return text


def is_english(language: str) -> bool:
    """Whether a text in this language (BCP 47; empty: unknown) is put into English words."""
    return primary_subtag(language) in ("", "en", "eng", "und")


def _set_aside(text: str, pronunciations: Lexicon, speaks: frozenset[Notation]) -> tuple[str, list[str]]:
    """Put a private character in the place of everything that has a pronunciation, so that no rule touches it."""
    said: dict[str, int] = {}
    pieces: list[str] = []
    begin = 0
    for found in pronunciations.occurrences(text, speaks=speaks):
        number = said.setdefault(found.spoken, len(said))
        if number >= _STAND_INS:
            break
        pieces += (text[begin : found.start], chr(_FIRST_STAND_IN + number))
        begin = found.stop
    return "".join([*pieces, text[begin:]]), list(said)


def _ends_in_word(text: str) -> bool:
    return text[-1:].isalnum() or bool(_STAND_IN.match(text[-1:]))


def folded_marks(text: str) -> str:
    """Take out what is for the eye: joiners, emphasis marks, doubled dashes; fold white space."""
    if not text.isascii():
        text = text.translate(_INVISIBLE)
    text = " ".join(text.split())
    text = _EMPHASIS.sub(r"\2", text)
    text = _ELLIPSES.sub("…", _DASHES.sub("—", text))
    return " ".join(_LEFTOVER_MARKS.sub("", text).split())


def looks_like_heading(text: str) -> bool:
    """Whether a text by itself is a numbered heading: "XII", "Part Two", "Chapter IV: The Storm"."""
    if len(text) > _MOST_HEADING_CHARS:
        return False
    if _LONE_NUMBER.fullmatch(text):
        return True
    return bool(_NUMBERED.match(text)) and text[-1:] not in '.!?…,;:”"’'


def spoken_heading(text: str) -> str:
    """Write a heading as it is spoken.

    "II" becomes "Two.", "CHAPTER IV: THE STORM" "Chapter four. The Storm.", "Epilogue" "Epilogue."; words that the
    book spells out stay as they are.
    """
    heading = text.strip()
    if heading.isupper() and not _LONE_NUMBER.fullmatch(heading):
        heading = " ".join(_calm(word) for word in heading.split())
    heading = _NUMBERED.sub(_with_words, heading)
    bare = _BARE.match(heading)
    if bare and (value := _value(bare["number"])) <= _MAX_BARE_NUMBER:
        heading = f"{cardinal(value).capitalize()}. {heading[bare.end() :]}".strip()
    return heading + "." if _ends_in_word(heading) else heading


def _calm(word: str) -> str:
    """A word of an all-capitals heading in the case of a title; numerals keep theirs."""
    bare = word.strip(".,:;!?—–-\"'“”‘’()")
    if re.fullmatch(_ROMAN, bare):
        return word
    return re.sub(r"[^\W\d_]+(?:[’'][^\W\d_]+)*", lambda part: part[0].capitalize(), word)


def _with_words(match: re.Match[str]) -> str:
    word = match["word"].capitalize() if match["word"].isupper() else match["word"]
    words = f"{word} {cardinal(_value(match['number']))}"
    return f"{words}. " if match["separator"] and match.end() < len(match.string) else words


def _value(number: str) -> int:
    return int(number) if number.isdecimal() else roman(number)
