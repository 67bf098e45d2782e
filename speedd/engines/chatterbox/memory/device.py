"""A graphics card: what is free of it, when it is full, and how it is to reckon.

What torch lets a whole process choose is set while we compute, and then as it was: nothing is set by an import.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from speedd.engines.chatterbox.memory.budget import CardMemory

FULL = (
    "out of memory",
    "alloc_failed",
    "cublas_status_not_initialized",
    "unable to find an engine",
    "can't allocate memory",
)
"""What CUDA and its libraries say of a card that is full (cuBLAS has no room for its handle, cuDNN none for the working
memory of any of its convolutions), and torch of a machine that gives no more."""
MASK_STEP = 16
"""Rows of a mask must lie a multiple of so many numbers apart, or attention copies it at every call."""
ATTENTION = (SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH)
"""Not cuDNN's, which newer versions of torch prefer on an H100: it compiles a program for every length of the cache."""


@contextmanager
def repeatable(device: str | torch.device) -> Iterator[None]:
    """While it holds, a card computes fp32 in full, and equal work by equal programs.

    By itself cuDNN rounds what it multiplies to TF32, 10 bits: the vocoder's pitch would then drift by a tenth of a
    cycle in some seconds. Some of its transposed convolutions add up in any order. On other devices it does nothing.
    """
    if torch.device(device).type != "cuda":
        yield
        return
    cudnn = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
    with sdpa_kernel(list(ATTENTION)), cudnn:
        yield


def attention_mask(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Turn a mask into numbers that are added to scores, as attention on a card wants it.

    Given bools it does this itself, at every call.

    Args:
        mask: bool ``[rows, columns]``, true where something is to be seen.
        dtype: of the queries.
    Returns:
        ``[rows, columns]``: 0 or minus infinity.
    """
    rows, columns = mask.shape
    wide = torch.zeros(rows, -(-columns // MASK_STEP) * MASK_STEP, dtype=dtype, device=mask.device)
    return wide[:, :columns].masked_fill_(~mask, -torch.inf)


def means_full(error: BaseException | None) -> bool:
    """Whether an error of torch says that its device is full, or comes of one that did.

    A recording that breaks off for lack of memory may be known by what it says afterwards.
    """
    while error is not None:
        said = str(error).lower()
        if isinstance(error, torch.OutOfMemoryError):
            return True
        if isinstance(error, RuntimeError) and any(words in said for words in FULL):
            return True
        error = error.__context__
    return False


class UnlessFull:
    """Ends a block where the device is full in it; what did not fit is let go of with the error.

    ``full`` tells afterwards whether it was.
    """

    def __init__(self) -> None:
        self.full = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        self.full = isinstance(error, RuntimeError) and means_full(error)
        return self.full


def card_memory() -> CardMemory:
    """Say what is free of the card, and what torch has of it. Nothing is free if it is too full even to ask."""
    try:
        free_bytes, total_bytes = torch.cuda.mem_get_info()
    except RuntimeError as error:
        if not means_full(error):
            raise
        return CardMemory(0, 0, 0)
    reserved_bytes = torch.cuda.memory_reserved()
    # A benchmark takes a large card for a small one.
    allowed_bytes = int(torch.cuda.get_per_process_memory_fraction() * total_bytes) - reserved_bytes
    return CardMemory(max(0, min(free_bytes, allowed_bytes)), reserved_bytes, torch.cuda.memory_allocated())


def give_back() -> None:
    """Give memory of a card that torch keeps and does not use back to it."""
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
