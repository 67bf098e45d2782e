"""Read and plan a source, in a process of its own.

A book is hostile until it is parsed. Parsers, sentence and language models also take more memory than the daemon
should hold for months. So both stages run in a child with a cap on memory and time. It leaves its result in the job's
folder and ends.
"""

from __future__ import annotations

import json
import pickle
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from subprocess import DEVNULL
from typing import Any

from pydantic import ConfigDict, TypeAdapter

from speedd.common.durable import sync_folder, write_whole
from speedd.common.processes import run_child
from speedd.common.state_directory import JobFolder
from speedd.config import Config
from speedd.errors import PASSING, DamagedInputError, EngineError, InputError, SpeeddError, TryAgainError, UsageError
from speedd.model import Chunk, Job, Metadata, Skipped, Voice
from speedd.pipeline.plan_source import Prepared, read_and_plan
from speedd.pipeline.run_context import NO_REQUEST, NarrationRequest


@dataclass(frozen=True, slots=True)
class PlanSummary:
    """What reading and planning found out about a source, without the chunks."""

    metadata: Metadata
    chapters: tuple[str, ...]
    engine: str
    engine_why: str
    voice: Voice
    config: dict[str, Any]
    """The settings of this book: the sections engine, speech and output."""
    words: int
    chars: int
    chunks: int
    skipped: tuple[Skipped, ...] = ()
    warnings: tuple[str, ...] = ()
    cover: bool = False
    """Whether there is a cover beside the chunks."""
    header: dict[str, Any] | None = None
    read_s: float = 0.0
    plan_s: float = 0.0


# --- the child -------------------------------------------------------------------------------------------------------


