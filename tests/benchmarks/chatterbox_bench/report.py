"""Tell what a benchmark of Chatterbox measured, to people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chatterbox_bench.order import OUT_OF_MEMORY, REFERENCES_S, STOCK, TOKENS_PER_SECOND


def lines(report: dict[str, Any]) -> Iterator[str]:
    """Yield a report of `contest.run_chatterbox` as lines of text."""
    found, plan = report["figures"], report["plan"]
    yield from _machine(report)
    yield ""
    yield f"T3, {plan['tokens']} tokens a chunk, prompts included:"
    for row in report["t3"]:
        stock = row["name"] == STOCK
        ratio = "" if stock else f"{found['t3'][row['name']]:7.1f} × stock, prompts {row['prompts_s']:.1f} s"
        chunks = plan["stock_chunks" if stock else "chunks"]
        yield f"  {row['name']:6}{chunks:4} chunks {row['tokens_per_s']:8.1f} tokens/s{ratio}{_note(row)}"
    yield ""
    stock, ours = report["s3gen"]
    yield f"S3Gen, flow estimator in {ours['estimator']}, {plan['tokens'] / TOKENS_PER_SECOND:g} s of speech:"
    yield (
        f"  a step of the flow: stock {stock['estimator_step']:.3f} s, ours {ours['estimator_step']:.3f} s:"
        f" {found['estimator']:.2f} × stock{_note(stock)}{_note(ours)}"
    )
    for seconds in REFERENCES_S:
        name = f"{seconds:g}"
        beside = f"stock {stock['chunk'][name]:.2f} s, " if name in stock["chunk"] else ""
        yield f"  a chunk, reference of {name} s: {beside}ours {ours['chunk'][name]:.2f} s"
    yield "  profile: " + ", ".join(f"{one['operation']} {one['share']:.0%}" for one in ours["profile"])
    yield ""
    yield f"A whole chunk, {plan['chunks']} side by side in T3 ({ours['name']}):"
    yield f"  stock, reference of {REFERENCES_S[0]:g} s: {found['chunk_s'][STOCK]:.1f} s"
    for name, engine in report["engine"].items():
        yield (
            f"  the engine, reference of {name} s: {found['chunk_s'][name]:.2f} s, {found['chunk'][name]:.1f} × stock,"
            f" {found['realtime'][name]:.2f} × realtime{_note(engine)}"
        )
    yield f"  into what it goes with {REFERENCES_S[0]:g} s: {_shares(found['shares']['english'])}"
    yield ""
    yield "Nano, T3 and mean flow:"
    for name, engine in report["nano"]["engine"].items():
        yield f"  the engine, reference of {name} s: {found['nano_realtime'][name]:.2f} × realtime{_note(engine)}"
    yield f"  into what it goes with {REFERENCES_S[0]:g} s: {_shares(found['shares']['nano'])}"
    profiled = report["nano"]["s3gen"]["profile"]
    yield "  profile of S3Gen: " + ", ".join(f"{one['operation']} {one['share']:.0%}" for one in profiled)
    yield ""
    yield "Memory at its highest, loading included, each in a process of its own:"
    yield "  " + ", ".join(f"{name} {mb:.0f} MB" for name, mb in found["peak_mb"].items())
    if found["peak_device_mb"]:
        yield "Of the graphics card's, in torch's tensors:"
        yield "  " + ", ".join(f"{name} {mb:.0f} MB" for name, mb in found["peak_device_mb"].items())
    if "sweep" in report:
        yield ""
        yield from sweep_lines(report["sweep"], tokens=plan["tokens"])


def long_lines(report: dict[str, Any]) -> Iterator[str]:
    """Yield a report of `contest.run_long` as lines of text."""
    yield from _machine(report)
    yield f"{'chunks':>8} {'s':>8} {'processor s':>12} {'MB':>8} {'objects':>9}"
    for one in report["windows"]:
        yield (
            f"{one['chunks']:8} {one['seconds']:8.1f} {one['cpu_s']:12.1f} {one['rss_mb']:8.1f} {one['objects']:9.0f}"
        )
    found = report["figures"]
    yield (
        f"Pace of the last against the first: {found['pace']:.3f} by the clock, {found['pace_of_processor']:.3f} by"
        f" processor time (other programs took {report['others_s']:.0f} core seconds). Grown by {found['grown_mb']:.1f}"
        f" MB and {found['grown_objects']:.0f} objects."
    )


def sweep_lines(swept: dict[str, Any], *, tokens: int) -> Iterator[str]:
    """Yield what `sweep.sweep` found, for so many tokens a row, as lines of text."""
    card, estimate = swept["card"], swept["estimate"]
    yield f"{card['name']}, {card['memory_gb']:.1f} GB."
    if estimate is None:
        yield "Its bandwidth and FLOPS are not known here, so there is no estimate of what it could do."
    else:
        yield (
            f"Estimate: {estimate['bandwidth_share']:.0%} of its {estimate['tb_per_s']:.2f} TB/s and"
            f" {estimate['flops_share']:.0%} of its {estimate['tflops']:.0f} TFLOPS in bf16."
        )
    each_s = f"{tokens / TOKENS_PER_SECOND:g} s of speech each"
    tables = {
        "t3": f"T3, prompts included, {each_s}:",
        "s3gen": f"S3Gen, all rows in one batch, {each_s}, reference of {REFERENCES_S[0]:g} s:",
        "engine": f"The engine, {each_s}:",
        "limited": "The engine on smaller cards, with as many rows as it takes there:",
    }
    for part, title in tables.items():
        yield ""
        yield title
        yield "   card  rows  tokens/s  × realtime  × stock  of estimate      MB    held"
        yield from map(_swept_row, swept[part])


def _swept_row(row: dict[str, Any]) -> str:
    limit = f"{row['memory_gb']} GB" if "memory_gb" in row else ""
    if row.get("left_out"):
        return f"{limit:>7} left out: this card is smaller"
    begin = f"{limit:>7} {row['rows']:5}"
    if "failed" in row:
        return f"{begin} failed: {row['failed']}"
    if row.get(OUT_OF_MEMORY):
        return f"{begin} ran out of the card's memory"
    share = f"{row['estimate_share']:.0%}" if "estimate_share" in row else "–"
    used, held = (f"{row[key]:.0f}" if key in row else "–" for key in ("peak_device_mb", "reserved_device_mb"))
    return (
        f"{begin} {row['tokens_per_s']:9.1f} {row['realtime']:11.2f} {row['stock_ratio']:8.1f} {share:>12}"
        f" {used:>7} {held:>7}{_note(row)}"
    )


def _machine(report: dict[str, Any]) -> Iterator[str]:
    said = report["machine"]
    yield f"{said['cores']} cores of {said['processor']}, {said['platform']}, load at the start {said['load']}"


def _note(part: dict[str, Any]) -> str:
    return f" (disturbed: other programs took {part['others_s']:.0f} core seconds)" if part["disturbed"] else ""


def _shares(shares: dict[str, float]) -> str:
    return ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
