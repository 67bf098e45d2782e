"""Hundreds of utterances of all lengths, by the program that measures thousands of them, in a process of its own."""

from dataclasses import asdict

import pytest
from chatterbox_bench.order import Order

from speedd.commands.bench.machine import run_alone

pytest.importorskip("torch", reason="the chatterbox extra is not installed")
pytest.importorskip("chatterbox", reason="the chatterbox extra is not installed")

CHUNKS = 500
WARM_UP = 2
"""Windows of 50 chunks: after these the caches are full, and the longest row has been there."""
MOST_MB = 50
"""What holes in the heap and a longer row may still add, 10 to 25 MB as measured. 0.3 MB a chunk would add 120; shapes
that are all remembered add 300."""
MOST_TENSORS = 60
"""The prompts that are kept are of more or less text; one tensor a chunk would add 400."""


def test_hundreds_of_utterances_leave_nothing_behind(checkpoint, tmp_path, monkeypatch):
    for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        monkeypatch.delenv(name, raising=False)  # an engine in this process has set them
    order = Order(str(checkpoint("english", mean_tokens=6)), "english", "fp32", chunks=CHUNKS, watermark=False)
    windows = run_alone("chatterbox_bench.long", asdict(order), tmp_path).said["windows"]
    settled, rest = windows[WARM_UP - 1], windows[WARM_UP:]
    assert sum(one["chunks"] for one in windows) == CHUNKS
    assert max(one["rss_mb"] for one in rest) - settled["rss_mb"] < MOST_MB
    assert max(one["tensors"] for one in rest) - settled["tensors"] < MOST_TENSORS
    assert [one["hooks"] for one in windows] == [0] * len(windows)
