"""What every engine promises, asked of every engine."""

import hashlib
import json
import os
import pickle
import subprocess
import sys
import threading
from dataclasses import fields, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from pydantic import BaseModel

from speedd.config import load_config
from speedd.engines import available, find
from speedd.engines.base import (
    Engine,
    EngineFactory,
    EngineOptions,
    HasFallbacks,
    OutOfMemory,
    Prepares,
    ReleasesMemory,
)
from speedd.errors import ConfigError, VoiceError
from speedd.model import Failed, Style, Take, Utterance, Voice

ENGINES = (
    "hibari",
    "tone",
    "reader",
    "silent",
    "slow",
    "crash_on_chunk",
    "hang",
    "oom_at_rows",
    "tight",
    "crash_in_batch",
    "tiny_chatterbox",
    "sample",
)
TEXTS = (
    "“I have thought since how particularly ill-equipped I was,” said the Time Traveller.",
    "It was at ten o’clock to-day that the first of all Time Machines began its career!",
    "Why?",
    "Weena, when it grew dark, wanted me to light a fire in the year 802,701.",
)


class Company:
    """A source that hands out what it has, and is closed once that is gone. What is given back comes again."""

    def __init__(self, utterances):
        self.waiting = list(utterances)
        self.known = {one.key: one for one in self.waiting}
        self.most = len(self.waiting)

    def give_back(self, keys):
        self.waiting[:0] = [self.known[key] for key in keys]
        self.most = max(1, self.most // 2)

    @property
    def closed(self):
        return not self.waiting

    def take(self, max_rows, *, block):
        assert max_rows >= 1
        rows = min(max_rows, self.most)
        taken, self.waiting = self.waiting[:rows], self.waiting[rows:]
        return taken


def utterances(info, texts=TEXTS, *, seed=11, speed=1.0):
    voice = info.voices[0]
    return [Utterance(f"key of {text}", text, voice, Style(speed=speed), seed) for text in texts]


def spoken(engine, work):
    company = Company(work)
    answers = []
    for answer in engine.synthesize(company):
        if isinstance(answer, OutOfMemory):
            company.give_back(answer.keys)
        else:
            answers.append(answer)
    assert sorted(answer.key for answer in answers) == sorted(one.key for one in work)
    return {answer.key: answer for answer in answers}


def digests(answers):
    return {key: hashlib.sha256(answer.wave.tobytes()).hexdigest() for key, answer in answers.items()}


@pytest.fixture(scope="module", params=ENGINES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def factory(name, request):
    if name == "sample":
        request.getfixturevalue("sample_installed")
    return find(name)


@pytest.fixture(scope="module")
def options(name, factory, tmp_path_factory):
    """What the engine is given: its defaults, but Chatterbox speaks with tiny weights of random numbers."""
    if name != "tiny_chatterbox":
        given = EngineOptions(factory.settings and factory.settings(), tmp_path_factory.mktemp("state") / name)
        if isinstance(factory, Prepares):
            assert factory.prepare(given)
            assert factory.prepare(given), "what is there already does not disturb it"
        yield given
        return
    if any(find_spec(module) is None for module in ("torch", "chatterbox")):
        pytest.skip("the chatterbox extra is not installed")
    from speedd.engines.chatterbox.library_output import import_quietly  # noqa: PLC0415

    import_quietly()
    from chatterbox_bench.generated import TINY, generate  # noqa: PLC0415

    weights = tmp_path_factory.mktemp("weights")
    generate(weights, "english", TINY, mean_tokens=12, reference_s=1.0)
    # One core, here and in the processes that are started: the threads of tiny products only wait for each other.
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(cores)[os.getpid() % len(cores)]})
    settings = factory.settings(weights=weights, device="cpu", precision="fp32", rows=3)
    yield EngineOptions(settings, tmp_path_factory.mktemp("state"))
    os.sched_setaffinity(0, cores)


@pytest.fixture(scope="module")
def engine(factory, options):
    engine = factory.load(options)
    yield engine
    engine.close()


def test_all_are_installed(factory, name):
    assert name in available()
    assert isinstance(factory, EngineFactory)


