"""S3Gen: from the speech tokens that T3 spoke to a waveform of 24,000 Hz, many rows at a time.

Tokens are encoded, a flow makes a mel of them in the manner of the reference voice (`flow`), and a vocoder makes the
waveform (`hift`). Everything that is random in a row comes from the row's own seed and length, and no row sees another
or its padding. A row's audio is therefore that of the row alone, but for rounding: its bits are the same whatever is
rendered beside it where rows are rendered one by one, as on a CPU and in fp32; else in the same place of batches of one
shape, that is of one bucket and one power of two of rows (`s3gen_buckets`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from speedd.engines.chatterbox.memory.budget import GPU_S3GEN_ROWS
from speedd.engines.chatterbox.memory.device import repeatable
from speedd.engines.chatterbox.s3gen.buckets import ALONE, Bucket, batches, bucket_of, idle_rows
from speedd.engines.chatterbox.s3gen.estimator import Estimator
from speedd.engines.chatterbox.s3gen.excitation import ExcitationNoise
from speedd.engines.chatterbox.s3gen.flow import FRAMES_PER_TOKEN, MEL_CHANNELS, Flow, FlowRow
from speedd.engines.chatterbox.s3gen.flow_encoder import FlowEncoder
from speedd.engines.chatterbox.s3gen.hift import Hift
from speedd.engines.chatterbox.s3gen.thread_pools import ThreadPools
from speedd.errors import EngineError

if TYPE_CHECKING:
    from speedd.model import Waveform

TOKENS_PER_SECOND = 25
SPEECH_TOKENS = 6561
"""Ids from here on are no sound."""
GUIDED_STEPS = 10
MEAN_FLOW_STEPS = 2


@dataclass(frozen=True, slots=True)
class SpeechRow:
    """What one waveform is made of."""

    tokens: torch.Tensor
    """What T3 spoke, shape [tokens] of int64, every id below `SPEECH_TOKENS`."""
    reference: Mapping[str, torch.Tensor]
    """What chatterbox-tts's ``embed_ref`` makes of a voice: ``prompt_token``, ``prompt_feat``, ``embedding``. It is
    shared by many rows and never changed."""
    seed: int
    """In [0, 2**63)."""


@dataclass(frozen=True, slots=True)
class RowNoise:
    """Everything random in a row."""

    mel: torch.Tensor
    """Where the flow begins, shape [frames of reference and row, 80]."""
    source: ExcitationNoise
    """The vocoder's excitation."""


