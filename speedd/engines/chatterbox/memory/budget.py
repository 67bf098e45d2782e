"""What Chatterbox costs in memory of a GPU, and how what is free is shared out: arithmetic, without torch.

The figures are those of the published sizes. A row is one utterance: T3 keeps its keys and values while it is spoken,
and S3Gen needs room for a batch of rows while it renders them. What varies with the length was counted from the layers.
The tests that need a GPU (``pytest -s -m gpu``) print all of it beside the peaks that CUDA reports, and fail where they
differ by more than a twentieth for a row, a seventh for weights and a factor of two for S3Gen's batch. Nobody has run
them on a GPU yet.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from speedd.engines.base import Budget
from speedd.engines.chatterbox.families import Family

TOKENS_PER_SECOND = 25
FRAMES_PER_SECOND = 50
KIB = 1024

CONTEXT_BYTES = 600_000_000
"""What CUDA and its libraries take before anything is loaded; it does not show in what torch counts."""
MARGIN_BYTES = 350_000_000
"""Kept free: fragments, and what other programs take in the meantime."""
ESTIMATOR_NUMBERS = 66_300_000
"""What the flow's estimator has in its own precision."""
S3GEN_FP32_BYTES = 277_000_000
"""The rest of flow and vocoder, turbo's, which knows a little more of the time than the others'."""

ENCODER_BYTES_PER_FRAME_SQUARED = 224
ENCODER_BYTES_PER_FRAME = 22 * KIB
ESTIMATOR_BYTES_PER_FRAME = 14 * KIB
"""In fp32; half of it in bf16."""
VOCODER_BYTES_PER_FRAME = (260 + 103) * KIB
"""Activations and excitation, for each frame that is heard."""
ENCODED_AT_ONCE = 4
"""Rows that S3Gen's encoder is given together: the scores of its attention are the peak of its memory."""
BEST_SPEECH_S = 16.0
"""What a text of the best length becomes."""
FINISHED_ROWS = 32
"""So many utterances that T3 has finished wait at most for mates of their length: the setting ``finished_rows``."""
GPU_S3GEN_ROWS = 16
"""Utterances that S3Gen renders together on a GPU, at most; a CPU is no faster with more than one. See
`most_s3gen_rows`."""


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
    slot_tokens: int
    """Positions of a row of the cache (`decoder.row_length`)."""

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


ENGLISH = T3Size(
    weight_bytes=1_070_000_000,
    step_bytes=1_023_000_000,
    layers=30,
    width=1024,
    rows=2,
    prompt_tokens=36,
    slot_tokens=1472,
)
TURBO = T3Size(
    weight_bytes=650_000_000,
    step_bytes=617_000_000,
    layers=24,
    width=1024,
    rows=1,
    prompt_tokens=376,
    slot_tokens=1792,
)
NANO = T3Size(
    weight_bytes=280_000_000,
    step_bytes=180_000_000,
    layers=12,
    width=768,
    rows=1,
    prompt_tokens=376,
    slot_tokens=1792,
)


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


def number_bytes(precision: str) -> int:
    """Say how large a number of T3's cache is, and of S3Gen's estimator."""
    return 4 if precision == "fp32" else 2


def most_s3gen_rows(numbers: int) -> int:
    """Say how many utterances S3Gen renders together on a GPU, at most; ``numbers`` as `number_bytes` has it.

    In fp32 one: whoever asks for it is promised audio that does not depend on company, in its last bit either.
    """
    return 1 if numbers == number_bytes("fp32") else GPU_S3GEN_ROWS


def s3gen_bytes(numbers: int) -> int:
    """Say how large S3Gen's weights are; ``numbers`` as `number_bytes` has it."""
    return S3GEN_FP32_BYTES + ESTIMATOR_NUMBERS * numbers


def fixed_bytes(t3: T3Size, numbers: int = 2) -> int:
    """What is taken before the first row, the margin included; ``numbers`` as `number_bytes` has it."""
    return CONTEXT_BYTES + t3.weight_bytes * numbers // 2 + s3gen_bytes(numbers) + MARGIN_BYTES