def given(options):
    """What a program of its own writes to have the options."""
    return f"__import__('pickle').loads(bytes.fromhex('{pickle.dumps(options).hex()}'))"


def test_its_settings_have_defaults_and_refuse_what_they_do_not_know(name, factory):
    assert isinstance(factory.rank, int)
    assert factory.settings is None or issubclass(factory.settings, BaseModel)
    if factory.settings is not None:
        factory.settings()
        assert all(field.alias is None for field in factory.settings.model_fields.values()), "a key is its field's name"
    with pytest.raises(ConfigError, match=rf"  engines\.{name}\.no_such_key: there is no such setting"):
        load_config(overrides={"engines": {name: {"no_such_key": 1}}}, environment={"HOME": "/home/ann"})


def test_its_options_reach_a_worker_as_they_are(options):
    assert pickle.loads(pickle.dumps(options)) == options


def test_a_description_is_complete(factory, options):
    info = factory.describe(options)
    assert info.name
    assert info.version
    assert len(info.model_digest) == 64
    assert info.sample_rate_hz >= 8000
    assert all(language == language.lower() for language in info.languages)
    assert set(info.style_fields) <= {field.name for field in fields(Style)}
    assert 1 <= info.limits.min_chars <= info.limits.best_chars <= info.limits.max_chars
    assert info.voices
    assert len({voice.name.casefold() for voice in info.voices}) == len(info.voices)
    assert all(len(voice.digest) == 64 for voice in info.voices)
    assert all(len(digest) == 64 for digest in info.files.values())
    assert not info.drawback.endswith(".")


