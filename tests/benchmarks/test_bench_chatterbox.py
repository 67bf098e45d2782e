"""Chatterbox's benchmark on tiny weights: its ratios mean nothing, but every part runs and they must be consistent."""

import functools
import importlib
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from chatterbox_bench import contest
from chatterbox_bench.contest import Plan, run_chatterbox, run_long
from chatterbox_bench.order import DECLARATION, Order
from chatterbox_bench.report import lines, long_lines

from speedd.commands.bench.machine import Ran, run_alone
from speedd.engines.chatterbox import factory
from speedd.engines.chatterbox.factory import rows_on_gpu
from speedd.engines.chatterbox.families import FAMILIES
from speedd.engines.chatterbox.probe import Machine
from speedd.engines.chatterbox.settings import ChatterboxSettings
from speedd.errors import DeviceFullError, EngineError

torch = pytest.importorskip("torch", reason="the chatterbox extra is not installed")
pytest.importorskip("chatterbox", reason="the chatterbox extra is not installed")

from chatterbox_bench import t3  # noqa: E402
from chatterbox_bench.generated import TINY, accept_tiny_weights, generate  # noqa: E402

from speedd.engines.chatterbox.t3.cache import HeadWatch  # noqa: E402

CHUNKS, TOKENS = 3, 10
CARD = Machine("cpu", "bf16", "NVIDIA H100 80GB HBM3", 80 * 2**30)
"""What the processor is taken for, so that there is an estimate beside what it does."""


def run_here(module, order, folder):
    """Run one of the programs in this process: importing torch takes longer than all they do."""
    program = importlib.import_module(module)
    obeyed = importlib.import_module("chatterbox_bench.program").measured
    if module == contest.GENERATES:
        assert order.pop("size") == "tiny"
        # S3Gen has one size only: with a second of reference it takes no longer than it must.
        program.generate(Path(order.pop("folder")), order.pop("model"), program.TINY, **order, reference_s=1.0)
        return Ran(1.0, 1.0, {})
    with torch.no_grad():
        said = obeyed(program.measure, Order(**order))
    torch.set_num_threads(1)
    return Ran(1.0, 1.0, json.loads(json.dumps(said)))


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    accept_tiny_weights()
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="module")
def report(kept):
    plan = Plan(weights=kept, size="tiny", chunks=CHUNKS, tokens=TOKENS, rows=(1, 2), cards_gb=(6, 96))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contest, "run_alone", run_here)
        patch.setattr(contest, "probe", lambda *_: CARD)
        patch.setattr(factory, "probe", functools.cache(factory.probe))  # a process that imports torch, for each engine
        return run_chatterbox(plan)


def test_every_part_speaks_as_much_as_it_was_told(report):
    stock, *ours = report["t3"]
    assert stock["tokens"] == TOKENS
    assert [(one["name"], one["tokens"]) for one in ours] == [("bf16", CHUNKS * TOKENS), ("int8", CHUNKS * TOKENS)]
    assert list(report["engine"]) == list(report["nano"]["engine"]) == ["10", "3"]
    for name in ("10", "3"):
        assert report["engine"][name]["audio_s"] == pytest.approx(CHUNKS * TOKENS / 25)
        nano = report["nano"]["engine"][name]
        assert nano["audio_s"] == pytest.approx(CHUNKS * (TOKENS + 3) / 25)  # its closing silence


def test_the_figures_follow_from_what_was_measured(report):
    stock, *ours = report["t3"]
    found = report["figures"]
    for one in ours:
        assert 0 < one["prompts_s"] < one["seconds"]
        assert found["t3"][one["name"]] == pytest.approx(
            (one["tokens"] / one["seconds"]) / (stock["tokens"] / stock["seconds"])
        )
    stock_s3gen, s3gen = report["s3gen"]
    assert found["estimator"] == pytest.approx(stock_s3gen["estimator_step"] / s3gen["estimator_step"])
    stock_s = stock["seconds"] + stock_s3gen["chunk"]["10"]
    for name, engine in report["engine"].items():
        assert found["chunk"][name] == pytest.approx(stock_s / (engine["seconds"] / CHUNKS))
    for one in (s3gen, report["nano"]["s3gen"]):
        assert any("linear" in part["operation"] for part in one["profile"])
        assert 0 < sum(part["share"] for part in one["profile"]) <= 1
    for shares in found["shares"].values():
        assert sum(shares.values()) == pytest.approx(1)
    assert set(found["peak_mb"]) == {"T3, bf16", "T3, int8", "S3Gen", "whole engine", "whole engine, nano"}


