"""When each chunk is heard in the finished audio, down to its words where the engine reported them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from speedd import planning
from speedd.outbox.captions import Cue

if TYPE_CHECKING:
    from speedd.ledger import ChunkRecord, ChunkTake
    from speedd.model import Word


@dataclass(frozen=True, slots=True)
class AlignedSegment:
    """A segment of a chunk where it lies in the audio, in seconds from the start of the audiobook."""

    start_s: float
    end_s: float
    cut_s: float
    """How much of its take was trimmed off its start."""
    take: ChunkTake | None
    """None for silence."""

    def at(self, word: Word) -> float:
        """Return when a word of its take begins."""
        return min(max(self.start_s, self.start_s + word.start_s - self.cut_s), self.end_s)

    @property
    def word_starts_s(self) -> tuple[float, ...]:
        """When each of its words begins. Empty where the engine does not report them."""
        return tuple(map(self.at, self.take.words)) if self.take else ()


@dataclass(frozen=True, slots=True)
class AlignedChunk:
    """A chunk where it lies in the audio."""

    record: ChunkRecord
    segments: tuple[AlignedSegment, ...]
    """At least one, in order."""

    @property
    def start_s(self) -> float:
        """Where it starts."""
        return self.segments[0].start_s

    @property
    def end_s(self) -> float:
        """Where it ends, without the pause after it."""
        return self.segments[-1].end_s

    def cues(self) -> Iterator[Cue]:
        """Yield its captions: one for each sentence whose start is known, else one for all. None for silence."""
        if not self.record.takes:
            return
        sentences = (
            planning.split_sentences(self.record.chunk.text) if any(one.words for one in self.record.takes) else []
        )
        starts = self._sentence_starts()
        ends = [*starts[1:], self.end_s]
        if len(sentences) == len(starts) and all(start < end for start, end in zip(starts, ends, strict=True)):
            for text, start, end in zip(sentences, starts, ends, strict=True):
                yield Cue(start, end, text)
        else:
            yield Cue(self.start_s, self.end_s, self.record.chunk.text)

    def _sentence_starts(self) -> list[float]:
        """When each spoken sentence begins, as far as that is known."""
        starts = []
        for segment in self.segments:
            if segment.take is None:
                continue
            starts.append(segment.start_s)
            letters = accumulate(_letters(sentence) for sentence in planning.split_sentences(segment.take.text))
            for before, after in pairwise(letters):
                if before < after and (word := _word_after(segment.take.words, before)) is not None:
                    starts.append(segment.at(word))
        return starts


def _word_after(words: Sequence[Word], letters: int) -> Word | None:
    """Return the first word with at least so many letters before it.

    Letters are counted because an engine may set other punctuation and so divide words in another way.
    """
    before = 0
    for word in words:
        if before >= letters:
            return word
        before += _letters(word.text)
    return None


def _letters(text: str) -> int:
    return sum(char.isalnum() for char in text)
