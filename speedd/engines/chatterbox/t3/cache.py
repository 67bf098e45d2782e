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

from speedd.engines.chatterbox.memory.device import attention_mask

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
class PositionRange:
    """Keys and values of some positions, kept apart from the cache: ``[layers, 2, heads, positions, head_dim]``."""

    data: Tensor

    @property
    def positions(self) -> int:
        """How many it holds."""
        return int(self.data.size(3))


class KvCache:
    """Keys and values of all rows: for each layer two tensors ``[rows, heads, length, head_dim]``.

    On a GPU all positions are there from the beginning, as CUDA graphs want it, and all layers in one piece, so that a
    prefix is copied into a row at once. On a CPU there are as many as the longest row needs: attention wants them side
    by side and would copy them at every step, which took a quarter of its time. Layers are tensors of their own there,
    so that only one of them is there twice while they grow.

    A step's attention on a CPU in bf16 is two weighted sums: of the keys by the query, whose channels lie one after the
    other in memory for that, and of the values by their shares. `torch.nn.functional.embedding_bag` does each in 0.4 ms
    (512 heads by 256 positions, two cores of an AMD EPYC), as fast as memory is read; a batched product takes 1 ms, and
    SDPA, which computes bf16 at the speed of fp32, 5 ms for both.
    """

    def __init__(self, shape: CacheShape, rows: int, *, dtype: torch.dtype, device: str) -> None:
        self.shape = shape
        self.rows = rows
        self._grows = device == "cpu"
        self._in_bags = device == "cpu" and dtype == torch.bfloat16
        self._dtype, self._device = dtype, device
        self._positions = 0 if self._grows else shape.length
        # [layers, 2, rows, heads, length, head_dim]; zeros for the same reason as in `_empty_layer`.
        whole = (shape.layers, 2, rows, shape.heads, shape.length, shape.head_dim)
        self._whole = None if self._grows else torch.zeros(whole, dtype=dtype, device=device)
        self._layers = (
            [self._empty_layer(self._positions) for _ in range(shape.layers)]
            if self._whole is None
            else [(keys, values) for keys, values in self._whole]
        )
        self._all_rows = torch.arange(rows, device=device)
        self._columns = torch.arange(shape.length, device=device)

    def _empty_layer(self, positions: int) -> tuple[Tensor, Tensor]:
        """Make room for a layer's keys and values."""
        rows, heads, channels = self.rows, self.shape.heads, self.shape.head_dim
        # Zeros, not whatever the memory held: a masked position must add nothing, and NaN times nothing is NaN. Both in
        # one piece: large pieces come from the system and go back there, smaller ones leave holes as they grow.
        keys, values = torch.zeros(2, rows, heads, positions * channels, dtype=self._dtype, device=self._device)
        if self._in_bags:
            keys = keys.view(rows, heads, channels, positions).transpose(2, 3)
        else:
            keys = keys.view(rows, heads, positions, channels)
        return keys, values.view(rows, heads, positions, channels)

    def fit(self, span: int) -> None:
        """Have room for so many positions; on a CPU for exactly so many, and what lies behind them goes."""
        if self._grows and span != self._positions:
            for index in range(len(self._layers)):
                self._layers[index] = self._resized(index, span)
            self._positions = span

    def _resized(self, index: int, positions: int) -> tuple[Tensor, Tensor]:
        layer, kept = self._empty_layer(positions), min(positions, self._positions)
        for part, held in zip(layer, self._layers[index], strict=True):
            part[:, :, :kept] = held[:, :, :kept]
        return layer

    def reach(self, positions: int) -> None:
        """Have room for at least so many positions."""
        if positions > self._positions:
            self.fit(positions)

    def clear(self, rows: slice) -> None:
        """Leave nothing in some rows: NaN would reach whoever has them next, past every mask."""
        for keys, values in self._layers:
            keys[rows] = values[rows] = 0

    def load(self, row: int, stretch: PositionRange, *, at: int = 0, count: int | None = None) -> None:
        """Copy the first ``count`` positions of a stretch into a row."""
        count = stretch.positions if count is None else count
        if self._whole is not None:
            self._whole[:, :, row, :, at : at + count] = stretch.data[:, :, :, :count]
            return
        for (keys, values), data in zip(self._layers, stretch.data, strict=True):
            keys[row, :, at : at + count], values[row, :, at : at + count] = data[:, :, :count]

    def save(self, row: int, start: int, end: int) -> PositionRange:
        """Copy positions out of a row."""
        if self._whole is not None:
            return PositionRange(self._whole[:, :, row, :, start:end].clone())
        return PositionRange(
            torch.stack([torch.stack([part[row, :, start:end] for part in layer]) for layer in self._layers])
        )

    def prefill(self, row: int, start: int, steps: int, *, other: int | None = None) -> Attend:
        """Attend in one row, so many steps from a position on; with ``other``, the last step belongs to another row.

        Both rows hold all positions before theirs already, and the last step of each has the same position.
        """
        own_steps = steps - (other is not None)
        end = start + own_steps
        mask, mask_of_last = (self._visible(self._columns[first:end, None], end) for first in (start, end - 1))

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            own = self._attend_in(layer, row, start, mask, *(part[:, :own_steps] for part in (q, k, v)))
            if other is None:
                return own
            last = self._attend_in(layer, other, end - 1, mask_of_last, *(part[:, own_steps:] for part in (q, k, v)))
            return torch.cat([own, last], 1)

        return attend

    def decode(self, positions: Tensor, span: int, watch: HeadWatch | None = None) -> Attend:
        """Attend in the first rows, one step each. What more rows look for, they find nothing.

        Args:
            positions: of each row's step, int64 ``[rows]``; all before ``span``.
            span: columns to read; what `fit` was told last.
            watch: looks at some heads.
        """
        shape, rows = self.shape, len(positions)
        slots = self._all_rows[:rows]
        mask = self._columns[:span] <= positions[:, None]  # [rows, span]
        hidden = torch.zeros(mask.shape, device=mask.device).masked_fill_(~mask, -math.inf)
        visible = mask if self._grows else hidden.to(self._dtype)
        bags = rows * shape.heads
        if self._in_bags:
            hidden_from_heads = hidden.to(self._dtype)[:, None]
            of_channels, of_positions = (
                torch.arange(bags * each, dtype=torch.int32).view(bags, each) for each in (shape.head_dim, span)
            )

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            keys, values = (part[:rows] for part in self._layers[layer])
            keys[slots, :, positions] = k[:rows, 0].to(keys.dtype)
            values[slots, :, positions] = v[:rows, 0].to(values.dtype)
            query = q[:rows, 0].to(keys.dtype)  # [rows, heads, head_dim]
            if watch is not None:
                watch.see(layer, query, keys[:, :, :span], hidden)
            if self._in_bags:
                scaled = (query / math.sqrt(shape.head_dim)).view(bags, -1)
                scores = _weighted_sums(of_channels, keys.transpose(2, 3).view(bags * shape.head_dim, span), scaled)
                shares = scores.view(rows, -1, span).add_(hidden_from_heads).softmax(-1)
                shares = shares.view(bags, span)
                out = _weighted_sums(of_positions, values.view(bags * span, shape.head_dim), shares)
            else:
                out = functional.scaled_dot_product_attention(
                    query[:, :, None], keys[:, :, :span], values[:, :, :span], attn_mask=visible[:, None, None]
                )
            out = out.reshape(rows, 1, -1).to(q.dtype)
            return out if len(q) == rows else functional.pad(out, (0, 0, 0, 0, 0, len(q) - rows))

        return attend

    def _visible(self, positions: Tensor, end: int) -> Tensor:
        """Say which columns before ``end`` steps at ``positions`` ``[steps, 1]`` see: ``[steps, end]``."""
        mask = self._columns[:end] <= positions
        return mask if self._grows else attention_mask(mask, self._dtype)

    def _attend_in(self, layer: int, row: int, start: int, mask: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attend causally in one row: q, k, v ``[1, steps, heads, head_dim]`` stand at ``start`` and after."""
        steps = q.size(1)
        end = start + steps
        keys, values = (part[row] for part in self._layers[layer])  # [heads, length, head_dim]
        keys[:, start:end] = k[0].transpose(0, 1).to(keys.dtype)
        values[:, start:end] = v[0].transpose(0, 1).to(values.dtype)
        query = q[0].transpose(0, 1).to(keys.dtype)
        if self._in_bags:  # twice as fast as SDPA here; on copies, whose strides no other row's length decides
            by_channel = keys[:, :end].transpose(1, 2).contiguous()
            scores = torch.bmm(query / math.sqrt(self.shape.head_dim), by_channel)
            out = torch.bmm(scores.masked_fill_(~mask, -math.inf).softmax(-1), values[:, :end].contiguous())
        else:
            own = (query[None], keys[None, :, :end], values[None, :, :end])
            out = functional.scaled_dot_product_attention(*own, attn_mask=mask)[0]
        return out.transpose(0, 1).reshape(1, steps, -1).to(q.dtype)


def _weighted_sums(bags: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """Add up rows ``[n, channels]``: those that ``bags`` ``[bags, each]`` names by ``weights`` of the same shape."""
    return functional.embedding_bag(bags, rows, mode="sum", per_sample_weights=weights)


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
