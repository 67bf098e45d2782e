"""The engine interface: what speedd asks of a text-to-speech model, and the facts it wants to know of it.

An engine is found through the entry-point group ``speedd.engines``; the entry point names an `EngineFactory`. A worker
process calls `EngineFactory.load` once and keeps the engine warm. The main process uses everything else of the factory,
which must be cheap and import no model library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar, runtime_checkable

from speedd.errors import EngineError

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import BaseModel

    from speedd.model import Failed, Notation, Take, TextLimits, Utterance, Voice

ENTRY_POINT_GROUP = "speedd.engines"
SettingsT_co = TypeVar("SettingsT_co", covariant=True)


@dataclass(frozen=True, slots=True)
class EngineOptions(Generic[SettingsT_co]):
    """What an engine is given. It travels to the workers, so it is picklable."""

    settings: SettingsT_co
    """The table ``[engines.NAME]``, read by `EngineFactory.settings`; None for an engine that has no settings."""
    folder: Path | None = None
    """The engine's own folder, for what it computes and fetches. It need not exist yet. None: nothing is kept."""
    reserve_bytes: int = 512 << 20
    """Memory of a GPU that stays free for others (``[gpu] reserve_mb``)."""


OptionsOf: TypeAlias = Callable[[str], EngineOptions[Any]]
"""Gives the options of an engine by its name, or raises an `EngineError` if they are not complete."""


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
    fallbacks: tuple[Fallback, ...] = ()
    """Ways to need less memory, the mildest first; an engine that has some is `HasFallbacks`."""
    shares_cores: bool = True
    """For an engine on a CPU: whether several workers, each on one core, are better than one that uses them all."""
    revision: str = ""
    """Which of the published versions of the model's files it is (a commit), where that is known."""
    files: Mapping[str, str] = field(default_factory=dict)
    """The SHA-256 of each of the model's files, hex, by name, where `model_digest` comes from several."""
    patient_s_per_char: float = 0.025
    """Before anything is measured: what a text may take per character, with all that is spoken beside it."""
    drawback: str = ""
    """Why ``auto`` passes it over on this machine, in words that follow its name: ``finds no GPU that works``."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What the engine could take on now, and what that would cost.

    An engine knows costs and decides nothing: the worker's scheduler keeps the reserve and chooses what starts.

    Args:
        rows: utterances it can hold at once, those in hand included, whatever the memory.
        free_bytes: free memory of its device, as the device reports it, so that other programs count.
        row_bytes: what a row of `TextLimits.best_chars` comes to hold before its end.
        row_base_bytes: how much of that does not depend on the text; the rest grows with its length.
        idle_bytes: memory that the engine keeps from the device and does not use now, so that rows can have it too.
        held_bytes: what the rows in hand hold now; None where a row takes all of its memory when it starts.
        workspace_bytes: what must be free beside the rows at the worst moment (activations).
        tokens: how many tokens it has decoded since it was loaded; 0 where it does not count them.
        used_bytes: memory that the engine has taken from its device; 0 where that is the process's own memory.
    """

    rows: int
    free_bytes: int
    row_bytes: int
    row_base_bytes: int = 0
    idle_bytes: int = 0
    held_bytes: int | None = None
    workspace_bytes: int = 0
    tokens: int = 0
    used_bytes: int = 0


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    """The device had no room for these: an answer of `Engine.synthesize`, and no fault of any text.

    The engine has let go of them and goes on with the others in hand. They come again through the source, with the
    same seeds, when fewer run at once.
    """

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fallback:
    """A way to need less memory, to be taken when not even one row fits."""

    name: str
    """A word for the configuration: ``micro_batch``, ``short_reference``, ``cpu``."""
    numerics: Mapping[str, str] = field(default_factory=dict)
    """What of `EngineInfo.numerics` it changes; empty if the bits stay the same. Takes made with it say so.

    One that goes to another device names it as ``device``.
    """


