"""The vocoder of S3Gen: from mel frames to a waveform, for a batch of rows of different lengths, in fp32.

The layers and weights are those of chatterbox-tts's ``HiFTGenerator`` (a neural source filter whose last step is an
inverse short-time Fourier transform, https://arxiv.org/abs/2309.09493). What a row alone meets at its end is zeros (of
every convolution), a reflected excitation (of the Fourier transform) and the envelope of its own last window; all three
are given to every row of a batch, so each sounds as if it were alone. Weight norm is folded when the weights are read.

Frames stand before channels in memory: two cores of an AMD EPYC convolve that at 430 GFLOPS, the other way at 100 to
330. On a GPU it is fp32 too (`card.repeatable`), where stock lets cuDNN round to TF32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from speedd.engines.chatterbox.s3gen.excitation import Excitation, ExcitationNoise
from speedd.engines.chatterbox.s3gen.layers import Dense, Tensor, masked, valid

OUTPUT_SLOPE = 0.01
"""Of the last leaky rectifier, where chatterbox-tts takes torch's default."""
LOUDEST_BIN = 100.0
"""Magnitudes of the last spectrum are cut off here."""


class _Convolution:
    """A convolution along the frames of [rows, frames, channels], in fp32, weight norm folded."""

    __slots__ = ("_bias", "_dilation", "_padding", "_stride", "_transposed", "_weight", "stride")

    def __init__(self, module: Any, device: torch.device) -> None:
        weight = module.weight.detach().to(device, torch.float32)[:, :, None]
        self._weight = weight.contiguous(memory_format=torch.channels_last)
        self._bias = module.bias.detach().to(device, torch.float32)
        self._stride, self._padding = (1, *module.stride), (0, *module.padding)
        self._dilation, self._transposed = (1, *module.dilation), module.transposed
        self.stride: int = module.stride[0]

    def __call__(self, x: Tensor) -> Tensor:
        image = x.transpose(1, 2)[:, :, None]  # [rows, channels, 1, frames], channels last in memory
        if self._transposed:
            image = functional.conv_transpose2d(
                image, self._weight, self._bias, self._stride, self._padding, dilation=self._dilation
            )
        else:
            image = functional.conv2d(image, self._weight, self._bias, self._stride, self._padding, self._dilation)
        return image[:, :, 0].transpose(1, 2)


@dataclass(frozen=True, slots=True)
class _Snake:
    """``x + sin²(a x) / a``, an activation with a period for each channel (https://arxiv.org/abs/2006.08195)."""

    alpha: Tensor
    inverse: Tensor

    @classmethod
    def read(cls, module: Any, device: torch.device) -> _Snake:
        alpha = module.alpha.detach().to(device, torch.float32)
        return cls(alpha, 1 / (alpha + module.no_div_by_zero))

    def __call__(self, x: Tensor) -> Tensor:
        wave = (x * self.alpha).sin_().square_()
        return torch.addcmul(x, wave, self.inverse, out=wave)


@dataclass(frozen=True, slots=True)
class _Residual:
    """Pairs of activated convolutions of growing reach, each pair added to what came in."""

    pairs: tuple[tuple[_Snake, _Convolution, _Snake, _Convolution], ...]

    @classmethod
    def read(cls, block: Any, device: torch.device) -> _Residual:
        parts = zip(block.activations1, block.convs1, block.activations2, block.convs2, strict=True)
        return cls(
            tuple(
                (
                    _Snake.read(snake1, device),
                    _Convolution(conv1, device),
                    _Snake.read(snake2, device),
                    _Convolution(conv2, device),
                )
                for snake1, conv1, snake2, conv2 in parts
            )
        )

    def __call__(self, x: Tensor, mask: Tensor | None) -> Tensor:
        for snake1, conv1, snake2, conv2 in self.pairs:
            x = conv2(masked(snake2(conv1(masked(snake1(x), mask))), mask)).add_(x)
        return x


@dataclass(frozen=True, slots=True)
class _Stage:
    """One step up in rate, joined by the excitation's spectrum at that rate."""

    up: _Convolution
    source_down: _Convolution
    source_residual: _Residual
    residuals: tuple[_Residual, ...]


