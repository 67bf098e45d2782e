"""Captions and the run log say when words are heard, where the engine told."""

import re

import pytest
from speedd_sandbox import Sandbox, epub

from speedd.ledger import ChunkRecord, ChunkTake
from speedd.model import Chunk, Word
from speedd.pipeline.alignment import AlignedChunk, AlignedSegment

TEXT = "Dr. Hale waited for £5. “Is it late?” she asked. Nobody… spoke!"
SPOKEN = "Doctor Hale waited for five pounds. “Is it late?” she asked. Nobody… spoke!"
SAID = "doctor hale waited for five pounds is it late she asked nobody, spoke"
WORDS = tuple(Word(text, 0.5 * place, 0.5 * place + 0.5) for place, text in enumerate(SAID.split()))


def take(text=SPOKEN, words=WORDS):
    return ChunkTake("k", text, 0, 0, 0.1, "end", 0.0, words)


def cues(*segments, text=TEXT):
    takes = tuple(piece.take for piece in segments if piece.take)
    return [
        (cue.start_s, cue.end_s, cue.text)
        for cue in AlignedChunk(ChunkRecord(Chunk(0, 0, text, ()), takes), segments).cues()
    ]


def test_a_chunk_is_cut_by_sentence_at_its_words():
    assert cues(AlignedSegment(100.0, 106.3, 0.2, take())) == [
        (100.0, pytest.approx(102.8), "Dr. Hale waited for £5."),
        (pytest.approx(102.8), pytest.approx(105.3), "“Is it late?” she asked."),
        (pytest.approx(105.3), 106.3, "Nobody… spoke!"),
    ]


def test_without_words_a_chunk_is_one_cue():
    assert cues(AlignedSegment(100.0, 106.0, 0.2, take(words=()))) == [(100.0, 106.0, TEXT)]
    assert cues(AlignedSegment(3.0, 3.0, 0.0, None)) == []


@pytest.mark.parametrize(
    "unlike",
    [
        take(text="Doctor Hale waited for five pounds, is it late."),  # other sentences than the book's
        take(words=WORDS[:4]),  # nobody knows when the others are spoken
        take(words=tuple(Word(word.text, 6.3, 6.3) for word in WORDS)),  # no time left for the last
    ],
)
def test_sentences_that_cannot_be_told_apart_stay_together(unlike):
    assert cues(AlignedSegment(100.0, 106.0, 0.0, unlike)) == [(100.0, 106.0, TEXT)]


def test_what_was_spoken_in_several_goes_begins_where_each_begins():
    first = AlignedSegment(10.0, 13.0, 0.1, take("Doctor Hale waited for five pounds.", WORDS[:6]))
    shifted = tuple(Word(word.text, word.start_s - 3.0, word.end_s - 3.0) for word in WORDS[6:])
    second = AlignedSegment(14.0, 17.0, 0.1, take("“Is it late?” she asked. Nobody… spoke!", shifted))
    assert [start for start, _, _ in cues(first, AlignedSegment(13.0, 13.0, 0.0, None), second)] == [10.0, 14.0, 16.4]


STORY = """The clock stood still in the hall. It had stood there for years, and nobody wound it. “Who winds it?”
she asked.

The end came quietly in the night, and soon it was over.
"""


def test_an_engine_that_tells_its_words_gives_a_caption_for_each_sentence(sandbox: Sandbox):
    sandbox.configure(engine={"name": "reader"}, speech={"opening": False})
    sandbox.drop("Clock.epub", epub("The Clock", STORY))
    assert sandbox.once().code == 0
    chunks = sandbox.book.run["chunks"]
    assert len(chunks) == 2
    captions = sandbox.book.captions
    texts = [line for line in captions.splitlines() if line and line != "WEBVTT" and "-->" not in line]
    assert texts == [
        "The clock stood still in the hall.",
        "It had stood there for years, and nobody wound it.",
        "“Who winds it?” she asked.",
        "The end came quietly in the night, and soon it was over.",
    ]
    starts = [sum(float(part) * 60**n for n, part in enumerate(reversed(one.split(":")))) for one in times(captions)]
    for start, first in zip(starts, (0, 7, 17), strict=False):
        words = chunks[0]["takes"][0]["word_starts_s"]
        assert start == pytest.approx(words[first] if first else chunks[0]["start_s"], abs=0.002)
    # The reader says a letter in 60 ms; trimming has taken its silence at the beginning, whose margin is 30 ms.
    assert starts[1] - starts[0] == pytest.approx(0.06 * len("Theclockstoodstillinthehall") + 0.03, abs=0.02)
    assert [len(chunk["takes"][0]["word_starts_s"]) for chunk in chunks] == [22, 12]
    assert {take["stop_reason"] for chunk in chunks for take in chunk["takes"]} == {"end"}


def times(captions):
    return re.findall(r"(\S+) -->", captions)
