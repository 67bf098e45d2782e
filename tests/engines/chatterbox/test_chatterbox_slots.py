"""A device without room for all slots: fewer are taken, and what they say sounds the same."""

import shutil
import weakref
from dataclasses import replace

import pytest

from speedd.engines.base import EngineOptions
from speedd.engines.chatterbox.families import FAMILIES
from speedd.engines.chatterbox.memory.budget import FINISHED_ROWS, MARGIN_BYTES, Needs, Share, t3_size
from speedd.errors import DeviceFullError, EngineError, VoiceError

torch = pytest.importorskip("torch", reason="the chatterbox extra is not installed")
pytest.importorskip("chatterbox", reason="the chatterbox extra is not installed")

from chatterbox_tiny_engine import Company, digests, load, spoken, utterances  # noqa: E402

from speedd.engines.chatterbox.memory.placement import placed  # noqa: E402
from speedd.engines.chatterbox.t3 import decoder as decoding  # noqa: E402


@pytest.fixture(scope="module", params=["english", "turbo"])
def model(request):
    return request.param


@pytest.fixture(scope="module")
def folder(checkpoint, model):
    return checkpoint(model, mean_tokens=20, reference_s=4.0)


def full_above(monkeypatch, rows):
    """Let caches of more rows than this find no room; return the rows that were asked for."""
    real, asked = decoding.KvCache, []

    def tight(shape, count, **named):
        asked.append(count)
        if count > rows:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(shape, count, **named)

    monkeypatch.setattr(decoding, "KvCache", tight)
    return asked


def test_slots_that_do_not_fit_are_halved_until_they_do_and_nothing_sounds_different(folder, model, monkeypatch):
    engine = load(folder, model=model, rows=6)
    own = digests(spoken(engine, utterances(engine)))
    each = 2 if model == "english" else 1
    asked = full_above(monkeypatch, 1 * each + 1)
    tight = load(folder, model=model, rows=6)
    assert asked == [slots * each + 1 for slots in (6, 3, 1)]
    assert tight.info == engine.info
    assert (engine.budget().rows, tight.budget().rows) == (6, 1)
    assert digests(spoken(tight, utterances(tight))) == own


def test_a_device_without_room_for_one_slot_says_so_and_is_loaded_when_there_is_some(folder, model, monkeypatch):
    with monkeypatch.context() as patch:
        asked = full_above(patch, 0)
        engine = load(folder, model=model, rows=4)
        assert len(asked) == 3
        with pytest.raises(DeviceFullError, match="no room"):
            engine.prewarm(engine.info.voices[0])
        assert engine.budget().rows >= 1
    engine.prewarm(engine.info.voices[0])
    own = digests(spoken(load(folder, model=model, rows=4), utterances(engine)))
    assert digests(spoken(engine, utterances(engine))) == own


def test_weights_that_turn_out_to_be_no_good_when_there_is_room_for_them_are_no_voices_fault(
    folder, model, monkeypatch, tmp_path
):
    from safetensors.torch import load_file, save_file  # noqa: PLC0415

    copy = shutil.copytree(folder, tmp_path / "weights")
    with monkeypatch.context() as patch:
        full_above(patch, 0)
        engine = load(copy, model=model, rows=4)
    file = copy / FAMILIES[model].files.t3
    tensors = load_file(file)
    del tensors["speech_head.weight"]
    save_file(tensors, file)
    engine._models._t3.drop()  # as when its own weights found no room
    with pytest.raises(EngineError, match=r"holds no tensor speech_head\.weight") as refused:
        engine.prewarm(engine.info.voices[0])
    assert not isinstance(refused.value, VoiceError)


def test_what_fitted_once_is_no_more_than_that_until_it_is_set_up_anew(folder, model, monkeypatch):
    engine = load(folder, model=model, rows=4)
    with monkeypatch.context() as patch:
        full_above(patch, 5)
        engine.fall_back(("micro_batch",))
        engine.fall_back(())
        assert engine.budget().rows == (2 if model == "english" else 4)
    engine.fall_back(("micro_batch",))
    engine.fall_back(())
    assert engine.budget().rows == 4


