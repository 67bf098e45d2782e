"""Describes Chatterbox without torch, and loads it in a worker."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, TypeAlias

from speedd.engines.base import EngineInfo, EngineOptions, Fallback
from speedd.engines.chatterbox.memory.budget import Needs, fixed_bytes, number_bytes, t3_size
from speedd.engines.chatterbox.memory.primitive_cache import keep_few_shapes
from speedd.engines.chatterbox.probe import Machine, cpu_precision, estimator_precision, probe
from speedd.engines.chatterbox.settings import ChatterboxSettings
from speedd.engines.chatterbox.t3.text import text_tools
from speedd.engines.chatterbox.weights.download import changed_since, download, noted
from speedd.engines.chatterbox.weights.files import DIGESTS, Weights, file_digests, find_weights, model_digest
from speedd.errors import EngineError
from speedd.model import TextLimits, Voice

if TYPE_CHECKING:
    from pathlib import Path

    from speedd.engines.chatterbox.engine import ChatterboxEngine

Options: TypeAlias = EngineOptions[ChatterboxSettings]

RELEASE = 4
"""Raised when the same weights and settings come to sound different."""
SAMPLE_RATE_HZ = 24_000
LIMITS = TextLimits(best_chars=240, max_chars=300, min_chars=25)
"""Shorter texts make it babble, longer ones make it drop words (README of chatterbox-tts, and its users)."""
BUILT_IN_VOICE = "chatterbox"
CPU_ROWS = 8
"""Side by side on a CPU; twice as many gain a fifth and cost a gigabyte."""
GPU_ROWS = 64
"""At most; fewer where the memory does not suffice."""
SHORT_REFERENCE_S = 3.0
"""What S3Gen is shown of a sample when memory is short: its encoder's needs grow with the square of it."""
PATIENT_S_PER_CHAR = {"cpu": 2.0, "mps": 0.5, "cuda": 0.1}
"""What a text may take before anything is measured, all those beside it included; the pace is measured from then on."""
MISSING = "is not installed"
HINT = (
    "Install it in speedd's source folder: pip install '.[chatterbox]', or for newer GPUs and for CPUs"
    " .ci/install-torch VENV (see the README)."
)


class ChatterboxFactory:
    """Describes and loads Chatterbox."""

    settings: Final = ChatterboxSettings
    rank: Final = 20

    def describe(self, options: Options) -> EngineInfo:
        """Describe the engine as it will be loaded. Weights are digested once, the device is tried once per boot.

        Raises:
            EngineError: if a package, the weights or the device is missing; says what to do.
        """
        return self._plan(options)[0]

    def load(self, options: Options) -> ChatterboxEngine:
        """Load the model.

        Raises:
            EngineError: if it cannot be loaded.
        """
        info, weights = self._plan(options)
        from speedd.engines.chatterbox.library_output import import_quietly

        keep_few_shapes(os.environ)
        import_quietly()
        from speedd.engines.chatterbox.engine import ChatterboxEngine

        return ChatterboxEngine(info, weights, options)

    def prepare(self, options: Options) -> str:
        """Fetch the weights, gigabytes that nothing could load without the packages; see `download`."""
        _release()
        return download(options)

    def check_sample(self, sample: Path, options: Options) -> None:
        """See whether a voice sample will do; see `ClonesVoices`."""
        from speedd.engines.chatterbox.voices.sample import check_sample

        check_sample(sample, least_s=options.settings.family.least_sample_s)

    def _plan(self, options: Options) -> tuple[EngineInfo, Weights]:
        release = _release()
        settings, state = options.settings, options.folder
        family = settings.family
        weights = find_weights(family, settings.weights, settings.revision, os.environ)
        digests = file_digests(weights, state / DIGESTS if state else None)
        if changed := changed_since(noted(state, weights), digests):
            raise EngineError(
                f"{', '.join(changed)} in {weights.folder} is not what `speedd check --download` fetched: it is"
                " damaged, or somebody changed it.",
                hint="Run that command again. Weights of your own belong in a folder: [engines.chatterbox] weights.",
                brief="has damaged weights",
            )
        digest = model_digest(digests)
        found = probe(settings.device, state)
        machine = replace(found, precision=_precision(found, settings))
        on_cpu = machine.device == "cpu"
        rows = settings.rows or (CPU_ROWS if on_cpu else rows_on_gpu(machine.memory_bytes, settings, machine.precision))
        info = EngineInfo(
            name="chatterbox",
            version=release,
            model_digest=digest,
            sample_rate_hz=SAMPLE_RATE_HZ,
            languages=family.languages,
            style_fields=family.style_fields,
            clones_voices=True,
            voices=(Voice(BUILT_IN_VOICE, digest),),
            limits=LIMITS,
            numerics={
                "model": family.name,
                "precision": machine.precision,
                "estimator": estimator_precision(machine.precision),
                "rows": str(rows),
                "threads": _threads() if machine.device == "cpu" else "",
                "torch": version("torch"),
                "flow_steps": str(family.flow_steps),
                "reference_s": str(settings.reference_s),
                "watermark": str(settings.watermark).lower(),
                **({"text_tools": text_tools(os.environ)} if len(family.languages) > 1 else {}),
            },
            device=machine.device,
            fallbacks=_fallbacks(machine, settings, rows),
            shares_cores=machine.device != "cpu",
            revision=weights.revision,
            files=digests,
            patient_s_per_char=PATIENT_S_PER_CHAR[machine.device],
            drawback=_drawback(settings) if on_cpu else "",
        )
        return info, weights


