"""Thread pools: threads that each compute something of their own on cores of their own.

On a CPU two rows of S3Gen, each on one core, take a tenth less time than one after the other on both: a thousand small
products a row end with the slower core waiting for the other, and where the host is shared one of them is always late.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

MOST_POOLS = 4
"""A row with a long text needs up to 0.4 GB while it is rendered."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def pools_of(threads: int, *, rows: int) -> int:
    """Say how many pools share so many threads of torch, where so many rows may be rendered at once.

    All have equally many threads, or a row's bits would depend on its pool. With six cores four thread_pools would
    leave two idle; three leave none.
    """
    most = max(1, min(threads, rows, MOST_POOLS))
    counts = range(min(most, max(2, most - 1)), most + 1)
    return max(counts, key=lambda count: (threads // count * count, count))


class ThreadPools:
    """Some threads side by side. They end when it is no longer in use.

    Args:
        count: how many.
        threads: of torch, shared out among them; whoever makes it has as many afterwards.
    """

    def __init__(self, count: int, *, threads: int) -> None:
        self.count = count
        self._pool = ThreadPoolExecutor(count, "pool", _begin, (max(1, threads // count),))
        # torch keeps the number for each thread, and the last one said for all threads to come: those are not ours.
        started = threading.Barrier(count + 1)
        for _ in range(count):
            self._pool.submit(started.wait)
        started.wait()
        torch.set_num_threads(threads)

    def map(self, compute: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Compute something for each item, as many at once as there are pools; results come in the items' order."""
        return self._pool.map(compute, items)


def _begin(threads: int) -> None:
    torch.get_num_threads()  # takes what was said for threads to come, which else the first product would do
    torch.set_num_threads(threads)
