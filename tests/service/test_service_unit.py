"""The unit: what systemd's own tools say of it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "systemd" / "speedd.service"


@pytest.fixture
def analyze():
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")

    def run(*arguments):
        return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False, timeout=60)

    return run


def installed(folder, text):
    """The unit with a program that exists on every machine in the place of the one it starts."""
    unit = folder / "speedd.service"
    unit.write_text(text.replace("/opt/speedd/bin/speedd", "/bin/true"))
    return str(unit)


def test_systemd_understands_every_line(analyze, tmp_path):
    verified = analyze("verify", "--recursive-errors=yes", installed(tmp_path, UNIT.read_text()))
    assert (verified.returncode, verified.stderr) == (0, "")


def test_a_misspelled_key_would_be_noticed(analyze, tmp_path):
    misspelled = UNIT.read_text().replace("ProtectSystem=", "ProtectSytem=")
    assert "ProtectSytem" in analyze("verify", "--recursive-errors=yes", installed(tmp_path, misspelled)).stderr


def test_little_is_left_to_an_attacker(analyze):
    rated = analyze("security", "--offline=true", "--threshold=20", "--no-pager", str(UNIT))
    assert rated.returncode == 0, rated.stdout


def test_the_gpu_stays_in_reach():
    lines = UNIT.read_text().splitlines()
    assert {"MemoryDenyWriteExecute=no", "PrivateDevices=no", "ProtectClock=no", "ProcSubset=all"} <= set(lines)
    assert "DeviceAllow=char-nvidia* rw" in lines
    assert not [line for line in lines if line.startswith("SystemCallFilter=~") and "@resources" in line]


def test_sysusers_makes_the_user_and_the_group(tmp_path):
    passwd, group = (made_by("systemd-sysusers", tmp_path) / "etc" / name for name in ("passwd", "group"))
    user = next(line.split(":") for line in passwd.read_text().splitlines() if line.startswith("speedd:"))
    shared = next(line.split(":") for line in group.read_text().splitlines() if line.startswith("media:"))
    assert user[3] == shared[2]
    assert user[5:] == ["/var/lib/speedd", "/usr/sbin/nologin"]


def test_tmpfiles_makes_folders_that_the_group_shares(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root, to give folders away")
    made_by("systemd-sysusers", tmp_path)
    base = made_by("systemd-tmpfiles", tmp_path, "--create") / "var" / "lib" / "speedd"
    modes = {path.name: oct(path.stat().st_mode & 0o7777) for path in base.iterdir()}
    assert modes == {"inbox": "0o2775", "outbox": "0o2775", "voices": "0o2775", "state": "0o750"}
    assert (base / "inbox").stat().st_uid != 0


def made_by(tool, folder, *options):
    """Let one of systemd's tools work on a folder as if that were the root of a machine."""
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    file = ROOT / "systemd" / f"speedd.{tool.removeprefix('systemd-')}.conf"
    (folder / "etc").mkdir(exist_ok=True)
    done = subprocess.run([tool, *options, f"--root={folder}", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder
