"""A book through the daemon with ``engine = "chatterbox"`` on tiny weights: every stage real, the sound meaningless."""

import importlib.util
import json
import subprocess
import sys

import pytest

if any(importlib.util.find_spec(module) is None for module in ("torch", "chatterbox")):
    pytest.skip("the chatterbox extra is not installed", allow_module_level=True)

TEXT = """The Sea

The harbour lay so still that evening that the lamps along the quay seemed to stand on their own reflections.

“Is that really all?” he asked her at last. It was all that anyone had ever written down.
"""


def test_a_book_is_narrated(checkpoint, tmp_path):
    folder = checkpoint("english", mean_tokens=90)
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "Sea.txt").write_text(TEXT)
    (tmp_path / "speedd.toml").write_text(
        '[paths]\ninbox = "inbox"\noutbox = "outbox"\nstate = "state"\nvoices = "voices"\n'
        '[inbox]\nsettle_s = 0\nafter_publish = "keep"\n[engine]\nname = "chatterbox"\n'
        f'[chatterbox]\nweights = "{folder}"\nprecision = "fp32"\ndevice = "cpu"\nrows = 4\n'
    )
    ran = subprocess.run(
        [sys.executable, "-m", "speedd", "run", "--once", "--config", str(tmp_path / "speedd.toml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    (book,) = (tmp_path / "outbox").glob("*/Sea")
    log = json.loads((book / "run.json").read_text())
    assert log["engine"]["name"] == "chatterbox"
    assert log["engine"]["numerics"]["precision"] == "fp32"
    assert len(log["engine"]["model_digest"]) == 64
    assert len(log["chunks"]) >= 3
    assert (book / "Sea.m4b").stat().st_size > 10_000
    captions = (book / "Sea.vtt").read_text()
    assert "The harbour lay so still" in captions
    assert captions.count("-->") >= 3
    said = [take for chunk in log["chunks"] for take in chunk["takes"]]
    assert {take["stop_reason"] for take in said} <= {"end", "cap"}  # some of these weights babble on
    assert all(take["word_starts_s"] == sorted(take["word_starts_s"]) != [] for take in said)
    # Two sentences of one chunk, each with a caption of its own.
    assert len(log["chunks"]) < captions.count("-->")
    assert "\n“Is that really all?” he asked her at last.\n" in captions
    assert "\nIt was all that anyone had ever written down.\n" in captions
