"""Matrix products with fixed weights: in the weights' own type, or in 8-bit integers on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeAlias

import torch
from torch import Tensor

from speedd.engines.chatterbox.s3gen.layers import Dense

Linear: TypeAlias = Callable[[Tensor], Tensor]
"""Takes ``[..., n_in]`` and returns ``[..., n_out]`` in the same type."""

INT8_LEVELS = 127
ZERO = 128
"""What stands for 0 in activations: oneDNN multiplies unsigned by signed bytes."""


def make_linear(weight: Tensor, bias: Tensor | None = None, *, precision: str, device: str) -> Linear:
    """Prepare a product with ``weight`` ``[n_out, n_in]``.

    Args:
        weight: in any floating type; not kept.
        bias: ``[n_out]``.
        precision: ``fp32``, ``bf16`` or ``int8`` (CPU only).
        device: where it will be computed.
    """
    if precision == "int8":
        return Int8Rows(weight, bias)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    return Dense(weight, bias, device=torch.device(device), dtype=dtype)


class Int8Rows:
    """Weights rounded to 8 bits per output, activations per row, multiplied as integers.

    torch's own dynamic quantisation rounds all rows by their common maximum: an utterance's tokens would depend on
    its company. Here a row's result depends on nothing but the row, bit for bit, and costs 0.5 ms where bf16 costs
    0.95 (32 rows by 1024 x 8192, two cores with AVX-512 VNNI).
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        weight = weight.float()
        self._scale = weight.abs().amax(1).clamp_min_(1e-12).div_(INT8_LEVELS)
        whole = (weight / self._scale[:, None]).round_().to(torch.int8)
        self._bias = None if bias is None else bias.float()
        self._product = _integer_product(whole, self._scale)
        # Adding a half more than `ZERO` and cutting off is rounding.
        self._middle = torch.tensor(ZERO + 0.5)

    def __call__(self, x: Tensor) -> Tensor:
        """Multiply ``[..., n_in]``."""
        rows = x.reshape(-1, x.size(-1)).float()
        scale = rows.abs().amax(1, keepdim=True).clamp_min_(1e-12).div_(INT8_LEVELS)
        # A row that is not finite stays so: its scale is not finite either.
        out = self._product(torch.addcdiv(self._middle, rows, scale).to(torch.uint8)).mul_(scale)
        if self._bias is not None:
            out += self._bias
        return out.view(*x.shape[:-1], -1).to(x.dtype)


def _integer_product(weight: Tensor, scale: Tensor) -> Linear:
    """Prepare ``[rows, n_in]`` of bytes around `ZERO` times int8 ``[n_out, n_in]``; float32, each output scaled.

    Packed by oneDNN once it takes 31 ms for all layers of the English T3 and 32 rows, where `torch._int_mm` takes 59:
    that looks at the weights anew each time.
    """
    if _packs_bytes():
        return _packed_product(weight, scale)
    across = weight.t()
    return lambda x: torch._int_mm((x ^ ZERO).view(torch.int8), across).float() * scale  # noqa: SLF001 - no other name


def _packed_product(weight: Tensor, scale: Tensor) -> Linear:
    packed = torch.ops.onednn.qlinear_prepack(weight, None)
    zeros = torch.zeros(len(scale), dtype=torch.int64)
    return lambda x: torch.ops.onednn.qlinear_pointwise(
        x, 1.0, ZERO, packed, scale, zeros, None, 1.0, 0, torch.float32, "none", [], ""
    )


@cache
def _packs_bytes() -> bool:
    """Try the packed product where it is there: processors without VNNI may add up in 16 bits, and run over."""
    if not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.onednn, "qlinear_prepack")):
        return False
    product = _packed_product(torch.full((16, 64), INT8_LEVELS, dtype=torch.int8), torch.ones(16))
    highest = torch.full((1, 64), ZERO + INT8_LEVELS, dtype=torch.uint8)
    return bool((product(highest) == 64 * INT8_LEVELS**2).all())
