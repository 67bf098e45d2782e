"""Fault 15: hostile and damaged sources of every format. Each ends with a reason, or is narrated; the daemon goes on.

The bulk goes straight to the reader's own process, forked here so that a case costs no start of Python; the known
nasty ones go through a daemon as well, by its inbox.
"""

import base64
import io
import json
import os
import pickle
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from fault_bench import LONG, Bench, wait_for
from fault_corpus import PROSE, SECRET, Case, damaged, nasty, special, strange_names, write
from speedd_sandbox import STORY

from speedd.common.state_directory import JobFolder
from speedd.config import load_config
from speedd.inbox import names
from speedd.model import Job, Part, Role
from speedd.pipeline import preparation as prepare
from speedd.pipeline.plan_source import read_and_plan
from speedd.pipeline.run_context import NO_REQUEST

pytestmark = [pytest.mark.fault, pytest.mark.timeout(7200 if LONG else 600)]

SEEDS = 2000 if LONG else 300
BATCH = 50
MEMORY_MB = 1024
"""The cap of a reader. A forked one has the tests' own address space on top of its own."""
PATIENCE_S = 120
DAEMON_MB = 512
"""For the main process with eight books open, each of which it may be mastering. Any bomb unpacks to more."""


@dataclass(frozen=True)
class Ended:
    """How the reader ended with a case."""

    status: int
    rss_mb: float
    fault: dict[str, str] | None
    text: str
    """All that it left for the narrator."""


@pytest.fixture(scope="module")
def canary(tmp_path_factory):
    """A file that nobody has any business with."""
    path = tmp_path_factory.mktemp("elsewhere") / "canary.txt"
    path.write_text(f"{SECRET} {SECRET} {SECRET}")
    return path


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """Read a case as `speedd.pipeline.preparation` does in its child: by its own `main`, in a process of its own."""
    base = tmp_path_factory.mktemp("reader")
    paths = {name: str(base / name) for name in ("inbox", "outbox", "state", "voices")}
    limits = {"reader_memory_mb": MEMORY_MB + _address_space_mb()}
    config = load_config(overrides={"paths": paths, "engine": {"name": "tone"}, "limits": limits}, environment={})
    _read(Case("warm", {"Book.txt": PROSE.encode()}), base / "warm", config, here=True)
    return lambda case, folder: _read(case, folder, config)


def _address_space_mb():
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE") >> 20


def _read(case, folder, config, *, here=False):
    job = job_of(write(case, folder / "spool"))
    left = JobFolder(job.spool)
    left.prepared.mkdir()
    if here:  # so that what is forked from us has its libraries loaded
        prepare._write(partial(read_and_plan, job, config), left)
        return None
    child = os.fork()
    if child == 0:
        try:
            most_bytes = config.limits.reader_memory_mb * 2**20
            resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))
            sys.stdin = io.TextIOWrapper(io.BytesIO(pickle.dumps((job, config, NO_REQUEST))))
            prepare.main()
            os._exit(0)
        finally:
            os._exit(1)
    watch = os.pidfd_open(child)
    in_time, _, _ = select.select([watch], [], [], PATIENCE_S)
    os.close(watch)
    if not in_time:
        os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    return Ended(
        status if in_time else -1,
        usage.ru_maxrss / 1024,
        json.loads(left.fault.read_text()) if left.fault.exists() else None,
        "".join(path.read_text(encoding="utf-8") for path in left.prepared.iterdir() if path != left.cover),
    )


def job_of(paths):
    roles = [named.role if (named := names.take_apart(path.name)) else Role.BOOK for path in paths]
    parts = [
        Part(role, path.name, path, "0" * 64, path.stat().st_size) for role, path in zip(roles, paths, strict=True)
    ]
    return Job("0" * 12, "0" * 64, "Book", paths[0], paths[0].parent, tuple(parts))


def judge(case, ended):  # noqa: PLR0911 - one line a fault
    """Say what is wrong with how a case ended; nothing if nothing is."""
    if ended.status != 0:
        return f"{case.name}: the reader ended with status {ended.status}"
    if SECRET in ended.text:
        return f"{case.name}: it read the canary"
    if ended.fault is None:
        return f"{case.name}: it should be refused" if case.ends == "refused" else ""
    reason = ended.fault["message"]
    if ended.fault["kind"] not in {"InputError", "DamagedInputError"}:
        return f"{case.name}: ended as {ended.fault['kind']}: {reason}"
    if case.ends == "narrated":
        return f"{case.name}: it should be narrated: {reason}"
    if re.match(r"It cannot be read \(\w+:", reason):
        return f"{case.name}: a reason that only a programmer understands: {reason}"
    return "" if case.says in reason else f"{case.name}: the reason does not say “{case.says}”: {reason}"


def everything(*folders):
    """What lies in folders, to see afterwards that nothing came."""
    return {str(path): path.lstat().st_mtime_ns for folder in folders for path in folder.rglob("*")}


@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
def test_damaged_sources_are_refused_with_a_reason_or_read(reader, canary, tmp_path, first, record_property):
    before = everything(canary.parent)
    wrong, refused, most_mb = [], 0, 0.0
    for seed in range(first, first + BATCH):
        ended = reader(damaged(seed), tmp_path / str(seed))
        wrong += filter(None, [judge(damaged(seed), ended)])
        refused += ended.fault is not None
        most_mb = max(most_mb, ended.rss_mb)
    record_property("figure", f"{refused} of {BATCH} refused, a reader had {most_mb:.0f} MB at most")
    assert not wrong, "\n".join(wrong)
    assert 0 < refused < BATCH
    assert everything(canary.parent) == before
    assert {path.name for path in tmp_path.iterdir()} == {str(seed) for seed in range(first, first + BATCH)}
    assert {path.name for path in tmp_path.glob("*/*")} == {"spool"}