def _release() -> str:
    """Return the version of the engine.

    Raises:
        EngineError: if a package is missing.
    """
    for module in ("torch", "chatterbox"):
        if find_spec(module) is None:
            raise EngineError(
                f"The engine chatterbox needs the package {module}, which is missing.", hint=HINT, brief=MISSING
            )
    try:
        return f"{version('chatterbox-tts')}+{RELEASE}"
    except PackageNotFoundError as error:
        raise EngineError(
            "The package chatterbox-tts is not completely installed.", hint=HINT, brief=MISSING
        ) from error


def rows_on_gpu(memory_bytes: int, settings: ChatterboxSettings, precision: str = "bf16") -> int:
    """Say how many utterances T3 decodes side by side, by the whole of the device.

    They shape the bits, and what is free changes by the hour: how many of them are used is decided at every load.
    """
    t3, numbers = t3_size(settings.family), number_bytes(precision)
    free_bytes = memory_bytes - fixed_bytes(t3, numbers)
    return Needs(t3, settings.reference_s, numbers).share_out(free_bytes, most=GPU_ROWS).slots


def _precision(machine: Machine, settings: ChatterboxSettings) -> str:
    """Say how T3 reckons: as it is set, or as suits the device.

    Raises:
        EngineError: if the device cannot.
    """
    if settings.precision == "int8" and machine.device != "cpu":
        raise EngineError(
            f"Chatterbox reckons in 8-bit integers on a CPU alone, and would run on the {machine.device} device.",
            hint='Set [engines.chatterbox] precision to "auto", or device to "cpu".',
        )
    return machine.precision if settings.precision == "auto" else settings.precision


def _drawback(settings: ChatterboxSettings) -> str:
    """Say why Chatterbox, which is slow on a CPU, would run there."""
    return "is set to run on the CPU" if settings.device == "cpu" else "finds no GPU that works"


def _threads() -> str:
    return str(len(os.sched_getaffinity(0)))


def _fallbacks(machine: Machine, settings: ChatterboxSettings, rows: int) -> tuple[Fallback, ...]:
    """Name what can be done without where not even one utterance fits, the mildest first.

    They come when the rows are down to one. Room for the others is taken all the same, a third of a gigabyte for each
    on a GPU: it goes first, and S3Gen then renders one utterance at a time.
    """
    found = []
    if rows > 1:
        found.append(Fallback("micro_batch", {"rows": "1"}))
    if settings.reference_s > SHORT_REFERENCE_S:
        found.append(Fallback("short_reference", {"reference_s": str(SHORT_REFERENCE_S)}))
    if machine.device != "cpu":
        precision = cpu_precision() if settings.precision == "auto" else settings.precision
        reckons = {"precision": precision, "estimator": estimator_precision(precision)}
        found.append(Fallback("cpu", {"device": "cpu", **reckons, "threads": _threads(), "rows": "1"}))
    return tuple(found)
