"""What a line on stderr looks like, and what never stops the program."""

import errno
import io
import json
import logging
import os
import socket
import warnings
from pathlib import Path

import pytest

from speedd.config import LogSettings
from speedd.service.logging import configure_logging, get_logger


@pytest.fixture
def lines():
    """Configure logging to a buffer; call the fixture for what has been written."""
    stream = io.StringIO()
    with configure_logging(LogSettings(level="debug"), run_id="run-1", environment={}, stream=stream):
        yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_object_with_a_sentence_and_fields(lines):
    get_logger().info("job.published", job="abc", book="Emma", out_path=Path("/srv/Emma"), duration_ms=12, title=None)
    (line,) = lines()
    assert line.pop("ts").endswith("Z")
    assert line == {
        "level": "info",
        "event": "job.published",
        "message": "Published Emma in /srv/Emma.",
        "run_id": "run-1",
        "schema": 1,
        "job": "abc",
        "book": "Emma",
        "out_path": "/srv/Emma",
        "duration_ms": 12,
    }


def test_hostile_values_become_harmless(lines):
    raw = os.fsdecode(b"/in/caf\xe9.txt")
    get_logger().info(
        "job.accepted", book="a\x1b[31m\r\nb", src_path=raw, ratio=float("nan"), parts=["\ud800", {"k\0": b"\x07"}]
    )
    (line,) = lines()
    assert line["book"] == "a\\x1b[31m\\x0d\nb"
    assert line["message"] == "Accepted a\\x1b[31m\\x0d\\nb."
    assert line["src_path"] == "/in/caf\\xe9.txt"
    assert line["ratio"] == "nan"
    assert line["parts"] == ["\\ud800", {"k\\x00": "\\x07"}]


def test_an_endless_value_is_cut(lines):
    get_logger().info("job.warned", book="Emma", reason="x" * 1_000_000)
    assert len(lines()[0]["reason"]) < 70_000
    assert lines()[0]["reason"].endswith("characters cut)")


def test_a_field_cannot_pose_as_one_of_the_logs_own(lines):
    get_logger().info("job.accepted", book="Emma", level="critical", run_id="other", message="nothing happened")
    (line,) = lines()
    assert (line["level"], line["run_id"], line["message"]) == ("info", "run-1", "Accepted Emma.")


def test_an_exception_comes_with_its_traceback(lines):
    try:
        int("no number")
    except ValueError:
        get_logger().exception("job.failed", book="Emma", reason="no such page")
    (line,) = lines()
    assert line["level"] == "error"
    assert line["message"] == "Emma failed: no such page"
    assert "ValueError: invalid literal" in line["exception"]


def test_below_the_level_nothing_is_written():
    stream = io.StringIO()
    with configure_logging(LogSettings(level="warning"), run_id="r", environment={}, stream=stream):
        get_logger().info("job.accepted", book="Emma")
        get_logger().warning("job.refused", book="Emma", reason="it is empty")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["job.refused"]


def test_warnings_of_libraries_come_in_too(lines):
    logging.getLogger("some.library").warning("page %d is torn", 7)
    logging.getLogger("some.library").info("all is well")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)  # catch_warnings kept pytest's own way to show them
        logging.captureWarnings(capture=True)
        warnings.warn("old ways", DeprecationWarning, stacklevel=1)
    torn, old = lines()
    assert (torn["event"], torn["library"], torn["reason"]) == ("library.warned", "some.library", "page 7 is torn")
    assert "old ways" in old["reason"]


class Torn(io.StringIO):
    def flush(self):
        raise BrokenPipeError(errno.EPIPE, "nobody reads this any more")


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [Torn(), closed()])
def test_a_broken_stderr_is_no_reason_to_stop(stream):
    with configure_logging(LogSettings(), run_id="r", environment={}, stream=stream):
        get_logger().info("job.accepted", book="Emma")


def test_afterwards_logging_is_as_before():
    before = list(logging.getLogger().handlers)
    with configure_logging(LogSettings(), run_id="r", environment={}, stream=io.StringIO()):
        assert len(logging.getLogger().handlers) == len(before) + 1
    assert logging.getLogger().handlers == before


@pytest.mark.parametrize(
    ("target", "connected", "expected"),
    [
        ("auto", False, "stderr"),
        ("auto", True, "journal"),
        ("stderr", True, "stderr"),
        ("journal", False, "journal"),
    ],
)
def test_the_journal_is_chosen_where_stderr_leads_to_it(target, connected, expected, tmp_path):
    with (tmp_path / "stderr").open("w") as stream:
        status = os.fstat(stream.fileno())
        inode = status.st_ino if connected else status.st_ino + 1
        environment = {"JOURNAL_STREAM": f"{status.st_dev}:{inode}"}
        settings = LogSettings(target=target)
        with configure_logging(
            settings, run_id="r", environment=environment, stream=stream, journal_socket=tmp_path / "none"
        ) as handle:
            assert handle.target == expected


def test_no_more_entries_wait_for_a_stalled_journal_than_the_settings_say(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stalled:
        stalled.bind(str(tmp_path / "journal"))
        handle = configure_logging(
            LogSettings(target="journal", waiting_entries=16),
            run_id="r",
            environment={},
            stream=io.StringIO(),
            journal_socket=tmp_path / "journal",
        )
        for _ in range(2000):
            get_logger().info("job.started", job="a", book="b", src_path="c")
        dropped = handle.dropped
        handle.close(timeout_s=0.0)
    assert dropped > 1000
