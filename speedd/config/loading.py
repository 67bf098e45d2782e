"""Where the configuration comes from: the command line, the environment, a file, defaults."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from speedd.config.engines import NO_ENGINE, with_absolute_paths
from speedd.config.section import expanded
from speedd.config.settings import Config
from speedd.engines.base import available
from speedd.errors import ConfigError

ENVIRONMENT_PREFIX = "SPEEDD_"
PRONUNCIATIONS_NAME = "pronunciations.toml"


def load_config(
    file: Path | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Config:
    """Load the configuration.

    Args:
        file: the file to read; by default the first that exists of the usual places, or none.
        overrides: nested values from the command line.
        environment: by default the process's own.
    Raises:
        ConfigError: naming every fault with its path.
    """
    environment = os.environ if environment is None else environment
    file = file or default_file(environment)
    values: dict[str, Any] = {"paths": default_paths(environment)}
    values = merge(values, read_file(file) if file else {})
    pinned = pinned_values(overrides, environment)
    places = [*([str(file)] if file else []), *(["the SPEEDD_ environment or the command line"] if pinned else [])]
    return validated(merge(values, pinned), origin=" or ".join(places) or "the defaults")


def pinned_values(overrides: Mapping[str, Any] | None, environment: Mapping[str, str]) -> dict[str, Any]:
    """What stands above per-book settings: the environment, and over it the command line."""
    return merge(read_environment(environment), overrides or {})


def default_paths(environment: Mapping[str, str]) -> dict[str, Path]:
    """Where things lie when nothing says so: the unit's directories under systemd, else the user's home."""
    if state := environment.get("STATE_DIRECTORY"):
        base = Path(state.split(":")[0])
        folders = {name: base / name for name in ("inbox", "outbox", "voices", "state")}
        beside = Path(environment.get("CONFIGURATION_DIRECTORY", state).split(":")[0])
        return folders | {"pronunciations": beside / PRONUNCIATIONS_NAME}
    home = Path(environment.get("HOME") or Path.home())
    state_home = Path(environment.get("XDG_STATE_HOME") or home / ".local" / "state")
    return {
        "inbox": home / "speedd" / "inbox",
        "outbox": home / "speedd" / "outbox",
        "voices": home / "speedd" / "voices",
        "state": state_home / "speedd",
        "pronunciations": _config_home(environment, home) / PRONUNCIATIONS_NAME,
    }


def _config_home(environment: Mapping[str, str], home: Path) -> Path:
    return Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "speedd"


def default_file(environment: Mapping[str, str]) -> Path | None:
    """The configuration file that is read when none is named, if it exists."""
    places = [
        Path(environment[key].split(":")[0]) / "speedd.toml"
        for key in ("CONFIGURATION_DIRECTORY",)
        if key in environment
    ]
    home = Path(environment.get("HOME") or Path.home())
    places.append(_config_home(environment, home) / "speedd.toml")
    places.append(Path("/etc/speedd/speedd.toml"))
    return next((place for place in places if place.is_file()), None)


def read_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """Turn ``SPEEDD_INBOX__SETTLE_S=3`` into ``{"inbox": {"settle_s": "3"}}``. Values stay text."""
    nested: dict[str, Any] = {}
    for key, value in environment.items():
        if key.startswith(ENVIRONMENT_PREFIX) and "__" in key:
            *sections, name = key.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
            one: dict[str, Any] = {name: value}
            for section in reversed(sections):
                one = {section: one}
            nested = merge(nested, one)
    return nested


def read_file(path: Path) -> dict[str, Any]:
    """Read a TOML configuration and make its relative paths absolute.

    Raises:
        ConfigError: if it cannot be read or is no TOML.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"The configuration {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"The configuration {path} is no TOML: {error}.") from error
    base = path.resolve().parent
    if isinstance(engines := values.get("engines"), dict):
        values["engines"] = {name: with_absolute_paths(name, table, base) for name, table in engines.items()}
    paths = values.get("paths")
    if isinstance(paths, dict):
        values["paths"] = {
            # Without "..", because people read these paths in what speedd tells them.
            k: Path(os.path.normpath(base / expanded(Path(v)))) if isinstance(v, str) else v
            for k, v in paths.items()
        }
    return values


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay nested ``above`` over ``below`` and return the result."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def validated(values: Mapping[str, Any], *, origin: str) -> Config:
    """Check values and make them a configuration.

    Raises:
        ConfigError: naming every fault with its path, and where the values come from.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(describe_faults(error, origin)) from error


def describe_faults(error: ValidationError, origin: str) -> str:
    """Write every fault of a validation on a line of its own, with its dotted path."""
    faults = [f"  {'.'.join(str(part) for part in fault['loc'])}: {_plain(fault)}" for fault in error.errors()]
    return f"{len(faults)} setting{'s are' if len(faults) > 1 else ' is'} wrong in {origin}:\n" + "\n".join(faults)


def _plain(fault: Any) -> str:
    if fault["type"] == "extra_forbidden":
        table, *inside = fault["loc"]
        own = not inside and table in available()
        return f"the settings of an engine stand in [engines.{table}]" if own else "there is no such setting"
    if fault["type"] == "missing":
        return "it has to be set"
    words = fault["msg"].removeprefix("Value error, ")  # pydantic's, before what our own checks say
    told = f"{words[0].lower()}{words[1:]}"
    return told if fault["type"] == NO_ENGINE else f"{told} (it is {fault['input']!r})"
