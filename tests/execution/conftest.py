"""What tests of pools share."""

import time

import pytest

from speedd.execution.pool.pool import WorkerPool
from speedd.execution.pool.settings import PoolSettings


@pytest.fixture
def pool(tmp_path):
    """Makes pools, and closes them whatever happens."""
    made = []

    def make(engine, options=None, *, yield_policy=None, clock=time.monotonic, **settings):
        settings = {"takes": tmp_path / "takes", "options": options or {}, "workers": 2} | settings
        made.append(WorkerPool(PoolSettings(engine, **settings), yield_policy, clock=clock))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def trace(tmp_path, monkeypatch):
    """Counts what engines take on, from outside of them."""
    folder = tmp_path / "trace"
    folder.mkdir()
    monkeypatch.setenv("SPEEDD_TEST_TRACE", str(folder))
    return lambda: [key for file in folder.iterdir() for key in file.read_text().split()]
