"""A sandbox whose walls things are pulled out of: kill its speedd, stop its disks, then compare how the book ended."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speedd_sandbox import PATIENCE_S, Daemon, Sandbox, group, wait_until

LONG = os.environ.get("SPEEDD_LONG") == "1"
"""The long run: every loop and every point of the table. CI takes a sample."""
PER_WORKER = 2
"""What a kill may cost: chunks in flight per CPU worker."""
WORKERS = 2
BOOK = "Lines.txt"


NO_PAUSES = '[book]\nlanguage = "en"\n[speech.pauses_ms]\nperiod = 0\nparagraph_end = 0\n'
"""Settings of a long book: silence would be a third of what is encoded."""


def lines(count: int) -> str:
    """A book of so many short sentences, each spoken by itself, with little audio to master."""
    spoken = [f"Line {number} was read." for number in range(1, count + 1)]
    return "Lines\n\n" + "\n\n".join(" ".join(spoken[at : at + 5]) for at in range(0, count, 5)) + "\n"


@dataclass(frozen=True)
class Ending:
    """All that must be the same, whatever happened on the way."""

    outbox: tuple[str, ...]
    """Every file and folder, hidden ones included: one title folder, no partial output."""
    inbox: tuple[str, ...]
    sound: str
    """Digest of the decoded audiobook."""
    captions: str
    texts: tuple[str, ...]


class Bench(Sandbox):
    """A `Sandbox` that a fault test looks into more deeply: what is durable, who is alive.

    Args:
        root: where it stands; the logs and the trace of what was spoken are always here.
        disk: where inbox, outbox and state lie, if that is elsewhere.
        engine: who speaks.
    """

    def __init__(self, root: Path, *, disk: Path | None = None, engine: str = "slow") -> None:
        super().__init__(root)
        if disk:
            self.inbox, self.outbox, self.state = (disk / name for name in ("inbox", "outbox", "state"))
            self.inbox.mkdir(exist_ok=True)
        self.configure(
            paths={"inbox": str(self.inbox), "outbox": str(self.outbox), "state": str(self.state)},
            engine={"name": engine, "workers": WORKERS},
        )

    def drop(self, name: str, content: str | bytes = "") -> Path:
        """Put a file into the inbox at once and whole, on whatever disk that is."""
        path = self.inbox / name
        unfinished = self.inbox / ".unfinished"
        unfinished.write_bytes(content if isinstance(content, bytes) else content.encode())
        unfinished.rename(path)
        return path

    # --- what is durable ---------------------------------------------------------------------------------------------

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the ledger as it is committed now; nothing if there is none yet."""
        try:
            with contextlib.closing(sqlite3.connect(self._ledger_uri("ro"), uri=True, timeout=PATIENCE_S)) as db:
                return db.execute(query, values).fetchall()
        except sqlite3.OperationalError:  # not there, or its tables are not
            return []

    @property
    def acknowledged(self) -> dict[str, int]:
        """The takes that the ledger has, by key, with their lengths in samples."""
        return dict(self.ask("SELECT key, samples FROM takes WHERE fault='' AND samples>0"))

    @property
    def stored(self) -> set[str]:
        """The keys of the takes that are files in their place."""
        return {path.stem for path in self.state.glob("takes/??/*.flac")}

    @property
    def untold(self) -> int:
        """How many utterances of all planned books have no take; -1 while there is no plan."""
        planned, left = (self.ask("SELECT count(*), sum(take IS NULL) FROM utterances WHERE text!=''") or [(0, 0)])[0]
        return left if planned else -1

    @property
    def states(self) -> list[str]:
        """Where each job stands, in the order in which they came."""
        return [state for (state,) in self.ask("SELECT state FROM jobs ORDER BY created_at, rowid")]

    @contextlib.contextmanager
    def ledger_held(self) -> Iterator[None]:
        """Keep everyone else from writing to the ledger."""
        with contextlib.closing(sqlite3.connect(self._ledger_uri("rw"), uri=True, isolation_level=None)) as db:
            db.execute(f"PRAGMA busy_timeout={PATIENCE_S * 1000}")
            db.execute("BEGIN IMMEDIATE")
            yield

    def _ledger_uri(self, mode: str) -> str:
        return f"file:{self.state / 'ledger.sqlite'}?mode={mode}"

    # --- how it ended ------------------------------------------------------------------------------------------------

    @property
    def ending(self) -> Ending:
        """How the one book ended."""
        return Ending(
            outbox=_listed(self.outbox),
            inbox=_listed(self.inbox),
            sound=self.book.sound,
            captions=self.book.captions,
            texts=tuple(self.book.texts),
        )

    @property
    def spoken_again(self) -> int:
        """How many utterances were begun a second time, a third …"""
        return len(self.spoken) - len(set(self.spoken))