def test_slots_that_nobody_needs_come_back_and_half_of_them_is_enough_where_others_need_memory(folder, model):
    engine = load(folder, model=model, rows=4)
    own = digests(spoken(engine, utterances(engine)))
    for shrink, rows in ((True, 2), (False, 4)):
        cache = weakref.ref(engine._models.decoder._cache)
        engine.release_memory(shrink=shrink)
        assert cache() is None
        assert digests(spoken(engine, utterances(engine))) == own
        assert engine.budget().rows == rows


def test_slots_in_which_something_is_spoken_stay(folder, model):
    engine = load(folder, model=model, rows=4)
    own = digests(spoken(engine, utterances(engine)))
    answers, decoder = {}, engine._models.decoder
    company = Company(utterances(engine))
    for answer in engine.synthesize(company):
        company.answered += 1
        engine.release_memory(shrink=True)
        assert engine._models.decoder is decoder
        answers[answer.key] = answer
    assert digests(answers) == own


def test_on_a_card_s3gen_renders_as_many_together_as_there_is_room_for_now(folder, model, monkeypatch):
    engine = load(folder, model=model, rows=4)
    models = engine._models
    ready = models.set_up()
    reserve_bytes, kept_bytes = EngineOptions(None).reserve_bytes, 100
    rendered, real = [], ready[1].render

    def render(rows):
        rendered.append(ready[1].rows)
        return real(rows)

    monkeypatch.setattr(ready[1], "render", render)
    monkeypatch.setattr(models, "set_up", lambda: ready)
    monkeypatch.setattr(models, "share", Share(4, 4))
    monkeypatch.setattr(models, "placement", replace(models.placement, device="cuda", precision="bf16"))
    needs = models.needs
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 1000 + kept_bytes)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: 1000)
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda: 1.0)
    for rows in (4, 2, 1):
        free_bytes = needs.workspace_bytes(rows) + reserve_bytes - kept_bytes + 1
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda free_bytes=free_bytes: (free_bytes, 24 << 30))
        budget = engine.budget()
        assert (budget.free_bytes, budget.idle_bytes, budget.used_bytes) == (free_bytes, kept_bytes, 1000 + kept_bytes)
        assert budget.workspace_bytes == needs.workspace_bytes(rows)
        assert budget.rows == 4 + FINISHED_ROWS
        spoken(engine, utterances(engine))
        assert set(rendered) == {rows}
        rendered.clear()


def test_room_is_kept_for_a_whole_batch_also_on_a_device_that_is_no_card(folder, model, monkeypatch):
    engine = load(folder, model=model, rows=4)
    models = engine._models
    monkeypatch.setattr(models, "placement", replace(models.placement, device="mps", precision="bf16"))
    monkeypatch.setattr(models, "share", Share(4, 4))
    assert engine.budget().workspace_bytes == models.needs.workspace_bytes(4)


@pytest.mark.parametrize(
    ("device", "precision", "rows"),
    [("cuda", "bf16", 16), ("cuda", "fp32", 1), ("mps", "fp32", 1), ("cpu", "bf16", 1), ("cpu", "fp32", 1)],
)
def test_in_fp32_s3gen_renders_one_by_one_on_every_device(device, precision, rows):
    shape = {"rows": "64", "reference_s": "10.0", "threads": ""}
    assert placed(device, {"precision": precision, "estimator": precision, **shape}).s3gen_rows == rows


def test_the_sizes_in_the_arithmetic_are_those_of_the_cache():
    for name, family in FAMILIES.items():
        assert t3_size(family).slot_tokens == decoding.row_length(family), name


def test_the_slots_of_a_card_are_sized_by_what_is_free_there(folder, model, monkeypatch):
    """As on a GPU: what `_fitting` asks of the device, without one."""
    engine = load(folder, model=model, rows=64)
    want = placed("cuda", engine.info.numerics)
    needs = Needs(t3_size(FAMILIES[model]), 10.0, 4)
    for asked, said in (("memory_reserved", 0), ("memory_allocated", 0), ("get_per_process_memory_fraction", 1.0)):
        monkeypatch.setattr(torch.cuda, asked, lambda said=said: said)
    for free_bytes in (6 << 30, 20 << 30):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda free_bytes=free_bytes: (free_bytes, 24 << 30))
        share = engine._models._fitting(want)
        assert 1 < share.slots <= 64
        assert share.s3gen_rows == 1  # in fp32
        work = needs.workspace_bytes(share.s3gen_rows)
        assert needs.cache_bytes(share.slots) + work + MARGIN_BYTES + EngineOptions(None).reserve_bytes <= free_bytes
