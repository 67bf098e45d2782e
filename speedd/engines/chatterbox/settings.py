"""The settings of Chatterbox: the table ``[engines.chatterbox]`` of the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from speedd.engines.chatterbox.families import FAMILIES, Family
from speedd.engines.chatterbox.memory.budget import FINISHED_ROWS


def _published(model: str) -> str:
    if model not in FAMILIES:
        raise ValueError(f"there are {', '.join(FAMILIES)}")
    return model


class ChatterboxSettings(BaseModel):
    """What a user can choose; ``config/speedd.toml`` says the same for people."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    model: Annotated[str, AfterValidator(_published)] = "english"
    weights: Annotated[Path | None, BeforeValidator(lambda given: given or None)] = None
    """A folder; None, or an empty text: the Hugging Face cache."""
    revision: Annotated[str, Field(pattern=r"^[A-Za-z0-9._/-]{1,128}$")] = "main"
    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    precision: Literal["auto", "fp32", "bf16", "int8"] = "auto"
    rows: Annotated[int, Field(ge=0, le=512)] = 0
    """Utterances that T3 decodes side by side; 0: as many as suit the device."""
    finished_rows: Annotated[int, Field(ge=1, le=512)] = FINISHED_ROWS
    """Utterances that T3 has spoken and that wait for S3Gen, at most, where it renders several together."""
    reference_s: Annotated[float, Field(ge=1, le=10)] = 10.0
    """How much of a sample S3Gen is shown, in seconds."""
    watermark: bool = True

    @property
    def family(self) -> Family:
        """The model that speaks."""
        return FAMILIES[self.model]
