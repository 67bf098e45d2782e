"""What the end of a book leaves behind."""

import platform
import re
from dataclasses import fields
from pathlib import Path

import pytest

from speedd.engines.base import EngineInfo
from speedd.model import Job, Metadata, Part, Skipped, Voice
from speedd.outbox import runlog
from speedd.outbox.metadata import ChapterSpan
from speedd.pipeline.finishing import _give_memory_back
from speedd.pipeline.job_run import Timings


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


@pytest.mark.parametrize(
    ("log", "source", "more"),
    [
        (runlog.SourceLog, Job, ()),
        (runlog.PartLog, Part, ()),
        (runlog.EngineLog, EngineInfo, ()),
        (runlog.VoiceLog, Voice, ()),
        (runlog.BookLog, Metadata, ("words", "chapters")),
        (runlog.ChapterLog, ChapterSpan, ()),
        (runlog.SkippedLog, Skipped, ()),
        (runlog.StagesLog, Timings, ()),
    ],
)
def test_what_the_run_log_copies_by_name_has_that_name(log, source, more):
    """Where the name of one changes, its default would be logged in silence."""
    assert log.model_fields.keys() == {field.name for field in fields(source)} & log.model_fields.keys() | set(more)
