"""Fetch a model from the Hugging Face hub: part of setting up, never of a job."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from speedd.engines.base import EngineOptions
from speedd.engines.chatterbox.families import Family
from speedd.engines.chatterbox.settings import ChatterboxSettings
from speedd.engines.chatterbox.weights.files import (
    DIGESTS,
    Weights,
    cached,
    fault_of,
    file_digests,
    find_weights,
    keep,
)
from speedd.errors import EngineError, UsageError


def download(options: EngineOptions[ChatterboxSettings]) -> str:
    """Fetch the model that the settings name, what of it is damaged once more, and write down what came.

    Args:
        options: as the factory gets them.
    Returns:
        What to tell.

    Raises:
        UsageError: if the settings name a folder.
        EngineError: if it cannot be fetched, or is not whole.
    """
    settings, state = options.settings, options.folder
    if settings.weights:
        raise UsageError(
            f"The weights are to lie in {settings.weights}.",
            hint="Without [engines.chatterbox] weights they are fetched.",
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    family, revision, files = settings.family, settings.revision, settings.family.files
    notes = state / DIGESTS if state else None

    def fetch(names: Iterable[str], *, anew: bool) -> None:
        snapshot_download(family.repository, revision=revision, allow_patterns=list(names), force_download=anew)

    try:
        fetch([*files.needed, *files.more], anew=False)
        there = Weights(family, *cached(family, revision, os.environ))
        damaged = {path.name for path in there.present if fault_of(path)}
        damaged |= set(changed_since(noted(state, there), file_digests(there, notes, anew=True)))
        if damaged:  # what lies in the cache is not looked at when it is fetched once more
            fetch(damaged, anew=True)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        first = str(error).strip().splitlines() or [type(error).__name__]
        raise EngineError(f"{family.repository} cannot be fetched: {first[0]}", hint="Try again later.") from error
    weights = find_weights(family, None, revision, os.environ)
    digests = file_digests(weights, notes)
    if state:
        record = {
            "model": family.name,
            "repository": family.repository,
            "asked_for": revision,
            "revision": weights.revision,
            "sha256": digests,
        }
        keep(record_path(state, family), json.dumps(record, indent=1).encode())
    told = f"{family.repository} at {weights.revision}, {len(digests)} files"
    return told + (_fetch_segmenter() if "zh" in family.languages else "")


def record_path(state: Path, family: Family) -> Path:
    """Where it is noted which revision of a model was fetched, and the SHA-256 of every file."""
    return state / f"weights-{family.name}.json"


def noted(state: Path | None, weights: Weights) -> Mapping[str, str]:
    """Return what `download` noted of a model's files, by name; nothing if it did not fetch this revision."""
    try:
        record = json.loads(record_path(state, weights.family).read_text(encoding="utf-8")) if state else {}
    except (OSError, ValueError):
        return {}
    return record.get("sha256", {}) if record.get("revision") == weights.revision else {}


def changed_since(noted: Mapping[str, str], digests: Mapping[str, str]) -> list[str]:
    """Name the files that are no longer what was noted."""
    return [name for name, digest in digests.items() if noted.get(name, digest) != digest]


def _fetch_segmenter() -> str:
    """Fetch the model that parts Chinese into words; return what to tell. Without it characters stand alone."""
    try:
        from spacy_pkuseg import pkuseg
    except ImportError:
        return ""
    try:
        pkuseg()
    except (OSError, RuntimeError, ValueError) as error:
        return f"; the model of spacy_pkuseg, which parts Chinese into words, cannot be fetched: {error}"
    return "; the model of spacy_pkuseg, which parts Chinese into words"
