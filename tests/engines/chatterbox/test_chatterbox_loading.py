"""Weights are read without being in memory as a whole."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the chatterbox extra is not installed")
pytest.importorskip("chatterbox", reason="the chatterbox extra is not installed")

from speedd.engines.chatterbox import t3  # noqa: E402
from speedd.engines.chatterbox.t3 import TensorFile  # noqa: E402


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
