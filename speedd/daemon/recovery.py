"""Open the ledger. Where it is damaged, rebuild it from the files rather than stop.

What a ledger knows can be found again. A take's file has its key as its name. A job's private copy holds the job. The
run log of a published folder names its job. A book at work is accepted again from the inbox and adopts its takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from speedd import inbox
from speedd.common.levels import peak_dbfs, rms_dbfs
from speedd.errors import TryAgainError
from speedd.execution.takes import take_files
from speedd.ledger import DamagedLedgerError, Ledger, State
from speedd.model import Job, Rendered
from speedd.outbox.layout import RUN_LOG_NAME
from speedd.outbox.runlog import read_header
from speedd.pipeline.run_context import RunContext

TAKES_PAGE = 512
ENDINGS = ("-shm", "-wal", "")
"""The files of one ledger. The database comes last, so that what is half moved still counts as damaged."""


def open_sound_ledger(context: RunContext) -> Ledger:
    """Open the ledger of a state directory and check it. A damaged one is put aside and rebuilt.

    Raises:
        LedgerError: if it was written by a newer speedd.
        TryAgainError: if the disk is full or fails.
    """
    path = context.state.ledger
    try:
        ledger = Ledger(path)
        try:
            ledger.check()
        except BaseException:
            ledger.close()
            raise
    except DamagedLedgerError as error:
        damage = error.message
    else:
        return ledger
    # It has a name of its own until it is whole, so that an interrupted rebuilding begins again.
    building = context.state.rebuilding_ledger
    for ending in ENDINGS:
        building.with_name(building.name + ending).unlink(missing_ok=True)
    with closing(Ledger(building)) as fresh:
        takes, jobs = _rebuild(fresh, context)
    aside = context.state.damaged_ledger(f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    for ending in ENDINGS:
        with suppress(FileNotFoundError):
            path.with_name(path.name + ending).rename(aside.with_name(aside.name + ending))
    building.rename(path)
    context.log.error("ledger.damaged", reason=damage, out_path=str(aside))
    context.log.warning("ledger.rebuilt", takes=takes, jobs=jobs)
    return Ledger(path)


def _rebuild(ledger: Ledger, context: RunContext) -> tuple[int, int]:
    """Enter what is found on disk. Return how many takes and how many jobs."""
    takes = 0
    page: list[Rendered] = []
    for rendered in _stored_takes(context.state.takes):
        page.append(rendered)
        takes += 1
        if len(page) == TAKES_PAGE:
            ledger.takes.add(page)
            page.clear()
            context.alive()
    ledger.takes.add(page)
    runs = sorted(_published(context.config.paths.outbox), key=lambda run: run[1].get("finished_at", ""))
    published = {
        header["job_id"]: (place, int(header["edition"]), folder) for place, (folder, header) in enumerate(runs)
    }
    jobs = 0
    # In the order in which they ended, so that a late partner joins the latest edition.
    for job in sorted(_spooled(context.state.spool), key=lambda job: published.get(job.id, (-1,))[0]):
        if job.id in published:
            _, edition, folder = published[job.id]
            ledger.jobs.add(job, edition=edition, state=State.PUBLISHED)
            ledger.jobs.set_state(job.id, State.PUBLISHED, published=folder)
            jobs += 1
        elif not job.source.exists():  # it has ended, or somebody removed its source
            ledger.jobs.add(job, state=State.FAILED, reason="The ledger was damaged. `speedd retry` narrates it again.")
            jobs += 1
        # The inbox still has the others. The next scan accepts them, and they adopt their takes.
    return takes, jobs


def _stored_takes(takes: Path) -> Iterator[Rendered]:
    """Measure every take on disk. Damaged ones are removed, to be rendered again."""
    import soundfile  # noqa: PLC0415 - only where a ledger is rebuilt

    for path in sorted(take_files(takes)):
        try:
            wave, rate_hz = soundfile.read(path, dtype="int16")
        except (soundfile.LibsndfileError, OSError):
            path.unlink(missing_ok=True)
            continue
        yield Rendered(
            key=path.stem,
            samples=len(wave),
            sample_rate_hz=rate_hz,
            peak_dbfs=peak_dbfs(wave),
            rms_dbfs=rms_dbfs(wave),
            finite=True,
            render_s=0.0,
            stop_reason="end",
            size_bytes=path.stat().st_size,
            worker=-1,
        )


def _published(place: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Find the published folders: ``author/title`` or ``author/series/title``."""
    for pattern in ("*/*", "*/*/*"):
        for run_log in sorted(place.glob(f"{pattern}/{RUN_LOG_NAME}")):
            if header := read_header(run_log):
                yield run_log.parent, header


def _spooled(spool: Path) -> Iterator[Job]:
    for folder in sorted(path for path in spool.iterdir() if path.is_dir()):
        try:
            yield inbox.load_job(folder)
        except TryAgainError:
            continue