def prepare(
    job: Job,
    config: Config,
    request: NarrationRequest = NO_REQUEST,
    *,
    should_stop: Callable[[], bool] = lambda: False,
) -> PlanSummary:
    """Read and plan a source in a child process. The result goes to its `JobFolder`, in place of an older one.

    Args:
        job: the source.
        config: what holds for all books. Its limits cap the child.
        request: what the command line asks for.
        should_stop: asked several times a second.

    Raises:
        InputError: if the source cannot be narrated, or breaks what reads it.
        EngineError: if its engine cannot run here.
        UsageError: if the voice that must speak cannot.
        TryAgainError: if it was told to stop, or there was no room.
    """
    folder = JobFolder(job.spool)
    shutil.rmtree(folder.prepared, ignore_errors=True)
    folder.prepared.mkdir(parents=True)
    memory_bytes = config.limits.reader_memory_mb * 1024 * 1024
    timeout_s = config.limits.reader_timeout_s
    try:
        child = run_child(
            "speedd.pipeline.preparation",
            data=pickle.dumps((job, config, request)),
            timeout_s=timeout_s,
            should_stop=should_stop,
            output=DEVNULL,
            environment={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            limits={resource.RLIMIT_AS: memory_bytes, resource.RLIMIT_CORE: 0},
        )
    except InterruptedError:
        raise TryAgainError("Reading was interrupted.") from None
    except TimeoutError:
        raise InputError(
            f"Reading it took longer than {timeout_s:.0f} s.",
            hint="If the book is sound, raise limits.reader_timeout_s.",
        ) from None
    if child.returncode == TryAgainError.exit_code:
        raise TryAgainError(f"It cannot be read now: the disk of {folder.root} is full or fails.")
    if folder.fault.exists():
        raise _fault(json.loads(folder.fault.read_text()))
    if child.returncode != 0 or not folder.summary.exists():
        raise InputError(
            f"Reading it ended the reader (exit code {child.returncode}).",
            hint="The file may be broken in an unusual way, or need more memory than limits.reader_memory_mb allows.",
        )
    return load_summary(json.loads(folder.summary.read_text(encoding="utf-8")))


def main() -> None:
    """Run the child: read the order from stdin, leave the result or the fault in the job's folder."""
    job, config, request = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own parent wrote it
    try:
        _answer(partial(read_and_plan, job, config, request), JobFolder(job.spool))
    except OSError as error:  # the answer cannot be written, but the exit code needs no disk
        sys.exit(TryAgainError.exit_code if error.errno in PASSING else 1)


def _answer(read: Callable[[], Prepared], folder: JobFolder) -> None:
    try:
        _write(read, folder)
    except SpeeddError as error:
        _leave_fault(folder, type(error).__name__, error.message, error.hint)
    except MemoryError:
        hint = "If the book is sound, raise limits.reader_memory_mb."
        _leave_fault(folder, "InputError", "It needs more memory to read than it may have.", hint)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in PASSING:
            raise
        where = f"{type(error).__name__}: {error}"
        _leave_fault(folder, "InputError", f"It cannot be read ({where[:300]}).", "The file is probably damaged.")


def _write(read: Callable[[], Prepared], folder: JobFolder) -> None:
    started = time.monotonic()
    prepared = read()
    began = time.monotonic()
    words = chars = chunks = 0
    with ThreadPoolExecutor(1) as pool:
        cover = pool.submit(_draw_cover, prepared, folder)  # for a drawing it starts a process that takes a second
        with folder.chunks.open("wb") as out:
            for chunk in prepared.plan.chunks:
                out.write(dump_chunk(chunk))
                words += len(chunk.text.split())
                chars += sum(len(segment.text) for segment in chunk.segments)
                chunks += 1
    if not chars:
        raise InputError("There is nothing in it to read aloud.")
    summary = PlanSummary(
        metadata=prepared.plan.metadata,
        chapters=prepared.plan.chapters,
        engine=prepared.engine,
        engine_why=prepared.engine_why,
        voice=prepared.voice,
        config=prepared.config.model_dump(mode="json", include={"engine", "speech", "output"}),
        words=words,
        chars=chars,
        chunks=chunks,
        skipped=prepared.skipped,
        warnings=tuple(prepared.warnings),
        cover=cover.result(),
        header=dict(prepared.plan.header) if prepared.plan.header is not None else None,
        read_s=began - started,
        plan_s=time.monotonic() - began,
    )
    folder.summary.write_text(json.dumps(dump_summary(summary)), encoding="utf-8")


def _draw_cover(prepared: Prepared, folder: JobFolder) -> bool:
    """Make the cover a JPEG in this child, where a hostile picture does no harm. Durable before the plan names it."""
    from speedd.outbox.cover import to_jpeg  # noqa: PLC0415 - the picture libraries stay out of the main process

    if prepared.cover is None:
        return False
    try:
        jpeg, warning = to_jpeg(prepared.cover)
    except InputError as error:
        prepared.warnings.append(error.message)
        return False
    if warning:
        prepared.warnings.append(warning)
    write_whole(folder.cover, jpeg)
    sync_folder(folder.root)
    return True


def _leave_fault(folder: JobFolder, kind: str, message: str, hint: str) -> None:
    folder.fault.write_text(json.dumps({"kind": kind, "message": message, "hint": hint}))


def _fault(left: Mapping[str, str]) -> SpeeddError:
    kinds = {kind.__name__: kind for kind in (DamagedInputError, InputError, EngineError, UsageError, TryAgainError)}
    return kinds.get(left["kind"], InputError)(left["message"], hint=left["hint"])


# --- as JSON ---------------------------------------------------------------------------------------------------------


@cache
def _chunks_codec() -> TypeAdapter[tuple[Chunk, ...]]:
    """A line of ``chunks.jsonl`` is an array, because pydantic takes no configuration for a dataclass by itself."""
    return TypeAdapter(tuple[Chunk, ...], config=ConfigDict(ser_json_inf_nan="constants"))


@cache
def _summary_codec() -> TypeAdapter[PlanSummary]:
    return TypeAdapter(PlanSummary)


def dump_summary(summary: PlanSummary) -> dict[str, Any]:
    """Turn a summary into plain JSON values."""
    values: dict[str, Any] = _summary_codec().dump_python(summary, mode="json")
    return values


def load_summary(values: Mapping[str, Any]) -> PlanSummary:
    """Rebuild a summary from plain JSON values."""
    return _summary_codec().validate_python(values)


def dump_chunk(chunk: Chunk) -> bytes:
    """Return the line of ``chunks.jsonl`` for a chunk."""
    return _chunks_codec().dump_json((chunk,)) + b"\n"


def load_chunks(folder: JobFolder) -> Iterator[Chunk]:
    """Yield the chunks that `prepare` left."""
    with folder.chunks.open("rb") as lines:
        for line in lines:
            yield from _chunks_codec().validate_json(line)


if __name__ == "__main__":
    main()
