"""A journald and a systemd for the tests that want real ones."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from service_machine import Journald, Machine, booted_systemd, running_journald


@pytest.fixture
def boot(tmp_path: Path) -> Callable[..., "contextlib.AbstractContextManager[Machine]"]:
    """Boot a systemd with these units: ``with boot({"a.service": text}) as machine``."""
    return functools.partial(booted_systemd, tmp_path)


@pytest.fixture
def journald() -> "Iterator[Journald]":
    """A running journald."""
    with running_journald() as journald:
        yield journald
