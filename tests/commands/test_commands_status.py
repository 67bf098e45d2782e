"""How full an engine is, in the words of ``STATUS=`` and of ``speedd status``."""

import io
from dataclasses import asdict, replace

from speedd.commands.jobs import print_status
from speedd.daemon.status import describe, describe_engine
from speedd.execution.base import ExecutorStatus, WorkerState, WorkerStatus
from speedd.pipeline.job_run import BookProgress

PLAIN = WorkerStatus(
    *(0, 7, WorkerState.BUSY, 90 << 20, 0, 1, 2),
    overdue=False,
    rows=1,
    rows_cap=1,
    free_bytes=8 << 30,
    used_bytes=1 << 29,
)
ON_CARD = replace(
    PLAIN,
    card="0",
    restarts=2,
    rows=12,
    rows_cap=16,
    used_bytes=3 << 30,
    held_bytes=1 << 30,
    tokens_per_s=900.0,
    fallbacks=("short_reference",),
)
LOADING = replace(PLAIN, state=WorkerState.LOADING, rows=0, rows_cap=0, free_bytes=0, used_bytes=0)
AWAY = replace(PLAIN, pid=None, state=WorkerState.STOPPED, rows=0, rows_cap=0, note="quiet hours until 23:30")


def status(*workers):
    return ExecutorStatus(workers, runs=1, waiting=0, in_flight=1, rendered=40, failed=0)


def printed(*workers):
    out = io.StringIO()
    daemon = {"pid": 1, "books": [], "waiting": [], "engines": {"one": asdict(status(*workers))}}
    print_status({"running": True, "daemon": daemon, "jobs": [], "ended": []}, out)
    return out.getvalue()


def test_workers_that_are_ready_are_told_together():
    assert describe_engine(status(PLAIN, LOADING, PLAIN)) == "2/2 rows, 1.0 GiB used, 8.0 GiB free"
    assert describe_engine(status(LOADING)) == ""


def test_a_batch_is_told_with_its_memory_and_its_pace():
    assert describe_engine(status(ON_CARD)) == (
        "12/16 rows, 3.0 GiB used, 8.0 GiB free, 900 tokens/s, 2 restarts, without short_reference"
    )
    assert (
        "worker 0, card 0: busy, 12 of 16 rows, 3.0 GiB used, 8.0 GiB free, 1.0 GiB in rows, 900 tokens/s,"
        " without short_reference"
    ) in printed(ON_CARD)


def test_a_count_of_one_is_told_as_one():
    assert "engine one: 1 worker, 40 takes, 0 restarts, 0.1 GiB of the machine's memory\n" in printed(PLAIN)
    assert "engine one: 2 workers, 40 takes, 2 restarts, 0.2 GiB" in printed(PLAIN, ON_CARD)


def test_what_has_no_figures_yet_is_told_without_any():
    loading = replace(LOADING, note="loading the engine")
    assert "    worker 0: loading the engine\n" in printed(loading)
    assert describe_engine(status(loading)) == "loading the engine"
    assert "worker" not in printed(replace(AWAY, note="")).replace("1 worker,", "")


def test_how_long_yet_is_told_as_people_do_and_a_pace_only_while_it_speaks():
    progress = BookProgress(
        "job", "Book", stage="narrating", share=0.25, done=1, total=4, eta_s=11_520.0, realtime_factor=2.0
    )
    assert describe(progress) == "Book: narrating 25%, chunk 1/4, 3 h 12 min left, 2 × realtime"
    assert describe(replace(progress, stage="mastering")) == "Book: mastering 25%, 3 h 12 min left"


def test_why_nothing_is_spoken_is_told():
    assert describe_engine(status(AWAY)) == "quiet hours until 23:30"
    assert "worker 0: stopped, quiet hours until 23:30" in printed(AWAY)
