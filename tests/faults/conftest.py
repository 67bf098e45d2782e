"""What the fault tests share: a sandbox per test, and how the book ends where nobody pulls anything out."""

import shutil
import subprocess
from pathlib import Path

import pytest
from fault_bench import Bench, Ending, lines, undisturbed


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A sandbox in which the engine takes its time."""
    return Bench(tmp_path / "bench")


@pytest.fixture(scope="session")
def endings(tmp_path_factory: pytest.TempPathFactory):
    """How a book of so many lines ends undisturbed."""
    known: dict[int, Ending] = {}

    def ending(count: int) -> Ending:
        if count not in known:
            known[count] = undisturbed(tmp_path_factory.mktemp("undisturbed") / "sandbox", lines(count))
        return known[count]

    return ending


@pytest.fixture(scope="session")
def strace() -> str:
    """The path of an strace that may trace here."""
    path = shutil.which("strace")
    if path is None:
        pytest.skip("strace is not installed (apt-get install strace)")
    tried = subprocess.run([path, "-f", "-e", "trace=none", "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"strace may not trace here (it needs ptrace): {tried.stderr.strip()[:200]}")
    return path


def pytest_terminal_summary(terminalreporter) -> None:
    """Show what was measured: the figures of README.md."""
    for report in terminalreporter.getreports("passed"):
        for name, figure in report.user_properties:
            if name == "figure":
                terminalreporter.write_line(f"{report.nodeid.rpartition('/')[2]}\n    {figure}")
