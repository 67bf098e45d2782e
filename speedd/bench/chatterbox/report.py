"""Tell what a benchmark of Chatterbox measured, to people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from speedd.bench.chatterbox.order import REFERENCES_S, STOCK, TOKENS_PER_SECOND


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
    yield f"S3Gen, flow estimator in bf16, {plan['tokens'] / TOKENS_PER_SECOND:g} s of speech:"
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
    yield f"A whole chunk, {plan['chunks']} side by side in T3 ({report['engine']['name']}):"
    whole_s, ratios = found["chunk_s"], found["chunk"]
    longest, shortest = (f"{seconds:g}" for seconds in REFERENCES_S)
    yield f"  stock, reference of {longest} s: {whole_s['stock']:.1f} s"
    yield (
        f"  the engine, reference of {longest} s: {whole_s['engine']:.2f} s, {ratios['engine']:.1f} × stock,"
        f" {found['engine_realtime']:.2f} × realtime{_note(report['engine'])}"
    )
    for name in (longest, shortest):
        yield f"  T3 and S3Gen added up, reference of {name} s: {whole_s[name]:.2f} s, {ratios[name]:.1f} × stock"
    yield f"  into what it goes: {_shares(found['shares']['english'])}"
    yield ""
    yield "Nano, T3 and mean flow:"
    note = _note(report["nano"]["engine"])
    yield f"  the engine, reference of {longest} s: {found['nano_realtime']:.2f} × realtime{note}"
    yield f"  T3 and S3Gen added up, reference of {shortest} s: {found['nano_realtime_short_reference']:.2f} × realtime"
    yield f"  into what it goes: {_shares(found['shares']['nano'])}"
    profiled = report["nano"]["s3gen"]["profile"]
    yield "  profile of S3Gen: " + ", ".join(f"{one['operation']} {one['share']:.0%}" for one in profiled)
    yield ""
    yield "Memory at its highest, loading included, each in a process of its own:"
    yield "  " + ", ".join(f"{name} {mb:.0f} MB" for name, mb in found["peak_mb"].items())


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


def _machine(report: dict[str, Any]) -> Iterator[str]:
    said = report["machine"]
    yield f"{said['cores']} cores of {said['processor']}, {said['platform']}, load at the start {said['load']}"


def _note(part: dict[str, Any]) -> str:
    return f" (disturbed: other programs took {part['others_s']:.0f} core seconds)" if part["disturbed"] else ""


def _shares(shares: dict[str, float]) -> str:
    return ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