def undisturbed(root: Path, text: str, name: str = BOOK) -> Ending:
    """How a book ends that nobody disturbs."""
    bench = Bench(root, engine="slow")
    bench.drop(name, text)
    result = bench.once(env={"SPEEDD_TEST_SLOW_S": "0"})
    assert result.code == 0, result.err
    assert bench.spoken_again == 0
    return bench.ending


def _listed(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(str(path.relative_to(folder)) for path in folder.rglob("*")))


# --- processes -------------------------------------------------------------------------------------------------------


def workers(leader: int) -> list[int]:
    """The pids of the engine workers in a group."""
    return [pid for pid, command in group(leader).items() if "speedd.execution.worker.main" in command]


def kill_main(process: subprocess.Popen[str]) -> None:
    """Kill -9 the main process alone; whatever it started must not outlive it."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
    process.wait(PATIENCE_S)
    wait_until(lambda: not group(process.pid))


# --- disks -----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def mounted(*arguments: object, on: Path) -> Iterator[Path]:
    """Mount something for a while.

    Raises:
        CannotMountError: with the reason, if this machine will not.
    """
    on.mkdir(parents=True, exist_ok=True)
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        raise CannotMountError("mounting needs root and mount(8)")
    done = subprocess.run([mount, *map(str, arguments), str(on)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotMountError(done.stderr.strip())
    try:
        yield on
    finally:
        unmount(on)
        wait_until(lambda: not any(is_in_a_loop_device(image) for image in arguments))


def is_in_a_loop_device(image: object) -> bool:
    """Whether a disk in a file is still in use, by mount namespaces that were split off while it was mounted, say."""
    devices = Path("/sys/block").glob("loop*/loop/backing_file")
    return any(device.read_text().strip() == str(image) for device in devices)


class CannotMountError(Exception):
    """This machine will not mount it."""


def unmount(place: Path) -> None:
    """Unmount; a process that has just been killed may hold it a moment longer."""

    def gone() -> bool:
        return subprocess.run(["umount", str(place)], capture_output=True, check=False).returncode == 0

    wait_until(gone)


def fill(folder: Path, *, leave_bytes: int = 0) -> Path:
    """Fill a small disk up to so many bytes; return the file to remove."""
    ballast = folder / ".ballast"
    with ballast.open("ab", buffering=0) as out, contextlib.suppress(OSError):
        while (free := shutil.disk_usage(folder).free - leave_bytes) > 0:
            out.write(bytes(min(free, 2**20)))
    return ballast


def wait_for(true: Callable[[], Any], daemon: Daemon, *, within_s: float = PATIENCE_S) -> Any:
    """Ask until the answer is yes, while the daemon lives; show its log if not."""
    deadline = time.monotonic() + within_s
    while not (answer := true()):
        assert daemon.process.poll() is None, f"speedd ended:\n{daemon._log.read_text()[-4000:]}"
        assert time.monotonic() < deadline, f"it did not happen:\n{daemon._log.read_text()[-4000:]}"
        time.sleep(0.01)
    return answer
