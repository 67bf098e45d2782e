"""Fault 2: a crash at every system call that changes a disk.

strace can kill by itself (``inject=rename:signal=SIGKILL:when=N``), but counts in each thread alone: whichever thread
comes first to its Nth call ends all, and what the others would have done later is never cut short. So here strace only
holds each such call for a moment before it happens, the calls of one name are counted over all threads and processes,
and the whole tree is killed while the Nth is being held. Files are opened too often to hold that: there the kill comes
just after.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from fault_bench import BOOK, LONG, PATIENCE_S, Bench, lines

pytestmark = [pytest.mark.fault, pytest.mark.timeout(7200)]

LINES = 2
HELD = "rename,renameat,renameat2,fsync,fdatasync,mkdir,rmdir,unlink,unlinkat,link,ftruncate,pwrite64"
HOLD_US = 10_000
SAMPLES = 7
"""How many crash points CI tries, evenly spread, beside those around the rename into the outbox."""

_CALL = re.compile(rb"^\d+ +(\w+)\(")


def calls(bench: Bench, strace: str, point: tuple[str, int] | None) -> list[str]:
    """Run once, killing everything at the nth call of a name; return the names of the calls until then."""
    pipe = bench.root / "calls"
    with contextlib.suppress(FileExistsError):
        os.mkfifo(pipe)
    wrap = [strace, "-f", "-qq", "-y", "--seccomp-bpf", "-e", "signal=none", "-e", f"trace=openat,{HELD}"]
    wrap += ["-e", f"inject={HELD}:delay_enter={HOLD_US}", "-o", str(pipe)]
    with bench.running("--once", env={"SPEEDD_TEST_SLOW_S": "0"}, wrap=wrap) as daemon:
        seen = []
        for name in _changes(pipe, os.fsencode(bench.root)):
            seen.append(name)
            if point == (name, seen.count(name)):
                daemon.kill()
                return seen
        assert daemon.process.wait(PATIENCE_S) == 0
    return seen


def _changes(pipe, below: bytes) -> Iterator[str]:
    """The names of the calls on something below a folder, each as soon as strace has told of it."""
    line, told = b"", False
    with pipe.open("rb", buffering=0) as out:
        while piece := out.read(65536):
            for part in piece.splitlines(keepends=True):
                line += part
                call = _CALL.match(line)
                if call and not told and below in line and (call[1] != b"openat" or b"O_CREAT" in line):
                    told = True
                    yield call[1].decode()
                if line.endswith(b"\n"):
                    line, told = b"", False


def sample(every: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """A few points of all: spread, and the rename into the outbox with what follows it."""
    spread = {number * (len(every) - 1) // (SAMPLES - 1) for number in range(SAMPLES)}
    publishing = every.index(("renameat2", 1))
    return [every[at] for at in sorted(spread | {publishing, publishing + 1})]


def test_a_crash_at_any_call_that_changes_a_disk_leaves_the_same_end(tmp_path, strace, endings, record_property):
    ending = endings(LINES)

    def crashed(at: tuple[str, int] | None) -> list[str]:
        bench = Bench(tmp_path / ("-".join(map(str, at)) if at else "whole"))
        bench.drop(BOOK, lines(LINES))
        seen = calls(bench, strace, at)
        result = bench.once(env={"SPEEDD_TEST_SLOW_S": "0"})
        assert result.code == 0, (at, seen[-3:], result.err)
        assert bench.ending == ending, (at, seen[-3:])
        return seen

    whole = crashed(None)
    every = [(name, whole[: at + 1].count(name)) for at, name in enumerate(whole)]
    points = every if LONG else sample(every)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        reached = list(pool.map(crashed, points))
    kinds = sorted({seen[-1] for seen in reached})
    record_property("figure", f"{len(reached)} crash points of {len(whole)}, in {', '.join(kinds)}: all ended the same")
