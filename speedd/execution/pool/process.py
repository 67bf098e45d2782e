"""One worker seen from its parent: starting it, talking to it, and knowing when it is late."""

from __future__ import annotations

import contextlib
import os
import socket
from multiprocessing.connection import Connection
from subprocess import TimeoutExpired
from typing import TYPE_CHECKING

from speedd.common.processes import start_child

if TYPE_CHECKING:
    from speedd.execution.protocol import Order, Setup

ONE_HEAP = {"MALLOC_ARENA_MAX": "1"}
"""For all threads of a process: with hibari 20 MB less at the end of a book, with Chatterbox on two cores 400 MB."""


class WorkerProcess:
    """A worker process. It must be started by a thread that outlives it, as any child.

    Args:
        setup: its first order.
        single_threaded: keep the numeric libraries of a CPU engine to one thread.
        card: the one graphics card that it sees; empty for all.

    Raises:
        OSError: if the machine starts no more processes.
    """

    def __init__(self, setup: Setup, *, single_threaded: bool, card: str = "") -> None:
        ours, theirs = socket.socketpair()
        environment = dict(ONE_HEAP)
        if single_threaded:
            environment.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
        if card:
            if "CUDA_VISIBLE_DEVICES" not in os.environ:  # the numbers are ours, and NVML's: places on the bus
                environment["CUDA_DEVICE_ORDER"] = os.environ.get("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
            environment["CUDA_VISIBLE_DEVICES"] = card
        descriptor = theirs.fileno()
        with theirs, contextlib.ExitStack() as if_it_fails:
            if_it_fails.callback(ours.close)
            self._process = start_child(
                "speedd.execution.worker.main",
                descriptor,
                stderr=None,
                pass_fds=(descriptor,),
                environment=environment,
            )
            if_it_fails.pop_all()
        self.connection = Connection(ours.detach())
        self.pid = self._process.pid
        self.send(setup)

    def send(self, order: Order) -> None:
        """Send an order. To a dead worker it goes nowhere: the end of its line is read soon enough."""
        try:
            self.connection.send(order)
        except OSError:
            return

    def has_ended(self, within_s: float) -> bool:
        """Wait a while for it to end by itself."""
        try:
            self._process.wait(within_s)
        except TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """End it at once. The line stays open, for what it still holds."""
        self._process.kill()

    def reap(self) -> str:
        """Make sure it is dead, let go of everything, and say in words how it ended."""
        self._process.kill()
        status = self._process.wait()
        self.connection.close()
        if status == -9:  # noqa: PLR2004
            return "it was killed; if nobody did that, the machine ran out of memory"
        return f"it was ended by signal {-status}" if status < 0 else f"it ended with status {status}"
