"""Engines: found through the entry-point group ``speedd.engines``, loaded only in workers."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from speedd.engines.base import ClonesVoices, EngineInfo, available, find
from speedd.errors import EngineError, UsageError, VoiceError
from speedd.model import Voice

T = TypeVar("T")
SampleCheck: TypeAlias = Callable[[Path], None]

__all__ = [
    "AUTO",
    "SAMPLE_SUFFIXES",
    "SampleCheck",
    "available",
    "choose",
    "choose_voice",
    "find",
    "find_voice",
    "named_voice",
    "sample_check",
    "samples",
    "speaking",
]

AUTO = "auto"
PREFERRED = "chatterbox"
FALLBACK = "hibari"
DEFAULT_VOICE = "default"
SAMPLE_SUFFIXES = frozenset(
    {".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".m4b", ".mp4", ".aac", ".aif", ".aiff", ".wma", ".webm"}
)


def _anything(_: Path) -> None:
    """Take every sample."""


def choose(name: str, options: Mapping[str, Any]) -> tuple[str, EngineInfo, str]:
    """Decide which engine speaks.

    Args:
        name: an engine's name, or ``auto`` for the best one that can run here.
        options: passed to the engine.
    Returns:
        Its name, what it is, and in words why it was chosen.
    Raises:
        EngineError: if an engine asked for by name cannot run here.
    """
    if name != AUTO:
        return name, find(name).describe(options), f"{name}, as configured"
    try:
        info = find(PREFERRED).describe(options)
    except EngineError as error:
        return FALLBACK, find(FALLBACK).describe(options), f"{FALLBACK}, because {PREFERRED} cannot be used: {error}"
    if info.device == "cpu":
        return FALLBACK, find(FALLBACK).describe(options), f"{FALLBACK}, because {PREFERRED} finds no GPU that works"
    return PREFERRED, info, f"{PREFERRED}, because it can run here"


def speaking(language: str, options: Mapping[str, Any]) -> dict[str, EngineInfo]:
    """Find the installed engines that can run here and speak a language.

    Args:
        language: its primary subtag in lower case.
        options: passed to the engines.
    """
    found = {}
    for name in available():
        try:
            info = find(name).describe(options)
        except EngineError:
            continue
        if language in info.languages:
            found[name] = info
    return found


def choose_voice(
    info: EngineInfo, wanted: str, voices_dir: Path, check: SampleCheck = _anything
) -> tuple[Voice, str | None]:
    """Find the voice that a book asks for, or the engine's default where that cannot be used.

    Arguments as of `find_voice`.

    Returns:
        The voice, and a warning if it is not the one asked for.
    """
    try:
        return find_voice(info, wanted, voices_dir, check), None
    except VoiceError as error:
        return info.voices[0], f'{error} The voice "{info.voices[0].name}" speaks instead.'


def find_voice(info: EngineInfo, wanted: str, voices_dir: Path, check: SampleCheck = _anything) -> Voice:
    """Find a voice: a sample in the voices folder, or one of the engine's own.

    Names come from strangers, so they are compared with what is there and never used as a path. Nothing is downloaded.

    Args:
        info: the engine.
        wanted: a name, with or without a suffix or folders before it; empty or ``default`` for the engine's default.
        voices_dir: where samples to clone lie; need not exist.
        check: raises a `VoiceError` for a sample that will not do.
    Raises:
        VoiceError: if there is none, or it will not do; says why.
    """
    name = wanted.strip().replace("\\", "/").rsplit("/", 1)[-1]
    stem, dot, suffix = name.rpartition(".")
    if f"{dot}{suffix}".lower() in SAMPLE_SUFFIXES:
        name = stem
    if name.casefold() in {"", DEFAULT_VOICE}:
        return info.voices[0]
    cloneable = samples(voices_dir)
    own = {voice.name: voice for voice in info.voices}
    there_are = f"The voices of {info.name}: {', '.join({**own, **(cloneable if info.clones_voices else {})})}."
    if info.clones_voices and (sample := _match(name, cloneable)) is not None:
        try:
            check(sample)
            return _sampled(sample)
        except (VoiceError, OSError) as error:
            raise VoiceError(f'The voice "{name}" cannot be used: {error}') from error
    if (voice := _match(name, own)) is not None:
        return voice
    if _match(name, cloneable) is not None:
        reason = f"{info.name} cannot clone a voice from a sample"
    else:
        places = f"{voices_dir} or among the voices of {info.name}" if info.clones_voices else info.name
        reason = f"there is no such voice in {places}"
    raise VoiceError(f'The voice "{name}" cannot be used: {reason}.', hint=there_are)


def named_voice(info: EngineInfo, wanted: str, voices_dir: Path, check: SampleCheck = _anything) -> Voice:
    """Find the voice that the command line names; no other stands in for it.

    Arguments as of `find_voice`; what has a slash is a path, which must be that of a sample in the voices folder.

    Raises:
        UsageError: if there is none, or it will not do; says why, and which there are.
    """
    if "/" in wanted:
        path = Path(wanted).expanduser()
        if not os.path.isfile(path):  # noqa: PTH113 - what cannot be looked at is no file either
            raise UsageError(f"There is no voice sample {wanted}.", hint="`speedd voices` lists the voices.")
        if not info.clones_voices:
            raise UsageError(f"{wanted} cannot be used: {info.name} cannot clone a voice from a sample.")
        if path.resolve() not in {sample.resolve() for sample in samples(voices_dir).values()}:
            raise UsageError(
                f"{wanted} is none of the voice samples in {voices_dir}.",
                hint=f'Copy it there, and name it: "{path.stem}". `speedd voices` says whether it will do.',
            )
    try:
        return find_voice(info, wanted, voices_dir, check)
    except VoiceError as error:
        raise UsageError(error.message, hint=error.hint) from error


def sample_check(engine: str, options: Mapping[str, Any]) -> SampleCheck:
    """Return what says of a sample whether an engine could clone it, by raising a `VoiceError` if not."""
    factory = find(engine)
    return partial(factory.check_sample, options=options) if isinstance(factory, ClonesVoices) else _anything


def samples(folder: Path) -> dict[str, Path]:
    """Name the samples in a folder by their stems; of several with one stem the first by name counts."""
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SAMPLE_SUFFIXES and path.is_file())
    except OSError:
        return {}
    found: dict[str, Path] = {}
    for path in files:
        found.setdefault(path.stem, path)
    return found


def _match(name: str, among: Mapping[str, T]) -> T | None:
    if name in among:
        return among[name]
    return next((value for key, value in among.items() if key.casefold() == name.casefold()), None)


def _sampled(path: Path) -> Voice:
    with path.open("rb") as file:
        return Voice(name=path.stem, digest=hashlib.file_digest(file, "sha256").hexdigest(), path=path)
