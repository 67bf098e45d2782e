"""From logits to tokens, every row by its own parameters and its own seed; tensors in and out, nothing waits.

The order of the steps is stock's, and differs by model. Noise comes from a counter, not from a generator: what is drawn
depends on the row's seed and step alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

Draw: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Takes probabilities ``[rows, tokens]``, seeds and steps ``[rows]``; returns a token for each row."""


ALL_TOKENS = 1 << 31
"""A ``top_k`` that drops nothing."""


@dataclass(frozen=True, slots=True)
class RowParameters:
    """What each row is sampled by: float32 ``[rows, 1]``, but for ``top_k``, which is int64."""

    cfg_weight: Tensor
    temperature: Tensor
    min_p: Tensor
    top_p: Tensor
    repetition_penalty: Tensor
    top_k: Tensor

    @classmethod
    def neutral(cls, rows: int, device: str) -> RowParameters:
        """Parameters of idle rows."""
        return cls(*(torch.full((rows, 1), value, device=device) for value in (0.0, 1.0, 0.0, 1.0, 1.0, ALL_TOKENS)))

    def set(self, row: int, **values: float) -> None:
        """Set a row's parameters."""
        for name, value in values.items():
            getattr(self, name)[row] = value


def guided(logits: Tensor, weight: Tensor) -> Tensor:
    """Guide by what the text changed: ``[rows, 2, tokens]`` (with text, without) become ``[rows, tokens]``."""
    with_text, without = logits[:, 0], logits[:, 1]
    # With weight 0 stock crashes; here the row without text then counts for nothing, whatever it holds.
    return torch.where(weight == 0, with_text, with_text + weight * (with_text - without))


def penalised(logits: Tensor, seen: Tensor, penalty: Tensor) -> Tensor:
    """Make tokens that were spoken already less likely; ``seen`` ``[rows, tokens]`` is true for those."""
    return torch.where(seen, torch.where(logits < 0, logits * penalty, logits / penalty), logits)


def kept_by_min_p(logits: Tensor, min_p: Tensor) -> Tensor:
    """Drop tokens less likely than ``min_p`` times the likeliest."""
    shares = logits.softmax(-1)
    return logits.masked_fill(shares < min_p * shares.amax(-1, keepdim=True), -math.inf)


def reach_of_top_k(ks: Iterable[int], tokens: int) -> int:
    """Say how far down the likeliest tokens must be known for rows that keep so many each: 0 if none drops any.

    Args:
        ks: of each row.
        tokens: that there are.
    Returns:
        A power of two, or all tokens: each is another CUDA graph.
    """
    widest = max((k for k in ks if k < tokens), default=0)
    return min(tokens, 1 << (widest - 1).bit_length()) if widest else 0


def kept_by_top_k(logits: Tensor, top_k: Tensor, reach: int) -> Tensor:
    """Drop all but the ``top_k`` likeliest tokens of each row; rows that keep more than ``reach`` stay whole."""
    likeliest = logits.topk(reach, -1).values
    least = likeliest.gather(1, top_k.clamp_max(reach) - 1)
    return logits.masked_fill((logits < least) & (top_k <= reach), -math.inf)


def kept_by_top_p(logits: Tensor, top_p: Tensor) -> Tensor:
    """Drop the least likely tokens that together stay within ``1 - top_p``; rows with ``top_p`` 1 stay whole."""
    ascending, order = logits.sort(-1)
    dropped = (ascending.softmax(-1).cumsum(-1) <= 1 - top_p) & (top_p < 1)
    dropped[:, -1] = False
    return logits.masked_fill(torch.zeros_like(dropped).scatter(1, order, dropped), -math.inf)


def draw_by_counter(shares: Tensor, seeds: Tensor, steps: Tensor) -> Tensor:
    """Draw by the inverse of the cumulative distribution, at a point that a hash of seed and step gives."""
    # In fp32 a sum over 8,194 tokens may fall short of a rare token's share; Apple GPUs have nothing wider.
    wide = torch.float32 if shares.device.type == "mps" else torch.float64
    cumulative = shares.to(wide).cumsum(-1)
    point = uniform(seeds, steps).to(wide)[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, point, right=True)[:, 0].clamp_max(shares.size(-1) - 1)


def uniform(seeds: Tensor, steps: Tensor) -> Tensor:
    """Hash seeds and steps, int64 ``[rows]``, to float32 in [0, 1): splitmix64 (Steele, Lea and Flood, 2014).

    Whole 64-bit products wrap around in torch, and arithmetic shifts are masked to logical ones, so it runs inside a
    CUDA graph.
    """
    state = seeds * _signed(0x9E3779B97F4A7C15) + (steps + 1) * _signed(0xD1B54A32D192ED03)
    state = (state ^ _shifted(state, 30)) * _signed(0xBF58476D1CE4E5B9)
    state = (state ^ _shifted(state, 27)) * _signed(0x94D049BB133111EB)
    return _shifted(state ^ _shifted(state, 31), 40).float() / (1 << 24)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _shifted(value: Tensor, bits: int) -> Tensor:
    return (value >> bits) & ((1 << (64 - bits)) - 1)
