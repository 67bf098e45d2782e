"""A device without room: what the engine gives back, what it does without, and that its takes say so."""

import weakref
from dataclasses import replace

import pytest

from speedd.engines.base import Fallback, HasFallbacks, OutOfMemory
from speedd.engines.chatterbox.factory import _fallbacks
from speedd.engines.chatterbox.probe import Machine
from speedd.engines.chatterbox.settings import ChatterboxSettings
from speedd.errors import DeviceFullError, TryAgainError
from speedd.execution.pool.pool import WorkerPool
from speedd.execution.pool.settings import PoolSettings
from speedd.execution.protocol import WorkerLimits
from speedd.execution.takes import chunk_seed, fallback_key, take_key, take_path
from speedd.model import Style, Utterance

torch = pytest.importorskip("torch", reason="the chatterbox extra is not installed")
pytest.importorskip("chatterbox", reason="the chatterbox extra is not installed")

from chatterbox_tiny_engine import TEXTS, Company, digests, load, options, spoken, utterances  # noqa: E402

from speedd.engines.chatterbox.memory import placement  # noqa: E402
from speedd.engines.chatterbox.memory.budget import CardMemory  # noqa: E402
from speedd.engines.chatterbox.memory.device import UnlessFull  # noqa: E402

FULL = torch.OutOfMemoryError("CUDA out of memory")


@pytest.fixture(scope="module")
def folder(checkpoint):
    return checkpoint("english", mean_tokens=40, reference_s=4.0)


@pytest.fixture
def engine(folder):
    engine = load(folder)
    yield engine
    engine.close()


def once(monkeypatch, thing, name, *, at):
    """Let a method run out of memory at one of its calls."""
    real, calls = getattr(thing, name), []

    def tight(*arguments, **named):
        calls.append(name)
        if len(calls) == at:
            raise FULL
        return real(*arguments, **named)

    monkeypatch.setattr(thing, name, tight)


# --- running out -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("part", "name", "at"), [("decoder", "admit", 2), ("s3gen", "render", 2)])
def test_what_finds_no_room_is_given_back_and_the_others_go_on(engine, monkeypatch, part, name, at):
    work = utterances(engine)
    sound = digests(spoken(engine, work))
    once(monkeypatch, getattr(engine._models, part), name, at=at)
    company, answers = Company(work), []
    for answer in engine.synthesize(company):
        company.answered += 1
        answers.append(answer)
    (given_back,) = [answer for answer in answers if isinstance(answer, OutOfMemory)]
    assert len(given_back.keys) == 1
    assert len(answers) == len(work)
    again = [one for one in work if one.key in given_back.keys]
    found = digests({answer.key: answer for answer in answers if not isinstance(answer, OutOfMemory)})
    assert found | digests(spoken(engine, again)) == sound


def test_a_machine_that_gives_no_more_memory_counts_as_full():
    with UnlessFull() as much:
        torch.empty(1 << 50, dtype=torch.uint8)
    assert much.full
    with pytest.raises(RuntimeError, match="shape"), UnlessFull():
        torch.ones(2).view(3)


def test_a_step_without_room_gives_back_all_that_is_in_hand(engine, monkeypatch):
    work = utterances(engine)
    sound = digests(spoken(engine, work))
    with monkeypatch.context() as patch:
        once(patch, engine._models.decoder, "advance", at=4)
        with pytest.raises(DeviceFullError, match="in the middle of a step"):
            list(engine.synthesize(Company(work)))
    assert engine._models.decoder.free == 3
    assert digests(spoken(engine, work)) == sound


def test_numbers_that_ran_over_and_find_no_room_in_full_come_again(folder, monkeypatch):
    engine = load(folder, precision="bf16")
    (work,) = utterances(engine, TEXTS[:1])
    head = engine._models.decoder._t3.head
    monkeypatch.setattr(engine._models.decoder._t3, "head", lambda hidden: head(hidden) * float("nan"))
    once(monkeypatch, engine, "_said_in_full", at=1)
    company = Company([work])
    assert next(engine.synthesize(company)) == OutOfMemory((work.key,))


# --- doing without ---------------------------------------------------------------------------------------------------


