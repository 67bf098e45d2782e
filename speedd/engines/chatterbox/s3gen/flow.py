"""S3Gen's flow: from speech tokens and a reference voice to a mel spectrogram, for a batch of rows.

Conditional flow matching: an ordinary differential equation is followed from noise to mel in Euler steps, 10 of them
with guidance (every step estimates with and without the conditions), or 2 without where the estimator was distilled to
mean flow (turbo, nano). The reference's tokens and mel stand before the row's own and are cut off at the end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from speedd.engines.chatterbox.memory.budget import ENCODED_AT_ONCE
from speedd.engines.chatterbox.s3gen.layers import Dense, Tensor, valid

if TYPE_CHECKING:
    from speedd.engines.chatterbox.s3gen.estimator import Estimator
    from speedd.engines.chatterbox.s3gen.flow_encoder import FlowEncoder

MEL_CHANNELS = 80
FRAMES_PER_TOKEN = 2


@dataclass(frozen=True, slots=True)
class FlowRow:
    """What the flow makes one row's mel of. All tensors lie on the flow's device."""

    tokens: Tensor
    """The reference's speech tokens and then the row's own, shape [tokens] of int64."""
    reference_mel: Tensor
    """Shape [reference frames, 80]."""
    speaker: Tensor
    """The reference's speaker embedding, shape [192]."""
    noise: Tensor
    """Standard normal, shape [2 × tokens, 80]."""

    @property
    def frames(self) -> int:
        """Frames of reference and row together."""
        return FRAMES_PER_TOKEN * len(self.tokens)

    @property
    def own_frames(self) -> int:
        """Frames that are not the reference's."""
        return self.frames - len(self.reference_mel)


class Flow:
    """chatterbox-tts's flow over padded batches.

    Args:
        flow: its ``CausalMaskedDiffWithXvec``. It is read, not changed.
        encoder: made of the same.
        estimator: made of its decoder's estimator.
        steps: Euler steps.
        device: where it runs.
    """

    def __init__(
        self, flow: Any, encoder: FlowEncoder, estimator: Estimator, *, steps: int, device: torch.device
    ) -> None:
        self.encoder, self.estimator, self._device = encoder, estimator, device
        speaker = flow.spk_embed_affine_layer
        self._speaker = Dense(speaker.weight, speaker.bias, device=device, dtype=torch.float32)
        self._guidance = 0.0 if estimator.mean_flow else float(flow.decoder.inference_cfg_rate)
        self._times = step_times(steps, cosine=not estimator.mean_flow and flow.decoder.t_scheduler == "cosine")

    def mels(self, rows: Sequence[FlowRow], tokens: int = 0, own_tokens: int = 0) -> tuple[Tensor, list[int]]:
        """Make the mels of some rows together.

        Args:
            rows: at least one.
            tokens: pad to at least as many, so that batches of one kind have one shape.
            own_tokens: pad what comes out to the frames of at least as many, for the same reason.
        Returns:
            [rows, frames, 80] without the reference, zeros beyond a row's frames, and how many frames each row has.
        """
        width = max(tokens, *(row.tokens.shape[0] for row in rows))
        lengths = [row.frames for row in rows]
        frames = FRAMES_PER_TOKEN * width
        mask = valid(lengths, frames, self._device)
        encoded = self._encode([row.tokens for row in rows], width)
        known = torch.stack([_padded(row.reference_mel, frames) for row in rows])
        speaker = self._speaker(functional.normalize(torch.stack([row.speaker for row in rows]), dim=1))
        conditions = torch.cat([encoded, speaker[:, None].expand(-1, frames, -1), known], -1)
        noise = torch.stack([_padded(row.noise, frames) for row in rows])
        mel = self._solve(noise, conditions, lengths, mask)
        own = [row.own_frames for row in rows]
        most = max(FRAMES_PER_TOKEN * own_tokens, *own)
        spans = zip(mel, lengths, own, strict=True)
        return torch.stack([_padded(one[end - count : end], most) for one, end, count in spans]), own

    def _encode(self, tokens: Sequence[Tensor], width: int) -> Tensor:
        """Encode rows of tokens a few at a time: [rows, 2 × width, 80]."""
        padded = torch.stack([functional.pad(row, (0, width - row.shape[0])) for row in tokens])
        lengths = [row.shape[0] for row in tokens]
        some = range(0, len(tokens), ENCODED_AT_ONCE)
        return torch.cat(
            [self.encoder(padded[i : i + ENCODED_AT_ONCE], lengths[i : i + ENCODED_AT_ONCE]) for i in some]
        )

    def _solve(self, x: Tensor, conditions: Tensor, lengths: list[int], mask: Tensor | None) -> Tensor:
        """Follow the flow from noise ``x`` to the mel, both [rows, frames, 80] in fp32."""
        dtype, guided = self.estimator.dtype, self._guidance > 0
        if guided:  # every row once more, without its conditions
            conditions = torch.cat([conditions, torch.zeros_like(conditions)])
            mask = None if mask is None else torch.cat([mask, mask])
            lengths = [*lengths, *lengths]
        conditions = conditions.to(dtype)
        for begin, end in pairwise(self._times):
            inputs = torch.cat([x, x]) if guided else x
            direction = self.estimator(
                torch.cat([inputs.to(dtype), conditions], -1), self.estimator.embed_time(begin, end), lengths, mask
            ).float()
            if guided:
                with_conditions, without = direction.chunk(2)
                direction = (1 + self._guidance) * with_conditions - self._guidance * without
            x = x + (end - begin) * direction
        return x


def step_times(steps: int, *, cosine: bool) -> list[float]:
    """Where the Euler steps begin and end: ``steps + 1`` times from 0 to 1, close together at first if ``cosine``."""
    even = [step / steps for step in range(steps + 1)]
    return [1 - math.cos(time * math.pi / 2) for time in even] if cosine else even


def _padded(x: Tensor, frames: int) -> Tensor:
    """Append zero frames to [frames, channels]."""
    return functional.pad(x, (0, 0, 0, frames - x.shape[0]))
