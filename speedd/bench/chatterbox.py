"""Chatterbox against stock at full size, on weights of random numbers; each part in a process of its own.

Random weights say nothing about how it sounds, but every product has its real size. Part by part, so that never two
models are in memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from speedd.bench import machine
from speedd.bench.chatterbox_s3gen_report import lines as s3gen_lines
from speedd.bench.machine import run_alone

CHUNKS = 16
TOKENS = 150
"""Speech tokens of each chunk: 6 s."""
STOCK_CHUNKS = 1
TOKENS_PER_SECOND = 25
MEASURES = "speedd.engines.chatterbox.bench_t3"


def run_chatterbox(
    *, device: str, chunks: int = CHUNKS, tell: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Measure T3 and S3Gen, ours and stock's; the result is plain JSON values.

    Args:
        device: ``cpu`` or ``cuda``.
        chunks: how many ours speaks side by side.
        tell: told what is being measured.

    Raises:
        SpeeddError: if a part fails; needs torch, chatterbox-tts, 4 GB of disk and 6 GB of memory.
    """
    with tempfile.TemporaryDirectory(prefix="speedd-bench-") as name:
        folder = Path(name)
        weights = folder / "weights"
        tell("nothing yet: weights are generated (3.2 GB)")
        run_alone("speedd.engines.chatterbox.generated", {"folder": str(weights), "model": "english"}, folder)
        report: dict[str, Any] = {"machine": machine.describe(folder), "t3": []}
        for what in ("stock", "bf16", *(["int8"] if device == "cpu" else [])):
            tell(f"T3, {what}")
            together = STOCK_CHUNKS if what == "stock" else chunks
            order = {
                "weights": str(weights),
                "model": "english",
                "what": what,
                "device": device,
                "threads": machine.cores(),
                "chunks": together,
                "tokens": TOKENS,
            }
            ran = run_alone(MEASURES, order, folder)
            report["t3"].append({"name": what, "chunks": together, "others_s": round(ran.others_s, 1), **ran.said})
    with tempfile.TemporaryDirectory(prefix="speedd-bench-") as name:
        for part, mean_flow in (("s3gen", False), ("s3gen_mean_flow", True)):
            tell("S3Gen of turbo and nano" if mean_flow else "S3Gen")
            order = {"threads": machine.cores(), "device": device, "mean_flow": mean_flow}
            report[part] = run_alone("speedd.bench.chatterbox_s3gen", order, Path(name)).said
    return report


def lines(report: dict[str, Any]) -> Iterator[str]:
    """Yield a report as lines of text."""
    said = report["machine"]
    yield f"{said['cores']} cores of {said['processor']}, {said['platform']}, load at the start {said['load']}"
    yield ""
    yield f"T3, {TOKENS} tokens a chunk, prompts included:"
    stock = report["t3"][0]["tokens_per_s"]
    for row in report["t3"]:
        yield (
            f"  {row['name']:6}{row['chunks']:4} chunks {row['tokens_per_s']:8.1f} tokens/s"
            f" {row['tokens_per_s'] / TOKENS_PER_SECOND:7.2f} × realtime {row['tokens_per_s'] / stock:7.1f} × stock"
            f"   {row['peak_mb']:.0f} MB at most"
        )
        if row["others_s"] > 0.05 * row["seconds"] * said["cores"]:
            yield f"    Other programs took {row['others_s']:.0f} core seconds meanwhile: the figure says little."
    for part, title in (("s3gen", "S3Gen"), ("s3gen_mean_flow", "S3Gen of turbo and nano")):
        yield ""
        yield f"{title}:"
        yield from s3gen_lines(report[part])
