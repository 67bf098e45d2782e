"""One worker seen from its parent: starting it, talking to it, and knowing when it is late."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from speedd.execution.protocol import Order, Setup

ONE_HEAP = {"MALLOC_ARENA_MAX": "1"}
"""For all threads of a process: with hibari 20 MB less at the end of a book, with Chatterbox on two cores 400 MB."""


class WorkerProcess:
    """A worker process. It must be started by a thread that outlives it: PDEATHSIG watches the thread, not the process.

    Args:
        setup: its first order.
        single_threaded: keep the numeric libraries of a CPU engine to one thread.
        card: the one graphics card that it sees; empty for all.

    Raises:
        OSError: if the machine starts no more processes.
    """

    def __init__(self, setup: Setup, *, single_threaded: bool, card: str = "") -> None:
        ours, theirs = socket.socketpair()
        environment = child_environment() | ONE_HEAP
        if single_threaded:
            environment.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
        if card:
            if "CUDA_VISIBLE_DEVICES" not in environment:  # the numbers are ours, and NVML's: places on the bus
                environment.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
            environment["CUDA_VISIBLE_DEVICES"] = card
        descriptor = theirs.fileno()
        with theirs, contextlib.ExitStack() as if_it_fails:
            if_it_fails.callback(ours.close)
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-P", "-m", "speedd.execution.worker.main", str(descriptor), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(descriptor,),
                env=environment,
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
        except subprocess.TimeoutExpired:
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


def child_environment() -> dict[str, str]:
    """Return an environment in which a child finds the same packages as we.

    Start it with ``-P``, so that it finds nothing that lies in the working directory by chance.
    """
    return {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
