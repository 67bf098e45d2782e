"""The engine interface: what speedd asks of a text-to-speech model, and the facts it wants to know of it.

An engine is found through the entry-point group ``speedd.engines``; the entry point names an `EngineFactory`. A worker
process calls `EngineFactory.load` once and keeps the engine warm; the main process only ever calls
`EngineFactory.describe`, which must be cheap and import no model library.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from speedd.errors import EngineError

if TYPE_CHECKING:
    from speedd.model import Failed, Notation, Take, TextLimits, Utterance, Voice

ENTRY_POINT_GROUP = "speedd.engines"

EXTRAS: Mapping[str, str] = {"chatterbox": "chatterbox"}
"""Engines of our own that come with an extra, by engine name."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine is, and what shapes its audio."""

    name: str
    version: str
    model_digest: str
    """SHA-256 over the model's files, hex."""
    sample_rate_hz: int
    languages: tuple[str, ...]
    """Primary subtags in lower case: ``("en",)``."""
    style_fields: tuple[str, ...]
    """The fields of `Style` that change its audio; only these enter a take's key."""
    clones_voices: bool
    voices: tuple[Voice, ...]
    """Its own voices, ready to speak without a download; the first is its default."""
    limits: TextLimits
    speaks: tuple[Notation, ...] = ()
    """What it puts into words itself and gets right; everything else is handed to it in words."""
    numerics: Mapping[str, str] = field(default_factory=dict)
    """What else decides the bits: dtype, device class, steps, FFT back-end, thread count."""
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class Budget:
    """What the engine can take on now.

    Args:
        rows: utterances it can hold at once with what is free now.
        free_bytes: free memory of its device, as the device reports it.
        row_bytes: what one row of `TextLimits.best_chars` costs.
    """

    rows: int
    free_bytes: int
    row_bytes: int


class Source(Protocol):
    """Where an engine draws utterances from while it runs."""

    def take(self, max_rows: int, *, block: bool) -> list[Utterance]:
        """Return up to ``max_rows`` utterances; with ``block`` wait for at least one.

        An engine blocks only when it is speaking nothing. Returns an empty list when nothing is ready and ``block`` is
        False, or when the source is closed and drained.
        """

    @property
    def closed(self) -> bool:
        """True once no utterance will ever come again and all have been taken."""


@runtime_checkable
class Engine(Protocol):
    """A loaded, warm model."""

    info: EngineInfo

    def prewarm(self, voice: Voice) -> None:
        """Get ready to speak with this voice, so that the first take is as good as the others.

        Raises:
            EngineError: if the voice cannot be used.
        """

    def budget(self) -> Budget:
        """Say what can be taken on now."""

    def synthesize(self, source: Source) -> Iterator[Take | Failed]:
        """Speak what the source gives until it is closed, in any order: one `Take` or `Failed` per utterance."""

    def close(self) -> None:
        """Let go of everything."""


class EngineFactory(Protocol):
    """What an entry point of the group ``speedd.engines`` names."""

    def describe(self, options: Mapping[str, Any]) -> EngineInfo:
        """Describe the engine without loading it. `numerics` may be incomplete.

        Raises:
            EngineError: if the engine cannot run here, with the reason and what to install.
        """

    def load(self, options: Mapping[str, Any]) -> Engine:
        """Load the model. Called in a worker process only.

        Raises:
            EngineError: if it cannot be loaded.
        """


def available() -> tuple[str, ...]:
    """Name the installed engines, in alphabetical order. Nothing is imported."""
    return tuple(sorted({entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)}))


def find(name: str) -> EngineFactory:
    """Find an installed engine by its entry point.

    Raises:
        EngineError: if there is none of that name, or it cannot be imported; says what to do.
    """
    entries = [entry for entry in entry_points(group=ENTRY_POINT_GROUP) if entry.name == name]
    if not entries:
        installed = ", ".join(available()) or "none"
        if name in EXTRAS:
            raise EngineError(
                f"The engine {name!r} is not part of this installation (installed: {installed}).",
                hint=f"It needs pip install 'speedd[{EXTRAS[name]}]' and comes with a later version of speedd.",
            )
        raise EngineError(
            f"There is no engine {name!r} (installed: {installed}).",
            hint="Set [engine] name to one of these, or to auto.",
        )
    try:
        return cast("EngineFactory", entries[0].load())
    except (ImportError, AttributeError) as error:
        raise EngineError(
            f"The engine {name!r} is installed but cannot be imported: {error}.", hint="Install it again."
        ) from error
