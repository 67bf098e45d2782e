"""What a hard phrase sounds like in the end: planned, spoken by hibari, and written down by somebody else."""

import re
from pathlib import Path

import numpy as np
import pytest

from speedd.engines.hibari.engine import FACTORY
from speedd.model import Boundary, Style, Utterance
from speedd.planning.spoken import spoken_form

PHRASES = [
    line.split("\t")
    for line in (Path(__file__).parent / "heard_phrases.tsv").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
HEARD_AT_LEAST = 50


def folded(text):
    """Without case, hyphens and the marks that a listener sets as he likes; figures and signs of money stay."""
    text = re.sub(r"[,.!?:;\"“”](?!\d)|(?<=\d),(?=\d{3})|(?<=[A-Z])\.", "", text.replace("-", " "))
    return " ".join(text.replace("’", "'").lower().split())


@pytest.mark.asr
@pytest.mark.timeout(600)
def test_hard_phrases_are_heard_as_they_are_meant(ear):
    engine = FACTORY.load({})
    pause = np.zeros(engine.info.sample_rate_hz // 5, np.float32)
    misheard = []
    for phrase, meanings in PHRASES:
        spoken = spoken_form(
            phrase, boundary=Boundary.PARAGRAPH_END, chapter_title="", speaks=frozenset(engine.info.speaks)
        )
        utterance = Utterance(phrase, spoken, engine.info.voices[0], Style(), seed=0)
        wave = np.concatenate([pause, engine._wave(utterance), pause])
        heard = ear.hear((wave.clip(-1, 1) * 32_767).astype(np.int16), engine.info.sample_rate_hz)
        if folded(heard) not in map(folded, meanings.split(" | ")):
            misheard.append(f"{phrase} → {spoken} → {heard}")
    assert len(PHRASES) - len(misheard) >= HEARD_AT_LEAST, "\n".join(misheard)
