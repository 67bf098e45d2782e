"""Logging: one JSON object per line on stderr, or entries with fields of their own in the systemd journal.

Both carry the same fields. In the journal their names are in capitals: ``EVENT``, ``JOB``, ``BOOK``, ``CHUNK``,
``CHUNKS``, ``ATTEMPT``, ``DURATION_MS``, ``REASON``, ``SRC_PATH``, ``OUT_PATH``, ``RUN_ID``, ``SCHEMA`` and whatever
else an event tells; ``MESSAGE`` is a sentence and ``PRIORITY`` follows the level. The events stand in `events`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any, Final, Protocol, Self, TextIO, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from speedd.config import LogSettings
from speedd.service.events import EVENTS, sentence_of
from speedd.service.journal import JOURNAL_SOCKET, JournalSender, LogEntry

LOG_SCHEMA: Final = 1
"""Version of the fields, sent as ``SCHEMA``."""

_PRIORITIES: Final = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

_MAX_CHARS: Final = 65_536
_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_FIRST_RAW_BYTE, _LAST_RAW_BYTE = 0xDC80, 0xDCFF  # how Python writes bytes of file names that are no UTF-8


def get_logger() -> FilteringBoundLogger:
    """Return the logger. Before `configure_logging` it is structlog's default."""
    return cast("FilteringBoundLogger", structlog.get_logger())


class LogHandle:
    """The configured log. Close it (or leave its ``with`` block) to send what still waits."""

    def __init__(self, sink: _Sink, bridge: logging.Handler) -> None:
        self._sink = sink
        self._bridge = bridge

    @property
    def target(self) -> str:
        """Where entries go: ``journal`` or ``stderr``."""
        return self._sink.target

    @property
    def dropped(self) -> int:
        """Entries lost because the journal was busy for too long."""
        return self._sink.dropped

    def close(self, timeout_s: float = 2.0) -> None:
        """Send what waits, for ``timeout_s`` seconds at most, and give logging back as it was."""
        logging.captureWarnings(capture=False)
        logging.getLogger().removeHandler(self._bridge)
        structlog.reset_defaults()
        self._sink.close(timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def configure_logging(
    settings: LogSettings,
    *,
    run_id: str,
    environment: Mapping[str, str],
    stream: TextIO | None = None,
    journal_socket: Path = JOURNAL_SOCKET,
) -> LogHandle:
    """Send structlog's events, and warnings of libraries, to the journal or to stderr.

    Args:
        settings: level and target; ``auto`` is the journal where ``stream`` is connected to it.
        run_id: what tells this run of the program from others.
        environment: where systemd's ``JOURNAL_STREAM`` stands.
        stream: by default stderr.
        journal_socket: where journald listens.
    """
    stream = sys.stderr if stream is None else stream
    to_journal = settings.target == "journal" or (
        settings.target == "auto" and _is_journal(stream, environment.get("JOURNAL_STREAM", ""))
    )
    sink: _Sink = (
        _JournalSink(stream, run_id, journal_socket, settings.waiting_entries) if to_journal else _StreamSink(stream)
    )

    def stamp(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        return _stamped(event, level=method, run_id=run_id)

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            stamp,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[settings.level]),
        logger_factory=lambda *_: _Outlet(sink),
        cache_logger_on_first_use=False,
    )
    bridge = _LibraryBridge(logging.WARNING)
    logging.getLogger().addHandler(bridge)
    logging.captureWarnings(capture=True)
    return LogHandle(sink, bridge)


# --- what an entry looks like --------------------------------------------------------------------------------------


def _stamped(event: EventDict, *, level: str, run_id: str) -> EventDict:
    """Put the fields into order and make every value plain: ts, level, event, message, then the event's own."""
    fields = {name: _plain(value) for name, value in event.items() if value is not None}
    ts, name = fields.pop("ts", ""), str(fields.pop("event", ""))
    sentence = sentence_of(name, {key: _shown(value) for key, value in fields.items() if key != "exception"})
    message = sentence.replace("\n", "\\n")
    head = {"ts": ts, "level": level, "event": name, "message": message, "run_id": run_id, "schema": LOG_SCHEMA}
    return {**head, **{key: value for key, value in fields.items() if key not in head}}


