"""What characters say is heard as it is written, from the word behind the quotation mark on."""

from pathlib import Path

import numpy as np
import pytest

from speedd.engines.hibari.engine import FACTORY
from speedd.model import Boundary, Style, Utterance
from speedd.planning.spoken import spoken_form

LINES = (Path(__file__).parent / "spoken_dialogue.txt").read_text(encoding="utf-8").splitlines()
MISHEARD_AT_MOST = 1


@pytest.mark.asr
@pytest.mark.timeout(300)
def test_dialogue_is_heard_word_for_word(ear):
    from acceptance_ear import words  # noqa: PLC0415  what it imports may be missing

    engine = FACTORY.load({})
    pause = np.zeros(engine.info.sample_rate_hz // 5, np.float32)
    misheard = []
    for line in LINES:
        spoken = spoken_form(line, boundary=Boundary.NONE, chapter_title="", speaks=frozenset(engine.info.speaks))
        wave = engine._wave(Utterance(line, spoken, engine.info.voices[0], Style(), seed=0))
        wave = np.concatenate([pause, wave, pause])
        heard = ear.hear((wave.clip(-1, 1) * 32_767).astype(np.int16), engine.info.sample_rate_hz)
        if words(heard) != words(line):
            misheard.append(f"{line} → {heard}")
    assert len(LINES) == 30
    assert len(misheard) <= MISHEARD_AT_MOST, "\n".join(misheard)
