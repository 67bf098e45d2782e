"""What a person at a terminal sees: a progress bar, or plain lines where there is no terminal."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from speedd.common.durations import duration
from speedd.pipeline.job_run import BookProgress

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LINE_SHARE = 0.25
"""Without a terminal a line is written each time this much of a stage is done."""


class Display:
    """Shows books at work. Use it in a ``with`` block; `show` and `say` may be called from any thread.

    Args:
        out: by default stdout.
        enabled: False to say nothing at all.
    """

    def __init__(self, out: TextIO | None = None, *, enabled: bool = True) -> None:
        self._out = sys.stdout if out is None else out
        self._enabled = enabled
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._told: dict[str, tuple[str, float]] = {}
        self._estimated: set[str] = set()
        if enabled and self._out.isatty():
            self._progress = _progress_bar(self._out)

    def __enter__(self) -> Self:
        if self._progress:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._progress:
            self._progress.stop()

    def say(self, line: str) -> None:
        """Write a line."""
        if not self._enabled:
            return
        with self._lock, self._unseen_is_no_fault():
            if self._progress:
                self._progress.console.print(line, highlight=False, markup=False, soft_wrap=True)
            else:
                print(line, file=self._out, flush=True)

    @contextmanager
    def _unseen_is_no_fault(self) -> Iterator[None]:
        """A terminal or pipe that has gone away ends the display, not the book."""
        try:
            yield
        except (OSError, SystemExit):  # rich turns a broken pipe into an exit
            self._enabled = False

    def show(self, progress: BookProgress) -> None:
        """Show how far a book is."""
        if not self._enabled:
            return
        name = progress.title or progress.name
        if progress.estimate and progress.job not in self._estimated:
            self._estimated.add(progress.job)
            estimate = progress.estimate
            self.say(
                f"{name}: about {duration(estimate.audio_s)} of audio, about {duration(estimate.work_s)} of work,"
                f" {estimate.disk_bytes / 2**20:.0f} MB of disk while at work"
            )
        if self._progress:
            self._show_bar(progress, name)
        else:
            self._write_line(progress, name)

    def _show_bar(self, progress: BookProgress, name: str) -> None:
        assert self._progress is not None
        with self._lock, self._unseen_is_no_fault():
            task = self._tasks.get(progress.job)
            if task is None:
                task = self._tasks[progress.job] = self._progress.add_task(name, total=1.0, stage="", eta="", pace="")
            self._progress.update(
                task,
                description=name[:40],
                completed=progress.share,
                stage=progress.stage,
                eta=f"{duration(progress.eta_s)} left" if progress.eta_s is not None else "",
                pace=f"{progress.realtime_factor:.0f} × realtime" if progress.realtime_factor else "",
            )

    def _write_line(self, progress: BookProgress, name: str) -> None:
        stage, share = self._told.get(progress.job, ("", 0.0))
        if progress.stage == stage and progress.share - share < LINE_SHARE:
            return
        self._told[progress.job] = (progress.stage, progress.share)
        words = f"{name}: {progress.stage}"
        if progress.share:
            words += f" {progress.share:.0%}"
        if progress.stage == "narrating" and progress.total:
            words += f", {progress.done} of {progress.total}"
        if progress.eta_s and progress.share < 1:
            words += f", {duration(progress.eta_s)} left"
        self.say(words)


def _progress_bar(out: TextIO) -> Progress:
    from rich.console import Console  # noqa: PLC0415 - only on a terminal
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn  # noqa: PLC0415

    return Progress(
        TextColumn("{task.description}"),
        TextColumn("{task.fields[stage]}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[eta]}"),
        TextColumn("{task.fields[pace]}"),
        console=Console(file=out),
    )