class S3Gen:
    """Renders speech tokens. Holds weights, nothing else: `render` may be called in any order.

    Args:
        flow: tokens to mel.
        vocoder: mel to waveform.
        fade: what each waveform's beginning is multiplied with, shape [samples].
        device: where it all runs.
        reference_s: how much of a voice's reference is used; None for all of it.
        rows: rows rendered in one batch. A CPU is no faster with more than one, and one needs no padding.
        thread_pools: batches are rendered side by side in these; None: one after the other, on the thread that asks.
    """

    def __init__(
        self,
        flow: Flow,
        vocoder: Hift,
        *,
        fade: torch.Tensor,
        device: torch.device,
        reference_s: float | None,
        rows: int,
        thread_pools: ThreadPools | None = None,
    ) -> None:
        self.flow, self.vocoder, self._fade, self._device = flow, vocoder, fade, device
        self._reference_tokens = None if reference_s is None else max(1, math.floor(reference_s * TOKENS_PER_SECOND))
        self.rows, self._thread_pools = rows, thread_pools

    @classmethod
    def from_model(
        cls,
        model: Any,
        *,
        device: torch.device | str,
        estimator_dtype: torch.dtype,
        reference_s: float | None = None,
        steps: int | None = None,
        rows: int | None = None,
        thread_pools: ThreadPools | None = None,
    ) -> S3Gen:
        """Read the weights of a loaded model.

        Args:
            model: chatterbox-tts's ``S3Token2Wav``, with ``meanflow`` for turbo and nano. It is read, not changed; its
                ``flow`` and ``mel2wav`` are not needed any more afterwards.
            device: where to run.
            estimator_dtype: precision of the flow's estimator; encoder and vocoder are fp32.
            reference_s: how many seconds of a voice's reference are used (the published length is 10); None for all.
                Every second costs as much as a second of speech.
            steps: Euler steps of the flow; None for what the model was made for (10, or 2 for mean flow).
            rows: rows rendered in one batch; None for 1 on a CPU and `GPU_S3GEN_ROWS` elsewhere.
            thread_pools: of a CPU; see the class.
        """
        device = torch.device(device)
        with torch.inference_mode():
            flow = Flow(
                model.flow,
                FlowEncoder(model.flow, device=device),
                Estimator(model.flow.decoder.estimator, device=device, dtype=estimator_dtype),
                steps=steps or (MEAN_FLOW_STEPS if model.meanflow else GUIDED_STEPS),
                device=device,
            )
            return cls(
                flow,
                Hift(model.mel2wav, device=device),
                fade=model.trim_fade.detach().to(device, torch.float32),
                device=device,
                reference_s=reference_s,
                rows=rows or (1 if device.type == "cpu" else GPU_S3GEN_ROWS),
                thread_pools=thread_pools,
            )

    @property
    def at_once(self) -> int:
        """How many rows it is best given."""
        return self.rows * (self._thread_pools.count if self._thread_pools else 1)

    def render(self, rows: Sequence[SpeechRow], *, noise: Sequence[RowNoise] | None = None) -> list[Waveform]:
        """Render rows of speech.

        Args:
            rows: any number, of any lengths and voices. Those of one `bucket` are rendered in batches.
            noise: what is random in each row; by default it is drawn from the row's seed.
        Returns:
            One waveform for each row, in their order, of 960 samples for each token (a frame of 480 or two less where a
            reference's mel is longer than its tokens); an empty one for a row without tokens.

        Raises:
            EngineError: if a row holds an id that is no sound.
        """
        waves: list[Waveform] = [np.zeros(0, np.float32)] * len(rows)
        spoken = {index: self.bucket(row) for index, row in enumerate(rows) if row.tokens.numel()}

        def render(batch: list[int]) -> list[tuple[int, Waveform]]:
            with torch.inference_mode(), repeatable(self._device):
                drawn = [self.draw(rows[index]) if noise is None else noise[index] for index in batch]
                return [*zip(batch, self._together([rows[index] for index in batch], drawn), strict=True)]

        for rendered in (self._thread_pools.map if self._thread_pools else map)(render, batches(spoken, self.rows)):
            for index, wave in rendered:
                waves[index] = wave
        return waves

    def bucket(self, row: SpeechRow) -> Bucket:
        """Say with which rows it may be rendered: any, where each is rendered alone."""
        if self.rows == 1:
            return ALONE
        return bucket_of(self._reference(row)[0].shape[0], row.tokens.shape[0])

    def draw(self, row: SpeechRow) -> RowNoise:
        """Draw what is random in a row, from its seed: the flow's beginning, then the vocoder's excitation."""
        tokens, mel, _ = self._reference(row)
        frames = FRAMES_PER_TOKEN * (tokens.shape[0] + row.tokens.shape[0])
        generator = torch.Generator(self._device).manual_seed(mixed_seed(row.seed))
        begin = torch.randn(frames, MEL_CHANNELS, generator=generator, device=self._device)
        return RowNoise(begin, self.vocoder.source.draw(frames - mel.shape[0], generator))

    def _together(self, rows: Sequence[SpeechRow], noise: Sequence[RowNoise]) -> Iterator[Waveform]:
        """Render rows of one bucket in one batch."""
        idle = 0 if self.rows == 1 else idle_rows(len(rows))
        drawn = [*noise, *[noise[-1]] * idle]
        flows = [self._flow_row(row, one) for row, one in zip([*rows, *[rows[-1]] * idle], drawn, strict=True)]
        bucket = None if self.rows == 1 else self.bucket(rows[0])
        mels, lengths = self.flow.mels(flows, *((bucket.tokens, bucket.speech_tokens) if bucket else ()))
        waves = self.vocoder.waves(mels, lengths, [one.source for one in drawn])
        faded = min(self._fade.shape[0], waves.shape[1])
        waves[:, :faded] *= self._fade[:faded]
        host = waves.cpu().numpy()
        for row, length in zip(range(len(rows)), lengths, strict=False):
            yield host[row, : length * self.vocoder.samples_per_frame].copy()

    def _flow_row(self, row: SpeechRow, noise: RowNoise) -> FlowRow:
        if int(row.tokens.min()) < 0 or int(row.tokens.max()) >= SPEECH_TOKENS:
            raise EngineError("The speech model gave a token that stands for no sound.", hint="Another seed may help.")
        tokens, mel, speaker = self._reference(row)

        def moved(tensor: torch.Tensor) -> torch.Tensor:
            # The host need not wait: CUDA takes what lies in plain memory aside before it returns.
            return tensor.to(self._device, non_blocking=True)

        return FlowRow(
            tokens=moved(torch.cat([tokens, row.tokens.to("cpu", torch.int64)])),
            reference_mel=moved(mel),
            speaker=moved(speaker),
            noise=noise.mel.to(self._device),
        )

    def _reference(self, row: SpeechRow) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The reference's tokens [tokens], mel [frames, 80] and speaker embedding, as much of them as is used.

        They lie where they are kept, on the host.
        """
        tokens = row.reference["prompt_token"].reshape(-1).to(torch.int64)
        mel = row.reference["prompt_feat"].reshape(-1, MEL_CHANNELS).to(torch.float32)
        speaker = row.reference["embedding"].reshape(-1).to(torch.float32)
        kept = self._reference_tokens
        if kept is not None and kept < tokens.shape[0]:
            tokens, mel = tokens[:kept], mel[: FRAMES_PER_TOKEN * kept]
        return tokens, mel, speaker


def mixed_seed(seed: int) -> int:
    """Spread a seed over 32 bits, as many as a CPU's generator looks at (the finaliser of splitmix64)."""
    word = (1 << 64) - 1
    mixed = (seed + 0x9E3779B97F4A7C15) & word
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & word
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & word
    return (mixed ^ (mixed >> 31)) & 0xFFFFFFFF
