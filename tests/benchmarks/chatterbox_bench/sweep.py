"""Ours at several numbers of rows, and on smaller cards, beside stock and beside what the card could do at best."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from chatterbox_bench.order import GIB, OUT_OF_MEMORY, TOKENS_PER_SECOND, Order
from chatterbox_bench.roofline import CARDS, s3gen_s, t3_step_s
from speedd.engines.chatterbox.factory import rows_on_gpu
from speedd.engines.chatterbox.families import FAMILIES
from speedd.engines.chatterbox.memory.budget import S3GenWork, t3_size
from speedd.engines.chatterbox.probe import Machine
from speedd.engines.chatterbox.settings import ChatterboxSettings
from speedd.errors import SpeeddError

ROWS = (1, 8, 32, 64)
CARDS_GB = (6, 8, 12, 24)
"""What is swept on a graphics card."""
PROGRAMS: Mapping[str, str] = MappingProxyType({"engine": "engine", "t3": "t3", "s3gen": "s3gen_rows"})
"""The parts that are measured, and which program does it; what matters most comes first."""

Run = Callable[[str, Order], dict[str, Any]]
"""Lets a program obey an order, and returns what it said."""


@dataclass(frozen=True, slots=True)
class Beside:
    """What measured rows are held against."""

    device: Machine
    """Where they are measured."""
    stock: Mapping[str, float]
    """Times realtime, by part."""
    text_tokens: float
    """Of a text, on the average."""

    def estimate(self) -> dict[str, float] | None:
        """Say by what the least time is reckoned; None if the card is not known."""
        card = CARDS.get(self.device.name)
        if card is None:
            return None
        return {
            "tb_per_s": card.bandwidth_bytes_per_s / 1e12,
            "bandwidth_share": card.bandwidth_share,
            "tflops": card.bf16_flops / 1e12,
            "flops_share": card.flops_share,
        }

    def least_s(self, part: str, order: Order) -> float | None:
        """Say how long a part takes at least for an order; None if the card is not known."""
        card = CARDS.get(self.device.name)
        if card is None:
            return None
        family = FAMILIES[order.model]
        size = t3_size(family)
        context = size.prompt_tokens + self.text_tokens + order.tokens / 2
        speech_s = order.tokens / TOKENS_PER_SECOND
        work = S3GenWork(order.chunks, order.reference_s, speech_s, guided=family.guidance)
        least_s = {
            "t3": order.tokens * t3_step_s(card, size, rows=order.chunks, context=context),
            "s3gen": s3gen_s(card, work, steps=family.flow_steps),
        }
        return sum(least_s.values()) if part == "engine" else least_s[part]  # the engine does one after the other


def sweep(order: Order, beside: Beside, *, rows: Sequence[int], cards_gb: Sequence[int], run: Run) -> dict[str, Any]:
    """Measure T3, S3Gen and the engine at each number of rows, and the engine on smaller cards.

    Args:
        order: what all orders have in common.
        beside: what the rows are held against.
        rows: spoken side by side.
        cards_gb: sizes of cards that this one is taken for; the engine then takes as many rows as it would there.
        run: lets a program run.

    Returns:
        Plain JSON values: ``card`` and ``estimate``; by part, and under ``limited``, one row for each measurement:
        ``rows``, ``memory_gb`` where it is limited, what the program said, ``tokens_per_s``, ``realtime``,
        ``stock_ratio``, and ``estimate_share`` where the card is known. Instead a row may have `OUT_OF_MEMORY`, why it
        ``failed``, or ``left_out`` where the card is smaller than what it should be taken for.
    """

    def row(part: str, order: Order) -> dict[str, Any]:
        found: dict[str, Any] = {"rows": order.chunks} | ({"memory_gb": order.memory_gb} if order.memory_gb else {})
        try:
            found |= run(PROGRAMS[part], order)
        except SpeeddError as error:  # the other rows are worth having without this one
            return found | {"failed": error.message}
        if found.get(OUT_OF_MEMORY):
            return found
        tokens = order.chunks * order.tokens
        found["tokens_per_s"] = tokens / found["seconds"]
        found["realtime"] = found["tokens_per_s"] / TOKENS_PER_SECOND
        found["stock_ratio"] = found["realtime"] / beside.stock[part]
        if (least_s := beside.least_s(part, order)) is not None:
            found["estimate_share"] = least_s / found["seconds"]
        return found

    def limited() -> Iterator[dict[str, Any]]:
        for memory_gb in cards_gb:
            if memory_gb * GIB > beside.device.memory_bytes:
                yield {"memory_gb": memory_gb, "left_out": True}
                continue
            settings = ChatterboxSettings(model=order.model, reference_s=order.reference_s)
            fitting = rows_on_gpu(memory_gb * GIB, settings)
            yield row("engine", replace(order, chunks=fitting, memory_gb=memory_gb))

    return {
        "card": {"name": beside.device.name, "memory_gb": beside.device.memory_bytes / GIB},
        "estimate": beside.estimate(),
        # The most rows first too: the report has them in their order all the same.
        **{part: [row(part, replace(order, chunks=count)) for count in reversed(rows)][::-1] for part in PROGRAMS},
        "limited": list(limited()),
    }
