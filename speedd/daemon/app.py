"""The composition root: opens a state directory and puts the stages together."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from speedd import inbox
from speedd.common.policies import LOCK_WAIT_S
from speedd.common.state_directory import StateDirectory
from speedd.config import Config
from speedd.daemon.recovery import open_sound_ledger
from speedd.errors import PASSING, ConfigError, TryAgainError
from speedd.execution.base import Executor, ExecutorStatus
from speedd.execution.pool.pool import WorkerPool, configured_pool
from speedd.ledger import Ledger
from speedd.pipeline.narrator import Narrator
from speedd.pipeline.run_context import RunContext


class App:
    """An open state directory with everything that narrating needs. Use it in a ``with`` block.

    Args:
        context: this run of the program.
        lock_wait_s: how long to wait for another process that holds the state directory.
        make_inbox: whether to make the inbox if it is missing.

    Raises:
        TryAgainError: if another process keeps the state directory locked, or a disk is full or fails.
        ConfigError: if a folder cannot be made, or the state lies where SQLite loses it.
    """

    def __init__(self, context: RunContext, *, lock_wait_s: float = LOCK_WAIT_S, make_inbox: bool = True) -> None:
        self.context = context
        self._pools: dict[str, WorkerPool] = {}
        self._pools_lock = threading.Lock()
        self._closed = False
        refuse_network_state(context.state.root)
        make_folders(context.config, inbox=make_inbox)
        self._lock = _locked(context.state.lock, lock_wait_s)
        try:
            inbox.sweep(context.state.spool)
            self.ledger = open_sound_ledger(context)
        except BaseException:
            os.close(self._lock)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close_engines()
        self.ledger.close()
        os.close(self._lock)

    def narrator(self, context: RunContext | None = None) -> Narrator:
        """Return a narrator on this state directory. It works in the app's context unless another is given."""
        return Narrator(context or self.context, self.ledger, executor=self.executor)

    def executor(self, engine: str) -> Executor:
        """Return the warm workers of an engine. Starts them if there are none.

        Raises:
            TryAgainError: after `close_engines`.
        """
        with self._pools_lock:
            if self._closed:
                raise TryAgainError("speedd is stopping.")
            self._close_broken_pools()
            pool = self._pools.get(engine)
            if pool is None:
                context = self.context
                pool = configured_pool(engine, context.config, takes=context.state.takes, waits=not context.once)
                self._pools[engine] = pool
        return pool

    def engines(self) -> dict[str, ExecutorStatus]:
        """Return how the workers of each engine are."""
        with self._pools_lock:
            self._close_broken_pools()
            return {engine: pool.status() for engine, pool in self._pools.items()}

    def _close_broken_pools(self) -> None:
        """Close the pools whose supervisor has failed. The next book gets a new one."""
        for engine, pool in list(self._pools.items()):
            if pool.status().broken:
                del self._pools[engine]
                pool.close()

    def close_engines(self) -> None:
        """End all workers for good. Books that wait for one end at once with a `TryAgainError`."""
        with self._pools_lock:
            self._closed = True
            pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            pool.close()


@contextmanager
def open_ledger(config: Config) -> Iterator[Ledger]:
    """Open the ledger beside a daemon that may be running, to read it or to leave a request.

    Raises:
        ConfigError: if there is none.
    """
    state = StateDirectory(config.paths.state)
    if not state.ledger.exists():
        raise ConfigError(f"There is no speedd state in {state.root}.", hint="Name it with --state or --config.")
    ledger = Ledger(state.ledger)
    try:
        yield ledger
    finally:
        ledger.close()


def refuse_network_state(state: Path) -> None:
    """Refuse a state directory on a disk of another machine: SQLite's locks and its WAL do not hold there.

    Raises:
        ConfigError: if it lies on a network share, or on FUSE (unRAID's user shares, mergerfs, sshfs).
    """
    existing = next(place for place in (state, *state.parents) if place.is_dir())
    if inbox.network_file_system(existing):
        raise ConfigError(
            f"paths.state, {state}, lies on {inbox.file_system(existing)}, where databases get damaged.",
            hint="Put it on a disk of this machine (on unRAID or mergerfs: name the disk or the pool itself).",
        )


def make_folders(config: Config, *, inbox: bool) -> None:
    """Make the folders that the configuration names.

    Raises:
        ConfigError: naming the folder that cannot be made.
        TryAgainError: if its disk is full or fails.
    """
    paths, state = config.paths, StateDirectory(config.paths.state)
    for name, path in (
        *([("inbox", paths.inbox)] if inbox else []),
        ("outbox", paths.outbox),
        ("state", state.root),
        ("state", state.spool),
        ("state", state.takes),
    ):
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if reason := PASSING.get(error.errno or 0):
                raise TryAgainError(f"The folder paths.{name}, {path}, cannot be made now: {reason}.") from error
            raise ConfigError(
                f"The folder paths.{name}, {path}, cannot be made: {error.strerror}.",
                hint="Make it yourself, or name another in the configuration.",
            ) from error


def _locked(path: Path, wait_s: float) -> int:
    """Lock a file for this process alone. Children do not inherit the lock (PEP 446)."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        fault = TryAgainError if error.errno in PASSING else ConfigError
        raise fault(f"The state directory {path.parent} cannot be locked: {error.strerror}.") from error
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                os.close(lock)
                raise TryAgainError(
                    f"Another speedd uses the state directory {path.parent}.",
                    hint="Stop it, or name another with --state.",
                ) from error
            time.sleep(0.2)
        else:
            return lock