class Hift:
    """chatterbox-tts's vocoder over padded batches.

    Args:
        generator: its ``HiFTGenerator``. It is read, not changed.
        device: where it runs.
    """

    def __init__(self, generator: Any, *, device: torch.device) -> None:
        self._device = device
        self._bins: int = generator.istft_params["n_fft"]
        self._hop: int = generator.istft_params["hop_len"]
        self._slope, self._limit = float(generator.lrelu_slope), float(generator.audio_limit)
        self._window = generator.stft_window.to(device)
        # What each frame turns into real samples with, windowed: an inverse Fourier transform of 16 points is a small
        # matrix, and a matrix product needs no complex numbers.
        self._inverse = _inverse_transform(self._bins, device) * self._window
        predictor = generator.f0_predictor
        self._pitch = [_Convolution(layer, device) for layer in predictor.condnet if hasattr(layer, "weight")]
        self._pitch_out = Dense(
            predictor.classifier.weight, predictor.classifier.bias, device=device, dtype=torch.float32
        )
        self._first = _Convolution(generator.conv_pre, device)
        kernels = generator.num_kernels
        self._stages = [
            _Stage(
                _Convolution(up, device),
                _Convolution(generator.source_downs[i], device),
                _Residual.read(generator.source_resblocks[i], device),
                tuple(_Residual.read(block, device) for block in generator.resblocks[i * kernels : (i + 1) * kernels]),
            )
            for i, up in enumerate(generator.ups)
        ]
        self._last = _Convolution(generator.conv_post, device)
        self.samples_per_frame = self._hop
        for stage in self._stages:
            self.samples_per_frame *= stage.up.stride
        self.source = Excitation(generator.m_source, samples_per_frame=self.samples_per_frame, device=device)

    def waves(self, mels: Tensor, lengths: Sequence[int], noise: Sequence[ExcitationNoise]) -> Tensor:
        """Make the waveforms of some rows together.

        Args:
            mels: shape [rows, frames, 80], zeros beyond a row's frames.
            lengths: frames of each row that count.
            noise: what is random in each row's excitation, from `source`.
        Returns:
            [rows, frames × samples per frame] in [-1, 1], anything finite beyond a row's samples.
        """
        source = self.source(self._f0_hz(mels, lengths), noise)
        return self._wave(self._spectrum(mels, self._analyse(source, lengths), lengths), lengths)

    def _mask(self, lengths: Sequence[int], frames: int) -> Tensor | None:
        mask = valid(lengths, frames, self._device)
        return None if mask is None else mask[..., None]

    def _spectra(self, lengths: Sequence[int]) -> list[int]:
        """How many short-time spectra rows of so many mel frames have."""
        return [length * self.samples_per_frame // self._hop + 1 for length in lengths]

    def _f0_hz(self, mels: Tensor, lengths: Sequence[int]) -> Tensor:
        """The fundamental frequency of every frame, shape [rows, frames], 0 beyond a row's frames."""
        mask = self._mask(lengths, mels.shape[1])
        x = mels
        for convolution in self._pitch:
            x = masked(functional.elu(convolution(x)), mask)
        return masked(self._pitch_out(x).abs(), mask)[..., 0]

    def _analyse(self, source: Tensor, lengths: Sequence[int]) -> Tensor:
        """The spectrum of the excitation: [rows, samples / hop + 1, bins + 2], real parts and then imaginary ones."""
        half = self._bins // 2
        padded = functional.pad(source[:, None], (half, half), mode="reflect")[:, 0]
        for row, frames in enumerate(lengths):
            end = half + frames * self.samples_per_frame
            if end + half < padded.shape[1]:  # a shorter row is reflected at its own end
                padded[row, end : end + half] = padded[row, end - 1 - half : end - 1].flip(0)
        spectrum = torch.stft(
            padded, self._bins, self._hop, self._bins, window=self._window, center=False, return_complex=True
        )
        return torch.cat([spectrum.real, spectrum.imag], 1).transpose(1, 2).contiguous()

    def _spectrum(self, mels: Tensor, excitation: Tensor, lengths: Sequence[int]) -> Tensor:
        """Filter the excitation's spectrum by the mel: [rows, samples / hop + 1, bins + 2]."""
        x, mask = self._first(mels), self._mask(lengths, mels.shape[1])
        ends = list(lengths)
        behind = self._mask(
            [frames * self.samples_per_frame // self._hop + 1 for frames in lengths], excitation.shape[1]
        )
        excitation = masked(excitation, behind)
        for stage in self._stages:
            x = stage.up(masked(functional.leaky_relu(x, self._slope), mask))
            ends = [end * stage.up.stride for end in ends]
            if stage is self._stages[-1]:  # one frame more at the left, as the Fourier transform has one more
                x = torch.cat([x[:, 1:2], x], 1)
                ends = [end + 1 for end in ends]
            mask = self._mask(ends, x.shape[1])
            x = x.add_(stage.source_residual(stage.source_down(excitation), mask))
            first, *others = [residual(x, mask) for residual in stage.residuals]
            for other in others:
                first.add_(other)
            x = first.div_(len(stage.residuals))
        return self._last(masked(functional.leaky_relu(x, OUTPUT_SLOPE), mask))

    def _wave(self, spectrum: Tensor, lengths: Sequence[int]) -> Tensor:
        """Transform log magnitudes and phases back, overlapped and added: [rows, samples]."""
        half, hop = self._bins // 2, self._hop
        rows, frames, _ = spectrum.shape
        mask = self._mask(self._spectra(lengths), frames)
        magnitude = masked(spectrum[..., : half + 1].exp().clamp_(max=LOUDEST_BIN), mask)
        phase = spectrum[..., half + 1 :].sin()
        samples = torch.cat([magnitude * phase.cos(), magnitude * phase.sin()], -1) @ self._inverse
        weight = (self._window**2).expand(rows, frames, -1)
        wave, envelope = (_overlap_added(one, hop) for one in (samples, masked(weight, mask)))
        cut = slice(half, half + (frames - 1) * hop)
        return (wave[:, cut] / envelope[:, cut].clamp_(min=1e-11)).clamp_(-self._limit, self._limit)


def _overlap_added(frames: Tensor, hop: int) -> Tensor:
    """Add up overlapping frames [rows, frames, width], ``hop`` apart: [rows, (frames - 1) × hop + width]."""
    _, count, width = frames.shape
    total = (count - 1) * hop + width
    return functional.fold(frames.transpose(1, 2), (1, total), (1, width), stride=(1, hop))[:, 0, 0]


def _inverse_transform(bins: int, device: torch.device) -> Tensor:
    """The inverse Fourier transform of a real signal as a matrix [bins + 2, bins], from real parts, then imaginary."""
    half = bins // 2 + 1
    unit = torch.eye(half, dtype=torch.float64)
    parts = [torch.fft.irfft(torch.complex(*parts), n=bins) for parts in ((unit, 0 * unit), (0 * unit, unit))]
    return torch.cat(parts).to(device, torch.float32)
