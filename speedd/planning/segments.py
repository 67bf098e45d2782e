"""Cut a chunk into what is spoken in one go, with the silences inside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial

from speedd.config import SpeechSettings
from speedd.model import Boundary, Notation, Segment, TextLimits
from speedd.planning.boundaries import boundary_after_sentence, boundary_of
from speedd.planning.fitting import cut_hard
from speedd.planning.lexicon import Lexicon
from speedd.planning.sentences import split_sentences
from speedd.planning.spoken import spoken_form

MAX_PAUSE_MS = 60_000
"""The longest silence that a text can ask for."""
# ~1 ~2 [pause:1.5s]; "~1.5 million" and "~20" are numbers.
_PAUSE = re.compile(r"(~[12])(?!\w|[.,:]\d)|\[pause:(\d{1,6}(?:\.\d{1,6})?)s\]", re.IGNORECASE)

# The end of a line of verse, where no mark stands: the next line begins with a capital.
_LINE_END = re.compile(r"(?<=\w)[ \t]*\n(?=\s*[\"'“‘(]?[^\W\d_a-zà-öø-ÿ])")


def segments_of(  # noqa: PLR0913 - facts of the engine, one by one: planning imports no engine
    text: str,
    *,
    boundary: Boundary,
    chapter_title: str,
    limits: TextLimits,
    speech: SpeechSettings,
    language: str = "en",
    speaks: frozenset[Notation] = frozenset(),
    pronunciations: Lexicon | None = None,
) -> tuple[Segment, ...]:
    """Cut a chunk's text into segments.

    A cut falls at every inline pause, after every sentence for an engine that wants one at a time, and wherever the
    engine cannot take more in one go.

    Args:
        text: the text of record.
        boundary: what follows the chunk.
        chapter_title: of the chapter the chunk is in.
        limits: what the engine takes in one go.
        speech: the pauses.
        language: BCP 47; empty counts as English.
        speaks: what the engine puts into words itself.
        pronunciations: how words are to be said.
    Returns:
        Segments of which each has text, or is a pause before any text; none if there is nothing to hear.
    """
    text = _LINE_END.sub(",\n", text)
    in_words = partial(spoken_form, language=language, speaks=speaks, pronunciations=pronunciations)
    segments: list[Segment] = []
    for stretch, pause_ms in _stretches(text, boundary, chapter_title, in_words, speech):
        parts = list(_parts(stretch, limits))
        segments.extend(Segment(part, speech.pause_ms(boundary)) for part, boundary in parts[:-1])
        if parts:
            segments.append(Segment(parts[-1][0], pause_ms))
        elif pause_ms:
            before = segments.pop() if segments else Segment("")
            segments.append(Segment(before.text, min(before.pause_ms + pause_ms, MAX_PAUSE_MS)))
    return tuple(segments)


def _stretches(
    text: str, boundary: Boundary, chapter_title: str, in_words: Callable[..., str], speech: SpeechSettings
) -> Iterator[tuple[str, int]]:
    """Spoken text between inline pauses, and the pause after it in ms."""
    begin = 0
    for match in _PAUSE.finditer(text):
        spoken = in_words(text[begin : match.start()], boundary=Boundary.NONE, chapter_title="")
        yield spoken, _pause_ms(match, speech)
        begin = match.end()
    yield in_words(text[begin:], boundary=boundary, chapter_title=chapter_title), 0


def _pause_ms(asked: re.Match[str], speech: SpeechSettings) -> int:
    if asked[1]:
        return speech.inline_pauses_ms.short if asked[1] == "~1" else speech.inline_pauses_ms.long
    return min(round(float(asked[2]) * 1000), MAX_PAUSE_MS)


def _parts(spoken: str, limits: TextLimits) -> Iterator[tuple[str, Boundary]]:
    """What is spoken in one go, with what stands after it."""
    sentences = split_sentences(spoken) if limits.one_sentence else [spoken]
    for sentence in sentences:
        *parts, last = cut_hard(sentence, limits.max_chars) or [""]
        for part, boundary in [*((part, boundary_of(part)) for part in parts), (last, boundary_after_sentence(last))]:
            if any(character.isalnum() for character in part):
                yield part, boundary
