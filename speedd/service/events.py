"""Every event that speedd logs: its name, its level and the sentence a person reads.

The names are a contract with people who search their logs: ``journalctl -u speedd EVENT=job.failed``. A sentence may
name fields of the event; where one is missing, the name and the fields themselves are the sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

Level = Literal["debug", "info", "warning", "error"]


class Event(NamedTuple):
    """What is told of an event."""

    level: Level
    sentence: str
    """With fields in braces, as `str.format` takes them."""


EVENTS: Final[Mapping[str, Event]] = {
    # the service
    "service.started": Event("info", "speedd {version} started."),
    "service.ready": Event("info", "Ready: books dropped into {inbox} become audiobooks in {outbox}."),
    "service.stopping": Event("info", "Stopping: {reason}."),
    "service.stopped": Event("info", "Stopped."),
    "service.failed": Event("error", "speedd cannot go on: {reason}"),
    "service.waiting": Event("warning", "Waiting: {reason}"),
    # its state
    "ledger.damaged": Event("error", "The ledger was damaged and put aside as {out_path}: {reason}"),
    "ledger.rebuilt": Event("warning", "The ledger was rebuilt from disk: {takes} takes, {jobs} books."),
    "state.collected": Event("info", "Removed files that are no longer needed: {takes} takes, {freed_mb} MB."),
    # the inbox
    "inbox.unavailable": Event("warning", "The inbox {src_path} cannot be read: {reason}"),
    "inbox.available": Event("info", "The inbox {src_path} can be read again."),
    "inbox.watch_failed": Event("error", "The file watcher failed; books are found by scanning the inbox."),
    "source.waiting": Event("info", "{book} looks incomplete and waits for the rest: {reason}"),
    "source.archived": Event("info", "The source of {book} moved to {out_path}."),
    "source.kept": Event("warning", "The source {src_path} stays where it is: {reason}"),
    # a book
    "job.accepted": Event("info", "Accepted {book}."),
    "job.duplicate": Event("info", "{book} was narrated before and is not narrated again."),
    "job.started": Event("info", "Started on {book}."),
    "job.resumed": Event("info", "Resumed {book}, which a stop or a crash had interrupted."),
    "job.planned": Event("info", "{book} has {chapters} chapters, {words} words and {chunks} chunks."),
    "job.warned": Event("warning", "{book}: {reason}"),
    "job.progress": Event("info", "{book}: {chunk} of {chunks} passages are spoken."),
    "job.mastered": Event("info", "{book} is one file of {audio_s} s now."),
    "job.turn_over": Event("info", "{book} lets other books go first and goes on after them."),
    "job.paused": Event("warning", "Paused {book}: {reason}"),
    "job.published": Event("info", "Published {book} in {out_path}."),
    "job.refused": Event("warning", "Refused {book}: {reason}"),
    "job.failed": Event("error", "{book} failed: {reason}"),
    "job.cancelled": Event("info", "Cancelled {book}."),
    "job.superseded": Event("info", "A newer job took over {book}."),
    "job.retried": Event("info", "{book} is tried again: {reason}"),
    # its chunks
    "chunk.rendered": Event("debug", "Chunk {chunk} is spoken."),
    "chunk.retried": Event("warning", "Chunk {chunk} is spoken again after attempt {attempt}: {reason}"),
    "chunk.doubtful": Event("warning", "Chunk {chunk} stays as it is, though it sounds doubtful: {reason}"),
    "takes.missing": Event("warning", "{count} takes are missing or damaged on the disk and are spoken again."),
    # what speaks
    "engine.chosen": Event("info", "The engine for job {job} is {reason}."),
    "executor.failed": Event("error", "The workers cannot go on."),
    "takes.fallback": Event("warning", "{count} takes were made with other numerics, for lack of memory: {reason}"),
    "worker.started": Event("debug", "Worker {worker} started."),
    "worker.ready": Event("info", "Worker {worker} is ready to speak."),
    "worker.died": Event("warning", "Worker {worker} ended and is restarted: {reason}"),
    "worker.gave_back": Event("warning", "Worker {worker} speaks {chunks} chunks again: {reason}"),
    "worker.yielded": Event("info", "Worker {worker}: {state}; {reason}."),
    "worker.set_aside": Event("warning", "Worker {worker} is set aside for a while, and the others go on: {reason}"),
    "worker.no_room": Event("warning", "Worker {worker} pauses, because its device has no room: {reason}"),
    "worker.broke": Event("warning", "Worker {worker} failed: {reason}"),
    "worker.released": Event("debug", "Worker {worker} was idle and ended, which returns its memory."),
    "gpu.unwatched": Event("info", "What other programs use of the graphics cards is not known: {reason}."),
    "style.unused": Event("warning", "{reason}"),
    # the log itself
    "log.dropped": Event("warning", "{entries} log entries were lost while the journal was busy."),
    "library.warned": Event("warning", "{library}: {reason}"),
    "library.failed": Event("error", "{library}: {reason}"),
}


def sentence_of(event: str, fields: Mapping[str, object]) -> str:
    """Say an event in a sentence: its own, or its name and fields where it has none or a field is missing."""
    if known := EVENTS.get(event):
        try:
            return known.sentence.format_map(fields)
        except (LookupError, ValueError, TypeError, AttributeError):
            pass
    told = ", ".join(f"{name}={value}" for name, value in fields.items())
    return f"{event}: {told}" if told else event