def test_the_report_can_be_told_and_kept(report):
    told = "\n".join(lines(json.loads(json.dumps(report))))
    assert f"{report['figures']['nano_realtime']['3']:.2f} × realtime" in told
    assert "NVIDIA H100 80GB HBM3, 80.0 GB." in told
    assert "  96 GB left out: this card is smaller" in told


@pytest.mark.parametrize("part", ["t3", "s3gen", "engine"])
def test_every_part_is_swept_over_the_rows(report, part):
    stock = report["t3"][0]["tokens_per_s"] / 25, TOKENS / 25 / report["s3gen"][0]["chunk"]["10"]
    stock_realtime = {"t3": stock[0], "s3gen": stock[1], "engine": 1 / (1 / stock[0] + 1 / stock[1])}[part]
    rows = report["sweep"][part]
    assert [row["rows"] for row in rows] == [1, 2]
    for row in rows:
        assert row["tokens_per_s"] == pytest.approx(row["rows"] * TOKENS / row["seconds"])
        assert row["realtime"] == pytest.approx(row["tokens_per_s"] / 25)
        assert row["stock_ratio"] == pytest.approx(row["realtime"] / stock_realtime)
        assert row["estimate_share"] > 0
        assert row["peak_mb"] > 100


def test_smaller_cards_are_tried_with_the_rows_that_they_hold(report):
    small, large = report["sweep"]["limited"]
    rows = rows_on_gpu(6 * 2**30, ChatterboxSettings())
    assert 2 < rows < 16
    assert (small["memory_gb"], small["rows"]) == (6, rows)
    assert small["audio_s"] == pytest.approx(rows * TOKENS / 25)
    assert large == {"memory_gb": 96, "left_out": True}


def test_a_program_obeys_in_a_process_of_its_own(kept, report, tmp_path):
    order = Order(str(kept / "english"), "english", "bf16", chunks=2, tokens=TOKENS)
    ran = run_alone("chatterbox_bench.s3gen_rows", asdict(order), tmp_path)
    assert ran.said["tokens"] == 2 * TOKENS
    assert ran.said["seconds"] > 0


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("no"), DeviceFullError("no")])
def test_a_full_device_is_an_answer(error):
    program = importlib.import_module("chatterbox_bench.program")

    def measure(_order):
        raise error

    assert program.measured(measure, Order("", "english", "bf16"))["out_of_memory"] is True


def test_a_part_of_the_contest_that_finds_no_room_says_so(kept, report, monkeypatch):
    monkeypatch.setattr(contest, "run_alone", lambda *_: Ran(1.0, 1.0, {"out_of_memory": True}))
    with pytest.raises(EngineError, match="no room for the t3 of english, stock"):
        run_chatterbox(Plan(weights=kept, size="tiny"))


def test_cuda_itself_takes_its_part_of_a_small_card():
    program = importlib.import_module("chatterbox_bench.program")
    assert program.fraction_of_card(6, 80 * 2**30) == pytest.approx((6 * 2**30 - 600_000_000) / (80 * 2**30))


def test_weights_that_were_kept_are_taken(kept, report):
    before = {path: path.stat().st_mtime_ns for path in kept.rglob("*")}
    assert (kept / "english" / DECLARATION) in before

    def stop(what):
        raise InterruptedError(what)

    with pytest.raises(InterruptedError, match="t3 of english, stock"):  # and not the generating of weights
        run_chatterbox(Plan(weights=kept, size="tiny"), tell=stop)
    assert {path: path.stat().st_mtime_ns for path in kept.rglob("*")} == before


def test_heads_are_watched_and_stop_nothing(tmp_path, monkeypatch):
    english = FAMILIES["english"]
    watched = replace(english, guards=replace(english.guards, heads=((1, 1), (0, 0), (0, 1))))
    monkeypatch.setattr(t3, "FAMILIES", {"english": watched})
    generate(tmp_path, "english", TINY, reference_s=1.0)
    looked = []
    real = HeadWatch.attention
    monkeypatch.setattr(HeadWatch, "attention", lambda self: looked.append(len(self._seen)) or real(self))
    steps = 400  # long after any guard would have had enough of noise
    order = Order(weights=str(tmp_path), model="english", what="bf16", chunks=2, tokens=steps)
    assert t3.measure(order)["tokens"] == 2 * steps
    assert looked == [3] * (t3.WARM_UP_TOKENS + steps)


def test_windows_of_a_long_run_are_alike():
    report = run_long(20, device="cpu")
    assert [one["chunks"] for one in report["windows"]] == [2] * 10
    assert sum(one["audio_s"] for one in report["windows"]) > 20 * 0.2
    assert "Pace of the last" in "\n".join(long_lines(report))
