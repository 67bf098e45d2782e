"""Weights are read without being in memory as a whole."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the chatterbox extra is not installed")
pytest.importorskip("chatterbox", reason="the chatterbox extra is not installed")

from speedd.engines.chatterbox import t3  # noqa: E402
from speedd.engines.chatterbox.families import FAMILIES  # noqa: E402
from speedd.engines.chatterbox.loading import load_s3gen  # noqa: E402
from speedd.engines.chatterbox.t3 import TensorFile  # noqa: E402
from speedd.engines.chatterbox.weights import find_weights  # noqa: E402
from speedd.errors import EngineError  # noqa: E402


def mapped_bytes():
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssFile"))


def test_a_file_is_never_in_memory_as_a_whole(tmp_path, monkeypatch):
    from safetensors.torch import save_file  # noqa: PLC0415

    each, count = 2_000_000, 32
    path = tmp_path / "large.safetensors"
    save_file({str(number): torch.full((each // 4,), float(number)) for number in range(count)}, path)
    monkeypatch.setattr(t3, "MAPPED_BYTES", 4 * each)
    tensors = TensorFile(path)
    before = mapped_bytes()
    highest = 0
    for number in range(count):
        assert bool((tensors[str(number)] == number).all())
        highest = max(highest, mapped_bytes() - before)
    assert highest < 8 * each


def test_speaking_takes_no_ears(checkpoint):
    weights = find_weights(FAMILIES["english"], checkpoint("english"), "", {})
    speaks, listens = (load_s3gen(weights, listens=listens) for listens in (False, True))
    assert not any(name.startswith(("tokenizer.", "speaker_encoder.")) for name in speaks.state_dict())
    heard = listens.state_dict()
    assert any(name.startswith("tokenizer.") for name in heard)
    assert all(torch.equal(tensor, heard[name]) for name, tensor in speaks.state_dict().items())


def test_a_tensor_of_another_shape_is_named(checkpoint, tmp_path):
    from safetensors.torch import load_file, save_file  # noqa: PLC0415

    folder = checkpoint("english")
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    tensors = load_file(folder / "s3gen.safetensors")
    name = "flow.encoder_proj.bias"
    tensors[name] = tensors[name][:-1].clone()
    (tmp_path / "s3gen.safetensors").unlink()
    save_file(tensors, tmp_path / "s3gen.safetensors")
    with pytest.raises(EngineError, match=name):
        load_s3gen(find_weights(FAMILIES["english"], tmp_path, "", {}), listens=False)
