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

from chatterbox_bench.generated import accept_tiny_weights
from chatterbox_bench.order import GIB, OUT_OF_MEMORY, Order
from speedd.engines.chatterbox.library_output import import_quietly
from speedd.engines.chatterbox.memory.budget import CONTEXT_BYTES
from speedd.errors import DeviceFullError


def obey(measure: Callable[[Order], dict[str, Any]]) -> None:
    """Read an order, measure, and write what was measured."""
    asked, answer = map(Path, sys.argv[1:])
    order = Order(**json.loads(asked.read_text(encoding="utf-8")))
    torch.set_num_threads(order.threads)
    torch.set_grad_enabled(mode=False)
    import_quietly()
    accept_tiny_weights()
    answer.write_text(json.dumps(measured(measure, order)), encoding="utf-8")


def measured(measure: Callable[[Order], dict[str, Any]], order: Order) -> dict[str, Any]:
    """Measure, on no more of the card than the order says.

    Returns:
        What ``measure`` says, or `OUT_OF_MEMORY`; ``peak_mb``, the highest resident memory (10^6 bytes); on a graphics
        card ``peak_device_mb``, the most that tensors took of it, and ``reserved_device_mb``, the most that torch held.
    """
    if order.device == "cuda" and order.memory_gb:
        total_bytes = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(fraction_of_card(order.memory_gb, total_bytes))
    try:
        said = measure(order)
    except (torch.OutOfMemoryError, DeviceFullError):
        said = {OUT_OF_MEMORY: True}
    return said | {"peak_mb": peak_mb()} | _device_memory(order.device)


def fraction_of_card(memory_gb: int, total_bytes: int) -> float:
    """Say what share of a card torch may take so that it is like one of ``memory_gb``.

    Torch limits its tensors alone; CUDA and its libraries take their part of a small card too.
    """
    return (memory_gb * GIB - CONTEXT_BYTES) / total_bytes


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


def _device_memory(device: str) -> dict[str, float]:
    if device != "cuda":
        return {}
    return {
        "peak_device_mb": torch.cuda.max_memory_allocated() / 1e6,
        "reserved_device_mb": torch.cuda.max_memory_reserved() / 1e6,
    }


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
