"""The sweep over rows and cards on invented measurements; the real ones are in test_bench_chatterbox."""

from dataclasses import replace

import pytest
from chatterbox_bench.contest import Plan
from chatterbox_bench.order import Order
from chatterbox_bench.report import sweep_lines
from chatterbox_bench.sweep import Beside, sweep

from speedd.engines.chatterbox.probe import Machine
from speedd.errors import SpeeddError

ORDER = Order("", "english", "bf16", device="cuda")
H100 = Machine("cuda", "bf16", "NVIDIA H100 80GB HBM3", 80 * 2**30)
STOCK = {"t3": 2.0, "s3gen": 3.0, "engine": 1.2}
MEASURED = {
    "seconds": 2.0,
    "peak_device_mb": 5000.0,
    "reserved_device_mb": 6000.0,
    "disturbed": False,
    "others_s": 0.0,
}


def run(program, order):
    if order.memory_gb == 6:
        return {"out_of_memory": True, "peak_device_mb": 5800.0}
    if order.memory_gb == 8:
        raise SpeeddError("engine ended with status -11")
    return MEASURED


def swept(device):
    return sweep(ORDER, Beside(device, STOCK, 64.0), rows=(1, 8), cards_gb=(6, 8, 12, 96), run=run)


def test_rows_are_held_against_stock_and_the_estimate():
    found = swept(H100)
    one, eight = found["t3"]
    assert (one["tokens_per_s"], one["realtime"], one["stock_ratio"]) == (75, 3, 1.5)
    assert (eight["tokens_per_s"], eight["realtime"], eight["stock_ratio"]) == (600, 24, 12)
    # 150 steps of (1.023e9 + 2 * 175 * 122,880) bytes at 2.5125e12 a second: 36 of prompt, 64 of text, 75 of speech.
    assert one["estimate_share"] == pytest.approx(63.64e-3 / 2, rel=1e-3)
    # 3.8236e12 operations at 346.5e12 a second.
    assert found["s3gen"][0]["estimate_share"] == pytest.approx(11.035e-3 / 2, rel=1e-3)
    assert found["engine"][0]["estimate_share"] == pytest.approx((63.64e-3 + 11.035e-3) / 2, rel=1e-3)


def test_a_row_that_fails_costs_no_other():
    full, broken, twelve, larger = swept(H100)["limited"]
    assert (full["memory_gb"], full["rows"], full["out_of_memory"], full["peak_device_mb"]) == (6, 6, True, 5800)
    assert (broken["memory_gb"], broken["failed"]) == (8, "engine ended with status -11")
    assert twelve["rows"] > broken["rows"] > full["rows"]
    assert twelve["realtime"] == twelve["rows"] * 6 / 2
    assert larger == {"memory_gb": 96, "left_out": True}


def test_the_report_says_what_became_of_each_row():
    told = list(sweep_lines(swept(H100), tokens=150))
    assert "Estimate: 75% of its 3.35 TB/s and 35% of its 990 TFLOPS in bf16." in told
    assert "            8     600.0       24.00     12.0           4%    5000    6000" in told
    assert "   6 GB     6 ran out of the card's memory" in told
    assert any(line.startswith("   8 GB") and line.endswith("failed: engine ended with status -11") for line in told)
    assert "  96 GB left out: this card is smaller" in told


def test_a_card_that_nobody_knows_has_no_estimate():
    found = swept(replace(H100, name="NVIDIA H100 80GB HBM3 MIG 1g.10gb"))
    assert found["estimate"] is None
    assert "estimate_share" not in found["t3"][0]
    told = "\n".join(sweep_lines(found, tokens=150))
    assert "not known here, so there is no estimate" in told
    assert "            8     600.0       24.00     12.0            –    5000    6000" in told


def test_a_graphics_card_is_swept():
    plan = Plan.on("cuda", None)
    assert (plan.rows, plan.cards_gb, plan.precisions) == ((1, 8, 32, 64), (6, 8, 12, 24), ("bf16",))
    assert Plan.on("cpu", None) == Plan()
