"""Tell what a benchmark measured, to people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from speedd.common.durations import duration

BUSY = 0.9
"""Above this share of the cores in use, the processor is what bounds."""
DISTURBED = 0.05
"""Other programs that take more than this share of the cores spoil a row."""
ROW_NAMES = {
    "raw": "engine alone",
    "naive_fast": "naive loop, fast",
    "whole_fast": "whole way, fast",
    "naive_twoloop": "naive loop, twoloop",
    "whole_twoloop": "whole way, twoloop",
    "one_core": "executor on one core",
    "one_worker": "executor, one worker",
    "all_workers": "executor, one per core",
}


def print_report(report: dict[str, Any], say: Callable[[str], None] = print) -> None:
    """Write a report line by line."""
    for line in lines(report):
        say(line)


def lines(report: dict[str, Any]) -> Iterator[str]:
    """Yield a report as lines of text."""
    machine, material = report["machine"], report["material"]
    yield f"{machine['cores']} cores of {machine['processor']}, {machine['platform']}, Python {machine['python']}"
    yield f"disk {machine['disk']}, load at the start {machine['load']}"
    yield f"{report['engine']['name']} with the voice {report['engine']['voice']}"
    yield (
        f"{material['book']}: {material['utterances']} utterances, {material['chars']} characters,"
        f" {material['chapters']} chapters"
    )
    yield ""
    yield f"{'':26}{'wall':>9}{'processor':>11}{'audio':>9}{'× realtime':>12}{'naive / this':>14}"
    for row in (*report["rows"], *report["workers"]["rows"]):
        yield (
            f"{ROW_NAMES[row['name']]:26}{row['wall_s']:8.2f}s{row['cpu_s']:10.2f}s{row['audio_s']:8.0f}s"
            f"{row['realtime_factor']:12.1f}{row['ratio']:13.2f}×"
        )
    workers = report["workers"]
    yield (
        f"A worker for each core: {workers['ratio']:.2f} × one worker, which stores its takes on another core;"
        f" {workers['ratio_of_cores']:.2f} × one worker on one core. Engines were busy {workers['engine_share']:.1%} of"
        " the time."
    )
    yield ""
    yield "The naive loop's processor time, with the default coder: " + ", ".join(
        f"{part} {seconds:.2f} s" for part, seconds in report["naive_s"].items()
    )
    share = report["engine_share"]
    yield f"The whole way with it, by stage (in narrating, engines were busy {share:.1%} of their workers' time):"
    for stage in report["stages"]:
        yield (
            f"  {stage['name']:16}{stage['wall_s']:8.2f} s {stage['share']:7.1%}"
            f"   processor {stage['cpu_s']:.2f} s, left unused {stage['idle_core_s']:.2f} s"
        )
    total_s = sum(report["cpu"].values())
    yield "Its processor time:"
    for name, seconds in sorted(report["cpu"].items(), key=lambda item: -item[1]):
        yield f"  {name:38}{seconds:8.2f} s {seconds / total_s:7.1%}"
    yield ""
    yield from _bound(report)
    yield ""
    yield "The coders, each against the naive loop with the same:"
    for coder in report["coders"]:
        yield f"  {coder['coder']:8} {coder['ratio']:.2f} ×, mastering {coder['mastering_s']:.2f} s"
    yield ""
    yield from memory_lines(report["memory"])
    if idle := report.get("idle"):
        yield (
            f"An idle daemon used {idle['cpu_s']:.2f} s of a core in {idle['seconds']:.0f} s: {idle['share']:.2%}."
            f" It holds {idle['rss_mb']:.0f} MB."
        )


def _bound(report: dict[str, Any]) -> Iterator[str]:
    """Say what bounds the whole way, from the figures."""
    bound, stages, cpu = report["bound"], report["stages"], report["cpu"]
    cores = bound["cores"]
    yield (
        f"{report['ratio']:.2f} × is {cores} cores, {bound['busy']:.1%} of them busy, times {bound['economy']:.3f} (the"
        f" naive loop's processor time over ours), divided by the {bound['naive_busy']:.1%} of a core that it used."
    )
    yield (
        f"With the cores busy all the time it would be {cores * bound['economy']:.2f} ×: beside what the loop does, it"
        " checks, stores and reads takes, levels them, and listens to what it encoded."
    )
    disturbed = [row for row in report["rows"] if row["others_s"] > DISTURBED * row["wall_s"] * cores]
    if disturbed:
        told = ", ".join(f"{row['others_s']:.1f} s during {ROW_NAMES[row['name']]}" for row in disturbed)
        yield f"Other programs took the processor ({told}): the wall times say little. Run it again when it is quiet."
    largest, seconds = max(cpu.items(), key=lambda item: item[1])
    share = seconds / sum(cpu.values())
    if bound["busy"] >= BUSY:
        yield f"The processor bounds it: most goes into {largest} ({share:.0%} of the processor time)."
        return
    idlest = max(stages, key=lambda stage: stage["idle_core_s"])
    unused_s = sum(stage["idle_core_s"] for stage in stages)
    whole_s = sum(stage["wall_s"] for stage in stages)
    yield (
        f"Waiting bounds it: it left {unused_s:.1f} of {whole_s * cores:.1f} core seconds unused, most of it"
        f" ({idlest['idle_core_s']:.1f}) in {idlest['name']}. The first take came {bound['first_take_s']:.1f} s"
        f" after the plan was ready. Of the processor time {share:.0%} goes into {largest}."
    )


def memory_lines(memory: dict[str, Any]) -> Iterator[str]:
    """Yield what was measured of memory as lines of text."""
    names = {"once": "Memory at the end of the book"}
    for key, one in memory.items():
        name = names.get(key) or f"The text {key.removeprefix('times_')} times over ({duration(one['audio_s'])})"
        workers = ", ".join(f"{worker['rss_mb']:.0f} MB (peak {worker['peak_mb']:.0f})" for worker in one["workers"])
        main = one["main"]
        yield f"{name}: main process {main['rss_mb']:.0f} MB (peak {main['peak_mb']:.0f}), workers {workers}."
