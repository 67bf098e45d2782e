"""Which rows of speech tokens are rendered together: pure policy, no torch.

Rows of like length share a batch, and a batch is padded to the length of its bucket and to a power of two of rows.
Then a row's batch has one of few shapes, in each of which the same kernels do the same sums in the same place. Which it
is depends on the row and on how many mates it has, not on who they are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator, Mapping
from typing import Generic, NamedTuple, TypeVar

TOKENS_STEP = 32
"""Buckets are this far apart: 1.28 s, or 64 mel frames."""

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")


class Bucket(NamedTuple):
    """What rows must have in common to be rendered together."""

    speech_tokens: int
    """To so many their speech is padded."""
    reference_tokens: int
    """So many the reference before it has: what the vocoder is given begins behind it. A book has few of them, most of
    the full length that is used."""

    @property
    def tokens(self) -> int:
        """To how many tokens a row is padded in a batch: to 8 mel frames, which is what attention on a GPU likes."""
        return -(-(self.reference_tokens + self.speech_tokens) // 4) * 4


ALONE = Bucket(0, 0)
"""Of every row where nothing is rendered together: who is beside it does not matter."""


def bucket_of(reference_tokens: int, speech_tokens: int) -> Bucket:
    """Say with what a row is rendered together."""
    return Bucket(-(-speech_tokens // TOKENS_STEP) * TOKENS_STEP, reference_tokens)


def idle_rows(rows: int) -> int:
    """Say how many rows that nobody hears fill a batch up to a power of two."""
    return (1 << (rows - 1).bit_length()) - rows


def batches(buckets: Mapping[Key, Bucket], rows: int) -> Iterator[list[Key]]:
    """Put keys of one bucket together, at most ``rows`` at a time, the longest first (it finds out what fits)."""
    by_bucket: dict[Bucket, list[Key]] = {}
    for key, bucket in buckets.items():
        by_bucket.setdefault(bucket, []).append(key)
    for _, keys in sorted(by_bucket.items(), key=lambda one: one[0].tokens, reverse=True):
        for first in range(0, len(keys), rows):
            yield keys[first : first + rows]


class FinishedRows(Generic[Item]):
    """Rows whose tokens are complete, waiting for mates of their bucket while others are still spoken.

    Args:
        rows: how many make a batch.
        patience: a row is rendered in smaller company once so many others have come after it.
    """

    def __init__(self, *, rows: int, patience: int) -> None:
        self._rows, self._patience = rows, patience
        self._waiting: dict[Bucket, deque[tuple[int, Item]]] = {}
        self._came = 0

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._waiting.values())

    def add(self, item: Item, bucket: Bucket) -> None:
        """Let a row wait."""
        self._waiting.setdefault(bucket, deque()).append((self._came, item))
        self._came += 1

    def take(self, *, flush: bool = False) -> list[Item]:
        """Take a batch of one bucket if there is reason to: it is full, or its first row has waited long.

        Args:
            flush: nothing more is coming soon; take what has waited longest.
        Returns:
            At most `rows` items in the order they came; empty if waiting is better, or nothing waits.
        """
        if not self._waiting:
            return []
        full = [bucket for bucket, queue in self._waiting.items() if len(queue) >= self._rows]
        bucket = min(full or self._waiting, key=lambda one: self._waiting[one][0][0])
        queue = self._waiting[bucket]
        overdue = self._came - 1 - queue[0][0] >= self._patience
        if not (full or flush or overdue):
            return []
        taken = [queue.popleft()[1] for _ in range(min(self._rows, len(queue)))]
        if not queue:
            del self._waiting[bucket]
        return taken
