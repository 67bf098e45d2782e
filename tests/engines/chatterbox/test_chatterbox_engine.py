"""The whole engine on tiny generated weights."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from speedd.errors import EngineError, VoiceError
from speedd.model import Failed, Style, Take, Voice

torch = pytest.importorskip("torch", reason="the chatterbox extra is not installed")
pytest.importorskip("chatterbox", reason="the chatterbox extra is not installed")

from chatterbox_tiny_engine import TEXTS, Company, digests, load, spoken, utterances  # noqa: E402

from speedd.engines.chatterbox import factory  # noqa: E402
from speedd.engines.chatterbox.memory.placement import Placement  # noqa: E402


@pytest.fixture(scope="module")
def folder(checkpoint):
    return checkpoint("english", mean_tokens=40)


@pytest.fixture(scope="module")
def engine(folder):
    engine = load(folder)
    yield engine
    engine.close()


def test_a_take_has_the_promised_form(engine):
    for key, take in spoken(engine, utterances(engine)).items():
        assert isinstance(take, Take)
        assert take.wave.dtype == np.float32
        assert take.wave.ndim == 1
        assert np.isfinite(take.wave).all()
        assert np.abs(take.wave).max() <= 1.0
        assert take.stop_reason == "end"
        assert [word.text for word in take.words] == key.removeprefix("key of ").replace(":", ",").split()
        starts = [word.start_s for word in take.words]
        assert starts == sorted(starts)
        assert take.words[-1].end_s == pytest.approx(len(take.wave) / take.sample_rate_hz)


def test_it_counts_the_tokens_that_it_decodes(engine):
    before = engine.budget().tokens
    takes = spoken(engine, utterances(engine)).values()
    said = sum(len(take.wave) for take in takes) // 960  # each is 40 ms
    assert abs(engine.budget().tokens - before - said) <= len(takes)


@pytest.mark.parametrize(
    ("model", "precision"), [("english", "fp32"), ("english", "bf16"), ("english", "int8"), ("turbo", "fp32")]
)
def test_the_same_bits_in_any_company_and_order(checkpoint, model, precision):
    engine = load(checkpoint(model, mean_tokens=40), model=model, precision=precision)
    work = utterances(engine)
    together = digests(spoken(engine, work))
    assert len(set(together.values())) == len(work)
    assert digests(spoken(engine, work[::-1])) == together
    for one in work[:2]:
        assert digests(spoken(engine, [one])) == {one.key: together[one.key]}
    # Its prefix is computed anew, in a cache that another's text has made long.
    long = replace(work[2], key="long", text=" ".join([work[2].text] * 4), style=Style(exaggeration=0.9))
    fresh = load(checkpoint(model, mean_tokens=40), model=model, precision=precision)
    assert digests(spoken(fresh, [long, work[0]]))[work[0].key] == together[work[0].key]
    assert digests(spoken(engine, [replace(work[0], seed=99)])) != {work[0].key: together[work[0].key]}


@pytest.mark.parametrize("text", ["", " ", "* * *", "…", "?!", "\u200b"])
def test_nothing_to_speak_gives_no_samples_and_is_no_fault(engine, text):
    (take,) = spoken(engine, utterances(engine, [text])).values()
    assert (len(take.wave), take.stop_reason) == (0, "nothing_to_speak")


def test_texts_it_cannot_speak_fail_as_values_and_the_others_are_spoken(engine):
    odd = {
        "a" * 2000: "too long",
        "word " * 400: "too long",
        "\ud800 lone": "no tokenizer takes",
        "これは本です": "does not know",
    }
    answers = spoken(engine, utterances(engine, [*odd, *TEXTS[:2], "A"]))
    for text, reason in odd.items():
        answer = answers[f"key of {text}"]
        assert isinstance(answer, Failed)
        assert reason in answer.reason
        assert text not in answer.reason
    assert all(isinstance(answers[f"key of {text}"], Take) for text in (*TEXTS[:2], "A"))


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_numbers_that_run_out_of_range_cost_one_utterance_not_the_batch(folder, precision, monkeypatch):
    engine = load(folder, precision=precision)
    work = utterances(engine)
    sound = digests(spoken(engine, work))
    decoder, bad = engine._models.decoder, work[2]
    head = decoder._t3.head

    def poisoned(hidden):
        logits = head(hidden)
        rows = (decoder._state.seed == bad.seed).repeat_interleave(2) & (decoder._state.taken > 5).repeat_interleave(2)
        return logits.masked_fill(rows[:, None], float("nan"))

    monkeypatch.setattr(decoder._t3, "head", poisoned)
    answers = spoken(engine, work)
    if precision == "fp32":
        assert isinstance(answers[bad.key], Failed)
        assert "out of range" in answers[bad.key].reason
    else:
        (in_full,) = spoken(load(folder, precision="fp32"), [bad]).values()
        assert answers[bad.key].words == in_full.words
    del answers[bad.key], sound[bad.key]
    assert digests(answers) == sound


def test_an_utterance_that_does_not_end_is_capped(checkpoint):
    engine = load(checkpoint("english", mean_tokens=0))
    (take,) = spoken(engine, utterances(engine, ["Why?"])).values()
    assert take.stop_reason == "cap"
    assert len(take.wave) / take.sample_rate_hz == pytest.approx((50 + 4 * len("Why?")) / 25)


def test_what_waits_for_mates_in_s3gen_keeps_no_row_of_t3_idle(folder, monkeypatch):
    monkeypatch.setattr(Placement, "s3gen_rows", 4)  # as on a GPU
    engine = load(folder)
    company = Company(utterances(engine, [f"{number} and {text}" for number in range(4) for text in TEXTS]))
    idle = []

    def take(most, *, block):
        rows = min(most, engine.budget().rows - (company.given - company.answered))
        taken = Company.take(company, rows, block=block) if rows else []
        if company.waiting:
            idle.append(engine._models.decoder.free - len(taken))
        return taken

    company.take = take
    for _ in engine.synthesize(company):
        company.answered += 1
    assert company.answered == 16
    assert not any(idle)


def test_on_several_cores_rows_are_rendered_side_by_side_and_each_sounds_as_it_does_alone(folder, monkeypatch):
    monkeypatch.setattr(factory, "_threads", lambda: "2")
    engine = load(folder)
    work = utterances(engine)
    assert engine._models.s3gen.at_once == 2
    assert engine.budget().rows == 4  # three in T3, and one that waits for company
    together = digests(spoken(engine, work))
    for one in work:
        assert digests(spoken(engine, [one])) == {one.key: together[one.key]}
    engine.fall_back(("micro_batch",))
    assert engine._models.s3gen.at_once == 1
    assert engine.budget().rows == 1
    engine.fall_back(())
    assert digests(spoken(engine, work)) == together


def test_the_watermark_is_there_unless_a_setting_says_otherwise(folder, engine):
    marked = load(folder, watermark=True)
    work = utterances(engine, TEXTS[3:])
    (plain,), (heard,) = spoken(engine, work).values(), spoken(marked, work).values()
    marked.close()
    assert plain.wave.shape == heard.wave.shape
    assert not np.array_equal(plain.wave, heard.wave)
    assert np.abs(plain.wave - heard.wave).max() < 0.1


# --- weights ---------------------------------------------------------------------------------------------------------


def damaged(folder, tmp_path):
    copy = tmp_path / "weights"
    shutil.copytree(folder, copy)
    return copy


def test_missing_files_are_named(folder, tmp_path):
    copy = damaged(folder, tmp_path)
    (copy / "ve.safetensors").unlink()
    (copy / "conds.pt").unlink()
    with pytest.raises(EngineError, match=r"ve\.safetensors, conds\.pt not found.*into the folder"):
        load(copy)
    with pytest.raises(EngineError, match=r"not on this machine.*check --download"):
        load("", revision="nobody-has-this")


@pytest.mark.parametrize("name", ["t3_cfg.safetensors", "s3gen.safetensors", "tokenizer.json", "conds.pt"])
def test_a_file_that_was_cut_short_is_named(folder, tmp_path, name):
    copy = damaged(folder, tmp_path)
    (copy / name).write_bytes((folder / name).read_bytes()[:-100])
    with pytest.raises(EngineError, match=rf"{name} is damaged"):
        load(copy)


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("t3_cfg.safetensors", "tfmr.layers.1.mlp.up_proj.weight"),
        ("t3_cfg.safetensors", "speech_pos_emb.emb.weight"),
        ("t3_cfg.safetensors", "cond_enc.emotion_adv_fc.weight"),
        ("s3gen.safetensors", "flow.encoder_proj.weight"),
    ],
)
def test_a_missing_tensor_is_named(folder, tmp_path, name, tensor):
    from safetensors.torch import load_file, save_file  # noqa: PLC0415

    copy = damaged(folder, tmp_path)
    tensors = load_file(folder / name)
    del tensors[tensor]
    save_file(tensors, copy / name)
    with pytest.raises(EngineError, match=tensor.replace(".", r"\.")):
        load(copy)


def misfit(name, tensor):
    tensor = tensor.replace(".", r"\.")
    return rf"^\S+/{name} does not fit: its tensor {tensor} is of shape \(.*\) instead of \(.*\)\. It belongs[^\n]*$"


def lacking(*keys):
    def make(path):
        kept = inner = torch.load(path, weights_only=True)
        for key in keys[:-1]:
            inner = inner[key]
        del inner[keys[-1]]
        torch.save(kept, path)

    return make


@pytest.mark.parametrize(
    ("name", "make", "says"),
    [
        ("conds.pt", lacking("gen"), r"own voice in .*conds\.pt cannot be read: it lacks gen\. Get the file again"),
        ("conds.pt", lacking("t3", "speaker_emb"), "it lacks speaker_emb"),
        ("conds.pt", lambda path: torch.save(torch.zeros(3), path), "it holds something else"),
        (
            "tokenizer.json",
            lambda path: path.write_text("{}"),
            r"tokenizer in .* cannot be loaded.*Get tokenizer\.json",
        ),
        ("tokenizer.json", lambda path: path.write_text("[1]"), "cannot be loaded"),
    ],
)
def test_a_file_that_is_whole_and_holds_something_else_is_named(folder, tmp_path, name, make, says):
    copy = damaged(folder, tmp_path)
    make(copy / name)
    with pytest.raises(EngineError, match=says):
        load(copy)


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("t3_cfg.safetensors", "tfmr.layers.1.mlp.down_proj.weight"),
        ("s3gen.safetensors", "flow.encoder_proj.weight"),
    ],
)
def test_a_tensor_of_another_size_is_named(folder, tmp_path, name, tensor):
    from safetensors.torch import load_file, save_file  # noqa: PLC0415

    copy = damaged(folder, tmp_path)
    tensors = load_file(folder / name)
    tensors[tensor] = tensors[tensor][:-1].clone()
    save_file(tensors, copy / name)
    with pytest.raises(EngineError, match=misfit(name, tensor)):
        load(copy)


def test_v3_is_loaded_by_its_own_file_and_has_the_shapes_of_v2(checkpoint):
    from safetensors.torch import load_file  # noqa: PLC0415

    v2, v3 = checkpoint("multilingual", mean_tokens=60), checkpoint("multilingual-v3", mean_tokens=60)
    shapes, v2_shapes = (
        {name: tensor.shape for name, tensor in load_file(folder / f"t3_mtl23ls_{version}.safetensors").items()}
        for folder, version in ((v3, "v3"), (v2, "v2"))
    )
    assert shapes == v2_shapes
    with pytest.raises(EngineError, match=r"t3_mtl23ls_v3\.safetensors not found"):
        load(v2, model="multilingual-v3")
    engine = load(v3, model="multilingual-v3")
    work = [replace(one, language="fr") for one in utterances(engine, TEXTS[:1])]
    assert isinstance(spoken(engine, work)[work[0].key], Take)
    assert "de" in engine.info.languages


# --- voices ----------------------------------------------------------------------------------------------------------


def test_the_voice_is_heard(folder, tmp_path):
    import soundfile  # noqa: PLC0415

    rng = np.random.default_rng(3)
    wave = np.convolve(rng.normal(size=24_000 * 4), np.ones(8) / 8, "same").astype(np.float32) * 0.2
    path = tmp_path / "ann.wav"
    soundfile.write(path, wave, 24_000)
    engine = load(folder, tmp_path / "state")
    ann = Voice("ann", "a" * 64, path)
    own = digests(spoken(engine, utterances(engine, TEXTS[:1])))
    hers = digests(spoken(engine, utterances(engine, TEXTS[:1], voice=ann)))
    assert own != hers
    path.unlink()  # what was prepared is kept, whatever becomes of the sample
    again = load(folder, tmp_path / "state")
    again.prewarm(ann)
    assert digests(spoken(again, utterances(again, TEXTS[:1], voice=ann))) == hers


def test_what_listens_to_a_sample_and_is_no_good_is_no_voices_fault(folder, tmp_path):
    import soundfile  # noqa: PLC0415
    from safetensors.torch import load_file, save_file  # noqa: PLC0415

    soundfile.write(tmp_path / "ann.wav", np.random.default_rng(3).normal(size=24_000 * 2) * 0.1, 24_000)
    copy = damaged(folder, tmp_path)
    tensors = load_file(copy / "ve.safetensors")
    del tensors["proj.weight"]
    save_file(tensors, copy / "ve.safetensors")
    engine = load(copy, tmp_path / "state")
    ann = Voice("ann", "a" * 64, tmp_path / "ann.wav")
    with pytest.raises(EngineError, match=r"ve\.safetensors holds no tensor proj\.weight") as refused:
        engine.prewarm(ann)
    assert not isinstance(refused.value, VoiceError)
    with pytest.raises(EngineError, match=r"proj\.weight"):
        spoken(engine, utterances(engine, TEXTS[:1], voice=ann))
    assert isinstance(spoken(engine, utterances(engine, TEXTS[1:2])).popitem()[1], Take)


def test_a_picture_is_no_voice_and_the_others_go_on(engine, tmp_path):
    from PIL import Image  # noqa: PLC0415

    Image.new("RGB", (8, 8)).save(tmp_path / "voice.jpg")
    picture = Voice("picture", "p" * 64, tmp_path / "voice.jpg")
    with pytest.raises(VoiceError, match=r"voice\.jpg holds no sound"):
        engine.prewarm(picture)
    with pytest.raises(VoiceError, match=r"gone\.wav cannot be read: No such file"):
        engine.prewarm(Voice("gone", "g" * 64, tmp_path / "gone.wav"))
    bad, good = utterances(engine, TEXTS[:2])
    answers = spoken(engine, [replace(bad, voice=picture), good])
    assert isinstance(answers[bad.key], Failed)
    assert isinstance(answers[good.key], Take)
