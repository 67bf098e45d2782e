"""What one of the measuring programs is told to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

STOCK = "stock"
OUT_OF_MEMORY = "out_of_memory"
"""What a program says instead of what it measured when the device had no room."""
DECLARATION = "generated.json"
"""Beside generated weights: their seed and their size."""
GIB = 2**30
"""Cards are sold by GB of so many bytes."""
TOKENS_PER_SECOND = 25
REFERENCES_S = (10.0, 3.0)
"""How much of a voice's reference S3Gen is shown: as much as stock takes, and as little as is advisable."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to measure."""

    weights: str
    """A folder."""
    model: str
    what: str
    """`STOCK`, or the precision of our T3."""
    device: str = "cpu"
    threads: int = 1
    chunks: int = 16
    """Spoken side by side (by stock one after the other)."""
    tokens: int = 150
    """Speech tokens of each chunk: 6 s."""
    reference_s: float = 10.0
    """How much of the voice's reference the whole engine uses."""
    watermark: bool = True
    """Whether the long run marks what it makes."""
    memory_gb: int = 0
    """The graphics card is taken for one of so many GB; 0: as large as it is."""

    @property
    def folder(self) -> Path:
        """Where the weights lie."""
        return Path(self.weights)
