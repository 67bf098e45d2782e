"""Run everything against everything, each alone on the machine and in a process of its own, and work out the ratios."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from speedd.audio.codecs.aac_m4b import encoder_options
from speedd.commands.bench import machine
from speedd.commands.bench.machine import Ran, run_alone
from speedd.commands.bench.material import Material, gather, repeat_as_json
from speedd.commands.bench.naive import write_speaker
from speedd.config import engine_options
from speedd.config.settings import Coder

CODERS: tuple[Coder, ...] = get_args(Coder)
"""The default first."""
REPEATED = 10
"""A book so many times as long shows whether memory grows."""


@contextmanager
def gathered(
    book: Path | None, minutes: float, *, file: Path | None = None, engine: str | None = None
) -> Iterator[tuple[Path, Material]]:
    """Give a folder of its own for a benchmark, and what is read out in it; it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="speedd-bench-") as name:
        yield Path(name), gather(book, minutes, Path(name), file=file, engine=engine)


def run_bench(
    book: Path | None,
    file: Path | None,
    engine: str | None,
    *,
    minutes: float,
    memory: bool = False,
    idle_s: float = 0.0,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Measure this machine; the result is plain JSON values.

    Args:
        book: whose first chapters are read; by default a text of our own.
        file: the configuration. All of it counts but folders, coder and quiet hours.
        engine: what speaks instead of what the configuration says.
        minutes: about how much audio to make. At least one chapter is read.
        memory: whether to narrate the same text ten times over too, and compare the memory at the end.
        idle_s: how long to watch an idle daemon; 0 not to.
        tell: told what is being measured.

    Raises:
        InputError: if the book cannot be narrated.
        ConfigError: if the configuration is wrong.
        EngineError: if the engine cannot run here.
    """
    with gathered(book, minutes, file=file, engine=engine) as (folder, material):
        engine = material.config.engine.name
        options = engine_options(material.config)(engine)
        speaker = write_speaker((engine, options, material.utterances), folder)
        report: dict[str, Any] = {
            "machine": machine.describe(folder),
            "engine": {"name": engine, "voice": material.utterances[0].voice.name},
            "material": {
                "book": material.name,
                "chapters": len(material.chapters),
                "utterances": len(material.utterances),
                "chars": material.chars,
            },
        }
        tell(f"{engine} alone")
        raw = run_alone("speedd.commands.bench.naive", {**speaker, "what": "speak"}, folder)
        written = {"what": "encode", "bitrate_kbps": material.config.output.bitrate_kbps, "out": folder / "naive.m4b"}
        naive, whole = {}, {}
        for coder in CODERS:
            tell(f"the naive loop, {coder}")
            order = {**speaker, **written, "coder": encoder_options(coder)}
            naive[coder] = run_alone("speedd.commands.bench.naive", order, folder)
            tell(f"the whole way, {coder}")
            whole[coder] = run_whole(material, folder / coder, coder=coder)
        report |= figures(raw, naive, whole, machine.cores())
        default = whole[CODERS[0]]
        report |= measure_workers(speaker, folder, naive[CODERS[0]], tell)
        report["memory"] = {"once": default.said["memory"]}
        if memory:
            report["memory"] |= measure_memory(material, folder, tell)
        if idle_s:
            tell(f"an idle daemon, for {idle_s:.0f} s")
            (folder / "idle").mkdir()
            report["idle"] = machine.measure_idle(idle_s, folder / "idle")
        return report


def measure_workers(speaker: dict[str, Any], folder: Path, naive: Ran, tell: Callable[[str], None]) -> dict[str, Any]:
    """Speak the texts with one worker and with one for each core; return rows, what more workers bring, and more.

    One worker is measured twice: with all cores, where it stores its takes on another core than it speaks on, and with
    one core for everything, which tells how the executor scales.

    Returns:
        ``workers``: ``rows``; ``ratio``, the time of one worker over that of all; ``ratio_of_cores``, the time of one
        worker on one core over that of all; and ``engine_share``, the part of the workers' wall time in which their
        engines were busy.
    """
    rows = []
    ran = {}
    every = machine.cores()
    for name, workers, cores in (("one_core", 1, 1), ("one_worker", 1, every), ("all_workers", every, every)):
        tell(f"the executor: workers {workers}, cores {cores}")
        takes = folder / name
        takes.mkdir()
        order = {**speaker, "folder": takes, "workers": workers, "cores": cores}
        ran[name] = one = run_alone("speedd.commands.bench.workers", order, folder)
        rows.append(_row(name, _speaking(one), naive))
    alone, together = ran["one_worker"].said, ran["all_workers"].said
    one_core_s = ran["one_core"].said["synthesize_s"]
    return {
        "workers": {
            "rows": rows,
            "ratio": round(alone["synthesize_s"] / together["synthesize_s"], 3),
            "ratio_of_cores": round(one_core_s / together["synthesize_s"], 3),
            "engine_share": round(together["engine_s"] / (together["synthesize_s"] * every), 4),
        }
    }


def run_whole(
    material: Material,
    folder: Path,
    *,
    source: Path | None = None,
    coder: Coder = CODERS[0],
) -> Ran:
    """Run the whole way in a new folder, from the material's own source or from another that is read whole."""
    folder.mkdir()
    order = {
        "folder": folder,
        "source": source or material.job.source,
        "file": material.file,
        "engine": material.config.engine.name,
        "coder": coder,
        "chapters": 0 if source else len(material.chapters),
    }
    return run_alone("speedd.commands.bench.whole", order, folder)


def measure_memory(material: Material, folder: Path, tell: Callable[[str], None]) -> dict[str, Any]:
    """Narrate the material once and ten times over, both as a chunk JSON, and return the memory at the end of each."""
    found: dict[str, Any] = {}
    for times in (1, REPEATED):
        tell(f"memory, with the text {times} times over")
        source = folder / f"times {times}.json"
        repeat_as_json(material, times, source)
        ran = run_whole(material, folder / f"times-{times}", source=source)
        found[f"times_{times}"] = {"audio_s": round(ran.said["audio_s"], 1), **ran.said["memory"]}
    return found


def figures(raw: Ran, naives: Mapping[Coder, Ran], wholes: Mapping[Coder, Ran], cores: int) -> dict[str, Any]:
    """Work out rows, ratios and stages from what was measured; ``tests/benchmarks/README.md`` says what they mean.

    Args:
        raw: the engine alone.
        naives: the naive loop by coder, the default first.
        wholes: the whole way likewise. Each is held against the loop with the same coder, all else concerns the first.
        cores: of the machine.
    """
    naive, whole = naives[CODERS[0]], wholes[CODERS[0]]
    rows = [_row("raw", _speaking(raw), naive)]
    coders = []
    for coder in CODERS:
        rows.append(_row(f"naive_{coder}", naives[coder], naives[coder]))
        rows.append(_row(f"whole_{coder}", wholes[coder], naives[coder]))
        mastering_s = round(wholes[coder].said["stages"]["mastering"]["wall_s"], 3)
        coders.append({"coder": coder, "ratio": rows[-1]["ratio"], "mastering_s": mastering_s})
    parts = ("load_s", "synthesize_s", "encode_s")
    return {
        "rows": rows,
        "ratio": coders[0]["ratio"],
        "coders": coders,
        "naive_s": {part.removesuffix("_s"): round(naive.said[part], 3) for part in parts},
        "stages": _stages(whole, cores),
        "cpu": _processor_time(whole),
        "bound": _bound(naive, whole, cores),
        "engine_share": round(whole.said["synthesize_s"] / (cores * whole.said["stages"]["narrating"]["wall_s"]), 4),
    }


def _row(name: str, ran: Ran, naive: Ran) -> dict[str, Any]:
    return {
        "name": name,
        "wall_s": round(ran.wall_s, 3),
        "cpu_s": round(ran.cpu_s, 3),
        "audio_s": round(ran.said["audio_s"], 1),
        "others_s": round(ran.others_s, 2),
        "realtime_factor": round(ran.said["audio_s"] / ran.wall_s, 1),
        "ratio": round(naive.wall_s / ran.wall_s, 3),
    }


def _speaking(ran: Ran) -> Ran:
    """Of a program, only the part in which it speaks, as it measured that itself."""
    return replace(ran, wall_s=ran.said["synthesize_s"], cpu_s=ran.said["cpu_s"])


def _stages(whole: Ran, cores: int) -> list[dict[str, Any]]:
    """Say for each stage how long it took, its share, and how much of the cores it left unused."""
    said = whole.said
    spent = {name: (stage["wall_s"], stage["cpu_s"]) for name, stage in said["stages"].items()}
    spent["start and end"] = (
        whole.wall_s - sum(wall_s for wall_s, _ in spent.values()),
        whole.cpu_s - sum(cpu_s for _, cpu_s in spent.values()),
    )
    return [
        {
            "name": name,
            "wall_s": round(wall_s, 3),
            "share": round(wall_s / whole.wall_s, 4),
            "cpu_s": round(cpu_s, 3),
            "idle_core_s": round(max(0.0, wall_s * cores - cpu_s), 3),
        }
        for name, (wall_s, cpu_s) in spent.items()
    ]


def _processor_time(whole: Ran) -> dict[str, float]:
    """Split the processor time of the whole way by what it went into, in seconds."""
    said = whole.said
    mastering = {f"mastering: {step}": cpu_s for step, cpu_s in said["mastering_cpu_s"].items()}
    split = {"workers (load, synthesise, store)": said["workers_cpu_s"], **mastering}
    split["all else (read, plan, ledger, start)"] = whole.cpu_s - sum(split.values())
    return {name: round(seconds, 2) for name, seconds in split.items()}


def _bound(naive: Ran, whole: Ran, cores: int) -> dict[str, float]:
    """Take the ratio apart: cores, times how busy they were, times what the same work costs in processor time."""
    return {
        "cores": cores,
        "busy": round(whole.cpu_s / (whole.wall_s * cores), 4),
        "economy": round(naive.cpu_s / whole.cpu_s, 4),
        "naive_busy": round(naive.cpu_s / naive.wall_s, 4),
        "first_take_s": round(whole.said["first_take_s"], 3),
    }
