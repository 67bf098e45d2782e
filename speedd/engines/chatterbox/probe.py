"""What this machine offers torch: asked in a process of its own, because whoever asks must not import torch.

The child is this module: it prints what it found as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from speedd.common.processes import run_child
from speedd.engines.chatterbox.weights.files import keep
from speedd.errors import EngineError

PROBE_S = 300.0
"""The first import of torch from a slow disk takes its time."""
CPUINFO = Path("/proc/cpuinfo")
"""Where Linux says what instructions the processor has."""
INT8_FLAGS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})
BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
_SIDE = 64
"""Of the matrices that are multiplied to try a device."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The device that speaks, and what suits it."""

    device: str
    """``cuda``, ``mps`` or ``cpu``."""
    precision: str
    """``bf16``, ``int8`` or ``fp32``: the fastest that the device has hardware for."""
    name: str
    memory_bytes: int = 0
    """Of a GPU."""


def probe(wanted: str, state: Path | None) -> Machine:
    """Find the device: the best that works, or the one that is wanted.

    The answer is kept in the state directory until the machine starts anew, its GPUs change or torch does.

    Args:
        wanted: ``auto``, ``cuda``, ``mps`` or ``cpu``.
        state: folder in which to keep the answer; None: nowhere.
    Raises:
        EngineError: if torch cannot be imported, or the wanted device does not work.
    """
    occasion: list[object] = [
        wanted,
        version("torch"),
        _boot(),
        sorted(path.name for path in Path("/dev").glob("nvidia*")),
    ]
    kept = state / f"device-{wanted}.json" if state else None
    if kept is not None and (known := _known(kept, occasion)):
        return known
    try:
        answer = run_child("speedd.engines.chatterbox.probe", wanted, timeout_s=PROBE_S)
    except OSError as error:
        raise EngineError(f"torch cannot be tried out: {error}.") from error
    if answer.returncode:
        reason = (answer.stderr.decode(errors="replace").strip().splitlines() or ["it ended without a word"])[-1]
        raise EngineError(
            f"torch does not work here: {reason}",
            hint="Install it again as the README says.",
            brief="finds no torch that works",
        )
    machine = Machine(**json.loads(answer.stdout))
    if wanted not in {"auto", machine.device}:
        raise EngineError(
            f"torch finds no {wanted} device that works here.",
            hint="Set [engines.chatterbox] device to auto.",
            brief=f"finds no {wanted} device that works",
        )
    if kept is not None:
        keep(kept, json.dumps({"occasion": occasion, "machine": asdict(machine)}).encode())
    return machine


def _known(kept: Path, occasion: list[object]) -> Machine | None:
    try:
        said = json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return Machine(**said["machine"]) if said.get("occasion") == occasion else None


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def offered() -> Iterator[str]:
    """Yield the devices that torch says are there, the fastest first."""
    import torch

    if torch.cuda.is_available():
        yield "cuda"
    if torch.backends.mps.is_available():
        yield "mps"
    yield "cpu"


def multiplies(device: str) -> bool:
    """Multiply two matrices on a device and look at the result: a driver that is there may not work.

    A card that is full just now does: what is found is kept, and how to make do with little room is the engine's.
    """
    import torch

    from speedd.engines.chatterbox.memory.device import means_full

    try:
        ones = torch.ones(_SIDE, _SIDE, device=device)
        return bool((ones @ ones == _SIDE).all())
    except RuntimeError as error:
        return means_full(error)


def choose(wanted: str, devices: Iterable[str], works: Callable[[str], bool] = multiplies) -> str:
    """Choose the first device that works, or else the CPU.

    Args:
        wanted: ``auto``, or the only one that is tried before the CPU.
        devices: those that there are, the best first.
        works: tries one.
    Raises:
        EngineError: if none works.
    """
    for device in devices:
        if (wanted in {"auto", device} or device == "cpu") and works(device):
            return device
    raise EngineError("torch cannot multiply two matrices here")


def _look(wanted: str) -> Machine:
    device = choose(wanted, offered())
    return Machine(device, *_suiting(device))


def _suiting(device: str) -> tuple[str, str, int]:
    import torch

    if device == "cuda":
        bf16 = torch.cuda.get_device_capability() >= (8, 0)
        found = torch.cuda.get_device_properties()  # asked of the driver: a full card has no room to ask it itself
        return ("bf16" if bf16 else "fp32"), str(found.name), int(found.total_memory)
    if device == "mps":
        return "fp32", "Apple GPU", 0
    return cpu_precision(), "CPU", 0


def cpu_precision() -> str:
    """Name the fastest precision that this processor has instructions for."""
    flags = _processor_flags()
    if flags & INT8_FLAGS:
        return "int8"
    return "bf16" if flags & BF16_FLAGS else "fp32"


def estimator_precision(precision: str) -> str:
    """Name what S3Gen's estimator reckons in beside a T3 of this precision: ``bf16`` or ``fp32``.

    It knows no 8-bit integers. A CPU that has those (``int8`` is a CPU's) may have no instructions for bf16, and then
    takes longer over it than over fp32.
    """
    if precision != "int8":
        return precision
    return "bf16" if _processor_flags() & BF16_FLAGS else "fp32"


def _processor_flags() -> set[str]:
    try:
        with CPUINFO.open(encoding="utf-8") as lines:
            return next((set(line.split(":", 1)[1].split()) for line in lines if line.startswith("flags")), set())
    except OSError:
        return set()


if __name__ == "__main__":
    print(json.dumps(asdict(_look(sys.argv[1]))))  # noqa: T201
