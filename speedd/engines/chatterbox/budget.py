"""What Chatterbox costs in memory of a GPU: arithmetic, without torch and without state but one cap.

The figures are those of the published sizes. A row is one utterance: T3 keeps its keys and values while it is spoken,
and S3Gen needs room for a batch of rows while it renders them. What varies with the length was counted from the layers.
The tests that need a GPU (``pytest -s -m gpu``) print all of it beside the peaks that CUDA reports, and fail where they
differ by more than a twentieth for a row, a seventh for weights and a factor of two for S3Gen's batch. Nobody has run
them on a GPU yet.
"""

from __future__ import annotations

from dataclasses import dataclass

from speedd.engines.chatterbox.families import Family

TOKENS_PER_SECOND = 25
FRAMES_PER_SECOND = 50
KIB = 1024

CONTEXT_BYTES = 600_000_000
"""What CUDA and its libraries take before anything is loaded; it does not show in what torch counts."""
MARGIN_BYTES = 350_000_000
"""Kept free: fragments, and what other programs take in the meantime."""
S3GEN_BYTES = 310_000_000
"""Flow and vocoder: the estimator in bf16, the rest in fp32."""

ENCODER_BYTES_PER_FRAME_SQUARED = 224
ENCODER_BYTES_PER_FRAME = 22 * KIB
ESTIMATOR_BYTES_PER_FRAME = 14 * KIB
"""In fp32; half of it in bf16."""
VOCODER_BYTES_PER_FRAME = (260 + 103) * KIB
"""Activations and excitation, for each frame that is heard."""
ENCODED_AT_ONCE = 4
"""Rows that the encoder is given together (`flow`)."""


@dataclass(frozen=True, slots=True)
class T3Size:
    """A T3 model, as far as its memory is concerned."""

    weight_bytes: int
    """In 16 bits."""
    step_bytes: int
    """What of them a step reads, layers and head: of the embeddings it looks up a row."""
    layers: int
    width: int
    """Heads × channels per head of the keys, and of the values."""
    rows: int
    """Rows of the cache for one utterance: 2 with guidance, else 1."""
    prompt_tokens: int
    """What stands before the text: speaker, reference, emotion; and the two starts of speech after it."""

    @property
    def kv_bytes_per_token(self) -> int:
        """Keys and values of one token in one row of the cache, in 16 bits."""
        return self.layers * 2 * self.width * 2

    def slot_bytes(self, tokens: int) -> int:
        """What an utterance keeps while it is spoken.

        Args:
            tokens: prompt, text and speech together.
        """
        return self.rows * tokens * self.kv_bytes_per_token


ENGLISH = T3Size(weight_bytes=1_070_000_000, step_bytes=1_023_000_000, layers=30, width=1024, rows=2, prompt_tokens=36)
TURBO = T3Size(weight_bytes=650_000_000, step_bytes=617_000_000, layers=24, width=1024, rows=1, prompt_tokens=376)
NANO = T3Size(weight_bytes=280_000_000, step_bytes=180_000_000, layers=12, width=768, rows=1, prompt_tokens=376)


def t3_size(family: Family) -> T3Size:
    """Say how large a model's T3 is."""
    return ENGLISH if family.guidance else NANO if family.name == "nano" else TURBO


@dataclass(frozen=True, slots=True)
class S3GenWork:
    """A batch that S3Gen renders.

    Args:
        rows: rows together.
        reference_s: how much of the reference is used.
        speech_s: the longest row's speech.
        guided: whether every row is estimated with and without its conditions (not for turbo and nano).
        estimator_bytes: bytes of a number in the estimator, 2 for bf16.
    """

    rows: int
    reference_s: float
    speech_s: float
    guided: bool = True
    estimator_bytes: int = 2

    @property
    def frames(self) -> int:
        """Mel frames of reference and speech."""
        return round(FRAMES_PER_SECOND * (self.reference_s + self.speech_s))

    def peak_bytes(self) -> int:
        """What it needs beside the weights: encoder, estimator and vocoder come one after the other."""
        frames, heard = self.frames, round(FRAMES_PER_SECOND * self.speech_s)
        encoder = min(self.rows, ENCODED_AT_ONCE) * (
            ENCODER_BYTES_PER_FRAME_SQUARED * frames**2 + ENCODER_BYTES_PER_FRAME * frames
        )
        estimated = self.rows * (2 if self.guided else 1)
        estimator = estimated * frames * ESTIMATOR_BYTES_PER_FRAME * self.estimator_bytes // 4
        return max(encoder, estimator, self.rows * heard * VOCODER_BYTES_PER_FRAME)

    def flops(self, *, steps: int) -> float:
        """Floating-point operations of the whole batch with so many Euler steps."""
        estimated = steps * (2 if self.guided else 1) * self.frames * (132e6 + 114_688 * self.frames)
        encoded = TOKENS_PER_SECOND * (self.reference_s + self.speech_s) * 150e6
        return self.rows * (estimated + encoded + 30.6e9 * self.speech_s)


def fixed_bytes(t3: T3Size) -> int:
    """What is taken before the first row, the margin included."""
    return CONTEXT_BYTES + t3.weight_bytes + S3GEN_BYTES + MARGIN_BYTES


def rows_that_fit(total_bytes: int, t3: T3Size, *, tokens: int, work: S3GenWork) -> int:
    """Say how many utterances T3 can hold on a card.

    Args:
        total_bytes: what may be used of the card.
        t3: the model.
        tokens: length of a slot: prompt, text and speech.
        work: the batch that S3Gen renders beside it.
    Returns:
        0 if not even one fits.
    """
    free_bytes = total_bytes - fixed_bytes(t3) - work.peak_bytes()
    return max(0, free_bytes // t3.slot_bytes(tokens))