@dataclass(frozen=True, slots=True)
class Share:
    """What of a device's memory T3 and S3Gen get."""

    slots: int
    """Utterances for which T3 has room: it is taken when the model is loaded."""
    s3gen_rows: int
    """Utterances that S3Gen renders together: room for them is taken when they are rendered."""
    finished_rows: int = FINISHED_ROWS
    """Utterances that T3 has finished and that wait for S3Gen, at most, where it renders several together."""

    @property
    def rows(self) -> int:
        """Utterances in hand: what T3 has finished and waits for S3Gen keeps no slot of T3 from the next."""
        return self.slots + (self.finished_rows if self.s3gen_rows > 1 else 0)

    @property
    def half(self) -> Share:
        """Half as much of both, at least one."""
        return replace(self, slots=max(1, self.slots // 2), s3gen_rows=max(1, self.s3gen_rows // 2))


@dataclass(frozen=True, slots=True)
class CardMemory:
    """Memory of a GPU now."""

    free_bytes: int
    """As the device reports it."""
    reserved_bytes: int
    """What torch has taken from it."""
    allocated_bytes: int
    """How much of that is in use."""

    @property
    def idle_bytes(self) -> int:
        """What torch keeps and does not use."""
        return self.reserved_bytes - self.allocated_bytes


@dataclass(frozen=True, slots=True)
class Needs:
    """What a model needs of a GPU beside its weights, and how what is free is shared out.

    Args:
        t3: the size of its T3.
        reference_s: how much of the reference S3Gen uses.
        numbers: as `number_bytes` has it.
        finished_rows: as `Share` has it.
    """

    t3: T3Size
    reference_s: float
    numbers: int
    finished_rows: int = FINISHED_ROWS

    def cache_bytes(self, slots: int) -> int:
        """What T3's cache takes: the slots, and the row in which prefixes are computed (`decoder`)."""
        row_bytes = self.t3.slot_tokens * self.t3.kv_bytes_per_token * self.numbers // 2
        return (slots * self.t3.rows + 1) * row_bytes

    def workspace_bytes(self, s3gen_rows: int) -> int:
        """What S3Gen needs for so many rows of the best length."""
        guided = self.t3.rows > 1
        work = S3GenWork(s3gen_rows, self.reference_s, BEST_SPEECH_S, guided=guided, estimator_bytes=self.numbers)
        return work.peak_bytes()

    @property
    def least_bytes(self) -> int:
        """What must be free for the model with one utterance; CUDA's own part is taken already."""
        return fixed_bytes(self.t3, self.numbers) - CONTEXT_BYTES + self.cache_bytes(1) + self.workspace_bytes(1)

    def share_out(self, free_bytes: int, *, most: int) -> Share:
        """Share the memory of a GPU out when a model is loaded.

        S3Gen, which sets the pace, gets the most rows (a power of two, as it is given no other number) that leave T3 as
        many slots: more would seldom come together.

        Args:
            free_bytes: what is free beside the weights; the reserve and a margin are not in it.
            most: slots at most.
        Returns:
            One of each where there is not even room for that.
        """
        one_slot = self.cache_bytes(1)
        another_slot = self.cache_bytes(2) - one_slot
        s3gen_rows = 1 << (min(most_s3gen_rows(self.numbers), most).bit_length() - 1)
        while True:
            left = free_bytes - self.workspace_bytes(s3gen_rows)
            slots = min(most, 1 + (left - one_slot) // another_slot)
            if slots >= s3gen_rows or s3gen_rows == 1:
                return Share(max(1, slots), s3gen_rows, self.finished_rows)
            s3gen_rows //= 2

    def s3gen_rows_now(self, share: Share, card: CardMemory, reserve_bytes: int) -> int:
        """Say how many rows S3Gen may render together now: fewer once others need what was free at load."""
        room = card.free_bytes + card.idle_bytes - reserve_bytes
        rows = share.s3gen_rows
        while rows > 1 and self.workspace_bytes(rows) >= room:
            rows //= 2
        return rows

    def budget(self, share: Share, card: CardMemory, *, reserve_bytes: int, tokens: int) -> Budget:
        """Say what can be taken on: the slots are paid for, so all that must be there is room for S3Gen's work.

        torch keeps that room once it has had it: it is idle between two batches.
        """
        return Budget(
            rows=share.rows,
            free_bytes=card.free_bytes,
            row_bytes=1,
            idle_bytes=card.idle_bytes,
            workspace_bytes=self.workspace_bytes(self.s3gen_rows_now(share, card, reserve_bytes)),
            tokens=tokens,
            used_bytes=card.reserved_bytes,
        )