def test_the_nasty_corpus_is_read_within_the_cap_and_nothing_leaks(reader, canary, tmp_path, record_property):
    before = everything(canary.parent)
    wrong, most_mb = [], 0.0
    for number, case in enumerate(nasty(canary, large=LONG)):
        ended = reader(case, tmp_path / str(number))
        wrong += filter(None, [judge(case, ended)])
        most_mb = max(most_mb, ended.rss_mb)
        shutil.rmtree(tmp_path / str(number) / "spool")
    record_property("figure", f"{number + 1} cases, a reader had {most_mb:.0f} MB at most")
    assert not wrong, "\n".join(wrong)
    assert everything(canary.parent) == before


def test_a_daemon_outlives_the_nasty_corpus(tmp_path, canary, record_property):
    """By the inbox: every source ends in `_failed` with a reason or is published, and the next book goes on."""
    sandbox = Bench(tmp_path / "sandbox", engine="tone")
    sandbox.configure(
        inbox={"damaged_wait_s": 1.0, "settle_s": 0.5},
        limits={"open_books": 8, "reader_memory_mb": MEMORY_MB},
    )
    before = everything(canary.parent)
    corpus = list(nasty(canary, large=LONG))
    # CI has no time for a reader's start for each: those that need the daemon's own hands, and every fifth.
    cases = corpus if LONG else corpus[::5]
    expected = {}
    for number, case in enumerate(cases):
        stem = f"{number} {case.name}"
        for path in write(case, sandbox.root / "writing"):
            path.rename(sandbox.inbox / path.name.replace("Book", stem, 1))
        expected[stem] = case.ends
    for name, make in special(sandbox.inbox, canary).items():
        make()
        expected[name] = "refused"
    for name in strange_names():
        (sandbox.inbox / os.fsdecode(name)).write_bytes(PROSE.encode() + base64.b16encode(name))
    with sandbox.daemon() as daemon:
        wait_for(lambda: not sandbox.left(), daemon, within_s=PATIENCE_S * (20 if LONG else 3))
        sandbox.drop("The next one.txt", STORY)
        daemon.wait_for("job.published", book="The next one")
        peak_mb, at_rest_mb = memory_mb(daemon, "VmHWM"), memory_mb(daemon, "VmRSS")
        assert daemon.stop() == 0
        log = "\n".join(json.dumps(event, ensure_ascii=False) for event in daemon.events)
    ends = dict(daemon_ends(sandbox))
    wrong = {name: ends.get(name) for name, end in expected.items() if end not in {"somehow", ends.get(name)}}
    assert not wrong
    assert not {state for state in ends.values() if state not in {"narrated", "refused"}}
    assert sum(state == "narrated" for state in ends.values()) >= len(strange_names())
    for folder in (sandbox.inbox / "_failed").iterdir():
        assert list(folder.glob("REASON*.txt")), folder
    record_property("figure", f"{len(ends)} sources, the daemon had {peak_mb} MB at most, {at_rest_mb} MB at the end")
    assert peak_mb < DAEMON_MB
    assert "speedd itself failed" not in log
    assert SECRET not in log
    assert everything(canary.parent) == before
    outside = {path.name for path in sandbox.root.iterdir() if not path.name.startswith("daemon-")}
    assert outside <= {"inbox", "outbox", "state", "trace", "writing", "unfinished", "speedd.toml"}
    assert all(SECRET not in book.captions for book in sandbox.books)


def memory_mb(daemon, field):
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(re.search(rf"{field}:\s*(\d+) kB", status)[1]) // 1024


def daemon_ends(sandbox):
    for name, state in sandbox.ask("SELECT name, state FROM jobs"):
        yield os.fsdecode(name), {"published": "narrated"}.get(state, state)


def test_a_reader_opens_nothing_but_its_source_and_its_libraries(canary, tmp_path, strace):
    """What the reader's process opens, connects to and makes, besides Python's own and the folder of its job."""
    paths = {name: str(tmp_path / name) for name in ("inbox", "outbox", "state", "voices")}
    config = load_config(overrides={"paths": paths, "engine": {"name": "tone"}}, environment={})
    tempts = re.compile("reads files|external|parameter|inclusion|escape|link|loads|from elsewhere")
    tempting = [case for case in nasty(canary, large=False) if tempts.search(case.name)]
    assert len(tempting) >= 12
    libraries = {str(Path(entry).resolve()) for entry in (*sys.path, sys.prefix, sys.base_prefix) if entry}
    homely = (*libraries, *sys.path[1:], *paths.values(), "/usr/", "/lib", "/etc/", "/proc/", "/sys/", "/dev/")
    for number, case in enumerate(tempting if LONG else tempting[::3]):
        folder = tmp_path / str(number)
        job = job_of(write(case, folder / "spool"))
        JobFolder(job.spool).prepared.mkdir()
        trace = folder / "trace"
        calls = "trace=openat,open,creat,connect,rename,mkdir,unlink,symlink,link"
        subprocess.run(
            [strace, "-f", "-qq", "-e", calls, "-o", trace, sys.executable, "-P", "-m", prepare.__name__],
            input=pickle.dumps((job, config, NO_REQUEST)),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            check=True,
        )
        text = trace.read_text(errors="replace")
        assert str(folder / "spool") in text
        assert str(canary) not in text
        assert "sa_family=AF_INET" not in text
        opened = {Path(path) for path in re.findall(r'"(/[^"]*)"', text)}
        assert not [path for path in opened if path.is_file() and not str(path).startswith((*homely, str(folder)))]
