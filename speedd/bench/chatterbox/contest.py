"""Chatterbox against stock, on weights of random numbers; each part in a process of its own.

Random weights say nothing about how it sounds, but every product has its real size. Ours is measured without stock in
the process, so that its peak of memory is its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from speedd.bench import machine
from speedd.bench.chatterbox.order import REFERENCES_S, STOCK, TOKENS_PER_SECOND, Order
from speedd.bench.machine import run_alone

PROGRAMS = "speedd.bench.chatterbox"
GENERATES = "speedd.engines.chatterbox.generated"
MODELS = ("english", "nano")
LONG_RUN_TOKENS = 40
"""About when the tiny model of the long run ends a text."""
DISTURBED = 0.05
"""Share of all cores' time that other programs may take before the report says so."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    device: str = "cpu"
    weights: Path | None = None
    """A folder for generated weights, kept: what is there already is taken. None: a temporary one."""
    size: str = "full"
    """Or ``tiny``: ratios then say nothing, but everything runs."""
    chunks: int = 16
    """Spoken side by side."""
    stock_chunks: int = 1
    """Stock speaks one after the other; each is as slow as the first."""
    tokens: int = 150
    """Speech tokens of a chunk: 6 s."""

    @property
    def precisions(self) -> tuple[str, ...]:
        """Of our T3, the fastest last."""
        return ("bf16", "int8") if self.device == "cpu" else ("bf16",)

    def order(self, folder: Path, model: str, what: str) -> Order:
        """Make an order for one of the programs."""
        return Order(
            weights=str(folder / model),
            model=model,
            what=what,
            device=self.device,
            threads=machine.cores(),
            chunks=self.stock_chunks if what == STOCK else self.chunks,
            tokens=self.tokens,
        )


def run_chatterbox(plan: Plan, *, tell: Tell = lambda _: None) -> dict[str, Any]:
    """Measure T3, S3Gen and the whole engine, ours and stock's; the result is plain JSON values.

    Args:
        plan: what to measure.
        tell: told what is being measured.

    Raises:
        SpeeddError: if a part fails; needs torch, chatterbox-tts, and at full size 5 GB of disk and 6 GB of memory.
    """
    with (
        _weights(plan.weights, MODELS, tell, size=plan.size) as folder,
        tempfile.TemporaryDirectory(prefix="speedd-bench-") as scratch,
    ):
        fastest = plan.precisions[-1]

        def run(program: str, model: str, what: str) -> dict[str, Any]:
            tell(f"{program} of {model}, {what}")
            ran = run_alone(f"{PROGRAMS}.{program}", asdict(plan.order(folder, model, what)), Path(scratch))
            disturbed = ran.others_s > DISTURBED * ran.wall_s * machine.cores()
            return {"name": what, **ran.said, "others_s": round(ran.others_s, 1), "disturbed": disturbed}

        report: dict[str, Any] = {"machine": machine.describe(folder), "plan": asdict(replace(plan, weights=None))}
        report["t3"] = [run("t3", "english", what) for what in (STOCK, *plan.precisions)]
        report["s3gen"] = [run("s3gen", "english", what) for what in (STOCK, fastest)]
        report["engine"] = run("engine", "english", fastest)
        report["nano"] = {
            "t3": run("t3", "nano", fastest),
            "s3gen": run("s3gen", "nano", fastest),
            "engine": run("engine", "nano", fastest),
        }
    return report | {"figures": figures(report, plan)}


def run_long(chunks: int, *, device: str, tell: Tell = lambda _: None) -> dict[str, Any]:
    """Let tiny weights speak so many chunks of random lengths: do pace and memory hold?

    Raises:
        SpeeddError: if it fails.
    """
    with _weights(None, ("english",), tell, size="tiny", mean_tokens=LONG_RUN_TOKENS, reference_s=1.0) as folder:
        order = Order(weights=str(folder / "english"), model="english", what="bf16", device=device, chunks=chunks)
        tell(f"{chunks} chunks on tiny weights")
        ran = run_alone(f"{PROGRAMS}.long", asdict(order), folder)
        report = {"machine": machine.describe(folder), "others_s": round(ran.others_s, 1), **ran.said}
    first, last = report["windows"][0], report["windows"][-1]
    report["figures"] = {
        "pace": first["seconds"] / last["seconds"],
        "pace_of_processor": first["cpu_s"] / last["cpu_s"],
        "grown_mb": last["rss_mb"] - first["rss_mb"],
        "grown_objects": last["objects"] - first["objects"],
    }
    return report


