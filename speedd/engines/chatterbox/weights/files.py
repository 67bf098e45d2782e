"""Find a model's files on this machine, see that they are whole, and name them by their digest. No torch, no network.

A model lies in a folder that the configuration names, or in the Hugging Face cache, whose layout this module reads by
itself: ``models--OWNER--NAME/refs/REVISION`` holds a commit, ``snapshots/COMMIT/`` the files.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from speedd.common.durable import make_folder, write_whole
from speedd.engines.chatterbox.families import Family
from speedd.errors import EngineError

DIGESTS = "digests.json"
"""In the state folder: the SHA-256 of every file, by what it looked like when it was read."""
_LENGTH_BYTES = 8
_MAX_HEADER_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class Weights:
    """A model's files, all there and none cut short."""

    family: Family
    folder: Path
    revision: str
    """The commit of the hub's repository; empty for a folder that somebody named."""

    def path(self, name: str) -> Path:
        """Where a file lies."""
        return self.folder / name

    @property
    def present(self) -> tuple[Path, ...]:
        """The files that shape what is spoken, in a fixed order."""
        names = (*self.family.files.needed, *self.family.files.more)
        return tuple(path for name in names if (path := self.folder / name).is_file())


def find_weights(family: Family, folder: Path | None, revision: str, environment: Mapping[str, str]) -> Weights:
    """Find a model's files.

    Args:
        family: the model.
        folder: where they lie; None for the Hugging Face cache.
        revision: a branch, tag or commit of the hub's repository.
        environment: says where the cache is.
    Raises:
        EngineError: if a file is missing or damaged; names it.
    """
    commit, fetch = "", "Put the published files into the folder that [engines.chatterbox] weights names."
    if folder is None:
        folder, commit = cached(family, revision, environment)
        fetch = "Fetch them again with `speedd check --download`."
    missing = [name for name in family.files.needed if not (folder / name).is_file()]
    if missing:
        raise EngineError(
            f"The weights of Chatterbox {family.name} are not complete: {', '.join(missing)} not found in {folder}.",
            hint=fetch,
            brief="lacks some of its weights",
        )
    weights = Weights(family, folder, commit)
    for path in weights.present:
        if fault := fault_of(path):
            raise EngineError(f"{path} is damaged: {fault}.", hint=fetch, brief="has damaged weights")
    return weights


def hub_cache(environment: Mapping[str, str]) -> Path:
    """Where huggingface_hub keeps what it fetched."""
    if cache := environment.get("HF_HUB_CACHE"):
        return Path(cache)
    home = environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME") or Path.home()) / ".cache"
    return Path(environment.get("HF_HOME") or Path(home) / "huggingface") / "hub"


def fault_of(path: Path) -> str:
    """Say what is wrong with a file as far as its size and its header tell; empty if nothing is."""
    try:
        if path.suffix == ".safetensors":
            return _safetensors_fault(path)
        if path.suffix == ".pt":
            return "" if zipfile.is_zipfile(path) else "it is no torch file, or it was cut short"
        if path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        return str(error.strerror)
    except ValueError:
        return "it is no JSON"
    return ""


def model_digest(digests: Mapping[str, str]) -> str:
    """Return the SHA-256 over the names of a model's files and what `file_digests` says of them, hex."""
    told = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256(told.encode()).hexdigest()


def file_digests(weights: Weights, notes: Path | None, *, anew: bool = False) -> dict[str, str]:
    """Digest a model's files.

    Args:
        weights: the files.
        notes: a file that remembers digests by size and time of change, so that gigabytes are read once; None: none.
        anew: whether to read them whatever is remembered: a disk that loses a bit changes neither size nor time.
    Returns:
        The SHA-256 of each file that counts, hex, by its name.
    """
    known = _read_notes(notes)
    digests: dict[str, str] = {}
    fresh: dict[str, list[str]] = {}
    for path in weights.present:
        real = path.resolve()
        status = real.stat()
        stamp = f"{status.st_size} {status.st_mtime_ns} {status.st_ino}"
        noted = known.get(str(real), ["", ""])
        digests[path.name] = noted[1] if noted[0] == stamp and not anew else _digest(real)
        fresh[str(real)] = [stamp, digests[path.name]]
    if notes is not None and any(known.get(key) != value for key, value in fresh.items()):
        keep(notes, json.dumps({**known, **fresh}, indent=1).encode())
    return digests


def keep(path: Path, data: bytes) -> None:
    """Keep what can be found out again; a disk that does not take it is no fault here."""
    with suppress(OSError):
        make_folder(path.parent)
        write_whole(path, data)


def cached(family: Family, revision: str, environment: Mapping[str, str]) -> tuple[Path, str]:
    """Return the folder in which the Hugging Face cache has a revision, and its commit.

    Raises:
        EngineError: if it has none.
    """
    repository = hub_cache(environment) / f"models--{family.repository.replace('/', '--')}"
    reference = repository / "refs" / revision
    with suppress(OSError):
        revision = reference.read_text(encoding="ascii").strip()
    folder = repository / "snapshots" / revision
    if not folder.is_dir():
        raise EngineError(
            f"The weights of Chatterbox {family.name} are not on this machine ({family.repository}).",
            hint="Fetch them once with `speedd check --download`, or name a folder that holds them:"
            " [engines.chatterbox] weights.",
            brief="has no weights here",
        )
    return folder, revision


def _safetensors_fault(path: Path) -> str:
    """Compare a file's size with what its header says (https://huggingface.co/docs/safetensors, "Format")."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        if not 0 < length <= min(size, _MAX_HEADER_BYTES):
            return "it is no safetensors file"
        try:
            header = json.loads(file.read(length))
        except ValueError:
            return "its header cannot be read"
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    expected = _LENGTH_BYTES + length + max(ends, default=0)
    return "" if size == expected else f"it has {size} bytes, and its header promises {expected}"


def _read_notes(notes: Path | None) -> dict[str, list[str]]:
    if notes is None:
        return {}
    try:
        known: dict[str, list[str]] = json.loads(notes.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
