"""Fetch a model from the Hugging Face hub: part of setting up, never of a job."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from speedd.engines.chatterbox.options import read_options
from speedd.engines.chatterbox.weights import file_digests, find_weights, write_whole
from speedd.errors import EngineError, UsageError

RECORD = "weights.json"
"""In the state folder: which revision was fetched, and the SHA-256 of every file."""


def download(options: Mapping[str, Any]) -> str:
    """Fetch the model that the settings name, and write down what came.

    Args:
        options: as the factory gets them.
    Returns:
        What to tell.

    Raises:
        UsageError: if the settings name a folder.
        EngineError: if it cannot be fetched, or is not whole.
    """
    read = read_options(options)
    if read.weights:
        raise UsageError(
            f"The weights are to lie in {read.weights}.", hint="Without [chatterbox] weights they are fetched."
        )
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError as error:
        raise EngineError(f"Nothing can be fetched: {error}.", hint="Install speedd[chatterbox] first.") from error
    files = read.family.files
    wanted = [*files.needed, *files.more]
    try:
        snapshot_download(read.family.repository, revision=read.revision, allow_patterns=wanted)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        first = str(error).strip().splitlines() or [type(error).__name__]
        raise EngineError(f"{read.family.repository} cannot be fetched: {first[0]}", hint="Try again later.") from error
    weights = find_weights(read.family, None, read.revision, os.environ)
    state = read.state_folder
    digests = file_digests(weights, state / "digests.json" if state else None)
    if state:
        record = {
            "model": read.family.name,
            "repository": read.family.repository,
            "asked_for": read.revision,
            "revision": weights.revision,
            "sha256": digests,
        }
        write_whole(state / RECORD, json.dumps(record, indent=1).encode())
    told = f"{read.family.repository} at {weights.revision}, {len(digests)} files"
    return told + (_fetch_segmenter() if "zh" in read.family.languages else "")


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
