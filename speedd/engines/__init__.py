"""Engines: found through the entry-point group ``speedd.engines``, loaded only in workers."""

from __future__ import annotations

import hashlib
import os
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias, TypeVar

from speedd.engines.base import ClonesVoices, EngineFactory, EngineInfo, OptionsOf, Prepares, available, find
from speedd.errors import EngineError, UsageError, VoiceError
from speedd.model import Voice

T = TypeVar("T")
SampleCheck: TypeAlias = Callable[[Path], None]

__all__ = [
    "AUTO",
    "SAMPLE_SUFFIXES",
    "Chosen",
    "SampleCheck",
    "available",
    "choose",
    "choose_voice",
    "find",
    "find_voice",
    "named_voice",
    "prepare",
    "sample_check",
    "samples",
    "speaking",
]

AUTO = "auto"
DEFAULT_VOICE = "default"
WHY_CHARS = 119
"""A reason for a choice stands in the log of every book, so it is short."""
SAMPLE_SUFFIXES = frozenset(
    {".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".m4b", ".mp4", ".aac", ".aif", ".aiff", ".wma", ".webm"}
)


def _anything(_: Path) -> None:
    """Take every sample."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The engine that is to speak."""

    name: str
    info: EngineInfo
    why: str
    """In a few words."""
    passed_over: tuple[str, ...] = ()
    """In full: why each engine that ``auto`` would rather have does not speak."""


def choose(name: str, options: OptionsOf) -> Chosen:
    """Decide which engine speaks.

    Args:
        name: an engine's name, or ``auto`` for the one of the highest rank that can run here.
        options: of each engine.
    Raises:
        EngineError: if an engine asked for by name cannot run here, or none can.
    """
    if name != AUTO:
        return Chosen(name, find(name).describe(options(name)), f"{name}, as configured")
    brief: list[str] = []
    full: list[str] = []
    for candidate, factory in _by_rank():
        try:
            if isinstance(factory, EngineError):
                raise factory
            info = factory.describe(options(candidate))
        except EngineError as error:
            brief.append(f"{candidate} {error.brief}")
            full.append(str(error))
            continue
        if not info.drawback:
            why = f"{candidate}, because {' and '.join(brief) or 'it can run here'}"
            return Chosen(candidate, info, textwrap.shorten(why, WHY_CHARS, placeholder=" …"), tuple(full))
        brief.append(f"{candidate} {info.drawback}")
        full.append(f"{candidate} {info.drawback}; [engine] name = {candidate!r} takes it all the same.")
    raise EngineError(" ".join(["No engine can run here.", *full]))


def _by_rank() -> Iterator[tuple[str, EngineFactory | EngineError]]:
    """Yield the engines that ``auto`` may choose, the best first; before them, with the reason, those without a rank.

    An engine that cannot be imported has none.
    """
    ranked: list[tuple[str, EngineFactory]] = []
    for name in available():
        try:
            factory = find(name)
        except EngineError as error:
            yield name, error
        else:
            if factory.rank > 0:
                ranked.append((name, factory))
    yield from sorted(ranked, key=lambda each: (-each[1].rank, each[0]))


def prepare(name: str, options: OptionsOf) -> str:
    """Fetch what an engine needs beside its package; see `Prepares`.

    Args:
        name: an engine's name, or ``auto`` for the best that needs something and can fetch it.
        options: of each engine.
    Returns:
        What to tell.

    Raises:
        EngineError: if nothing can be fetched.
        UsageError: if the settings say that it is not to be fetched.
    """
    first: EngineError | None = None
    for candidate, factory in _by_rank() if name == AUTO else [(name, find(name))]:
        if not isinstance(factory, Prepares):
            continue
        try:
            return factory.prepare(options(candidate))
        except EngineError as error:
            first = first or error
    if first is not None:
        raise first
    return f"{'No engine here needs anything' if name == AUTO else f'{name} needs nothing'} but its package."


def speaking(language: str, options: OptionsOf) -> dict[str, EngineInfo]:
    """Find the installed engines that can run here and speak a language, the one that ``auto`` prefers first.

    Args:
        language: its primary subtag in lower case.
        options: of each engine.
    """
    found: list[tuple[bool, int, str, EngineInfo]] = []
    for name in available():
        try:
            factory = find(name)
            info = factory.describe(options(name))
        except EngineError:
            continue
        if language in info.languages:
            found.append((bool(info.drawback), -factory.rank, name, info))
    return {name: info for *_, name, info in sorted(found, key=lambda each: each[:3])}


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


def sample_check(engine: str, options: OptionsOf) -> SampleCheck:
    """Return what says of a sample whether an engine could clone it, by raising a `VoiceError` if not."""
    factory = find(engine)
    return partial(factory.check_sample, options=options(engine)) if isinstance(factory, ClonesVoices) else _anything


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
