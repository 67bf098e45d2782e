"""Weights are read without being in memory as a whole."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the chatterbox extra is not installed")
pytest.importorskip("chatterbox", reason="the chatterbox extra is not installed")

from speedd.engines.chatterbox import t3  # noqa: E402
from speedd.engines.chatterbox.families import FAMILIES  # noqa: E402
from speedd.engines.chatterbox.loading import family_of  # noqa: E402
from speedd.engines.chatterbox.t3 import TensorFile  # noqa: E402
from speedd.engines.chatterbox.weights import DECLARATION, Weights  # noqa: E402


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


@pytest.mark.parametrize(
    ("declared", "watched"),
    [
        (None, True),
        ('{"generated": 0, "size": "full", "heads": 16}', True),
        ('{"generated": 0, "size": "tiny"}', False),
    ],
)
def test_heads_are_watched_wherever_there_are_the_layers_for_them(tmp_path, declared, watched):
    if declared:
        (tmp_path / DECLARATION).write_text(declared, encoding="utf-8")
    english = FAMILIES["english"]
    found = family_of(Weights(english, tmp_path, ""))
    assert found.guards.heads == (english.guards.heads if watched else ())
    assert found.guards.stall_steps == english.guards.stall_steps
