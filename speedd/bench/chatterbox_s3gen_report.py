"""Tell what a benchmark of S3Gen measured, to people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def lines(report: dict[str, Any]) -> Iterator[str]:
    """Yield a report as lines of text."""
    order = report["order"]
    kind = "mean flow, 2 steps" if order["mean_flow"] else "10 guided steps"
    yield f"S3Gen ({kind}) on {order['device']}, {order['threads']} threads, torch {report['torch']}, random weights"
    for part, what in (("estimator", "one step of the flow"), ("chunk", f"{order['speech_s']:g} s of speech")):
        times = report[part]
        for name, seconds in times.items():
            if name != "ratios":
                ratio = times.get("ratios", {}).get(name)
                yield f"  {what:22}{name:14}{seconds:8.3f} s" + (f"{ratio:8.2f} × stock" if ratio else "")
    yield "  ours by stage: " + ", ".join(f"{name} {seconds:.3f} s" for name, seconds in report["stages"].items())
    for batch in report["rows"]:
        yield f"  {batch['rows']:3} rows: {batch['rows'] * order['speech_s'] / batch['s']:.2f} × realtime"
    yield "  profile: " + ", ".join(f"{one['operation']} {one['share']:.0%}" for one in report["profile"][:6])
    yield f"  peak memory {report['peak_rss_mb']:.0f} MB" + (
        f", of the device {report['peak_device_mb']:.0f} MB" if report["peak_device_mb"] else ""
    )
