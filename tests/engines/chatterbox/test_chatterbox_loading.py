"""Weights are read without being in memory as a whole."""

import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from speedd.errors import EngineError

torch = pytest.importorskip("torch", reason="the chatterbox extra is not installed")
pytest.importorskip("chatterbox", reason="the chatterbox extra is not installed")

from speedd.engines.chatterbox.families import FAMILIES  # noqa: E402
from speedd.engines.chatterbox.weights import tensor_file  # noqa: E402
from speedd.engines.chatterbox.weights.files import Weights  # noqa: E402
from speedd.engines.chatterbox.weights.loading import load_t3  # noqa: E402
from speedd.engines.chatterbox.weights.tensor_file import TensorFile  # noqa: E402


def mapped_bytes():
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssFile"))


def test_a_file_is_never_in_memory_as_a_whole(tmp_path, monkeypatch):
    from safetensors.torch import save_file  # noqa: PLC0415

    each, count = 2_000_000, 32
    path = tmp_path / "large.safetensors"
    save_file({str(number): torch.full((each // 4,), float(number)) for number in range(count)}, path)
    monkeypatch.setattr(tensor_file, "MAPPED_BYTES", 4 * each)
    tensors = TensorFile(path)
    before = mapped_bytes()
    highest = 0
    for number in range(count):
        assert bool((tensors[str(number)] == number).all())
        highest = max(highest, mapped_bytes() - before)
    assert highest < 8 * each


@pytest.mark.parametrize("held", [Path("tensors"), [torch.zeros(3)], torch.zeros(3)], ids=["object", "list", "tensor"])
def test_a_file_of_something_else_is_named(tmp_path, held):
    torch.save(held, tmp_path / "s3gen.pt")
    with pytest.raises(EngineError, match=r"s3gen\.pt cannot be read: it holds something else than tensors\. Fetch"):
        TensorFile(tmp_path / "s3gen.pt")


def test_a_file_that_is_damaged_anywhere_raises_nothing_else(tmp_path):
    path = tmp_path / "s3gen.pt"
    torch.save({"a": torch.zeros(3)}, path)
    whole = path.read_bytes()
    pickled = whole.index(b"data.pkl")
    for place in range(pickled + 64, whole.index(b"PK", pickled)):
        path.write_bytes(whole[:place] + b"\xd5" + whole[place + 1 :])
        with suppress(EngineError):  # in some places it does no harm
            TensorFile(path)


UNUSED = {"text_head.weight", "tfmr.embed_tokens.weight", "tfmr.wte.weight"}
"""What T3 was trained with and does not speak with."""


def name_of_misfit(error):
    """The tensor that an error names as the one that does not fit, having looked at all that it says."""
    message = str(error)
    assert "\n" not in message
    assert message.endswith("another model, or is damaged. Check [engines.chatterbox] model, or get the file again.")
    file, _, told = message.partition(" does not fit: its tensor ")
    assert Path(file).is_file()
    return told.split()[0]


@pytest.mark.parametrize("model", ["english", "turbo"])
def test_whichever_tensor_of_t3_is_of_a_wrong_shape_it_is_named_in_one_line(checkpoint, tmp_path, model):
    from safetensors.torch import load_file, save_file  # noqa: PLC0415

    folder = shutil.copytree(checkpoint(model), tmp_path / "weights")
    family = FAMILIES[model]
    file = folder / family.files.t3
    # Copies: what is loaded may be the file itself, which is written over.
    tensors = {name: tensor.clone() for name, tensor in load_file(file).items() if name not in UNUSED}

    def named(name, changed):
        save_file({**tensors, name: changed.contiguous()}, file)
        with pytest.raises(EngineError) as refused:
            load_t3(Weights(family, folder, ""), precision="fp32", device="cpu")
        return name_of_misfit(refused.value)

    for name, whole in tensors.items():
        assert named(name, whole[None]) == name, "of more dimensions"
        if name != "speech_emb.weight":  # by whose width the others are measured
            assert named(name, whole.narrow(-1, 0, whole.size(-1) - 1)) == name, "cut short"
    assert named("speech_emb.weight", tensors["speech_emb.weight"][:, :-1]) == "text_emb.weight"


@pytest.mark.parametrize(
    ("model", "tensor", "rows", "named"),
    [
        ("english", "speech_emb.weight", 6562, "speech_emb.weight"),
        ("english", "speech_emb.weight", 8193, "speech_head.weight"),
        ("english", "speech_pos_emb.emb.weight", 1400, "speech_pos_emb.emb.weight"),
        ("english", "text_pos_emb.emb.weight", 1400, "text_pos_emb.emb.weight"),
        ("english", "tfmr.layers.0.mlp.gate_proj.weight", 127, "tfmr.layers.0.mlp.up_proj.weight"),
        ("english", "tfmr.layers.1.mlp.gate_proj.weight", 127, "tfmr.layers.1.mlp.gate_proj.weight"),
        ("turbo", "tfmr.wpe.weight", 1700, "tfmr.wpe.weight"),
        ("turbo", "speech_head.bias", 6562, "speech_head.bias"),
    ],
)
def test_too_few_rows_are_a_wrong_shape_too(checkpoint, tmp_path, model, tensor, rows, named):
    from safetensors.torch import load_file, save_file  # noqa: PLC0415

    folder = shutil.copytree(checkpoint(model), tmp_path / "weights")
    file = folder / FAMILIES[model].files.t3
    tensors = {name: held.clone() for name, held in load_file(file).items()}  # the file itself is written over
    save_file(tensors | {tensor: tensors[tensor][:rows].clone()}, file)
    with pytest.raises(EngineError) as refused:
        load_t3(Weights(FAMILIES[model], folder, ""), precision="fp32", device="cpu")
    assert name_of_misfit(refused.value) == named


def test_weights_of_the_other_kind_of_model_are_told_by_a_tensor_that_they_lack(checkpoint, tmp_path):
    english, turbo = FAMILIES["english"], FAMILIES["turbo"]
    for theirs, asked in ((english, turbo), (turbo, english)):
        folder = tmp_path / asked.name
        folder.mkdir()
        shutil.copy(checkpoint(theirs.name) / theirs.files.t3, folder / asked.files.t3)
        with pytest.raises(EngineError, match=r"holds no tensor \S+: it belongs to another model"):
            load_t3(Weights(asked, folder, ""), precision="fp32", device="cpu")
