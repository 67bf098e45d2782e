"""The excitation of the vocoder: harmonics of the fundamental frequency where there is voice, noise elsewhere.

chatterbox-tts adds up the phase sample by sample in fp32, which a long row blurs. Within a mel frame the frequency is
constant, so here the phase is its exact start (fp64) and a ramp.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from speedd.engines.chatterbox.s3gen.layers import Tensor


@dataclass(frozen=True, slots=True)
class ExcitationNoise:
    """What is random in the excitation of one row."""

    phases: Tensor
    """Where each harmonic starts, in radians, shape [harmonics]; the fundamental at 0."""
    breath: Tensor
    """Standard normal, one for each sample, shape [samples]: all harmonics' noise after it is mixed, as one number."""


class Excitation:
    """chatterbox-tts's harmonic-plus-noise source.

    Args:
        module: its ``SourceModuleHnNSF``. It is read, not changed.
        samples_per_frame: length of a mel frame.
        device: where it runs.
    """

    def __init__(self, module: Any, *, samples_per_frame: int, device: torch.device) -> None:
        generator = module.l_sin_gen
        self._amplitude, self._breath = float(generator.sine_amp), float(generator.noise_std)
        self._threshold_hz, self._rate_hz = float(generator.voiced_threshold), int(generator.sampling_rate)
        self._samples, self._device = samples_per_frame, device
        # Phases need fp64, which Apple's GPUs lack.
        self._exact = torch.device("cpu") if device.type == "mps" else device
        self.harmonics: int = generator.harmonic_num + 1
        weight = module.l_linear.weight.detach().to(torch.float32)[0]
        self._weight = weight.to(device)
        self._bias = module.l_linear.bias.detach().to(device, torch.float32)
        # Independent normal numbers, weighted and added, are one normal number of this deviation.
        self._spread = float(torch.linalg.vector_norm(weight))

    def draw(self, frames: int, generator: torch.Generator) -> ExcitationNoise:
        """Draw what is random for a row of so many frames, on the generator's device."""
        place = generator.device
        phases = (2 * torch.rand(self.harmonics, generator=generator, device=place) - 1) * math.pi
        phases[:1] = 0  # so written it is filled in on a GPU, else the host waits for that
        return ExcitationNoise(phases, torch.randn(frames * self._samples, generator=generator, device=place))

    def __call__(self, f0_hz: Tensor, noise: Sequence[ExcitationNoise]) -> Tensor:
        """Make the excitation.

        Args:
            f0_hz: shape [rows, frames], 0 beyond a row's frames.
            noise: of each row.
        Returns:
            [rows, frames × samples per frame] in (-1, 1); anything finite beyond a row's samples.
        """
        rows, frames = f0_hz.shape
        samples = frames * self._samples
        phases = torch.stack([row.phases for row in noise]).to(self._device)[:, None, None, :]
        sines = torch.sin(self._angles(f0_hz) + phases)  # [rows, frames, samples per frame, harmonics]
        mixed = (sines @ (self._weight * self._amplitude)).view(rows, samples)
        voiced = (f0_hz > self._threshold_hz).repeat_interleave(self._samples, 1)
        breath = torch.zeros_like(mixed)
        for row, drawn in enumerate(noise):
            breath[row, : drawn.breath.shape[0]] = drawn.breath.to(self._device)
        quiet, loud = self._breath * self._spread, self._amplitude / 3 * self._spread
        mixed = torch.where(voiced, torch.add(mixed, breath, alpha=quiet), breath * loud)
        return torch.tanh(mixed + self._bias)

    def _angles(self, f0_hz: Tensor) -> Tensor:
        """The phase of every harmonic at every sample, in radians: [rows, frames, samples per frame, harmonics]."""
        multiples = torch.arange(1, self.harmonics + 1, device=f0_hz.device)
        cycles = f0_hz[..., None] * multiples / self._rate_hz  # per sample
        cycles = cycles.to(self._exact, torch.float64)  # rounded as stock rounds it; only the sum is exact
        start = (cycles * self._samples).cumsum(1) - cycles * self._samples
        ramp = torch.arange(1, self._samples + 1, device=self._exact, dtype=torch.float64)[:, None]
        turns = torch.addcmul((start % 1)[:, :, None], cycles[:, :, None], ramp).frac_()
        return turns.to(self._device, torch.float32).mul_(2 * math.pi)
