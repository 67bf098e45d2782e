"""S3Gen's token encoder: a conformer that looks at speech tokens and doubles their rate to mel frames.

The layers and weights are those of chatterbox-tts's ``UpsampleConformerEncoder`` (38 M parameters, fp32 always), on
channels-last tensors. Stock convolves over the padding of a batch; here it is masked, so a padded row is encoded like
one alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from speedd.engines.chatterbox.s3gen.layers import Dense, Norm, Tensor, WindowedDense, masked, times_transposed, valid

FP32 = torch.float32


@dataclass(frozen=True, slots=True)
class _Embedding:
    """Projects and normalises what goes into a stack of conformer layers."""

    project: Dense
    norm: Norm
    scale: float

    @classmethod
    def read(cls, module: Any, device: torch.device) -> _Embedding:
        linear, norm, _ = module.out
        return cls(
            Dense(linear.weight, linear.bias, device=device, dtype=FP32),
            Norm(norm, device=device, dtype=FP32),
            module.pos_enc.xscale,
        )

    def __call__(self, x: Tensor) -> Tensor:
        return self.norm(self.project(x)) * self.scale


@dataclass(frozen=True, slots=True)
class _Conformer:
    """Self-attention with relative positions and a feed-forward network, each added to what came in."""

    norm_attention: Norm
    qkv: Dense
    positions: Dense
    bias_content: Tensor  # [heads, 1, channels per head]
    bias_position: Tensor
    out: Dense
    norm_forward: Norm
    up: Dense
    down: Dense

    @classmethod
    def read(cls, layer: Any, device: torch.device) -> _Conformer:
        attention, forward = layer.self_attn, layer.feed_forward
        # The scores' scale goes into the queries and what is added to them; it is a power of two, so nothing is rounded
        # in the published size (64 channels per head).
        scale = 1 / math.sqrt(attention.d_k)
        linears = (attention.linear_q, attention.linear_k, attention.linear_v)
        weight, bias = (torch.cat([getattr(one, part).detach() for one in linears]) for part in ("weight", "bias"))
        width = attention.h * attention.d_k
        weight[:width] *= scale
        bias[:width] *= scale

        def dense(linear: Any) -> Dense:
            return Dense(linear.weight, linear.bias, device=device, dtype=FP32)

        return cls(
            norm_attention=Norm(layer.norm_mha, device=device, dtype=FP32),
            qkv=Dense(weight, bias, device=device, dtype=FP32),
            positions=dense(attention.linear_pos),
            bias_content=(attention.pos_bias_u.detach() * scale).to(device, FP32)[:, None],
            bias_position=(attention.pos_bias_v.detach() * scale).to(device, FP32)[:, None],
            out=dense(attention.linear_out),
            norm_forward=Norm(layer.norm_ff, device=device, dtype=FP32),
            up=dense(forward.w_1),
            down=dense(forward.w_2),
        )

    def __call__(self, x: Tensor, positions: Tensor, lengths: Sequence[int], mask: Tensor | None) -> Tensor:
        x = self.out(self._attend(self.norm_attention(x), positions, lengths, mask)).add_(x)
        return self.down(functional.silu(self.up(self.norm_forward(x)))).add_(x)

    def _attend(self, x: Tensor, positions: Tensor, lengths: Sequence[int], mask: Tensor | None) -> Tensor:
        """Attend to content and to distance: https://arxiv.org/abs/1901.02860, section 3.3."""
        rows, frames, _ = x.shape
        heads, _, channels = self.bias_content.shape
        query, key, value = self.qkv(x).view(rows, frames, 3, heads, channels).permute(2, 0, 3, 1, 4)
        distance = self.positions(positions).view(2 * frames - 1, heads, channels).transpose(0, 1)
        if x.device.type == "cpu":
            mixed = x.new_zeros(rows, frames, heads * channels)
            for row, length in enumerate(lengths):
                own = (row, slice(None), slice(length))
                near = distance[:, frames - length : frames + length - 1].contiguous()
                mixed[row, :length] = self._attend_alone(
                    query[own].contiguous(), key[own].contiguous(), value[own].contiguous(), near
                )
            return mixed
        by_distance = torch.matmul(query + self.bias_position, distance.transpose(-1, -2))
        scores = torch.matmul(query + self.bias_content, key.transpose(-1, -2)).add_(_askew(by_distance.contiguous()))
        if mask is not None:
            scores.masked_fill_(~mask[:, None, None, :], -math.inf)
        return torch.matmul(scores.softmax(-1), value).transpose(1, 2).reshape(rows, frames, heads * channels)

    def _attend_alone(self, query: Tensor, key: Tensor, value: Tensor, distance: Tensor) -> Tensor:
        """Attend within one row, head by head: three times [heads, frames, channels] become [frames, width]."""
        heads, frames, channels = query.shape
        mixed = query.new_empty(frames, heads, channels)
        for head in range(heads):
            by_distance = times_transposed(query[head] + self.bias_position[head], distance[head])
            scores = times_transposed(query[head] + self.bias_content[head], key[head]).add_(_askew(by_distance))
            mixed[:, head] = times_transposed(scores.softmax(-1), value[head].T)
        return mixed.flatten(1)