def _plain(value: Any) -> Any:
    """Make a value fit for JSON and for terminals: no control characters, no surrogates, no NaN, no end."""
    if isinstance(value, Mapping):
        return {_clean(str(key)): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return _clean(os.fsdecode(value) if isinstance(value, PurePath | bytes) else str(value))


def _clean(text: str) -> str:
    if len(text) > _MAX_CHARS:
        text = f"{text[:_MAX_CHARS]} … ({len(text) - _MAX_CHARS} more characters cut)"
    return _UNPRINTABLE.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found.group())
    if _FIRST_RAW_BYTE <= code <= _LAST_RAW_BYTE:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004 -- the end of Latin-1


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _json_line(event: Mapping[str, Any]) -> str:
    return json.dumps(event, ensure_ascii=False)


def _journal_entry(event: Mapping[str, Any]) -> LogEntry:
    fields = {name.upper(): _shown(value) for name, value in event.items() if name != "level"}
    own = {"PRIORITY": str(_PRIORITIES.get(event["level"], 6)), "SYSLOG_IDENTIFIER": "speedd"}
    return LogEntry(fields=fields | own, line=_json_line(event))


# --- where entries go ----------------------------------------------------------------------------------------------


def _is_journal(stream: TextIO, device_and_inode: str) -> bool:
    """Whether this is the very stream that systemd connected to the journal (``JOURNAL_STREAM=dev:inode``)."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return device_and_inode == f"{status.st_dev}:{status.st_ino}"


class _Sink(Protocol):
    @property
    def target(self) -> str: ...
    @property
    def dropped(self) -> int: ...
    def write(self, event: Mapping[str, Any]) -> None: ...
    def close(self, timeout_s: float) -> None: ...


class _StreamSink:
    """JSON lines. A stream that is closed or broken is no reason to stop a book."""

    target = "stderr"
    dropped = 0

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, event: Mapping[str, Any]) -> None:
        self.write_line(_json_line(event))

    def write_line(self, line: str) -> None:
        # One write per line keeps lines of several threads apart. ValueError: the stream is closed.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(line + "\n")
            self._stream.flush()

    def close(self, timeout_s: float) -> None:
        """Nothing waits."""


class _JournalSink:
    target = "journal"

    def __init__(self, stream: TextIO, run_id: str, socket: Path, capacity: int) -> None:
        def describe_loss(entries: int) -> LogEntry:
            event = {"event": "log.dropped", "entries": entries}
            return _journal_entry(_stamped(event, level=EVENTS["log.dropped"].level, run_id=run_id))

        self._sender = JournalSender(
            fallback=_StreamSink(stream).write_line,
            describe_loss=describe_loss,
            address=socket,
            capacity=capacity,
        )

    @property
    def dropped(self) -> int:
        return self._sender.dropped

    def write(self, event: Mapping[str, Any]) -> None:
        self._sender.send(_journal_entry(event))

    def close(self, timeout_s: float) -> None:
        self._sender.close(timeout_s)


class _Outlet:
    """What structlog calls at the end of its processors, by the level's name."""

    def __init__(self, sink: _Sink) -> None:
        self._sink = sink

    def msg(self, /, **event: Any) -> None:
        self._sink.write(event)

    debug = info = warning = error = critical = msg


class _LibraryBridge(logging.Handler):
    """Hands warnings of libraries, and Python's own, to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        failed = record.levelno >= logging.ERROR
        log = get_logger()
        tell = log.error if failed else log.warning
        tell(
            "library.failed" if failed else "library.warned",
            library=record.name,
            reason=record.getMessage(),
            exc_info=record.exc_info or None,
        )
