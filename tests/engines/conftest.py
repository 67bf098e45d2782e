"""The sample engine, installed from its own wheel as a user would install it, into a folder that is on the path."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parent / "sample_engine"


@pytest.fixture(scope="session")
def sample_site(tmp_path_factory) -> Path:
    """The folder into which its wheel is installed."""
    missing = [module for module in ("pip", "hatchling") if find_spec(module) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)}, which build and install a wheel, are not installed")
    wheels, site = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "--quiet", "--isolated", "--disable-pip-version-check"]
    built = [*pip, "wheel", "--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", str(wheels), str(SAMPLE)]
    subprocess.run(built, check=True, capture_output=True, text=True)
    (wheel,) = wheels.glob("*.whl")
    installed = [*pip, "install", "--no-deps", "--no-index", "--target", str(site), str(wheel)]
    subprocess.run(installed, check=True, capture_output=True, text=True)
    return site


@pytest.fixture(scope="module")
def sample_installed(sample_site):
    """The sample engine is found by this process and by those that it starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(sample_site))
        patch.setenv("PYTHONPATH", str(sample_site), prepend=os.pathsep)
        yield
        sys.modules.pop("speedd_sample_engine", None)
