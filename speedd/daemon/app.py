"""The composition root: opens a state directory and puts the stages together."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from speedd import inbox
from speedd.config import Config
from speedd.daemon.recovery import open_sound_ledger
from speedd.errors import PASSING, ConfigError, TryAgainError
from speedd.execution.base import Executor, ExecutorStatus
from speedd.execution.pool.pool import WorkerPool, configured_pool
from speedd.ledger import Ledger
from speedd.pipeline.job_run import BookProgress, takes_folder
from speedd.pipeline.narrator import Narrator

LOCK_WAIT_S = 30.0
"""How long a second daemon waits for the first to let go of the state directory: a restart overlaps for seconds."""


class App:
    """An open state directory with everything that narrating needs. Use it in a ``with`` block.

    Args:
        config: what holds for all books.
        log: where events go.
        run_id: names this run of the program.
        pinned: what stands above a book's own settings.
        lock_wait_s: how long to wait for another process that has the state directory.
        make_inbox: whether the inbox is made if it is not there.
        alive: called now and then while opening takes long.
        waits: whether books wait while the engine makes room for others, or end with a `TryAgainError`.

    Raises:
        TryAgainError: if another process keeps the state directory locked, or a disk is full or fails.
        ConfigError: if a folder cannot be made, or the state lies where SQLite loses it.
    """

    def __init__(
        self,
        config: Config,
        *,
        log: Any,
        run_id: str,
        pinned: Mapping[str, Any] | None = None,
        lock_wait_s: float = LOCK_WAIT_S,
        make_inbox: bool = True,
        alive: Callable[[], None] = lambda: None,
        waits: bool = True,
    ) -> None:
        self.config = config
        self.log = log
        self.run_id = run_id
        self._pinned = pinned
        self._waits = waits
        self._pools: dict[str, WorkerPool] = {}
        self._pools_lock = threading.Lock()
        self._closed = False
        refuse_network_state(config.paths.state)
        make_folders(config, inbox=make_inbox)
        self._lock = _locked(config.paths.state / "lock", lock_wait_s)
        try:
            inbox.sweep(spool_folder(config))
            self.ledger = open_sound_ledger(ledger_path(config), config, log, alive)
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

    def narrator(
        self,
        *,
        chapters: range | None = None,
        strict_voice: bool = False,
        on_progress: Callable[[BookProgress], None] = lambda _: None,
    ) -> Narrator:
        """Return a narrator on this state directory."""
        return Narrator(
            self.ledger,
            self.config,
            executor=self.executor,
            log=self.log,
            run_id=self.run_id,
            pinned=self._pinned,
            strict_voice=strict_voice,
            chapters=chapters,
            on_progress=on_progress,
        )

    def executor(self, engine: str) -> Executor:
        """Return the warm workers of an engine, starting them if they are not there yet.

        Raises:
            TryAgainError: after `close_engines`.
        """
        with self._pools_lock:
            if self._closed:
                raise TryAgainError("speedd is stopping.")
            self._close_broken_pools()
            pool = self._pools.get(engine)
            if pool is None:
                takes = takes_folder(self.config.paths.state)
                pool = configured_pool(engine, self.config, takes=takes, waits=self._waits)
                self._pools[engine] = pool
        return pool

    def engines(self) -> dict[str, ExecutorStatus]:
        """Return how the workers of each engine are."""
        with self._pools_lock:
            self._close_broken_pools()
            return {engine: pool.status() for engine, pool in self._pools.items()}

    def _close_broken_pools(self) -> None:
        """Let go of pools that nobody looks after any more: the next book gets a new one."""
        for engine, pool in list(self._pools.items()):
            if pool.status().broken:
                del self._pools[engine]
                pool.close()

    def close_engines(self) -> None:
        """End all workers for good: books that wait for one end with a `TryAgainError`, at once."""
        with self._pools_lock:
            self._closed = True
            pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            pool.close()


def ledger_path(config: Config) -> Path:
    """Where a state directory keeps its ledger."""
    return config.paths.state / "ledger.sqlite"


def spool_folder(config: Config) -> Path:
    """Where a state directory keeps its private copies of sources."""
    return config.paths.state / "spool"


@contextmanager
def open_ledger(config: Config) -> Iterator[Ledger]:
    """Open the ledger beside a daemon that may be running, to look or to leave a wish.

    Raises:
        ConfigError: if there is none.
    """
    path = ledger_path(config)
    if not path.exists():
        raise ConfigError(
            f"There is no speedd state in {config.paths.state}.", hint="Name it with --state or --config."
        )
    ledger = Ledger(path)
    try:
        yield ledger
    finally:
        ledger.close()


def refuse_network_state(state: Path) -> None:
    """See that the state lies on a disk of this machine: on others SQLite's locks and its WAL do not hold.

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
    paths = config.paths
    for name, path in (
        *([("inbox", paths.inbox)] if inbox else []),
        ("outbox", paths.outbox),
        ("state", paths.state),
        ("state", spool_folder(config)),
        ("state", takes_folder(paths.state)),
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
    """Lock a file for this process alone; children do not inherit it (PEP 446)."""
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
