"""Use chatterbox-tts without what its dependencies say about themselves."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

NOISY = ("perth", "chatterbox.tts", "chatterbox.mtl_tts", "chatterbox.tts_turbo")


def import_quietly() -> None:
    """Import what warns when it is imported."""
    with quietly():
        for module in NOISY:
            importlib.import_module(module)


@contextmanager
def quietly() -> Iterator[None]:
    """Hold back warnings about deprecations that are not ours to mend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
