"""Chatterbox's benchmark on tiny weights: its ratios mean nothing, but every part runs and they must be consistent."""

import importlib
import json
from pathlib import Path

import pytest

from speedd.bench.chatterbox import contest
from speedd.bench.chatterbox.contest import Plan, run_chatterbox, run_long
from speedd.bench.chatterbox.order import Order
from speedd.bench.chatterbox.report import lines, long_lines
from speedd.bench.machine import Ran

torch = pytest.importorskip("torch", reason="the chatterbox extra is not installed")
pytest.importorskip("chatterbox", reason="the chatterbox extra is not installed")

CHUNKS, TOKENS = 3, 10


def run_here(module, order, folder):
    """Run one of the programs in this process: importing torch takes longer than all they do."""
    program = importlib.import_module(module)
    if module == contest.GENERATES:
        assert order.pop("size") == "tiny"
        program.generate(Path(order.pop("folder")), order.pop("model"), program.TINY, **order)
        return Ran(1.0, 1.0, {})
    with torch.no_grad():
        said = program.measure(Order(**order))
    torch.set_num_threads(1)
    return Ran(1.0, 1.0, json.loads(json.dumps(said)) | {"peak_mb": 1.0})


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="module")
def report(kept):
    plan = Plan(weights=kept, size="tiny", chunks=CHUNKS, tokens=TOKENS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contest, "run_alone", run_here)
        return run_chatterbox(plan)


def test_every_part_speaks_as_much_as_it_was_told(report):
    stock, *ours = report["t3"]
    assert stock["tokens"] == TOKENS
    assert [(one["name"], one["tokens"]) for one in ours] == [("bf16", CHUNKS * TOKENS), ("int8", CHUNKS * TOKENS)]
    assert report["engine"]["audio_s"] == pytest.approx(CHUNKS * TOKENS / 25)
    assert report["nano"]["engine"]["audio_s"] == pytest.approx(CHUNKS * (TOKENS + 3) / 25)  # its closing silence


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
    assert found["chunk"]["3"] == pytest.approx(stock_s / (ours[-1]["seconds"] / CHUNKS + s3gen["chunk"]["3"]))
    assert found["chunk"]["engine"] == pytest.approx(stock_s / (report["engine"]["seconds"] / CHUNKS))
    for shares in found["shares"].values():
        assert sum(shares.values()) == pytest.approx(1)
    assert set(found["peak_mb"]) == {"T3, bf16", "T3, int8", "S3Gen", "whole engine", "whole engine, nano"}


def test_the_report_can_be_told_and_kept(report):
    told = "\n".join(lines(json.loads(json.dumps(report))))
    assert f"{report['figures']['nano_realtime']:.2f} × realtime" in told


def test_weights_that_were_kept_are_taken(kept, report):
    before = {path: path.stat().st_mtime_ns for path in kept.rglob("*")}
    assert (kept / "english" / "speedd.json") in before

    def stop(what):
        raise InterruptedError(what)

    with pytest.raises(InterruptedError, match="t3 of english, stock"):  # and not the generating of weights
        run_chatterbox(Plan(weights=kept, size="tiny"), tell=stop)
    assert {path: path.stat().st_mtime_ns for path in kept.rglob("*")} == before


def test_windows_of_a_long_run_are_alike():
    report = run_long(40, device="cpu")
    assert [one["chunks"] for one in report["windows"]] == [4] * 10
    # The same texts with the same seeds; which of them end in a window depends on their neighbours.
    assert sum(one["audio_s"] for one in report["windows"]) > 40 * 0.2
    assert "Pace of the last" in "\n".join(long_lines(report))
