"""``voices``: list what can speak, say why a sample cannot, and let a voice be heard."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speedd import audio, engines, planning
from speedd.config import Config, engine_options, load_config
from speedd.engines.base import EngineInfo
from speedd.errors import EngineError, UsageError, VoiceError
from speedd.execution.pool.pool import configured_pool
from speedd.execution.takes import chunk_seed, take_key, take_path
from speedd.model import Failed, Utterance, Voice
from speedd.service.logging import configure_logging

SPOKEN = "The harbour lay so still that evening that the lamps along the quay seemed to stand on their own reflections."
"""What a preview says."""
PREVIEW_PREFIX = "preview-"


def list_voices(file: Path | None, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """List the voices of the configured engine, and what lies in the voices folder: of use, or why not."""
    config = load_config(file, overrides=overrides)
    options = engine_options(config)
    chosen = engines.choose(config.engine.name, options)
    found = [
        {"name": voice.name, "engine": chosen.name, "origin": "default" if number == 0 else "its own", "fault": ""}
        for number, voice in enumerate(chosen.info.voices)
    ]
    if chosen.info.clones_voices:
        check = engines.sample_check(chosen.name, options)
        found += [
            {"name": path.stem, "engine": chosen.name, "origin": str(path), "fault": fault}
            for path, fault in _samples(config.paths.voices, check)
        ]
    return {
        "engine": chosen.name,
        "why": chosen.why,
        "clones_voices": chosen.info.clones_voices,
        "folder": str(config.paths.voices),
        "voices": found,
    }


def _samples(folder: Path, check: engines.SampleCheck) -> Iterator[tuple[Path, str]]:
    """Yield the files in the voices folder, each with what makes it useless; empty if nothing does."""
    files: list[Path] = []
    with suppress(OSError):
        files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    used = engines.samples(folder)
    for path in files:
        if path.suffix.lower() not in engines.SAMPLE_SUFFIXES:
            yield path, f"{path.name} is no voice sample: those are sound files such as WAV, FLAC, MP3 or M4A."
        elif used[path.stem] != path:
            yield path, f"{path.name} has the name of {used[path.stem].name}, which is used."
        else:
            try:
                check(path)
            except VoiceError as error:
                yield path, str(error)
            else:
                yield path, ""


@dataclass(frozen=True, slots=True)
class Preview:
    """A voice, to be heard."""

    path: Path
    voice: str
    engine: str
    duration_s: float
    fault: str
    """What a book would turn the take down for; empty if it is good."""


def preview_voice(name: str, out: Path | None, file: Path | None, overrides: Mapping[str, Any]) -> Preview:
    """Let a voice say a sentence into a WAV file.

    Args:
        name: of the voice, or the path of its sample in the voices folder.
        out: the file; by default one named after the voice, in the current folder. It is written over.
        file: the configuration.
        overrides: what the command line sets.

    Raises:
        EngineError: if the voice cannot speak, or the engine cannot.
        UsageError: if there is no such voice, or the file cannot be written.
    """
    config = load_config(file, overrides=overrides)
    options = engine_options(config)
    chosen = engines.choose(config.engine.name, options)
    check = engines.sample_check(chosen.name, options)
    voice = engines.named_voice(chosen.info, name, config.paths.voices, check)
    # Not by the voice's name alone: in the voices folder that would write over the sample.
    out = out or Path(f"{PREVIEW_PREFIX}{voice.name}.wav")
    log = config.log.model_copy(update={"level": "error", "target": "stderr"})
    with configure_logging(log, run_id="", environment=os.environ):
        return _spoken(config, chosen.name, chosen.info, voice, out.absolute())


def _spoken(config: Config, engine: str, info: EngineInfo, voice: Voice, out: Path) -> Preview:
    import soundfile  # noqa: PLC0415

    style = planning.style_for(0.0, config.speech)
    seed = chunk_seed(config.engine.seed, SPOKEN, 0, 0)
    language = "en" if "en" in info.languages else info.languages[0]
    key = take_key(info, text=SPOKEN, voice=voice, style=style, seed=seed, language=language)
    alone = config.model_copy(update={"engine": config.engine.model_copy(update={"workers": 1})})
    with tempfile.TemporaryDirectory(prefix="speedd-voice-") as takes:
        pool = configured_pool(engine, alone, takes=Path(takes), waits=False)
        try:
            work = [Utterance(key, SPOKEN, voice, style, seed, language)]
            (answer,) = [result for batch in pool.run(work) for result in batch]
        finally:
            pool.close()
        if isinstance(answer, Failed):
            raise EngineError(f'The voice "{voice.name}" cannot speak: {answer.reason}')
        if not answer.size_bytes:
            raise EngineError(f'The voice "{voice.name}" gave no sound.')
        wave, rate_hz = soundfile.read(take_path(Path(takes), answer.key), dtype="int16")
    try:
        soundfile.write(out, wave, rate_hz, format="WAV", subtype="PCM_16")
    except (OSError, soundfile.LibsndfileError) as error:
        reason = getattr(error, "strerror", "") or "the folder is missing or cannot be written to"
        raise UsageError(f"{out} cannot be written: {reason}.", hint="Name another file with -o.") from error
    fault = audio.fault_of(answer, SPOKEN, speed=style.speed) or ""
    return Preview(out, voice.name, engine, answer.duration_s, fault)
