import subprocess
import sys

import pytest
from chatterbox_bench.roofline import CARDS, Card, s3gen_s, t3_step_s

from speedd.engines.chatterbox.memory.budget import ENGLISH, NANO, TURBO, S3GenWork

H100, RTX_3090, RTX_3060 = (
    CARDS[name] for name in ("NVIDIA H100 80GB HBM3", "NVIDIA GeForce RTX 3090", "NVIDIA GeForce RTX 3060")
)


def test_a_step_reads_the_layers_and_the_head():
    llama = 30 * (4 * 1024**2 + 3 * 1024 * 4096) + 8194 * 1024
    gpt_medium, gpt_small = (12 * layers * width**2 + 6563 * width for layers, width in ((24, 1024), (12, 768)))
    for size, parameters in ((ENGLISH, llama), (TURBO, gpt_medium), (NANO, gpt_small)):
        assert size.step_bytes == pytest.approx(2 * parameters, rel=1e-3)
        assert size.step_bytes < size.weight_bytes


@pytest.mark.parametrize(
    ("card", "rows", "realtime"),
    [(H100, 1, 91.6), (H100, 16, 730), (H100, 64, 1120), (RTX_3090, 16, 218), (RTX_3060, 64, 128.4)],
)
def test_few_rows_of_t3_wait_for_the_memory(card, rows, realtime):
    # 1 row on an H100: (1.023e9 + 2 * 300 * 122,880) bytes at 0.75 * 3.35e12 a second are 0.4365 ms.
    step_s = t3_step_s(card, ENGLISH, rows=rows, context=300)
    assert rows / step_s / 25 == pytest.approx(realtime, rel=2e-3)


def test_many_rows_of_t3_wait_for_the_sums():
    slow = Card(1e15, 1e12, 1.0, 1.0)
    # 64 * 2 rows of (1.023e9 + 4 * 30 * 1024 * 300) operations.
    assert t3_step_s(slow, ENGLISH, rows=64, context=300) == pytest.approx(0.13566, rel=1e-4)


def test_without_guidance_there_is_half_as_much_to_do():
    # (617e6 + 300 * 98,304) bytes at 2.5125e12 a second.
    assert t3_step_s(H100, TURBO, rows=1, context=300) == pytest.approx(0.2573e-3, rel=1e-3)


@pytest.mark.parametrize(("card", "realtime"), [(H100, 543.7), (RTX_3090, 44.6), (RTX_3060, 18.0)])
def test_s3gen_takes_what_its_operations_take(card, realtime):
    # 3.8236e12 operations for 6 s on 10 s of reference; an H100 gives 0.35 * 990e12 a second.
    assert 6 / s3gen_s(card, S3GenWork(1, 10, 6), steps=10) == pytest.approx(realtime, rel=2e-3)
    assert s3gen_s(card, S3GenWork(8, 10, 6), steps=10) == pytest.approx(8 * 6 / realtime, rel=2e-3)


def test_it_needs_no_torch():
    code = "import sys; sys.modules['torch'] = None; import chatterbox_bench.sweep"
    subprocess.run([sys.executable, "-c", code], check=True)
