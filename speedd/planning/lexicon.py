"""Pronunciations: how somebody wants a word to be said, in every form in which it stands in a book."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from speedd.errors import ConfigError
from speedd.model import Notation
from speedd.planning import ipa as phonetics

MAX_ENTRIES = 20_000
MAX_CHARS = 200
"""Longest word or phrase, and longest pronunciation."""
MAX_FILE_BYTES = 4 * 1024 * 1024

_FEWEST_INFLECTED = 3  # "be" is no verb whose past is "bed"
_WORD = re.compile(r"\w+(?:'\w+)*")
_CONTINUES = re.compile(r"'?\w")
_IPA = re.compile(r"/([^/]+)/|\[([^\[\]]+)\]")
_APOSTROPHES = str.maketrans("’‘ʼ", "'''")
_HISSING = re.compile(r"(?:s|x|z|ch|sh)$")
_CONSONANT_Y = re.compile(r"[^aeiou]y$")
# "stop", which doubles its last letter: "stopped"; one syllable as far as letters tell.
_DOUBLES = re.compile(r"[^aeiou]*[aeiou][bdfgklmnprtvz]$")
_MAY_DOUBLE = re.compile(r"[aeiou][bdgklmnprtvz]$")


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A stretch of a text that has a pronunciation."""

    start: int
    stop: int
    spoken: str
    """A respelling; or, for an engine that reads phonemes, ``[word](/IPA/)`` without any blank in it."""


@dataclass(frozen=True, slots=True)
class _Form:
    """One form of a word: "Horus", "Horus's"."""

    text: str
    """With straight apostrophes, in the case in which it was given."""
    folded: str
    lead: int
    """Characters before its first word: 1 in ".NET"."""
    said: str
    """Respelling or IPA without strokes."""
    is_ipa: bool
    given: bool
    """False for a form that was derived."""

    def fits_case(self, found: str) -> bool:
        """Whether it may be written so: "word" also as "Word" and "WORD", but "Polish" never as "polish"."""
        if found == self.text or (found.isupper() and len(found) > 1):
            return True
        if not self.text.islower():
            return False
        return all(word.islower() or word[1:].islower() or len(word) == 1 for word in _WORD.findall(found))

    def spoken(self, found: str, *, phonemes: bool) -> str:
        if self.is_ipa and phonemes:
            # One word to whatever cuts texts at blanks; the engine turns the tie back into a blank.
            label = "-".join(_WORD.findall(found))
            return f"[{label}](/{'‿'.join(self.said.split())}/)"
        said = phonetics.respelled(self.said) if self.is_ipa else self.said
        return said[:1].upper() + said[1:] if found[:1].isupper() else said


class Lexicon:
    """Pronunciations by word or phrase.

    A word is found in every case in which it may stand ("word" also as "Word" and "WORD"; "Polish" never as "polish"),
    with its possessive, its plural and, if it is written small, its regular past and participle; a form that is given
    itself wins over a derived one, and a longer phrase over a shorter. Looking through a text takes time linear in its
    length, however many words there are.

    Args:
        pronunciations: by word, a respelling ("HUR-my-nee") or IPA between strokes or brackets ("/hɜːˈmaɪ.ə.ni/").
        origin: where they come from, for messages: "pronunciations.toml".

    Raises:
        ConfigError: naming every fault.
    """

    def __init__(self, pronunciations: Mapping[str, object], *, origin: str = "the pronunciations") -> None:
        faults = list(_faults(pronunciations))
        if faults:
            raise ConfigError(
                f"The pronunciations in {origin} are wrong: " + "; ".join(faults) + ".",
                hint='Each one is a line such as Hermione = "her-MY-oh-nee" or Hermione = "/hɜːˈmaɪəni/".',
            )
        self._given = {_folded_blanks(word): str(said).strip() for word, said in pronunciations.items()}
        self._forms: dict[str, list[_Form]] = {}
        for form in _forms(self._given):
            first = _WORD.search(form.folded)
            assert first is not None
            self._forms.setdefault(first[0], []).append(form)
        for forms in self._forms.values():
            forms.sort(key=lambda form: (-len(form.text), not form.given))

    def __len__(self) -> int:
        return len(self._given)

    def over(self, below: Lexicon) -> Lexicon:
        """Lay these pronunciations over others: where both know a word, these hold."""
        return Lexicon({**below._given, **self._given})

    def warnings(self, speaks: frozenset[Notation]) -> tuple[str, ...]:
        """What an engine that ``speaks`` this can do only roughly; at most one."""
        in_ipa = sorted(word for word, said in self._given.items() if _IPA.fullmatch(said))
        if not in_ipa or Notation.PHONEMES in speaks:
            return ()
        some = ", ".join(in_ipa[:5]) + (", …" if len(in_ipa) > 5 else "")  # noqa: PLR2004
        return (f"The engine reads no IPA: {some} are spoken after a respelling of it.",)

    def occurrences(self, text: str, *, speaks: frozenset[Notation]) -> Iterator[Occurrence]:
        """Find what has a pronunciation, from left to right, without overlaps, the longest phrase first.

        Args:
            text: with its white space folded.
            speaks: what the engine puts into words itself.
        """
        if not self._forms:
            return
        straight = text.translate(_APOSTROPHES)
        folded = _lowered(straight)
        done = 0
        for word in _WORD.finditer(folded):
            if word.start() < done:
                continue
            if found := self._form_at(straight, folded, word.start(), done, self._forms.get(word[0], ())):
                form, start = found
                done = start + len(form.text)
                written = straight[start:done]
                yield Occurrence(start, done, form.spoken(written, phonemes=Notation.PHONEMES in speaks))

    @staticmethod
    def _form_at(straight: str, folded: str, at: int, done: int, forms: Iterable[_Form]) -> tuple[_Form, int] | None:
        fitting: tuple[_Form, int] | None = None
        for form in forms:
            if fitting and len(form.text) < len(fitting[0].text):
                break
            start = at - form.lead
            stop = start + len(form.text)
            if start < done or not folded.startswith(form.folded, start):
                continue
            if form.folded[-1].isalnum() and _CONTINUES.match(folded, stop):
                continue
            found = straight[start:stop]
            if found == form.text:
                return form, start
            if fitting is None and form.fits_case(found):
                fitting = form, start
        return fitting


