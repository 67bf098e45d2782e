"""The layers that S3Gen is made of, on channels-last tensors ``[rows, frames, channels]``.

Frames are padded on the right; ``lengths`` says how many of each row count, and a mask is made only where a row is
shorter than its batch. A row alone therefore meets no mask at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch.nn import functional

Tensor: TypeAlias = torch.Tensor

HEADS_AT_ONCE = 2
"""Heads whose scores are held together on a CPU: 2.6 MB in bf16 at 800 frames, within the caches. Of 1, 2, 4, 8 and 16
heads this was the fastest (6.5 ms a call on two cores of an EPYC; `scaled_dot_product_attention` takes 22 ms)."""


class Dense:
    """``x Wᵀ + b`` with a weight that is laid out for the machine once.

    On a CPU the weight is packed for oneDNN: two cores of an AMD EPYC then do 440 GFLOPS in fp32, where the matrix
    library behind `torch.nn.functional.linear` does 185, and 880 instead of 800 in bf16.

    Args:
        weight: shape [out, in].
        bias: shape [out], or None.
        device: where it is to run.
        dtype: in what precision it is to run; what goes in must have it.
    """

    __slots__ = ("_bias", "_packed", "_weight")

    def __init__(self, weight: Tensor, bias: Tensor | None, *, device: torch.device, dtype: torch.dtype) -> None:
        weight = weight.detach().to(device, dtype).contiguous()
        self._bias = None if bias is None else bias.detach().to(device, dtype)
        self._packed = device.type == "cpu" and _packs(dtype)
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight, None) if self._packed else weight  # noqa: SLF001

    def __call__(self, x: Tensor) -> Tensor:
        """Multiply ``x`` of shape [..., in]; returns [..., out]."""
        if self._packed:
            return torch.ops.mkldnn._linear_pointwise(x, self._weight, self._bias, "none", [], "")  # noqa: SLF001
        return functional.linear(x, self._weight, self._bias)


def _packs(dtype: torch.dtype) -> bool:
    """Say whether this torch offers the packed product in this precision (the compiler of torch itself uses it)."""
    if not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")):
        return False
    return dtype == torch.float32 or (
        dtype == torch.bfloat16 and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001
    )


def times_transposed(a: Tensor, b: Tensor) -> Tensor:
    """Multiply two matrices, ``a bᵀ``: [m, k] and [n, k] become [m, n]. On a CPU as fast as `Dense`."""
    if a.device.type == "cpu" and _packs(a.dtype):
        return torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "")  # noqa: SLF001
    return a @ b.T


class WindowedDense:
    """A convolution along the frames as one matrix product over windows of frames.

    Args:
        weight: shape [out, in, kernel], as `torch.nn.Conv1d` keeps it.
        bias: shape [out], or None.
        before: frames of the window that lie before the one it belongs to; the rest lie after. Outside there are
            zeros. A causal convolution has ``kernel - 1``.
        device: where it is to run.
        dtype: in what precision it is to run.
    """

    __slots__ = ("_after", "_before", "_dense")

    def __init__(
        self, weight: Tensor, bias: Tensor | None, *, before: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        out_channels, in_channels, kernel = weight.shape
        self._before, self._after = before, kernel - 1 - before
        flat = weight.detach().permute(0, 2, 1).reshape(out_channels, kernel * in_channels)
        self._dense = Dense(flat, bias, device=device, dtype=dtype)

    def __call__(self, x: Tensor) -> Tensor:
        """Convolve ``x`` of shape [rows, frames, in]; returns [rows, frames, out]."""
        frames = x.shape[1]
        padded = functional.pad(x, (0, 0, self._before, self._after))
        taps = range(self._before + self._after + 1)
        return self._dense(torch.cat([padded[:, tap : tap + frames] for tap in taps], -1))


class Norm:
    """Layer normalisation with weights of its own precision."""

    __slots__ = ("_bias", "_eps", "_shape", "_weight")

    def __init__(self, module: Any, *, device: torch.device, dtype: torch.dtype) -> None:
        self._weight = module.weight.detach().to(device, dtype)
        self._bias = module.bias.detach().to(device, dtype)
        self._shape, self._eps = tuple(module.normalized_shape), module.eps

    def __call__(self, x: Tensor) -> Tensor:
        """Normalise over the last dimension."""
        return functional.layer_norm(x, self._shape, self._weight, self._bias, self._eps)


def valid(lengths: Sequence[int], frames: int, device: torch.device) -> Tensor | None:
    """Say which frames count, shape [rows, frames] of bool; None if all do."""
    if min(lengths) == frames:
        return None
    # Not waited for on a GPU: the copy is made from where CUDA has put the lengths at once.
    ends = torch.tensor(lengths).to(device, non_blocking=True)
    return torch.arange(frames, device=device) < ends[:, None]


def masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """Set to zero what ``mask`` (broadcastable to ``x``, bool) leaves out."""
    return x if mask is None else x * mask


def attend(qkv: Tensor, heads: int, lengths: Sequence[int], mask: Tensor | None) -> Tensor:
    """Self-attention, ``softmax(q kᵀ) v`` for every row and head. The scale of the scores belongs into q's weights.

    On a CPU each row is attended alone and without its padding, a few heads at a time, because there
    `scaled_dot_product_attention` takes bf16 at the speed of fp32 (torch 2.6 to 2.13).

    Args:
        qkv: queries, keys and values side by side, shape [rows, frames, 3 × heads × channels per head].
        heads: how many.
        lengths: frames of each row that count.
        mask: the same as `valid` makes it; not on a CPU as `attention_mask` makes it of that.
    Returns:
        Shape [rows, frames, heads × channels per head]; zeros or anything finite beyond a row's length.
    """
    rows, frames, width = qkv.shape
    split = qkv.view(rows, frames, 3, heads, width // (3 * heads))
    if qkv.device.type != "cpu":
        query, key, value = split.permute(2, 0, 3, 1, 4)
        keys = None if mask is None else mask[:, None, None, :]
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=keys, scale=1.0)
        return mixed.transpose(1, 2).reshape(rows, frames, width // 3)
    mixed = qkv.new_zeros(rows, frames, width // 3) if mask is not None else qkv.new_empty(rows, frames, width // 3)
    for row, length in enumerate(lengths):
        mixed[row, :length] = _attend_alone(*split[row, :length].permute(1, 2, 0, 3).contiguous())
    return mixed


def _attend_alone(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attend within one row: three times [heads, frames, channels] become [frames, heads × channels]."""
    heads, frames, channels = query.shape
    mixed = torch.empty_like(value)
    scores = query.new_empty(min(HEADS_AT_ONCE, heads), frames, frames)
    shares = torch.empty_like(scores)
    for first in range(0, heads, HEADS_AT_ONCE):
        some = slice(first, min(first + HEADS_AT_ONCE, heads))
        count = some.stop - first
        torch.bmm(query[some], key[some].transpose(1, 2), out=scores[:count])
        torch.softmax(scores[:count], -1, out=shares[:count])
        torch.bmm(shares[:count], value[some], out=mixed[some])
    return mixed.transpose(0, 1).reshape(frames, heads * channels)
