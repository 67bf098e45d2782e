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

from chatterbox_bench.order import DECLARATION, OUT_OF_MEMORY, REFERENCES_S, STOCK, TOKENS_PER_SECOND, Order
from chatterbox_bench.sweep import CARDS_GB, ROWS, Beside, sweep
from speedd.commands.bench import machine
from speedd.commands.bench.machine import run_alone
from speedd.engines.chatterbox.probe import probe
from speedd.errors import EngineError

PROGRAMS = "chatterbox_bench"
GENERATES = "chatterbox_bench.generated"
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
    rows: tuple[int, ...] = ()
    """At so many rows T3, S3Gen and the engine are measured too."""
    cards_gb: tuple[int, ...] = ()
    """For cards of so many GB the device is taken, to measure the engine there."""

    @classmethod
    def on(cls, device: str, weights: Path | None, *, tiny: bool = False) -> Plan:
        """Plan all that is measured on a device; only a graphics card gains much by more rows."""
        swept = {"rows": ROWS, "cards_gb": CARDS_GB} if device == "cuda" else {}
        small = {"size": "tiny", "chunks": 4, "tokens": 25} if tiny else {}
        return cls(device=device, weights=weights, **swept, **small)

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
    """Measure T3, S3Gen and the whole engine, ours and stock's, and sweep what is to be swept.

    Args:
        plan: what to measure.
        tell: told what is being measured.

    Returns:
        Plain JSON values.

    Raises:
        SpeeddError: if the device does not work or a part fails, but not if a row of the sweep does;
            needs torch, chatterbox-tts, and at full size 5 GB of disk and 6 GB of memory.
    """
    device = probe(plan.device, None) if plan.rows or plan.cards_gb else None
    with (
        _weights(plan.weights, MODELS, tell, size=plan.size) as folder,
        tempfile.TemporaryDirectory(prefix="speedd-bench-") as scratch,
    ):
        fastest = plan.precisions[-1]

        def obeyed(program: str, order: Order) -> dict[str, Any]:
            ran = run_alone(f"{PROGRAMS}.{program}", asdict(order), Path(scratch))
            disturbed = ran.others_s > DISTURBED * ran.wall_s * machine.cores()
            # Whoever breaks off later has at least this.
            tell(f"  {_numbers(ran.said)} ({ran.wall_s:.0f} s with loading)")
            return {**ran.said, "others_s": round(ran.others_s, 1), "disturbed": disturbed}

        def run(program: str, model: str, what: str, reference_s: float = REFERENCES_S[0]) -> dict[str, Any]:
            tell(f"{program} of {model}, {what}, reference of {reference_s:g} s")
            said = obeyed(program, replace(plan.order(folder, model, what), reference_s=reference_s))
            if said.get(OUT_OF_MEMORY):
                raise EngineError(f"The {plan.device} device has no room for the {program} of {model}, {what}.")
            return {"name": what, **said}

        def run_engine(model: str) -> dict[str, Any]:
            return {f"{seconds:g}": run("engine", model, fastest, seconds) for seconds in REFERENCES_S}

        def run_rows(program: str, order: Order) -> dict[str, Any]:
            limit = f" of {order.memory_gb} GB" if order.memory_gb else ""
            tell(f"{program} of {order.model}, {order.what}, {order.chunks} rows{limit}")
            return obeyed(program, order)

        report: dict[str, Any] = {"machine": machine.describe(folder), "plan": asdict(replace(plan, weights=None))}
        report["t3"] = [run("t3", "english", what) for what in (STOCK, *plan.precisions)]
        report["s3gen"] = [run("s3gen", "english", what) for what in (STOCK, fastest)]
        if device is not None:  # before the rest: on a lent card the time may not suffice for all
            beside = Beside(device, _stock_realtime(report, plan), report["t3"][-1]["text_tokens"])
            order = plan.order(folder, "english", fastest)
            report["sweep"] = sweep(order, beside, rows=plan.rows, cards_gb=plan.cards_gb, run=run_rows)
        report["engine"] = run_engine("english")
        report["nano"] = {
            "t3": run("t3", "nano", fastest),
            "s3gen": run("s3gen", "nano", fastest),
            "engine": run_engine("nano"),
        }
        report["figures"] = figures(report, plan)
    return report


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
        "pace": _pace(last, "seconds") / _pace(first, "seconds"),
        "pace_of_processor": _pace(last, "cpu_s") / _pace(first, "cpu_s"),
        "grown_mb": last["rss_mb"] - first["rss_mb"],
        "grown_objects": last["objects"] - first["objects"],
    }
    return report


