"""The outbox: lay out and publish a finished audiobook, as audiobook servers want it.

`names` and `layout` say where things go, `cover`, `metadata`, `captions` and `runlog` make what lies beside the audio,
`publishing` puts it in place.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from speedd.outbox.captions import Cue, write_vtt
    from speedd.outbox.cover import to_jpeg
    from speedd.outbox.layout import CHUNKS_NAME, COVER_NAME, METADATA_NAME, RUN_LOG_NAME, FileNames, file_names
    from speedd.outbox.metadata import ChapterSpan, metadata_json, series_label
    from speedd.outbox.names import safe_name, title_folder
    from speedd.outbox.publishing import abandon, find_published, plain_errors, publish, stage, stale_stages, write_json
    from speedd.outbox.runlog import ChunkLog, RunLog, read_head, write_run_log

__all__ = [
    "CHUNKS_NAME",
    "COVER_NAME",
    "METADATA_NAME",
    "RUN_LOG_NAME",
    "ChapterSpan",
    "ChunkLog",
    "Cue",
    "FileNames",
    "RunLog",
    "abandon",
    "file_names",
    "find_published",
    "metadata_json",
    "plain_errors",
    "publish",
    "read_head",
    "safe_name",
    "series_label",
    "stage",
    "stale_stages",
    "title_folder",
    "to_jpeg",
    "write_json",
    "write_run_log",
    "write_vtt",
]

# Loaded on first use: the daemon never needs the picture libraries, nor the child that draws a cover the rest.
_HOMES = {
    "captions": ("Cue", "write_vtt"),
    "cover": ("to_jpeg",),
    "layout": ("CHUNKS_NAME", "COVER_NAME", "METADATA_NAME", "RUN_LOG_NAME", "FileNames", "file_names"),
    "metadata": ("ChapterSpan", "metadata_json", "series_label"),
    "names": ("safe_name", "title_folder"),
    "publishing": ("abandon", "find_published", "plain_errors", "publish", "stage", "stale_stages", "write_json"),
    "runlog": ("ChunkLog", "RunLog", "read_head", "write_run_log"),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
