"""
Loading: a TOML file, overridden by variables MAMMO_EDGE_SECTION__KEY.

Unknown keys and variables are refused. A refusal names the key or the variable, never a value:
values may be secret.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import EnvSettingsSource

from edge.config.paths import DEFAULT_CONFIG
from edge.config.section import Section
from edge.config.settings import PREFIX, Settings
from edge.errors import ConfigError

Overrides: TypeAlias = dict[str, Any]
"""Values from the environment, by section and key."""


def read_environment() -> Overrides:
    """
    Read the variables MAMMO_EDGE_SECTION__KEY.

    Raises:
        ConfigError: a variable names no section, or a section and no key.
    """
    for variable in filter(is_ours, os.environ):
        path = variable[len(PREFIX) :].lower().split("__")
        if path[0] not in Settings.model_fields:
            msg = (
                f"{variable}: unknown variable, expected {PREFIX}SECTION__KEY "
                f"with one of {', '.join(Settings.model_fields)}"
            )
            raise ConfigError(msg)
        if _is_section(path):
            msg = (
                f"{variable}: a section, expected {variable}__KEY with "
                f"one of {', '.join(_known_keys(path))}"
            )
            raise ConfigError(msg)
    return EnvSettingsSource(Settings)()


def is_ours(variable: str) -> bool:
    """Say if an environment variable configures mammo-edge, in capitals or not."""
    return variable.upper().startswith(PREFIX)


def load(path: Path | None = None, overrides: Overrides | None = None) -> Settings:
    """
    Read the configuration.

    Args:
        path: the TOML file; by default /etc/mammo-edge/edge.toml, which may be absent.
        overrides: values from `read_environment`, which is called if there are none.

    Raises:
        ConfigError: the file cannot be read, or a key or variable is wrong or unknown; the text
            names it, never a value.
    """
    overrides = read_environment() if overrides is None else overrides
    file = path or DEFAULT_CONFIG
    data = _read_toml(file) if path or _may_exist(file) else {}
    _refuse_unknown(data, file)
    try:
        return Settings(**_merge(data, overrides))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ConfigError(_explain(first, file, overrides)) from None


def _may_exist(file: Path) -> bool:
    """
    Return False only if the file is known to be absent.

    A folder that may not be searched is an error to report, not an empty configuration.
    """
    try:
        return file.exists()
    except PermissionError:
        return True


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"{file}: {error.strerror}"
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = f"{file}: not TOML: {error}"
    raise ConfigError(msg)


def _refuse_unknown(data: Mapping[str, object], file: Path) -> None:
    sections = Settings.model_fields
    for name in data:
        if name not in sections:
            msg = f"{file}: [{name}]: unknown, expected one of {', '.join(sections)}"
            raise ConfigError(msg)


def _merge(data: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(data)
    for key, value in overrides.items():
        below = merged.get(key)
        merged[key] = (
            _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
        )
    return merged


def _explain(error: ErrorDetails, file: Path, overrides: Overrides) -> str:
    path = [str(part) for part in error["loc"]]
    source = (
        PREFIX + "__".join(path).upper()
        if path and _holds(overrides, path)
        else ": ".join(filter(None, [str(file), ".".join(path)]))
    )
    if error["type"] != "extra_forbidden":
        return f"{source}: {error['msg'].removeprefix('Value error, ')}"
    return f"{source}: unknown key, expected one of {', '.join(_known_keys(path[:-1]))}"


def _holds(overrides: Any, path: list[str]) -> bool:  # noqa: ANN401 - a tree of dicts
    for name in path:
        if not isinstance(overrides, dict) or name not in overrides:
            return False
        overrides = overrides[name]
    return True


def _is_section(path: list[str]) -> bool:
    default: Any = Settings()
    for name in path:
        default = getattr(default, name, None)
    return isinstance(default, Section)


def _known_keys(section: list[str]) -> list[str]:
    model: Any = Settings
    for name in section:
        model = model.model_fields[name].annotation
    return list(model.model_fields)
