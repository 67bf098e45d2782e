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
    # the inbox
    "inbox.unavailable": Event("warning", "The inbox {src_path} cannot be read: {reason}"),
    "inbox.available": Event("info", "The inbox {src_path} can be read again."),
    "inbox.watch_rebuilt": Event("info", "The watch on the inbox was set up anew: {reason}"),
    "source.waiting": Event("info", "{src_path} looks incomplete and waits for the rest: {reason}"),
    "source.ignored": Event("debug", "{src_path} is ignored: {reason}"),
    "source.archived": Event("info", "The source of {book} moved to {out_path}."),
    "source.kept": Event("warning", "The source {src_path} stays where it is: {reason}"),
    # a book
    "job.accepted": Event("info", "Accepted {book}."),
    "job.duplicate": Event("info", "{book} has been narrated before and is not narrated again."),
    "job.refused": Event("warning", "Refused {book}: {reason}"),
    "job.started": Event("info", "Started on {book}."),
    "job.resumed": Event("info", "Went on with {book}."),
    "job.planned": Event("info", "{book} has {chunks} chunks."),
    "job.warned": Event("warning", "{book}: {reason}"),
    "job.progress": Event("info", "{book}: {chunk} of {chunks} chunks are spoken."),
    "job.paused": Event("warning", "Paused {book}: {reason}"),
    "job.superseded": Event("info", "{book} starts anew with what was added to it."),
    "job.mastered": Event("info", "The audio of {book} is joined and levelled."),
    "job.published": Event("info", "Published {book} in {out_path}."),
    "job.failed": Event("error", "{book} failed: {reason}"),
    "job.cancelled": Event("info", "Cancelled {book}."),
    "job.retried": Event("info", "{book} is tried again."),
    # its chunks
    "chunk.rendered": Event("debug", "Chunk {chunk} is spoken."),
    "chunk.retried": Event("warning", "Chunk {chunk} is spoken again, attempt {attempt}: {reason}"),
    "chunk.failed": Event("error", "Chunk {chunk} cannot be spoken: {reason}"),
    # what speaks
    "engine.chosen": Event("info", "{engine} speaks: {reason}"),
    "engine.loaded": Event("info", "{engine} is ready to speak."),
    "engine.unloaded": Event("info", "{engine} was put to rest."),
    "engine.failed": Event("error", "{engine} cannot speak: {reason}"),
    "worker.started": Event("debug", "A worker started."),
    "worker.replaced": Event("warning", "A worker was replaced: {reason}"),
    "worker.stopped": Event("debug", "A worker stopped."),
    "voice.substituted": Event("warning", "The voice of {book} is {voice}: {reason}"),
    "style.unused": Event("warning", "{engine} does not use {reason}."),
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