def _askew(by_distance: Tensor) -> Tensor:
    """Read [..., T, 2 T - 1] by distance as [..., T, T] by frame: the same memory, each row a step further left."""
    frames = by_distance.shape[-2]
    return by_distance.as_strided(
        (*by_distance.shape[:-1], frames), (*by_distance.stride()[:-2], 2 * frames - 2, 1), frames - 1
    )


class FlowEncoder:
    """chatterbox-tts's token encoder with the embedding before it and the projection to mel channels behind it.

    Args:
        flow: its ``CausalMaskedDiffWithXvec``. It is read, not changed.
        device: where it is to run.
    """

    def __init__(self, flow: Any, *, device: torch.device) -> None:
        encoder, ahead = flow.encoder, flow.encoder.pre_lookahead_layer
        self._tokens = flow.input_embedding.weight.detach().to(device)

        def window(conv: Any, *, before: int) -> WindowedDense:
            return WindowedDense(conv.weight, conv.bias, before=before, device=device, dtype=FP32)

        self._embed = _Embedding.read(encoder.embed, device)
        self._ahead = window(ahead.conv1, before=0)
        self._behind = window(ahead.conv2, before=2)
        self._layers = [_Conformer.read(layer, device) for layer in encoder.encoders]
        self._stride: int = encoder.up_layer.stride
        self._upsample = window(encoder.up_layer.conv, before=2 * self._stride)
        self._up_embed = _Embedding.read(encoder.up_embed, device)
        self._up_layers = [_Conformer.read(layer, device) for layer in encoder.up_encoders]
        self._norm = Norm(encoder.after_norm, device=device, dtype=FP32)
        self._project = Dense(flow.encoder_proj.weight, flow.encoder_proj.bias, device=device, dtype=FP32)

    def __call__(self, tokens: Tensor, lengths: Sequence[int]) -> Tensor:
        """Encode speech tokens.

        Args:
            tokens: shape [rows, tokens] of int64 on the encoder's device, padded on the right.
            lengths: tokens of each row that count.
        Returns:
            [rows, 2 × tokens, 80], zeros beyond a row's frames.
        """
        mask = valid(lengths, tokens.shape[1], tokens.device)
        column = None if mask is None else mask[..., None]
        x = masked(self._embed(masked(functional.embedding(tokens, self._tokens), column)), column)
        # Only this convolution looks ahead, into zeros behind a row's end; what follows looks back.
        x = self._behind(functional.leaky_relu(self._ahead(x))).add_(x)
        positions = _relative_positions(x.shape[1], x.shape[2], x.device)
        for layer in self._layers:
            x = layer(x, positions, lengths, mask)
        x = self._upsample(x.repeat_interleave(self._stride, 1))
        lengths = [length * self._stride for length in lengths]
        mask = valid(lengths, x.shape[1], x.device)
        x = self._up_embed(x)
        positions = _relative_positions(x.shape[1], x.shape[2], x.device)
        for layer in self._up_layers:
            x = layer(x, positions, lengths, mask)
        return masked(self._project(self._norm(x)), None if mask is None else mask[..., None])


def _relative_positions(frames: int, channels: int, device: torch.device) -> Tensor:
    """Sines and cosines of every distance from ``frames - 1`` down to ``1 - frames``: [2 × frames - 1, channels]."""
    distance = torch.arange(frames - 1, -frames, -1, device=device, dtype=FP32)[:, None]
    rates = torch.exp(torch.arange(0, channels, 2, device=device, dtype=FP32) * -(math.log(10_000) / channels))
    angles = distance * rates
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)
