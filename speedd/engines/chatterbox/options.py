"""What the configuration says about Chatterbox."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speedd.engines.chatterbox.families import FAMILIES, Family
from speedd.engines.chatterbox.memory.budget import FINISHED_ROWS
from speedd.errors import EngineError


@dataclass(frozen=True, slots=True)
class Options:
    """The settings of ``[chatterbox]``, and where to keep what was computed."""

    model: str = "english"
    weights: str = ""
    """A folder; empty for the Hugging Face cache."""
    revision: str = "main"
    device: str = "auto"
    precision: str = "auto"
    rows: int = 0
    """Utterances that T3 decodes side by side; 0: as many as suit the device."""
    finished_rows: int = FINISHED_ROWS
    """Utterances that T3 has spoken and that wait for S3Gen, at most, where it renders several together."""
    reference_s: float = 10.0
    """How much of a sample S3Gen is shown, in seconds."""
    watermark: bool = True
    reserve_bytes: int = 512 << 20
    """Memory of a GPU that stays free for others (``[gpu] reserve_mb``)."""
    state: str = ""
    """A folder for prepared voices and notes; empty: nothing is kept."""

    @property
    def family(self) -> Family:
        """The model that speaks.

        Raises:
            EngineError: if there is none of that name.
        """
        if self.model not in FAMILIES:
            raise EngineError(f"There is no Chatterbox model {self.model!r}.", hint=f"There are {', '.join(FAMILIES)}.")
        return FAMILIES[self.model]

    @property
    def state_folder(self) -> Path | None:
        """Where to keep what was computed."""
        return Path(self.state) if self.state else None


def read_options(options: Mapping[str, Any]) -> Options:
    """Read what the factory was given: a mapping that may hold a mapping ``chatterbox``."""
    given = dict(options.get("chatterbox", {}))
    return Options(**{key: value for key, value in given.items() if key in Options.__dataclass_fields__})