def _pace(window: dict[str, Any], clock: str) -> float:
    """Say how many seconds of audio it made in a second."""
    return float(window["audio_s"] / window[clock])


def figures(report: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """Work out the ratios that a report's measurements give."""
    stock, *ours = report["t3"]
    stock_s3gen, s3gen = report["s3gen"]
    long_s = f"{REFERENCES_S[0]:g}"
    stock_s = _stock_chunk_s(report, plan)
    chunk_s = {name: one["seconds"] / plan.chunks for name, one in report["engine"].items()}
    engine, nano = report["engine"][long_s], report["nano"]["engine"][long_s]
    parts = {
        **{f"T3, {one['name']}": one for one in ours},
        "S3Gen": s3gen,
        "whole engine": engine,
        "whole engine, nano": nano,
    }
    on_card = {"T3, stock": stock, "S3Gen, stock": stock_s3gen, **parts}
    return {
        "t3": {one["name"]: one["tokens_per_s"] / stock["tokens_per_s"] for one in ours},
        "estimator": stock_s3gen["estimator_step"] / s3gen["estimator_step"],
        "chunk_s": {STOCK: stock_s, **chunk_s},
        "chunk": {name: stock_s / seconds for name, seconds in chunk_s.items()},
        "realtime": {name: one["audio_s"] / one["seconds"] for name, one in report["engine"].items()},
        "nano_realtime": {name: one["audio_s"] / one["seconds"] for name, one in report["nano"]["engine"].items()},
        "shares": {
            "english": _shares(ours[-1], s3gen, engine, plan),
            "nano": _shares(report["nano"]["t3"], report["nano"]["s3gen"], nano, plan),
        },
        "peak_mb": {name: one["peak_mb"] for name, one in parts.items()},
        "peak_device_mb": {name: one["peak_device_mb"] for name, one in on_card.items() if "peak_device_mb" in one},
    }


def _stock_realtime(report: dict[str, Any], plan: Plan) -> dict[str, float]:
    """Say how fast stock's parts are, as a share of realtime."""
    chunk_s = plan.tokens / TOKENS_PER_SECOND
    return {
        "t3": report["t3"][0]["tokens_per_s"] / TOKENS_PER_SECOND,
        "s3gen": chunk_s / report["s3gen"][0]["chunk"][f"{REFERENCES_S[0]:g}"],
        "engine": chunk_s / _stock_chunk_s(report, plan),
    }


def _stock_chunk_s(report: dict[str, Any], plan: Plan) -> float:
    """Say how long stock takes for a chunk: its T3 and then its S3Gen."""
    t3_s: float = report["t3"][0]["seconds"] / plan.stock_chunks
    s3gen_s: float = report["s3gen"][0]["chunk"][f"{REFERENCES_S[0]:g}"]
    return t3_s + s3gen_s


def _numbers(said: dict[str, Any]) -> str:
    """Name the plain numbers among what a program measured."""
    return ", ".join(f"{name} {value:.4g}" for name, value in said.items() if isinstance(value, int | float))


def _shares(t3: dict[str, Any], s3gen: dict[str, Any], engine: dict[str, Any], plan: Plan) -> dict[str, float]:
    """Say into what a chunk's time in the whole engine goes; ``other`` is what no part measured alone accounts for.

    S3Gen's time is a chunk's as the engine renders it, divided as its stages are where each has the machine to itself.
    """
    whole_s, rendered_s = engine["seconds"] / plan.chunks, s3gen["chunk"][f"{REFERENCES_S[0]:g}"]
    stages = {
        "encoder": s3gen["stages"]["encoder"],
        "estimator": s3gen["steps"] * s3gen["stages"]["estimator_step"],
        "vocoder": s3gen["stages"]["vocoder"],
    }
    shares = {"T3": t3["seconds"] / plan.chunks / whole_s}
    shares |= {name: rendered_s / whole_s * seconds / sum(stages.values()) for name, seconds in stages.items()}
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
            if (folder / model / DECLARATION).is_file():
                continue
            tell(f"nothing yet: weights of {model} are generated")
            folder.mkdir(parents=True, exist_ok=True)
            run_alone(GENERATES, {"folder": str(folder / model), "model": model, **how}, Path(name))
        yield folder
