"""The estimator of S3Gen's flow: from noise and conditions to the direction in which the mel lies.

The layers and weights are those of chatterbox-tts's ``ConditionalDecoder`` (a U-Net of causal convolutions and
transformer blocks without any downsampling, 71 M parameters); only the way through them is ours: channels last, so that
every convolution and every projection is one matrix product, queries, keys and values in one, and attention that keeps
to a row's own frames. It takes nine tenths of S3Gen's time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from speedd.engines.chatterbox.memory.device import attention_mask
from speedd.engines.chatterbox.s3gen.layers import Dense, Norm, Tensor, WindowedDense, attend, masked


@dataclass(frozen=True, slots=True)
class _Convolved:
    """A causal convolution, a norm and Mish."""

    window: WindowedDense
    norm: Norm

    def __call__(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return masked(functional.mish(self.norm(self.window(masked(x, mask)))), mask)


@dataclass(frozen=True, slots=True)
class _Residual:
    """Two convolutions, told the time in between, beside a direct way."""

    first: _Convolved
    second: _Convolved
    direct: Dense
    time: Dense

    def __call__(self, x: Tensor, time: Tensor, mask: Tensor | None) -> Tensor:
        h = self.first(x, mask) + self.time(functional.mish(time)).to(x.dtype)[:, None]
        return self.second(h, mask).add_(self.direct(masked(x, mask)))


@dataclass(frozen=True, slots=True)
class _Transformer:
    """Self-attention and a feed-forward network, each added to what came in."""

    norm_attention: Norm
    qkv: Dense
    out: Dense
    norm_forward: Norm
    up: Dense
    down: Dense
    heads: int

    def __call__(self, x: Tensor, lengths: Sequence[int], seen: Tensor | None) -> Tensor:
        x = self.out(attend(self.qkv(self.norm_attention(x)), self.heads, lengths, seen)).add_(x)
        return self.down(functional.gelu(self.up(self.norm_forward(x)))).add_(x)


@dataclass(frozen=True, slots=True)
class _Stage:
    """A residual block and its transformers."""

    residual: _Residual
    transformers: tuple[_Transformer, ...]

    def __call__(
        self, x: Tensor, time: Tensor, lengths: Sequence[int], mask: Tensor | None, seen: Tensor | None
    ) -> Tensor:
        x = self.residual(x, time, mask)
        for transformer in self.transformers:
            x = transformer(x, lengths, seen)
        return x


class Estimator:
    """chatterbox-tts's flow estimator, in one precision on one device.

    Args:
        decoder: its ``ConditionalDecoder``. It is read, not changed; where precision and device are those it has,
            its biases and norms are shared, every other weight is copied.
        device: where it is to run.
        dtype: bf16 where the machine multiplies it fast, else fp32. The time is embedded in fp32 in any case.
    """

    def __init__(self, decoder: Any, *, device: torch.device, dtype: torch.dtype) -> None:
        self.device, self.dtype = device, dtype
        self.mean_flow: bool = decoder.meanflow
        """Whether it was distilled to be told where a step ends, and to need no guidance (turbo, nano)."""
        read = _Reader(device, dtype)
        # There is one block down and one up, with no change of rate: `channels=[256]` in S3Token2Mel.
        [[entry, entry_transformers, entry_window]] = decoder.down_blocks
        [[exit_, exit_transformers, exit_window]] = decoder.up_blocks
        self._entry = read.stage(entry, entry_transformers)
        self._entry_window = read.causal(entry_window)
        self._middle = [read.stage(residual, transformers) for residual, transformers in decoder.mid_blocks]
        self._exit = read.stage(exit_, exit_transformers)
        self._exit_window = read.causal(exit_window)
        self._final = read.convolved(decoder.final_block)
        self._project = read.pointwise(decoder.final_proj)
        embedding = decoder.time_embeddings.dim // 2
        self._frequencies = torch.exp(torch.arange(embedding, device=device) * (-math.log(10_000) / (embedding - 1)))
        self._time_up = read.dense(decoder.time_mlp.linear_1, dtype=torch.float32)
        self._time_down = read.dense(decoder.time_mlp.linear_2, dtype=torch.float32)
        self._time_mixer = read.dense(decoder.time_embed_mixer, dtype=torch.float32) if self.mean_flow else None

    def embed_time(self, begin: float, end: float) -> Tensor:
        """Embed a step of the flow from ``begin`` to ``end`` (both in [0, 1]), shape [1, channels] in fp32."""
        time = self._embed(begin)
        return self._time_mixer(torch.cat([time, self._embed(end)], 1)) if self._time_mixer else time

    def _embed(self, time: float) -> Tensor:
        angles = 1000 * time * self._frequencies[None]
        return self._time_down(functional.silu(self._time_up(torch.cat([angles.sin(), angles.cos()], -1))))

    def __call__(self, x: Tensor, time: Tensor, lengths: Sequence[int], mask: Tensor | None) -> Tensor:
        """Estimate the direction of the flow.

        Args:
            x: mel so far, encoded tokens, speaker and known mel side by side: [rows, frames, 4 × 80], in `dtype`.
            time: from `embed_time`.
            lengths: frames of each row that count.
            mask: the same as `s3gen_layers.valid` makes it.
        Returns:
            [rows, frames, 80] in `dtype`, zeros beyond a row's length.
        """
        column = None if mask is None else mask[..., None]
        seen = mask if mask is None or mask.device.type == "cpu" else attention_mask(mask, self.dtype)
        x = beside = self._entry(x, time, lengths, column, seen)
        x = self._entry_window(masked(x, column))
        for stage in self._middle:
            x = stage(x, time, lengths, column, seen)
        x = self._exit(torch.cat([x, beside], -1), time, lengths, column, seen)
        x = self._final(self._exit_window(masked(x, column)), column)
        return masked(self._project(x), column)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads chatterbox-tts's modules into ours."""

    device: torch.device
    dtype: torch.dtype

    def dense(self, linear: Any, dtype: torch.dtype | None = None) -> Dense:
        return Dense(linear.weight, linear.bias, device=self.device, dtype=dtype or self.dtype)

    def pointwise(self, conv: Any) -> Dense:
        return Dense(conv.weight[:, :, 0], conv.bias, device=self.device, dtype=self.dtype)

    def causal(self, conv: Any) -> WindowedDense:
        before = conv.kernel_size[0] - 1
        return WindowedDense(conv.weight, conv.bias, before=before, device=self.device, dtype=self.dtype)

    def convolved(self, block: Any) -> _Convolved:
        conv, _, norm, _, _ = block.block
        return _Convolved(self.causal(conv), Norm(norm, device=self.device, dtype=self.dtype))

    def stage(self, residual: Any, transformers: Any) -> _Stage:
        return _Stage(
            _Residual(
                first=self.convolved(residual.block1),
                second=self.convolved(residual.block2),
                direct=self.pointwise(residual.res_conv),
                time=self.dense(residual.mlp[1], dtype=torch.float32),
            ),
            tuple(self.transformer(block) for block in transformers),
        )

    def transformer(self, block: Any) -> _Transformer:
        attention, forward = block.attn1, block.ff.net
        query = attention.to_q.weight * attention.scale  # a power of two: nothing is rounded
        qkv = torch.cat([query, attention.to_k.weight, attention.to_v.weight])
        return _Transformer(
            norm_attention=Norm(block.norm1, device=self.device, dtype=self.dtype),
            qkv=Dense(qkv, None, device=self.device, dtype=self.dtype),
            out=self.dense(attention.to_out[0]),
            norm_forward=Norm(block.norm3, device=self.device, dtype=self.dtype),
            up=self.dense(forward[0].proj),
            down=self.dense(forward[2]),
            heads=attention.heads,
        )
