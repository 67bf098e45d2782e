"""T3's two transformers, Llama and GPT-2, as plain functions over their weights and somebody else's attention.

They read the weights of chatterbox-tts's checkpoints by name. That no transformers class is made for them saves the
time and the memory of initialising half a billion numbers that are then overwritten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from speedd.engines.chatterbox.t3.cache import Attend, CacheShape
from speedd.engines.chatterbox.t3.linear import Linear, make_linear

if TYPE_CHECKING:
    from speedd.engines.chatterbox.weights.tensor_file import TensorFile

HEAD_DIM = 64
"""Channels of an attention head, in all published models."""


class Backbone(Protocol):
    """A transformer without its embeddings and its head."""

    layers: int
    heads: int
    dtype: torch.dtype
    """Of its activations."""

    def forward(self, x: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """Run all layers over ``x`` ``[rows, steps, channels]`` at ``positions`` ``[rows, steps]``."""


def cache_shape(backbone: Backbone, length: int) -> CacheShape:
    """Say what cache suits a transformer."""
    return CacheShape(backbone.layers, backbone.heads, HEAD_DIM, length)


def activation_dtype(precision: str) -> torch.dtype:
    """In what type activations are: 8-bit weights keep them in full."""
    return torch.bfloat16 if precision == "bf16" else torch.float32


def cache_dtype(precision: str) -> torch.dtype:
    """In what type keys and values are kept: a step's time goes into reading them."""
    return torch.float32 if precision == "fp32" else torch.bfloat16


def count_layers(weights: TensorFile, prefix: str) -> int:
    """Count the layers whose tensors begin with ``prefix``: one at least, for what it lacks to be missed."""
    numbers = (int(name.removeprefix(prefix).split(".")[0]) for name in weights if name.startswith(prefix))
    return 1 + max(numbers, default=0)


@dataclass(frozen=True, slots=True)
class _LlamaLayer:
    before_attention: Tensor
    before_mlp: Tensor
    qkv: Linear
    out: Linear
    gate_up: Linear
    down: Linear


