"""A real systemd with a real journald, booted in namespaces of its own: the machine around it is not touched."""

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

SYSTEMD = Path("/lib/systemd/systemd")
JOURNALD = Path("/lib/systemd/systemd-journald")
UNITS = Path("/lib/systemd/system")
BOOT_TIMEOUT_S = 30

# Only these units exist beside those of the test: none that cleans /tmp or touches devices.
_BORROWED = ("systemd-journald.service", "systemd-journald.socket", "systemd-journald-dev-log.socket")
_TARGETS = ("sysinit.target", "basic.target", "shutdown.target", "multi-user.target", "sockets.target")

# Lets go of other tests' disks, moves into a control group of its own, so that systemd finds an empty tree, and becomes
# the namespaces' parent.
_OUTER = """\
mount --make-rprivate /
grep ^/dev/loop /proc/self/mounts | cut -d' ' -f2 | xargs -r umount
mkdir -p {folder}/cgroup
mount -t cgroup2 cgroup2 {folder}/cgroup
mkdir -p {folder}/cgroup/{group}
echo $$ > {folder}/cgroup/{group}/cgroup.procs
umount {folder}/cgroup
exec unshare --kill-child --mount --pid --fork --cgroup --uts --ipc --mount-proc sh -eu {folder}/init.sh
"""

_INIT = """\
mount --make-rprivate /
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --bind {folder}/etc /etc
mount -t tmpfs tmpfs /opt
mount -t tmpfs tmpfs /srv
{binds}
mount -t tmpfs tmpfs /var
mkdir -p /var/lib /var/cache /var/log /var/tmp
chmod 1777 /var/tmp
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/systemd/system
cp -r {folder}/units/. /run/systemd/system/
mount -t tmpfs -o mode=1777 tmpfs /tmp
cd /
exec env -i container=speedd-test PATH=/usr/sbin:/usr/bin:/sbin:/bin SYSTEMD_UNIT_PATH=/run/systemd/system \\
    {systemd} --system --unit=multi-user.target --log-target=console --show-status=no
"""

_REMOVE_GROUP = """\
mount --make-rprivate /
mount -t cgroup2 cgroup2 {folder}/cgroup
find {folder}/cgroup/{group} -depth -type d -exec rmdir {{}} +
"""