def figures(report: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """Work out the ratios that a report's measurements give."""
    stock, *ours = report["t3"]
    stock_s3gen, s3gen = report["s3gen"]
    chunk_s = plan.tokens / TOKENS_PER_SECOND
    long_s, short_s = (f"{seconds:g}" for seconds in REFERENCES_S)
    t3_s = ours[-1]["seconds"] / plan.chunks
    stock_s = stock["seconds"] / plan.stock_chunks + stock_s3gen["chunk"][long_s]
    engine_s = report["engine"]["seconds"] / plan.chunks
    return {
        "t3": {one["name"]: one["tokens_per_s"] / stock["tokens_per_s"] for one in ours},
        "estimator": stock_s3gen["estimator_step"] / s3gen["estimator_step"],
        "chunk_s": {"stock": stock_s, "engine": engine_s, **{s: t3_s + s3gen["chunk"][s] for s in (long_s, short_s)}},
        "chunk": {
            "engine": stock_s / engine_s,
            **{s: stock_s / (t3_s + s3gen["chunk"][s]) for s in (long_s, short_s)},
        },
        "engine_realtime": report["engine"]["audio_s"] / report["engine"]["seconds"],
        "nano_realtime": report["nano"]["engine"]["audio_s"] / report["nano"]["engine"]["seconds"],
        "nano_realtime_short_reference": chunk_s
        / (report["nano"]["t3"]["seconds"] / plan.chunks + report["nano"]["s3gen"]["chunk"][short_s]),
        "shares": {
            "english": _shares(ours[-1], s3gen, report["engine"], plan),
            "nano": _shares(report["nano"]["t3"], report["nano"]["s3gen"], report["nano"]["engine"], plan),
        },
        "peak_mb": {
            **{f"T3, {one['name']}": one["peak_mb"] for one in ours},
            "S3Gen": s3gen["peak_mb"],
            "whole engine": report["engine"]["peak_mb"],
            "whole engine, nano": report["nano"]["engine"]["peak_mb"],
        },
    }


def _shares(t3: dict[str, Any], s3gen: dict[str, Any], engine: dict[str, Any], plan: Plan) -> dict[str, float]:
    """Say into what a chunk's time in the whole engine goes; ``other`` is what no part measured alone accounts for."""
    whole_s = engine["seconds"] / plan.chunks
    parts = {
        "T3": t3["seconds"] / plan.chunks,
        "encoder": s3gen["stages"]["encoder"],
        "estimator": s3gen["steps"] * s3gen["stages"]["estimator_step"],
        "vocoder": s3gen["stages"]["vocoder"],
    }
    shares = {name: seconds / whole_s for name, seconds in parts.items()}
    return {**shares, "other": 1 - sum(shares.values())}


@contextmanager
def _weights(kept: Path | None, models: Sequence[str], tell: Tell, **how: object) -> Iterator[Path]:
    """Lend a folder that holds generated weights of some models, each in a folder of its name.

    Args:
        kept: where they stay, and are taken from if they are there; None for a temporary folder.
        models: names of models.
        tell: told if weights are generated.
        how: as `generated.generate` takes it.
    """
    with tempfile.TemporaryDirectory(prefix="speedd-bench-") as name:
        folder = kept or Path(name)
        for model in models:
            if (folder / model / "speedd.json").is_file():  # written last
                continue
            tell(f"nothing yet: weights of {model} are generated")
            folder.mkdir(parents=True, exist_ok=True)
            run_alone(GENERATES, {"folder": str(folder / model), "model": model, **how}, Path(name))
        yield folder
