"""The static KV cache: one slot per row, each row from position 0, and how attention reads it.

Every row owns a slot and starts at position 0, so nothing is ever padded on the left. Rows are addressed by their slot
and never move: a step always runs over all slots, idle ones included, because the bits of a product may depend on how
many rows it has. An utterance's tokens then depend on nothing but itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

Attend: TypeAlias = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""Takes a layer's index and its q, k, v ``[rows, steps, heads, head_dim]``; returns ``[rows, steps, channels]``."""


@dataclass(frozen=True, slots=True)
class CacheShape:
    """How large a cache is."""

    layers: int
    heads: int
    head_dim: int
    length: int
    """Positions of a row."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Keys and values of some positions, kept apart from the cache: ``[layers, 2, heads, positions, head_dim]``."""

    data: Tensor

    @property
    def positions(self) -> int:
        """How many it holds."""
        return int(self.data.size(3))


class KvCache:
    """Keys and values of all rows: for each layer ``[2, rows, heads, length, head_dim]``, keys first.

    On a GPU all positions are there from the beginning, as CUDA graphs want it. On a CPU there are as many as the
    longest row needs: batched products want them side by side and would copy them at every step, which took a quarter
    of its time. Layers are tensors of their own, so that only one of them is there twice while they grow.
    """

    def __init__(self, shape: CacheShape, rows: int, *, dtype: torch.dtype, device: str) -> None:
        self.shape = shape
        self.rows = rows
        self._grows = device == "cpu"
        self._positions = 0 if self._grows else shape.length
        # Zeros, not whatever the memory held: a masked position must add nothing, and NaN times nothing is NaN.
        size = (2, rows, shape.heads, self._positions, shape.head_dim)
        self.layers = [torch.zeros(size, dtype=dtype, device=device) for _ in range(shape.layers)]
        self._all_rows = torch.arange(rows, device=device)
        self._columns = torch.arange(shape.length, device=device)
        # On a CPU a step's attention as two batched products takes 1.2 ms where SDPA takes 5.1 (bf16, 512 heads by
        # 192 positions, two cores): SDPA computes bf16 at the speed of fp32.
        self._by_products = device == "cpu" and dtype == torch.bfloat16

    def fit(self, span: int) -> None:
        """Have room for so many positions; on a CPU for exactly so many, and what lies behind them goes."""
        if self._grows and span != self._positions:
            kept = min(span, self._positions)
            for index, layer in enumerate(self.layers):
                resized = layer.new_empty((*layer.shape[:3], span, layer.size(4)))
                resized[:, :, :, :kept] = layer[:, :, :, :kept]
                resized[:, :, :, kept:] = 0
                self.layers[index] = resized
            self._positions = span

    def reach(self, positions: int) -> None:
        """Have room for at least so many positions."""
        if positions > self._positions:
            self.fit(positions)

    def clear(self, rows: slice) -> None:
        """Leave nothing in some rows: NaN would reach whoever has them next, past every mask."""
        for layer in self.layers:
            layer[:, rows] = 0

    def load(self, row: int, stretch: Stretch, *, at: int = 0, count: int | None = None) -> None:
        """Copy the first ``count`` positions of a stretch into a row."""
        count = stretch.positions if count is None else count
        for layer, data in zip(self.layers, stretch.data, strict=True):
            layer[:, row, :, at : at + count] = data[:, :, :count]

    def save(self, row: int, start: int, end: int) -> Stretch:
        """Copy positions out of a row."""
        return Stretch(torch.stack([layer[:, row, :, start:end] for layer in self.layers]))

    def prefill(self, row: int, start: int, *, other: int | None = None) -> Attend:
        """Attend in one row, from a position on; with ``other``, the last step belongs to another row.

        Both rows hold all positions before theirs already, and the last step of each has the same position.
        """

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            steps = q.size(1) - (other is not None)
            end = start + steps
            own = self._attend_in(layer, row, start, q[:, :steps], k[:, :steps], v[:, :steps])
            if other is None:
                return own
            last = self._attend_in(layer, other, end - 1, q[:, steps:], k[:, steps:], v[:, steps:])
            return torch.cat([own, last], 1)

        return attend

    def decode(self, positions: Tensor, span: int, watch: HeadWatch | None = None) -> Attend:
        """Attend in the first rows, one step each.

        Args:
            positions: of each row's step, int64 ``[rows]``; all before ``span``.
            span: columns to read; what `fit` was told last.
            watch: looks at some heads.
        """
        shape, rows = self.shape, len(positions)
        slots = self._all_rows[:rows]
        mask = self._columns[:span] <= positions[:, None]  # [rows, span]
        hidden = torch.zeros(mask.shape, device=mask.device).masked_fill_(~mask, -math.inf)
        hidden_from_heads = hidden.to(self.layers[0].dtype)[:, None]

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            keys, values = self.layers[layer][:, :rows]
            keys[slots, :, positions] = k[:, 0].to(keys.dtype)
            values[slots, :, positions] = v[:, 0].to(values.dtype)
            query = q[:, 0].to(keys.dtype)  # [rows, heads, head_dim]
            if watch is not None:
                watch.see(layer, query, keys[:, :, :span], hidden)
            if self._by_products:
                flat = (-1, span, shape.head_dim)
                scaled = (query / math.sqrt(shape.head_dim)).view(-1, shape.head_dim, 1)
                scores = torch.bmm(keys.view(flat), scaled).view(-1, shape.heads, span).add_(hidden_from_heads)
                out = torch.bmm(scores.softmax(-1).view(-1, 1, span), values.view(flat))
            else:
                out = functional.scaled_dot_product_attention(
                    query[:, :, None], keys[:, :, :span], values[:, :, :span], attn_mask=mask[:, None, None]
                )
            return out.reshape(rows, 1, -1).to(q.dtype)

        return attend

    def _attend_in(self, layer: int, row: int, start: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attend causally in one row: q, k, v ``[1, steps, heads, head_dim]`` stand at ``start`` and after."""
        steps = q.size(1)
        end = start + steps
        keys, values = self.layers[layer][:, row]  # [heads, length, head_dim]
        keys[:, start:end] = k[0].transpose(0, 1).to(keys.dtype)
        values[:, start:end] = v[0].transpose(0, 1).to(values.dtype)
        mask = self._columns[:end] <= self._columns[start:end, None]
        out = functional.scaled_dot_product_attention(
            q.transpose(1, 2).to(keys.dtype), keys[None, :, :end], values[None, :, :end], attn_mask=mask
        )
        return out.transpose(1, 2).reshape(1, steps, -1).to(q.dtype)


class HeadWatch:
    """Looks at some heads while a step attends: where in the text do they look?

    Their attention is computed once more for these heads alone, from the same q and k, so that the fast kernels, which
    do not give it, can stay.

    Args:
        heads: (layer, head) each.
        rows_each: rows of an utterance; the first is looked at.
    """

    def __init__(self, heads: Sequence[tuple[int, int]], rows_each: int) -> None:
        self._heads = tuple(heads)
        self._rows_each = rows_each
        self._seen: list[Tensor] = []

    def see(self, layer: int, query: Tensor, keys: Tensor, hidden: Tensor) -> None:
        """Take note of a layer: query ``[rows, heads, head_dim]``, keys ``[rows, heads, span, head_dim]``."""
        each = self._rows_each
        for at, head in self._heads:
            if at == layer:
                looked_for = query[::each, head].float()
                scores = torch.einsum("rsd,rd->rs", keys[::each, head].float(), looked_for)
                self._seen.append((scores / math.sqrt(query.size(-1)) + hidden[::each]).softmax(-1))

    def attention(self) -> Tensor:
        """Return the heads' mean attention ``[utterances, span]`` of the step, and begin anew."""
        seen, self._seen = self._seen, []
        return torch.stack(seen).mean(0)
