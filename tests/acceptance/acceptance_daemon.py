"""A running speedd, as its owner runs it, and the audiobooks it publishes."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import av
import speedd_sandbox

READY_WITHIN_S = 60
STOPPED_WITHIN_S = 60

NUMERALS = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")
"""The chapters of The Time Machine, before its Epilogue."""
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


@dataclass(frozen=True)
class Cue:
    start_s: float
    stop_s: float
    text: str


class Audiobook(speedd_sandbox.Audiobook):
    """A published folder, with what an owner sees of it in a player."""

    @cached_property
    def chunks(self) -> list[dict[str, Any]]:
        """The published chunk JSON without its header."""
        return [entry for entry in self.plan if "_metadata" not in entry]

    @cached_property
    def chapters(self) -> list[tuple[str, float, float]]:
        """Title, start and end in seconds, from the M4B itself."""
        with av.open(str(self.m4b)) as container:
            return [
                (
                    mark["metadata"]["title"],
                    float(mark["start"] * mark["time_base"]),
                    float(mark["end"] * mark["time_base"]),
                )
                for mark in container.chapters()
            ]

    @property
    def titles(self) -> list[str]:
        return [title for title, _, _ in self.chapters]

    @cached_property
    def cues(self) -> list[Cue]:
        (path,) = self.folder.glob("*.vtt")
        blocks = path.read_text(encoding="utf-8").strip().split("\n\n")[1:]
        return [_cue(block) for block in blocks]


def _cue(block: str) -> Cue:
    times, text = block.split("\n", 1)
    start_s, stop_s = map(_seconds, times.split(" --> "))
    return Cue(start_s, stop_s, text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


def _seconds(timestamp: str) -> float:
    hours, minutes, seconds = timestamp.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


class Daemon:
    """`speedd run` over an inbox of its own."""

    def __init__(self, base: Path, process: "subprocess.Popen[bytes]") -> None:
        self.inbox, self.outbox = base / "inbox", base / "outbox"
        self._process = process
        self._log = base / "log"

    def drop(self, *sources: Path, name: str | None = None) -> None:
        """Copy sources into the inbox, under their own names or another."""
        for source in sources:
            shutil.copyfile(source, self.inbox / (name or source.name))

    def audiobook(self, *, within_s: float) -> Audiobook:
        """Wait for the one audiobook to be published and its source to be brought away."""
        self._wait(lambda: self._published() and list(self.inbox.glob("_done/*")), within_s, "published")
        (run_log,) = self._published()
        return Audiobook(run_log.parent)

    def wait_until_ready(self) -> None:
        self._wait(lambda: "service.ready" in self.log, READY_WITHIN_S, "ready")

    def stop(self) -> int:
        """Stop it as systemd does, and return its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(STOPPED_WITHIN_S)

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def _published(self) -> list[Path]:
        found = self.outbox.rglob("run.json")
        return [path for path in found if not any(part.startswith(".") for part in path.relative_to(self.outbox).parts)]

    def _wait(self, condition, within_s: float, what: str) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            refused = [path.read_text(encoding="utf-8") for path in self.inbox.glob("_failed/*/REASON.txt")]
            assert not refused, refused
            assert self._process.poll() is None, f"speedd ended:\n{self.log[-4000:]}"
            assert time.monotonic() < deadline, f"not {what} within {within_s} s:\n{self.log[-4000:]}"
            time.sleep(0.2)


def environment(home: Path, **settings: str) -> dict[str, str]:
    """The environment of a machine that knows nothing of speedd, and these settings (``inbox__settle_s="1"``)."""
    unwanted = ("SPEEDD_", "XDG_", "NOTIFY_", "STATE_DIRECTORY", "CONFIGURATION_DIRECTORY", "JOURNAL_STREAM")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return kept | {"HOME": str(home)} | {f"SPEEDD_{name.upper()}": value for name, value in settings.items()}


@contextlib.contextmanager
def running_daemon(base: Path, *, engine: str = "hibari", **settings: str) -> Iterator[Daemon]:
    """Run speedd under ``base`` until the block ends; it is waiting for books when the block begins."""
    (base / "inbox").mkdir(parents=True)
    command = [sys.executable, "-m", "speedd", "run", "--engine", engine]
    for name in ("inbox", "outbox", "state"):
        command += [f"--{name}", str(base / name)]
    settings = {"inbox__settle_s": "1"} | settings
    with (base / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=environment(base, **settings), cwd=base
        )
    daemon = Daemon(base, process)
    try:
        daemon.wait_until_ready()
        yield daemon
        assert daemon.stop() == 0, daemon.log[-4000:]
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