def test_each_fallback_changes_what_it_says_and_all_of_it_comes_back(engine):
    assert isinstance(engine, HasFallbacks)
    names = tuple(fallback.name for fallback in engine.info.fallbacks)
    assert names == ("micro_batch", "short_reference")
    work = utterances(engine)
    own = digests(spoken(engine, work))
    engine.fall_back(names[:1])
    assert engine.budget().rows == 1
    engine.fall_back(names)
    short = digests(spoken(engine, work))
    assert not set(short.values()) & set(own.values())
    engine.fall_back(names[1:])
    assert engine.budget().rows == 3
    engine.fall_back(())
    assert digests(spoken(engine, work)) == own
    engine.fall_back(names)
    assert digests(spoken(engine, work)) == short  # whatever held in between


def test_the_shorter_reference_is_what_a_setting_of_that_length_gives(engine, folder):
    engine.fall_back(("short_reference",))
    (work,) = utterances(engine, TEXTS[:1])
    assert digests(spoken(engine, [work])) == digests(spoken(load(folder, reference_s=3.0), [work]))


def test_on_another_device_it_is_loaded_anew(engine, folder):
    threads = engine.info.numerics["threads"]
    reckons = {"precision": "bf16", "estimator": "bf16"}
    elsewhere = Fallback("cpu", {"device": "cpu", **reckons, "threads": threads, "rows": "1"})
    engine.info = replace(engine.info, fallbacks=(elsewhere,))
    (work,) = utterances(engine, TEXTS[:1])
    own = digests(spoken(engine, [work]))
    engine.fall_back(("cpu",))
    there = digests(spoken(engine, [work]))
    assert there == digests(spoken(load(folder, precision="bf16", rows=1), [work])) != own
    engine.fall_back(())
    assert digests(spoken(engine, [work])) == own


def test_without_room_to_come_back_it_goes_on_as_it_was(engine, monkeypatch):
    engine.fall_back(("micro_batch",))
    (work,) = utterances(engine, TEXTS[:1])
    small = digests(spoken(engine, [work]))
    real = placement.Decoder

    def tight(t3, slots, *, width):
        if width > 1:
            raise FULL
        return real(t3, slots, width=width)

    monkeypatch.setattr(placement, "Decoder", tight)
    with pytest.raises(DeviceFullError, match="has no room"):
        engine.fall_back(())
    assert engine.budget().rows == 1
    assert digests(spoken(engine, [work])) == small


def test_what_was_half_set_up_is_gone_before_less_is_tried(engine, monkeypatch):
    engine.fall_back(("micro_batch",))
    real, half, gone = placement.Decoder, [], []

    def tight(t3, slots, *, width):
        gone.extend(part() is None for part in half)
        if width > 1:
            keys = torch.zeros(1)
            half.append(weakref.ref(keys))
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(t3, slots, width=width)

    monkeypatch.setattr(placement, "Decoder", tight)
    with pytest.raises(DeviceFullError):
        engine.fall_back(())
    assert gone == [True, True, True]  # with one slot, then the way back looks at both


def test_without_any_room_it_says_so_and_is_there_again_later(engine, monkeypatch):
    (work,) = utterances(engine, TEXTS[:1])
    own = digests(spoken(engine, [work]))
    with monkeypatch.context() as patch:
        once(patch, placement, "Decoder", at=1)
        with pytest.raises(DeviceFullError):
            engine.fall_back(("micro_batch",))
        patch.setattr(placement, "Decoder", pytest.fail)
        assert engine.budget().rows == 3
    assert digests(spoken(engine, [work])) == own


def test_what_can_be_done_without_depends_on_what_there_is():
    card = Machine("cuda", "bf16", "a card", 8 << 30)
    fallbacks = _fallbacks(card, ChatterboxSettings(precision="fp32"), 27)
    assert [fallback.name for fallback in fallbacks] == ["micro_batch", "short_reference", "cpu"]
    assert fallbacks[2].numerics["precision"] == "fp32"
    assert fallbacks[2].numerics["device"] == "cpu"
    cpu = Machine("cpu", "int8", "CPU")
    assert _fallbacks(cpu, ChatterboxSettings(reference_s=2.0), 1) == ()


