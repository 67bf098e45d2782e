"""The engine on tiny weights, and a source that gives it work."""

import hashlib
import os
from pathlib import Path

import torch

from speedd.engines.base import EngineOptions, OutOfMemory
from speedd.engines.chatterbox import ChatterboxFactory
from speedd.engines.chatterbox.settings import ChatterboxSettings
from speedd.model import Style, Utterance

TEXTS = (
    "It was at ten o'clock that the first of them began.",
    "Why?",
    "Weena, when it grew dark, wanted me to light a fire.",
    "And that, he said, was all of it: nobody ever came back to ask for the rest.",
)


class Company:
    """A source that hands out what it has, a few at a time, and is closed once that is gone."""

    def __init__(self, utterances):
        self.waiting = list(utterances)
        self.known = {one.key: one for one in self.waiting}
        self.given = 0
        self.answered = 0

    @property
    def closed(self):
        return not self.waiting

    def take(self, max_rows, *, block):
        assert max_rows >= 1
        assert not block or self.given == self.answered  # it blocks only while it is speaking nothing
        taken, self.waiting = self.waiting[:max_rows], self.waiting[max_rows:]
        self.given += len(taken)
        return taken


def utterances(engine, texts=TEXTS, *, voice=None, style=None, seed=11):
    voice = voice or engine.info.voices[0]
    return [Utterance(f"key of {text}", text, voice, style or Style(), seed + n) for n, text in enumerate(texts)]


def spoken(engine, work):
    """Let it speak all; what it gives back for lack of memory comes again."""
    company, answers = Company(work), {}
    for answer in engine.synthesize(company):
        if isinstance(answer, OutOfMemory):
            company.answered += len(answer.keys)
            company.waiting += [company.known[key] for key in answer.keys]
            continue
        company.answered += 1
        answers[answer.key] = answer
    assert answers.keys() == {one.key for one in work}
    return answers


def digests(answers):
    return {key: hashlib.sha256(answer.wave.tobytes()).hexdigest() for key, answer in answers.items()}


def options(weights=None, state="", **settings):
    """What the engine is given; its state is that of all tests, where the device has been tried already."""
    folder = Path(state or os.environ["SPEEDD_TEST_CHATTERBOX_STATE"])
    return EngineOptions(ChatterboxSettings(weights=weights, **settings), folder)


def load(weights, state="", **settings):
    given = options(weights, state, **{"rows": 3, "device": "cpu", "precision": "fp32", "watermark": False} | settings)
    factory = ChatterboxFactory()
    engine = factory.load(given)
    assert engine.info == factory.describe(given)
    torch.set_num_threads(1)
    return engine
