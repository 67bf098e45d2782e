"""The memory of this machine's graphics cards, used by any program, as NVIDIA's library NVML reports it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import structlog
from structlog.typing import FilteringBoundLogger

log: FilteringBoundLogger = structlog.get_logger()

DRIVER = Path("/proc/driver/nvidia/gpus")
CONTEXT_BYTES = 400 << 20
"""What a CUDA context takes beside what torch counts. It is 300 to 500 MiB by card and driver."""


@dataclass(frozen=True, slots=True)
class CardUse:
    """How the memory of a card is used, in bytes."""

    total: int
    free: int
    ours: int
    """What our workers on it hold."""
    told: bool = False
    """Whether the workers reported `ours` themselves, up to a heartbeat ago. Then it is only about right."""

    @property
    def others_bytes(self) -> int:
        """What other programs use."""
        return max(0, self.total - self.free - self.ours)

    @property
    def others(self) -> float:
        """The share of the card that other programs use, 0 to 1."""
        return self.others_bytes / max(1, self.total)


class Cards(Protocol):
    """Looks at cards."""

    def look(self, card: str, workers: Mapping[int, int]) -> CardUse | None:
        """Say how a card is used.

        Args:
            card: as ``CUDA_VISIBLE_DEVICES`` names it: a number or a UUID.
            workers: ours on it: by pid, the bytes that each reports. They count where the driver does not know our
                processes. 0 if a worker reports nothing.
        Returns:
            None if that is not known.
        """


class NvmlGpus:
    """Asks NVML. Without the extra ``gpu`` or a driver nothing is known, which is logged.

    NVML numbers cards by their place on the bus. Where ``CUDA_VISIBLE_DEVICES`` numbers them otherwise (CUDA's own
    order begins with the fastest), name them by UUID, or set ``CUDA_DEVICE_ORDER=PCI_BUS_ID``.
    """

    def __init__(self) -> None:
        self._nvml: Any = None
        try:
            import pynvml  # noqa: PLC0415
        except ImportError:
            log.info("gpu.unwatched", reason="the extra speedd[gpu] is not installed")
            return
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:  # no driver, another one than the library's, no permission
            log.info("gpu.unwatched", reason=f"NVIDIA's management library says: {error}")
            return
        self._nvml = pynvml

    def look(self, card: str, workers: Mapping[int, int]) -> CardUse | None:
        """Return how a card is used. See `Cards`."""
        nvml = self._nvml
        if nvml is None:
            return None
        try:
            by_number = card.isdecimal()
            handle = nvml.nvmlDeviceGetHandleByIndex(int(card)) if by_number else nvml.nvmlDeviceGetHandleByUUID(card)
            memory = nvml.nvmlDeviceGetMemoryInfo(handle)
            held = {one.pid: one.usedGpuMemory for one in nvml.nvmlDeviceGetComputeRunningProcesses(handle)}
        except nvml.NVMLError:
            return None
        seen = [held[pid] for pid in workers if held.get(pid) is not None]
        if seen or not workers:  # a worker that NVML does not list beside others has taken nothing yet
            return CardUse(int(memory.total), int(memory.free), int(sum(seen)))
        if all(workers.values()):  # in a container the driver knows our processes by other pids
            ours = sum(workers.values()) + len(workers) * CONTEXT_BYTES
            return CardUse(int(memory.total), int(memory.free), ours, told=True)
        return None


def visible_cards(environment: Mapping[str, str] | None = None, driver: Path = DRIVER) -> tuple[str, ...]:
    """Name the cards that a CUDA program would see here. Empty if that is not known."""
    environment = os.environ if environment is None else environment
    chosen = environment.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return tuple(name.strip() for name in chosen.split(",") if name.strip())
    try:
        return tuple(str(number) for number, _ in enumerate(driver.iterdir()))
    except OSError:
        return ()
