"""What all tests share: where the real books lie, if they do."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from speedd_sandbox import Sandbox

ROOT = Path(__file__).resolve().parent.parent
OURS = [str(ROOT / "tests" / name) for name in ("engines", "benchmarks")]

# Timing never decides a test.
settings.register_profile("speedd", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("speedd")

# The fault-injecting engines are found by their entry points, the benchmarks by name: here, and in every process that a
# test starts.
sys.path[:0] = OURS
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (*OURS, os.environ.get("PYTHONPATH"))))


SLOW_FOLDERS = {"acceptance", "faults"}
"""Whole books, and what is pulled out of the wall until a book comes through."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Keep out of the fast lane what takes long wherever it is: see `addopts` in pyproject.toml."""
    if item.path.parent.name in SLOW_FOLDERS or any(item.iter_markers("asr")) or any(item.iter_markers("systemd")):
        item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real books, beside the checkout or where SPEEDD_SHARED says."""
    folder = Path(os.environ.get("SPEEDD_SHARED", ROOT.parent / "shared"))
    if not (folder / "books").is_dir():
        pytest.skip(f"no folder with real books at {folder} (set SPEEDD_SHARED)")
    return folder


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """A home server's folders with a speedd in them."""
    return Sandbox(tmp_path / "sandbox")


@pytest.fixture
def fault_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which an engine remembers what went wrong: each fault happens once."""
    folder = tmp_path / "fault_folder"
    folder.mkdir()
    monkeypatch.setenv("SPEEDD_TEST_FAULTS", str(folder))
    return folder
