"""What all tables of the configuration have in common."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table of the configuration; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def expanded(path: Path) -> Path:
    """Expand a leading ``~``."""
    with suppress(RuntimeError):  # no such user: it stays as it is, and cannot be made
        return path.expanduser()
    return path
