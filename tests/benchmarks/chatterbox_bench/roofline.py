"""How fast a graphics card could speak at best: arithmetic, without torch.

A step of T3 reads all its weights and the cache of every row, and multiplies; whichever takes longer on the card is the
least that it takes. S3Gen multiplies, and that is what it takes. Launches, prompts and sampling cost nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from speedd.engines.chatterbox.memory.budget import S3GenWork, T3Size


@dataclass(frozen=True, slots=True)
class Card:
    """A graphics card, as its maker's data sheet has it, and what of that programs get out of it."""

    bandwidth_bytes_per_s: float
    bf16_flops: float
    """Per second: dense, on tensor cores, summed in fp32."""
    bandwidth_share: float = 0.75
    flops_share: float = 0.35
    """Assumed: nobody has measured it for these models."""

    @property
    def bytes_per_s(self) -> float:
        """What memory gives."""
        return self.bandwidth_bytes_per_s * self.bandwidth_share

    @property
    def flops(self) -> float:
        """What is computed in a second, in bf16."""
        return self.bf16_flops * self.flops_share


CARDS: Mapping[str, Card] = MappingProxyType(
    {
        "NVIDIA H200": Card(4.8e12, 990e12),
        "NVIDIA H100 80GB HBM3": Card(3.35e12, 990e12),
        "NVIDIA H100 NVL": Card(3.9e12, 835e12),
        "NVIDIA H100 PCIe": Card(2.0e12, 756e12),
        "NVIDIA A100-SXM4-80GB": Card(2.039e12, 312e12),
        "NVIDIA A100 80GB PCIe": Card(1.935e12, 312e12),
        "NVIDIA A100-SXM4-40GB": Card(1.555e12, 312e12),
        "NVIDIA A100-PCIE-40GB": Card(1.555e12, 312e12),
        "NVIDIA GeForce RTX 4090": Card(1.008e12, 165e12, 0.8, 0.4),
        "NVIDIA GeForce RTX 3090": Card(936e9, 71e12, 0.8, 0.4),
        "NVIDIA GeForce RTX 3060": Card(360e9, 25.5e12, 0.8, 0.45),
    }
)
"""By the whole name that CUDA gives: a Ti, a laptop's card or a slice of one is another card."""


def t3_step_s(card: Card, size: T3Size, *, rows: int, context: float) -> float:
    """Say how long a step of T3 takes at least.

    Args:
        card: which computes it.
        size: of the model.
        rows: utterances side by side.
        context: tokens before the one that is spoken, on the average: prompt, text and speech.
    """
    all_rows = size.rows * rows
    read_bytes = size.step_bytes + all_rows * context * size.kv_bytes_per_token
    # A weight of 2 bytes is multiplied and added, 2 operations; so is each number of the keys and of the values.
    flops = all_rows * (size.step_bytes + 4 * size.layers * size.width * context)
    return max(read_bytes / card.bytes_per_s, flops / card.flops)


def s3gen_s(card: Card, work: S3GenWork, *, steps: int) -> float:
    """Say how long S3Gen takes for a batch at least, with so many steps of the flow."""
    return work.flops(steps=steps) / card.flops
