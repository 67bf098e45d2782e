"""Look at processes from outside, and at the machine they run on."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speedd import inbox
from speedd.common.processes import start_child
from speedd.errors import SpeeddError
from speedd.execution.pool.process import ONE_HEAP

IDLE_SETTLE_S = 3.0
"""How long a daemon has been up when its idling begins to be measured."""
QUIET_BLAS = {"OPENBLAS_NUM_THREADS": "1"}
"""As `speedd` itself has it: how many threads an engine has is its own business."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A program that ran to its end."""

    wall_s: float
    """From its start to its end, Python's own start included."""
    cpu_s: float
    """Processor time, of its children too."""
    said: dict[str, Any]
    """What it measured itself."""
    others_s: float = 0.0
    """Core seconds that other programs took meanwhile."""


def run_alone(module: str, order: dict[str, Any], folder: Path) -> Ran:
    """Run one of our programs on an order and measure it from outside.

    Raises:
        SpeeddError: if it fails, with the last line of its complaint.
    """
    file = folder / f"{module.rpartition('.')[2]}.order.json"
    file.write_text(json.dumps(order, default=str), encoding="utf-8")  # paths
    result, complaint = file.with_suffix(".result"), file.with_suffix(".err")
    with complaint.open("wb") as stderr:
        began, idle_s = time.perf_counter(), _idle_core_s()
        child = start_child(module, file, result, stderr=stderr, environment=QUIET_BLAS | ONE_HEAP)
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            child.kill()
            raise
        wall_s, idle_s = time.perf_counter() - began, _idle_core_s() - idle_s
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        lines = complaint.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["it said nothing"]
        raise SpeeddError(f"{module} ended with status {child.returncode}: {lines[-1]}")
    used_s = usage.ru_utime + usage.ru_stime
    others_s = max(0.0, wall_s * (os.cpu_count() or 1) - idle_s - used_s)
    return Ran(wall_s, used_s, json.loads(result.read_text(encoding="utf-8")), others_s)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


def describe(folder: Path) -> dict[str, Any]:
    """Say what this machine is, as far as it matters for the figures."""
    return {
        "cores": cores(),
        "processor": _processor(),
        "platform": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "disk": inbox.file_system(folder) or "unknown",
        "load": round(os.getloadavg()[0], 2),
    }


def memory_mb(pid: int) -> dict[str, float]:
    """Return a process's resident memory in MB (10^6 bytes): ``rss_mb`` now and ``peak_mb`` at its highest."""
    found = {}
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key in {"VmRSS", "VmHWM"}:
            found["rss_mb" if key == "VmRSS" else "peak_mb"] = round(int(value.split()[0]) * 1024 / 1e6, 1)
    return found


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has used, its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> Iterator[int]:
    """Yield a process and all that descend from it."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text(encoding="ascii").split():
            yield from tree(int(child))


def measure_idle(seconds: float, folder: Path) -> dict[str, float]:
    """Run the daemon on empty folders and measure what it takes of a core while nothing happens.

    Returns:
        ``seconds`` watched, ``cpu_s`` used in them, ``share`` of one core, and ``rss_mb`` of all its processes.

    Raises:
        SpeeddError: if the daemon does not stay up.
    """
    places = [word for name in ("inbox", "outbox", "state") for word in (f"--{name}", str(folder / name))]
    (folder / "speedd.toml").touch()
    daemon = start_child("speedd", "run", "--config", folder / "speedd.toml", *places)
    try:
        time.sleep(IDLE_SETTLE_S)
        if daemon.poll() is not None:
            raise SpeeddError(f"The daemon ended with status {daemon.returncode}.", hint="Try: speedd check")
        began, before_s = time.monotonic(), sum(cpu_s(pid) for pid in tree(daemon.pid))
        time.sleep(seconds)
        processes = list(tree(daemon.pid))
        used_s = sum(cpu_s(pid) for pid in processes) - before_s
        watched_s = time.monotonic() - began
        rss_mb = sum(memory_mb(pid)["rss_mb"] for pid in processes)
    finally:
        daemon.kill()
        daemon.wait()
    return {
        "seconds": round(watched_s, 1),
        "cpu_s": round(used_s, 3),
        "share": round(used_s / watched_s, 5),
        "rss_mb": round(rss_mb, 1),
    }


def _idle_core_s() -> float:
    """Return how long the cores of this machine have had nothing to do since it started, added up."""
    idle, waiting = Path("/proc/stat").read_text(encoding="ascii").split(maxsplit=6)[4:6]
    return (int(idle) + int(waiting)) / os.sysconf("SC_CLK_TCK")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    named = (line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model")))
    return next(named, platform.machine())