class UtteranceSource(Protocol):
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
            VoiceError: if the voice cannot be used: what is to be spoken with it fails.
            DeviceFullError: if the device has no room for it now.
            EngineError: if the engine cannot be used, as of `EngineFactory.load`: it may be here that it is loaded.
        """

    def budget(self) -> Budget:
        """Say what can be taken on now. Cheap, from any thread."""

    def synthesize(self, source: UtteranceSource) -> Iterator[Take | Failed | OutOfMemory]:
        """Speak what the source gives until it is closed, in any order.

        Each utterance gets one `Take` or `Failed`, or is given back by an `OutOfMemory` and comes again. An engine that
        cannot go on after running out of memory raises `DeviceFullError`: that gives back all it has in hand.

        Raises:
            DeviceFullError: if the device has no room and nothing is left in hand.
            EngineError: if the engine cannot be used any more, as of `EngineFactory.load`.
        """

    def close(self) -> None:
        """Let go of everything."""


@runtime_checkable
class ReleasesMemory(Protocol):
    """An engine that keeps memory it does not use, and can let go of it."""

    def release_memory(self, *, shrink: bool = False) -> None:
        """Give memory that is not in use back to the device.

        Called between two answers of `Engine.synthesize`, and while it is not running: then room for rows is not in use
        either. It is taken anew when `synthesize` is called, for as many rows as then fit.

        Args:
            shrink: others need memory: until it is called again, half of that.
        """


@runtime_checkable
class HasFallbacks(Protocol):
    """An engine that has fallbacks."""

    def fall_back(self, names: tuple[str, ...]) -> None:
        """Let exactly these of `EngineInfo.fallbacks` hold from now on; none: as it was loaded.

        Called while nothing is in hand and `Engine.synthesize` is not running. A seed must give the same bits with
        the same fallbacks, whatever held in between.

        Raises:
            DeviceFullError: if there is no room to go back.
            EngineError: if the engine cannot be used any more, as of `EngineFactory.load`.
        """


@runtime_checkable
class EngineFactory(Protocol):
    """What an entry point of the group ``speedd.engines`` names. Importing it is cheap and imports no model library."""

    @property
    def settings(self) -> type[BaseModel] | None:
        """The table ``[engines.NAME]`` of the configuration; None: the engine has no settings.

        Unknown keys are refused whatever the model says of them. A relative path in a field of type `Path` is relative
        to the file that names it.
        """

    @property
    def rank(self) -> int:
        """Of the engines that can run here, that of the highest rank speaks under ``auto``; 0: only if it is named."""

    def describe(self, options: EngineOptions[Any]) -> EngineInfo:
        """Describe the engine without loading it. `numerics` may be incomplete.

        Raises:
            EngineError: if the engine cannot run here, with the reason and what to install.
        """

    def load(self, options: EngineOptions[Any]) -> Engine:
        """Load the model. Called in a worker process only.

        Raises:
            EngineError: if it cannot be loaded.
            DeviceFullError: if the device has no room for it now. An engine that is `HasFallbacks` says so in
                `Engine.prewarm` instead, and loads it there as soon as its fallbacks make room: here none can be taken.
        """


@runtime_checkable
class Prepares(Protocol):
    """A factory whose engine needs files that do not come with its package."""

    def prepare(self, options: EngineOptions[Any]) -> str:
        """Fetch what is missing and what is damaged: ``speedd check --download``, and nothing else, calls this.

        Returns:
            What to tell: what was fetched, and which version of it.

        Raises:
            EngineError: if it cannot be fetched.
            UsageError: if the settings say that it is not to be fetched.
        """


@runtime_checkable
class ClonesVoices(Protocol):
    """A factory that can say of a voice sample whether its engine could clone it."""

    def check_sample(self, sample: Path, options: EngineOptions[Any]) -> None:
        """See whether a sample will do. Cheap, and imports no model library.

        Raises:
            VoiceError: if it will not; says why.
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
        raise EngineError(
            f"There is no engine {name!r} (installed: {installed}).",
            hint="Set [engine] name to one of these, or to auto.",
        )
    try:
        factory = entries[0].load()
    except (ImportError, AttributeError) as error:
        raise EngineError(
            f"The engine {name!r} is installed but cannot be imported: {error}.",
            hint="Install it again.",
            brief="cannot be imported",
        ) from error
    if not isinstance(factory, EngineFactory):
        raise EngineError(
            f"The engine {name!r} was made for another version of speedd.",
            hint="Install a version of it that fits.",
            brief="was made for another version of speedd",
        )
    return factory
