"""What the end of a book leaves behind."""

import platform
import re
from pathlib import Path

import pytest

from speedd.pipeline.finishing import _give_memory_back


def rss_mb():
    return int(re.search(r"VmRSS:\s*(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps memory and can be asked for it")
def test_what_the_c_library_keeps_is_given_back():
    blocks = [bytearray(b"x" * 100_000) for _ in range(600)]
    pin = bytearray(b"x" * 100_000)  # noqa: F841 - above them in the heap, so that it cannot shrink by itself
    blocks.clear()
    held_mb = rss_mb()
    _give_memory_back()
    assert rss_mb() < held_mb - 40
