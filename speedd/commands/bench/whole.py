"""The whole way of one book, by the real narrator in a state directory of its own. A program of its own.

``python -m speedd.commands.bench.whole ORDER RESULT`` reads a JSON file and writes what it measured to another. The
order names a ``folder``, a ``source``, the configuration (``file``), an ``engine``, the AAC ``coder`` and, unless all
are wanted, how many ``chapters``.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from structlog.typing import FilteringBoundLogger

from speedd import inbox
from speedd.commands.bench.machine import cpu_s, memory_mb
from speedd.commands.bench.material import private_config
from speedd.commands.book import the_candidate
from speedd.daemon import BookControl
from speedd.daemon.app import App
from speedd.ledger import State
from speedd.pipeline.job_run import BookProgress
from speedd.pipeline.run_context import NarrationRequest, RunContext


class Recorder:
    """Stands in for a log and an onlooker: notes what happened first when, and what mastering measured.

    Args:
        worker_pids: gives the workers that are alive.
    """

    def __init__(self, worker_pids: Callable[[], list[int]]) -> None:
        self._worker_pids = worker_pids
        self.workers_cpu_s = 0.0
        """Of the workers, when all was spoken: while a long book is mastered they may be let go."""
        self.workers_memory: list[dict[str, float]] = []
        """Of each worker, then."""
        self.stages: list[tuple[str, float, float]] = []
        """Each stage with the wall time and the processor time used, by all processes, when it began."""
        self.first_s: dict[str, float] = {}
        self.fields: dict[str, dict[str, Any]] = {}

    def show(self, progress: BookProgress) -> None:
        """Note where a stage begins."""
        self.begin(progress.stage)

    def begin(self, stage: str) -> None:
        """Note that a stage begins, if it has not yet."""
        last = self.stages[-1][0] if self.stages else ""
        if last != stage:
            pids = self._worker_pids()
            workers_cpu_s = sum(map(cpu_s, pids))
            ended = resource.getrusage(resource.RUSAGE_CHILDREN)
            used_s = time.process_time() + ended.ru_utime + ended.ru_stime + workers_cpu_s
            self.stages.append((stage, time.monotonic(), used_s))
            if last == "narrating":
                self.workers_cpu_s, self.workers_memory = workers_cpu_s, [memory_mb(pid) for pid in pids]

    def info(self, event: str, **fields: Any) -> None:
        """Note an event."""
        self.first_s.setdefault(event, time.monotonic())
        self.fields[event] = fields
        if event == "job.mastered":
            self.begin("publishing")

    debug = warning = error = info


def narrate(order: dict[str, Any]) -> dict[str, Any]:
    """Narrate and publish; what was measured, in seconds and MB."""
    config = private_config(Path(order["folder"]), Path(order["file"]) if order["file"] else None, order["engine"])
    config = config.model_copy(update={"output": config.output.model_copy(update={"coder": order["coder"]})})
    apps: list[App] = []

    def worker_pids() -> list[int]:
        pools = apps[0].engines().values() if apps else ()
        return [worker.pid for status in pools for worker in status.workers if worker.pid]

    recorder = Recorder(worker_pids)
    chapters = range(order["chapters"]) if order["chapters"] else None
    log = cast(FilteringBoundLogger, recorder)
    request = NarrationRequest(chapters=chapters)
    context = RunContext(config=config, log=log, run_id="bench", request=request, on_progress=recorder.show)
    with App(context, make_inbox=False) as app:
        apps.append(app)
        job = inbox.accept(the_candidate(Path(order["source"])), context.state.spool)
        app.ledger.jobs.add(job, state=State.RUNNING)
        row = app.ledger.jobs.get(job.id)
        assert row is not None
        folder = app.narrator().narrate(row, BookControl(context.stop))
        app.ledger.jobs.set_state(job.id, State.PUBLISHED, published=folder)
        recorder.begin("ended")
        memory = {"main": memory_mb(os.getpid()), "workers": recorder.workers_memory}
    run_log = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    stages = {
        name: {"wall_s": until[1] - since, "cpu_s": until[2] - cpu}
        for (name, since, cpu), until in zip(recorder.stages, recorder.stages[1:], strict=False)
    }
    return {
        "audio_s": run_log["audio_s"],
        "stages": stages,
        "read_s": run_log["stages_s"]["read"],
        "plan_s": run_log["stages_s"]["plan"],
        "first_take_s": recorder.first_s["chunk.rendered"] - recorder.first_s["job.planned"],
        "workers_cpu_s": recorder.workers_cpu_s,
        "synthesize_s": sum(chunk["render_s"] for chunk in run_log["chunks"]),
        "mastering_cpu_s": recorder.fields["job.mastered"]["cpu_s"],
        "encoded_again": recorder.fields["job.mastered"]["encoded_again"],
        "utterances": sum(len(chunk["takes"]) for chunk in run_log["chunks"]),
        "loudness": run_log["loudness"],
        "m4b_bytes": sum(path.stat().st_size for path in folder.glob("*.m4b")),
        "memory": memory,
    }


def main() -> None:
    """Run an order."""
    measured = narrate(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    Path(sys.argv[2]).write_text(json.dumps(measured), encoding="utf-8")


if __name__ == "__main__":
    main()