def load_lexicon(path: Path) -> Lexicon:
    """Read pronunciations from a TOML file: ``word = "respelling"``, at its top or in a table ``[pronunciations]``.

    Raises:
        ConfigError: if it cannot be read, is no TOML, or holds something else; says what and where.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError(f"The pronunciations {path} are larger than {MAX_FILE_BYTES // 2**20} MiB.")
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"The pronunciations {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"The pronunciations {path} are no TOML: {error}.",
            hint='Each is a line such as Hermione = "her-MY-oh-nee"; a phrase goes in quotes: "St John" = "sin-jun".',
        ) from error
    table = values.pop("pronunciations", {})
    if not isinstance(table, dict):
        table = {"pronunciations": table}
    return Lexicon({**values, **table}, origin=str(path))


def _faults(pronunciations: Mapping[str, object]) -> Iterator[str]:
    if len(pronunciations) > MAX_ENTRIES:
        yield f"there are {len(pronunciations)} of them, {MAX_ENTRIES} is the most"
        return
    for word, said in pronunciations.items():
        if not isinstance(said, str):
            yield f"{word[:MAX_CHARS]!r} is given no text"
        elif len(word) > MAX_CHARS or len(said) > MAX_CHARS:
            yield f"{word[:20] + '…'!r} is longer than {MAX_CHARS} characters"
        elif not any(map(str.isalnum, word)):
            yield f"{word!r} is no word"
        elif not any(map(str.isalnum, said)) or not said.isprintable():
            yield f"{word!r} is given nothing that can be spoken"
        elif (ipa := _IPA.fullmatch(said.strip())) and (unknown := phonetics.unknown_signs(ipa[1] or ipa[2])):
            yield f"{word!r} is given {said}, in which {' '.join(unknown)} is no IPA"


def _forms(given: Mapping[str, str]) -> Iterator[_Form]:
    for word, said in given.items():
        ipa = _IPA.fullmatch(said)
        sounds = (ipa[1] or ipa[2]).strip() if ipa else said
        yield _form(word, sounds, is_ipa=bool(ipa), given=True)
        for form, ending in _inflected(word):
            if form not in given:
                yield _form(form, _ENDINGS[ending][bool(ipa)](sounds), is_ipa=bool(ipa), given=False)


def _form(word: str, said: str, *, is_ipa: bool, given: bool) -> _Form:
    folded = _lowered(word)
    first = _WORD.search(folded)
    assert first is not None
    return _Form(word, folded, first.start(), said, is_ipa, given)


def _inflected(word: str) -> Iterator[tuple[str, str]]:
    """The forms of a word as English spells them, each with a key of `_ENDINGS`; none of "C++" or "cat's"."""
    if not word[-1].isalpha() or "'" in word.rsplit(" ", 1)[-1]:
        return
    yield word + "'s", "'s"
    if len(word) < _FEWEST_INFLECTED:
        return
    low = word.lower()
    yield word + ("es" if _HISSING.search(low) else "s"), "s"
    if _CONSONANT_Y.search(low):
        yield word[:-1] + "ies", "s"  # and "the Kennedys"
    if not (word.islower() and word.isalpha()):
        return
    if word.endswith("ee"):
        yield word + "ing", "ing"  # but "seed" and "feed" are words of their own
    elif word.endswith("e"):
        yield word + "d", "ed"
        yield word[:-1] + "ing", "ing"
    elif _CONSONANT_Y.search(word):
        yield word[:-1] + "ied", "ed"
        yield word + "ing", "ing"
    else:
        doubled = [word + word[-1]] if _MAY_DOUBLE.search(word) else []
        for stem in doubled if _DOUBLES.fullmatch(word) else [word, *doubled]:
            yield stem + "ed", "ed"
            yield stem + "ing", "ing"


# What English adds to a word: to a respelling, and to IPA.
_ENDINGS: Mapping[str, tuple[Callable[[str], str], Callable[[str], str]]] = {
    "'s": (lambda said: said + "'s", phonetics.with_s),
    "s": (lambda said: said + ("es" if _HISSING.search(said.lower()) else "s"), phonetics.with_s),
    "ed": (lambda said: said + ("d" if said.endswith("e") else "ed"), phonetics.with_ed),
    "ing": (lambda said: said + "ing", lambda sounds: sounds + "ɪŋ"),
}


def _folded_blanks(text: str) -> str:
    return " ".join(text.translate(_APOSTROPHES).split())


def _lowered(text: str) -> str:
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(low if len(low := char.lower()) == 1 else char for char in text)
