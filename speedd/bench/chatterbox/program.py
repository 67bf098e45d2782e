"""What the measuring programs have in common: ``python -m … ORDER RESULT``, both JSON files."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from speedd.bench.chatterbox.order import Order
from speedd.engines.chatterbox.quiet import import_quietly


def obey(measure: Callable[[Order], dict[str, Any]]) -> None:
    """Read an order, measure, and write what was measured; ``peak_mb`` is the highest resident memory (10^6 bytes)."""
    asked, answer = map(Path, sys.argv[1:])
    order = Order(**json.loads(asked.read_text(encoding="utf-8")))
    torch.set_num_threads(order.threads)
    torch.set_grad_enabled(mode=False)
    import_quietly()
    measured = measure(order) | {"peak_mb": peak_mb()}
    if order.device == "cuda":
        measured["peak_device_mb"] = torch.cuda.max_memory_allocated() / 1e6
    answer.write_text(json.dumps(measured), encoding="utf-8")


def peak_mb() -> float:
    """Return the highest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def timed_s(run: Callable[[], object], device: str) -> float:
    """Run once; return wall seconds until the device is done."""
    _wait(device)
    began_s = time.perf_counter()
    run()
    _wait(device)
    return time.perf_counter() - began_s


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
