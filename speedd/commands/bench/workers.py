"""Only the executor: texts in, stored takes out, with so many workers. A program of its own.

``python -m speedd.commands.bench.workers ORDER RESULT`` reads a JSON file and writes what it measured to another. The
order names a ``folder``, the ``speaker``, and how many ``workers`` are to speak on how many ``cores``.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from speedd.commands.bench.machine import cpu_s
from speedd.commands.bench.naive import read_speaker
from speedd.execution.base import WorkerState
from speedd.execution.pool.pool import WorkerPool
from speedd.execution.pool.settings import PoolSettings
from speedd.model import Rendered


def speak(order: dict[str, Any]) -> dict[str, float]:
    """Speak all with warm workers.

    Returns:
        ``synthesize_s`` by the clock, from the first utterance given to the last take stored; ``cpu_s`` of the workers
        in that time; ``engine_s``, the time that engines were busy, added up; and ``audio_s``.
    """
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: order["cores"]])  # the workers inherit it
    takes = Path(order["folder"])
    engine, options, work = read_speaker(order)
    pool = WorkerPool(PoolSettings(engine, takes, options, workers=order["workers"]))
    try:
        pool.warm()
        while any(worker.state is not WorkerState.IDLE for worker in pool.status().workers):
            time.sleep(0.01)
        pids = [worker.pid for worker in pool.status().workers if worker.pid]
        began_s, began_cpu_s = time.perf_counter(), sum(map(cpu_s, pids))
        done = [one for batch in pool.run(work) for one in batch if isinstance(one, Rendered)]
        took_s, took_cpu_s = time.perf_counter() - began_s, sum(map(cpu_s, pids)) - began_cpu_s
    finally:
        pool.close()
    return {
        "synthesize_s": took_s,
        "cpu_s": took_cpu_s,
        "engine_s": sum(one.render_s for one in done),
        "audio_s": sum(one.duration_s for one in done),
    }


def main() -> None:
    """Run an order."""
    measured = speak(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    Path(sys.argv[2]).write_text(json.dumps(measured), encoding="utf-8")


if __name__ == "__main__":
    main()