class Llama:
    """RMS norms, rotary positions, gated MLP; as `transformers.LlamaModel` computes it.

    Args:
        weights: tensors by name, ``tfmr.layers.0.self_attn.q_proj.weight`` and so on.
        channels: of its activations.
        inverse_frequencies: of the rotary positions, ``[head_dim / 2]``.
        length: highest position plus one.
        precision: see `make_linear`.
        device: where it runs.
    Raises:
        EngineError: if a tensor is missing or of a wrong shape.
    """

    EPSILON = 1e-5

    def __init__(
        self,
        weights: TensorFile,
        channels: int,
        inverse_frequencies: Tensor,
        *,
        length: int,
        precision: str,
        device: str,
    ) -> None:
        self.layers = count_layers(weights, "tfmr.layers.")
        inner = weights.shaped("tfmr.layers.0.mlp.gate_proj.weight", None, channels).size(0)
        self.heads = channels // HEAD_DIM
        self.dtype = activation_dtype(precision)

        def linear(n_out: int, n_in: int, layer: int, *names: str) -> Linear:
            parts = [weights.shaped(f"tfmr.layers.{layer}.{name}.weight", n_out, n_in) for name in names]
            return make_linear(torch.cat(parts), precision=precision, device=device)

        def norm(name: str) -> Tensor:
            return weights.shaped(f"tfmr.{name}.weight", channels).to(device, self.dtype)

        self._layers = [
            _LlamaLayer(
                norm(f"layers.{n}.input_layernorm"),
                norm(f"layers.{n}.post_attention_layernorm"),
                linear(channels, channels, n, "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
                linear(channels, channels, n, "self_attn.o_proj"),
                linear(inner, channels, n, "mlp.gate_proj", "mlp.up_proj"),
                linear(channels, inner, n, "mlp.down_proj"),
            )
            for n in range(self.layers)
        ]
        self._norm = norm("norm")
        angles = torch.outer(torch.arange(length).float(), inverse_frequencies.float())
        self._cos = torch.cat([angles, angles], 1).cos().to(device, self.dtype)
        # With the sign that the halves of a head have when they are turned into each other.
        self._sin = torch.cat([-angles, angles], 1).sin().to(device, self.dtype)

    def forward(self, x: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """Run all layers; see `Backbone.forward`."""
        rows, steps, _ = x.shape
        x = x.to(self.dtype)
        cos, sin = (table[positions][:, :, None, None] for table in (self._cos, self._sin))
        for index, layer in enumerate(self._layers):
            qkv = layer.qkv(self._rms(x, layer.before_attention))
            qkv = qkv.view(rows, steps, 3, self.heads, HEAD_DIM)
            q, k = _rotated(qkv[:, :, :2], cos, sin).unbind(2)
            x = x + layer.out(attend(index, q, k, qkv[:, :, 2]))
            gate, up = layer.gate_up(self._rms(x, layer.before_mlp)).chunk(2, -1)
            x = x + layer.down(functional.silu(gate).mul_(up))
        return self._rms(x, self._norm)

    def _rms(self, x: Tensor, weight: Tensor) -> Tensor:
        if x.device.type != "cpu":  # one program of the card instead of eight, where torch has it
            return functional.rms_norm(x, weight.shape, weight, self.EPSILON)
        full = x.float()
        return weight * (full * torch.rsqrt(full.pow(2).mean(-1, keepdim=True) + self.EPSILON)).to(x.dtype)


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    return torch.addcmul(x * cos, x.roll(x.size(-1) // 2, -1), sin)


@dataclass(frozen=True, slots=True)
class _GptLayer:
    before_attention: tuple[Tensor, Tensor]
    before_mlp: tuple[Tensor, Tensor]
    qkv: Linear
    out: Linear
    up: Linear
    down: Linear


class Gpt:
    """Layer norms, learned positions, GELU; as `transformers.GPT2Model` computes it. Arguments as of `Llama`."""

    EPSILON = 1e-5

    def __init__(self, weights: TensorFile, channels: int, *, length: int, precision: str, device: str) -> None:
        self.layers = count_layers(weights, "tfmr.h.")
        inner = 4 * channels
        self.heads = channels // HEAD_DIM
        self.dtype = activation_dtype(precision)
        self._positions = weights.shaped("tfmr.wpe.weight", None, channels, least=length).to(device, self.dtype)

        def linear(n_out: int, n_in: int, layer: int, name: str) -> Linear:
            base = f"tfmr.h.{layer}.{name}"
            # GPT-2 keeps its matrices the other way round.
            weight, bias = weights.shaped(f"{base}.weight", n_in, n_out).t(), weights.shaped(f"{base}.bias", n_out)
            return make_linear(weight, bias, precision=precision, device=device)

        def norm(name: str) -> tuple[Tensor, Tensor]:
            weight, bias = (weights.shaped(f"tfmr.{name}.{part}", channels) for part in ("weight", "bias"))
            return weight.to(device, self.dtype), bias.to(device, self.dtype)

        self._layers = [
            _GptLayer(
                norm(f"h.{n}.ln_1"),
                norm(f"h.{n}.ln_2"),
                linear(3 * channels, channels, n, "attn.c_attn"),
                linear(channels, channels, n, "attn.c_proj"),
                linear(inner, channels, n, "mlp.c_fc"),
                linear(channels, inner, n, "mlp.c_proj"),
            )
            for n in range(self.layers)
        ]
        self._norm = norm("ln_f")

    def forward(self, x: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """Run all layers; see `Backbone.forward`."""
        rows, steps, channels = x.shape
        x = x.to(self.dtype) + self._positions[positions]
        for index, layer in enumerate(self._layers):
            qkv = layer.qkv(functional.layer_norm(x, (channels,), *layer.before_attention, self.EPSILON))
            q, k, v = qkv.view(rows, steps, 3, self.heads, HEAD_DIM).unbind(2)
            x = x + layer.out(attend(index, q, k, v))
            inner = layer.up(functional.layer_norm(x, (channels,), *layer.before_mlp, self.EPSILON))
            x = x + layer.down(functional.gelu(inner, approximate="tanh"))
        return functional.layer_norm(x, (channels,), *self._norm, self.EPSILON)
