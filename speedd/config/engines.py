"""The tables ``[engines.NAME]``: each engine brings the model that reads its own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from speedd.config.section import Section, expanded
from speedd.engines.base import EngineOptions, OptionsOf, available, find
from speedd.errors import EngineError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from speedd.config.settings import Config

NO_ENGINE = "no_engine"
"""The type of the fault of a table whose engine is not there."""


class NoSettings(Section):
    """Reads the table of an engine that has no settings."""


def read_tables(tables: Mapping[str, Any]) -> dict[str, BaseModel]:
    """Let each engine's model read its table. None of its libraries is imported.

    Raises:
        ValidationError: naming every fault with its path, from the engine's name on.
        EngineError: if an engine that has a table cannot be imported.
    """
    read: dict[str, BaseModel] = {}
    faults: list[InitErrorDetails] = []
    for name, table in tables.items():
        if name not in available():
            missing = PydanticCustomError(
                NO_ENGINE,
                "no engine of this name is installed (there are {names}): install the package that brings it, or remove"
                " its table",
                {"names": ", ".join(available())},
            )
            faults.append(InitErrorDetails(type=missing, loc=(name,), input=table))
            continue
        try:
            read[name] = _model(name).model_validate(with_absolute_paths(name, table, Path()), extra="forbid")
        except ValidationError as error:
            faults += [_below(name, fault) for fault in error.errors()]
    if faults:
        raise ValidationError.from_exception_data("engines", faults)
    return read


def with_absolute_paths(name: str, table: Any, base: Path) -> Any:
    """Return an engine's table with the relative paths in it made absolute; what is no such table stays as it is."""
    if not isinstance(table, Mapping) or name not in available():
        return table
    fields = _model(name).model_fields
    paths = {key for key, field in fields.items() if Path in (field.annotation, *get_args(field.annotation))}
    return {
        # Without "..", because people read these paths in what speedd tells them.
        key: os.path.normpath((base / expanded(Path(value))).absolute())
        if key in paths and isinstance(value, str) and value
        else value
        for key, value in table.items()
    }


def engine_options(config: Config) -> OptionsOf:
    """Return what gives each engine its options, by its name; it raises an `EngineError` where a setting is missing."""

    def options(name: str) -> EngineOptions[Any]:
        try:
            settings = config.engines.get(name) or _model(name)()
        except ValidationError as error:
            missing = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors())
            raise EngineError(
                f"The engine {name} needs settings that are not set: {missing}.",
                hint=f"Set them in [engines.{name}].",
                brief="needs settings that are not set",
            ) from error
        return EngineOptions(
            None if isinstance(settings, NoSettings) else settings,
            folder=config.paths.engines / name,
            reserve_bytes=config.gpu.reserve_mb * 2**20,
        )

    return options


def _model(name: str) -> type[BaseModel]:
    return find(name).settings or NoSettings


def _below(name: str, fault: ErrorDetails) -> InitErrorDetails:
    # Its message as it is: a template, which pydantic fills in only where it is given what to fill in.
    said = PydanticCustomError(fault["type"], fault["msg"])
    return InitErrorDetails(type=said, loc=(name, *fault["loc"]), input=fault["input"])
