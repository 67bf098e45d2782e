"""A journald and a systemd for the tests that want real ones."""

import contextlib
import functools
from collections.abc import Callable
from pathlib import Path

import pytest
from service_machine import Machine, booted_systemd


@pytest.fixture
def boot(tmp_path: Path) -> Callable[..., "contextlib.AbstractContextManager[Machine]"]:
    """Boot a systemd with these units: ``with boot({"a.service": text}) as machine``."""
    return functools.partial(booted_systemd, tmp_path)