def test_describing_and_reading_settings_import_no_model_library(name, options):
    program = (
        f"import sys; from speedd.engines import find; find({name!r}).describe({given(options)})\n"
        f"from speedd.config import load_config; load_config(overrides={{'engines': {{{name!r}: {{}}}}}})\n"
        "print([m for m in ('torch', 'onnxruntime', 'tensorflow', 'jax') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_loaded_engine_is_what_was_described(factory, engine, options):
    assert isinstance(engine, Engine)
    assert engine.info == factory.describe(options)  # for an engine whose numerics are known beforehand


def test_a_take_has_the_promised_form(engine):
    for take in spoken(engine, utterances(engine.info)).values():
        assert isinstance(take, Take)
        assert take.wave.dtype == np.float32
        assert take.wave.ndim == 1
        assert take.sample_rate_hz == engine.info.sample_rate_hz
        assert 0.1 < len(take.wave) / take.sample_rate_hz < 30
        assert np.isfinite(take.wave).all()
        assert np.abs(take.wave).max() <= 1.0
        assert take.stop_reason == "end"
        assert take.fault == ""


def test_the_same_bits_in_any_company_and_order(engine):
    work = utterances(engine.info)
    together = digests(spoken(engine, work))
    assert digests(spoken(engine, work[::-1])) == together
    for one in work:
        assert digests(spoken(engine, [one])) == {one.key: together[one.key]}


def test_the_same_bits_in_another_process(name, engine, options):
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import json; from test_engine_contract import *\n"
        f"engine = find({name!r}).load({given(options)})\n"
        "print(json.dumps(digests(spoken(engine, utterances(engine.info)))))"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(other.stdout) == digests(spoken(engine, utterances(engine.info)))


def test_the_seed_and_the_style_are_heard(engine):
    (plain,) = spoken(engine, utterances(engine.info, TEXTS[:1])).values()
    (other,) = spoken(engine, utterances(engine.info, TEXTS[:1], seed=12)).values()
    (fast,) = spoken(engine, utterances(engine.info, TEXTS[:1], speed=1.5)).values()
    assert engine.info.name == "silent" or not np.array_equal(plain.wave, other.wave)
    assert "speed" not in engine.info.style_fields or len(fast.wave) < 0.8 * len(plain.wave)


@pytest.mark.parametrize("text", ["", " ", "* * *", "…", "—", "?!", "⁂", "\u200b"])
def test_nothing_to_speak_gives_no_samples_and_is_no_fault(engine, text):
    (take,) = spoken(engine, utterances(engine.info, [text])).values()
    assert isinstance(take, Take)
    assert len(take.wave) == 0
    assert take.stop_reason == "nothing_to_speak"


@pytest.mark.parametrize("text", ["1" * 500, "\ud800 lone", "\x00", "a" * 2000, "word " * 400, "😀 ok", "\u202e" * 50])
def test_an_odd_text_is_spoken_or_fails_as_a_value_and_the_next_is_spoken(engine, text):
    work = utterances(engine.info, [text, TEXTS[2]])
    odd, good = (spoken(engine, work)[one.key] for one in work)
    assert isinstance(good, Take)
    if isinstance(odd, Failed):
        assert odd.reason
        assert text not in odd.reason
    else:
        assert np.isfinite(odd.wave).all()


def test_a_closed_source_ends_it(engine):
    assert list(engine.synthesize(Company([]))) == []


def test_it_blocks_only_while_it_is_speaking_nothing(engine):
    """A batching engine that blocked with rows in hand would stall them, and a scheduler could never give it more."""
    answered = 0
    held_when_it_blocked = []

    class Counting(Company):
        given = 0

        def take(self, max_rows, *, block):
            if block:
                held_when_it_blocked.append(self.given - answered)
            taken = super().take(max_rows, block=block)
            self.given += len(taken)
            return taken

    work = [replace(one, key=f"{one.key}, {turn}") for turn in range(3) for one in utterances(engine.info)]
    source = Counting(work)
    for answer in engine.synthesize(source):
        if isinstance(answer, OutOfMemory):
            source.give_back(answer.keys)
            source.given -= len(answer.keys)
        else:
            answered += 1
    assert answered == len(work)
    assert set(held_when_it_blocked) == {0}


def test_it_waits_for_work_that_comes_later(engine):
    """A take that blocks until an utterance arrives, as a worker's does."""
    arrived = threading.Event()
    work = utterances(engine.info, TEXTS[2:3])

    class Later(Company):
        def take(self, max_rows, *, block):
            if block:
                arrived.wait()
            return super().take(max_rows, block=block)

    source = Later(work)
    answers = []
    thread = threading.Thread(target=lambda: answers.extend(engine.synthesize(source)))
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    arrived.set()
    thread.join()
    assert len(answers) == 1


def test_its_budget_is_a_budget(engine):
    budget = engine.budget()
    assert budget.rows >= 1
    assert budget.free_bytes >= 0
    assert budget.row_bytes > 0


def test_prewarming_changes_nothing(engine):
    work = utterances(engine.info, TEXTS[:1])
    before = digests(spoken(engine, work))
    for voice in engine.info.voices[:1]:
        engine.prewarm(voice)
        engine.prewarm(voice)
    assert digests(spoken(engine, work)) == before


def test_a_voice_that_cannot_be_used_is_told_from_an_engine_that_cannot_and_the_others_speak_on(engine, tmp_path):
    work = utterances(engine.info, TEXTS[:1])
    before = digests(spoken(engine, work))
    with pytest.raises(VoiceError):
        engine.prewarm(Voice("unloadable", "f" * 64, tmp_path / "gone.wav"))
    assert digests(spoken(engine, work)) == before


def test_an_engine_with_fallbacks_takes_them_and_comes_back(engine):
    names = tuple(fallback.name for fallback in engine.info.fallbacks)
    assert len(set(names)) == len(names)
    assert not names or isinstance(engine, HasFallbacks)
    if isinstance(engine, HasFallbacks):
        work = utterances(engine.info)
        before = digests(spoken(engine, work))
        for count in range(len(names) + 1):
            engine.fall_back(names[:count])
            may_differ = any(fallback.numerics for fallback in engine.info.fallbacks[:count])
            assert digests(spoken(engine, work)) == before or may_differ
        engine.fall_back(())
        assert digests(spoken(engine, work)) == before


def test_giving_memory_back_changes_nothing(engine):
    if isinstance(engine, ReleasesMemory):
        work = utterances(engine.info)
        before = digests(spoken(engine, work))
        engine.release_memory()
        assert digests(spoken(engine, work)) == before