@pytest.mark.parametrize(
    "words",
    [
        "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported at some other API call.",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuFFT error: CUFFT_ALLOC_FAILED",
    ],
)
def test_a_card_too_full_for_cuda_itself_is_full_and_nothing_worse(engine, monkeypatch, words):
    def tight(*arguments, **named):
        raise RuntimeError(words)

    with monkeypatch.context() as patch:
        patch.setattr(placement, "Decoder", tight)
        with pytest.raises(DeviceFullError, match="has no room"):
            engine.fall_back(("micro_batch",))
    work = utterances(engine, TEXTS[:1])
    monkeypatch.setattr(engine._models.decoder, "advance", tight)
    with pytest.raises(DeviceFullError, match="in the middle of a step"):
        list(engine.synthesize(Company(work)))


# --- in a worker -----------------------------------------------------------------------------------------------------


@pytest.fixture
def pool(folder, tmp_path, fault_folder):
    """Makes pools of one worker with the real engine, in which things go wrong on demand."""
    made = []

    def make(**limits):
        given = options(folder, rows=2, device="cpu", precision="fp32", watermark=False)
        settings = PoolSettings("chatterbox_with_faults", tmp_path, given, workers=1, limits=WorkerLimits(**limits))
        made.append(WorkerPool(settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


def one_by_one(pool, texts):
    """Speak one text after the other; yield each utterance with its answer."""
    info = pool.info
    for text in texts:
        seed = chunk_seed(0, text, 0, 0)
        key = take_key(info, text=text, voice=info.voices[0], style=Style(), seed=seed, language="en")
        (answer,) = (one for batch in pool.run([Utterance(key, text, info.voices[0], Style(), seed)]) for one in batch)
        yield key, answer


def test_a_take_that_was_made_with_less_is_another_take_and_says_so(pool, tmp_path):
    narrators = pool(regrow_after_s=1000.0)
    texts = ["It was a small thing to say.", "And then something LARGE came in.", "After that all was quiet again."]
    (key, first), (large_key, large), (_, last) = one_by_one(narrators, texts)
    assert (first.key, first.fallback) == (key, "")
    assert large.fallback == "reference_s=3.0, rows=1"
    assert large.key == fallback_key(large_key, large.fallback)
    assert last.fallback == large.fallback  # it is not quiet yet
    assert all(take_path(tmp_path, answer.key).exists() for answer in (first, large, last))
    assert narrators.status().workers[0].fallbacks == ("micro_batch", "short_reference")


def test_a_device_without_room_for_the_model_takes_one_fallback_after_the_other_and_comes_back(pool, fault_folder):
    (fault_folder / "full").touch()
    narrators = pool(regrow_after_s=0.0)
    texts = [f"Nobody came to the door that night, {number} of them said." for number in range(5)]
    answers = one_by_one(narrators, texts)
    for _ in range(2):  # each time it tries to do without, in vain
        key, answer = next(answers)
        assert answer.fallback == "reference_s=3.0, rows=1"
        assert answer.key == fallback_key(key, answer.fallback)
    (fault_folder / "full").unlink()
    assert [answer.fallback for _, answer in answers][-1] == ""
    (worker,) = narrators.status().workers
    assert (worker.restarts, worker.fallbacks) == (0, ())


def test_a_device_without_room_for_the_model_and_no_fallback_is_waited_for(pool, fault_folder):
    (fault_folder / "full").touch()
    narrators = pool(fallbacks=())
    with pytest.raises(TryAgainError, match="no room on its device: The cpu device has no room for Chatterbox english"):
        list(one_by_one(narrators, ["Nobody came to the door that night."]))


@pytest.mark.parametrize(("missing_bytes", "tried"), [(1, 0), (0, 1)])
def test_a_card_that_is_still_full_costs_nothing_of_what_stands_elsewhere(engine, monkeypatch, missing_bytes, tried):
    models = engine._models
    stood = models.decoder, models.s3gen
    card = replace(models.placement, device="cuda")
    free_bytes = models._needs(card).least_bytes - missing_bytes
    tries = []

    def full(wanted):
        tries.append(wanted)
        raise DeviceFullError("There was less than it seemed.")

    monkeypatch.setattr(placement, "card_memory", lambda: CardMemory(free_bytes, 0, 0))
    monkeypatch.setattr(models, "_change_to", full)
    with pytest.raises(DeviceFullError):
        models.place(card)
    assert tries == [card] * tried
    assert (models.decoder, models.s3gen) == stood