@dataclass(frozen=True)
class Machine:
    """A booted systemd."""

    pid: int
    """Its process id, seen from outside."""

    def run(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a program beside it as root."""
        command = ["nsenter", "-t", str(self.pid), "-m", "-p", "-u", "-i", "-C", *argv]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd="/")
        if check and done.returncode:
            raise AssertionError(f"{shlex.join(argv)} exited {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def show(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.run("systemctl", "show", "--value", "-p", name, unit).stdout.strip()

    def outside(self, path: str) -> Path:
        """Where a path of the machine can be reached from the test."""
        return Path(f"/proc/{self.pid}/root") / path.lstrip("/")


@dataclass(frozen=True)
class Journald:
    """A journald beside the machine's own, if it has one: systemd calls it a journal namespace."""

    namespace: str
    process: "subprocess.Popen[bytes]"

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return Path(f"/run/systemd/journal.{self.namespace}/socket")

    def entries(self, *matches: str) -> list[dict[str, str]]:
        """Return what it has taken so far, oldest first."""
        ask = ["journalctl", f"--namespace={self.namespace}", "--no-pager"]
        subprocess.run([*ask, "--sync"], check=True, capture_output=True, timeout=60)
        out = subprocess.run([*ask, "-o", "json", "--all", *matches], check=True, capture_output=True, timeout=60)
        return [json.loads(line) for line in out.stdout.splitlines()]

    def freeze(self) -> None:
        """Stop it in its tracks, as a full disk under the journal does."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def running_journald() -> Iterator[Journald]:
    """Run a journald with a journal of its own. Skips the test where that cannot be done."""
    if os.geteuid() != 0:
        pytest.skip("a journald of our own needs root")
    if not JOURNALD.exists():
        pytest.skip("systemd is not installed")
    namespace = f"speedd-test-{os.getpid()}"
    place = Path(f"/run/systemd/journal.{namespace}")
    place.mkdir(parents=True)
    Path("/run/log/journal").mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen([JOURNALD, namespace], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + BOOT_TIMEOUT_S
        while not (place / "io.systemd.journal").exists():
            assert process.poll() is None, "journald ended"
            assert time.monotonic() < deadline, "journald does not listen"
            time.sleep(0.01)
        yield Journald(namespace, process)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(place)
        for kept in (Path("/run/log/journal"), Path("/var/log/journal")):
            for journal in kept.glob(f"*.{namespace}"):
                shutil.rmtree(journal)


def require_systemd() -> None:
    if os.geteuid() != 0:
        pytest.skip("a systemd of our own needs root")
    if not (SYSTEMD.exists() and JOURNALD.exists()):
        pytest.skip("systemd is not installed")
    probe = "unshare --mount --pid --fork --cgroup --uts --ipc --mount-proc mount --make-rprivate /"
    if subprocess.run(probe.split(), capture_output=True, check=False).returncode:
        pytest.skip("namespaces are not allowed here")


@contextlib.contextmanager
def booted_systemd(
    folder: Path, units: Mapping[str, str], *, binds: Mapping[str, Path] | None = None
) -> Iterator[Machine]:
    """Boot systemd with these units (name or ``NAME.d/x.conf`` → text), journald and nothing else.

    ``/etc`` is a copy under ``folder/etc``; ``/opt``, ``/srv``, ``/var``, ``/run`` and ``/tmp`` are empty, apart from
    ``binds`` (a place in ``/opt`` or ``/srv`` → what is seen there). Skips the test where that cannot be done.
    """
    require_systemd()
    if not (folder / "etc").exists():
        shutil.copytree("/etc", folder / "etc", symlinks=True)
    texts = {name: (UNITS / name).read_text() for name in _BORROWED}
    texts |= {name: f"[Unit]\nDescription={name}\nDefaultDependencies=no\n" for name in _TARGETS}
    texts["multi-user.target"] += "Wants=systemd-journald.service\nAfter=systemd-journald.service\n"
    for name, text in {**texts, **units}.items():
        place = folder / "units" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    blanks = {"folder": folder, "group": f"speedd-test-{os.getpid()}-{time.monotonic_ns()}", "systemd": SYSTEMD}
    mounts = "\n".join(f"mkdir -p {there}\nmount --bind {here} {there}" for there, here in (binds or {}).items())
    (folder / "init.sh").write_text(_INIT.format(**blanks, binds=mounts))
    (folder / "cgroup").mkdir(exist_ok=True)
    with (folder / "console.log").open("wb") as console:
        boot = subprocess.Popen(
            ["unshare", "--mount", "sh", "-euc", _OUTER.format(**blanks)],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
        )
    try:
        yield _wait_until_booted(boot, folder)
    finally:
        boot.kill()  # and with it, by --kill-child, everything inside
        boot.wait()
        _remove_group(blanks)


def _wait_until_booted(boot: "subprocess.Popen[bytes]", folder: Path) -> Machine:
    deadline = time.monotonic() + BOOT_TIMEOUT_S
    while time.monotonic() < deadline and boot.poll() is None:
        children = Path(f"/proc/{boot.pid}/task/{boot.pid}/children").read_text().split()
        if children and _program(children[0]) == "systemd":
            machine = Machine(int(children[0]))
            if machine.run("systemctl", "is-active", "multi-user.target", check=False).stdout.strip() == "active":
                return machine
        time.sleep(0.1)
    raise AssertionError(f"systemd did not boot:\n{(folder / 'console.log').read_text(errors='replace')}")


def _program(pid: str) -> str:
    """The name of the program a process runs, empty if it has just ended (before systemd come mount and mkdir)."""
    try:
        return Path(f"/proc/{pid}/exe").readlink().name
    except OSError:
        return ""


def _remove_group(blanks: Mapping[str, object]) -> None:
    for _ in range(50):
        command = ["unshare", "--mount", "sh", "-euc", _REMOVE_GROUP.format(**blanks)]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.1)  # the last processes are still dying
