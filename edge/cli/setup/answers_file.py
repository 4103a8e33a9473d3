"""Answers from a file: one for many devices, whose options say what differs."""

import tomllib
from argparse import Namespace
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge.errors import ConfigError

BESIDE: Final = ("password_file", "ca", "cert", "key")
"""Answers that are paths from the file's own folder, unless they begin with /."""
NAMES: Final = ("site", "device", "instance")
"""Answers that stand for `{site}` and so on in others."""


class AnswersFile(BaseModel):
    """The answers, by the names of the options of `mammo-edge setup`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    broker: str | None = None
    site: str | None = None
    device: str | None = None
    inbox: str | None = None
    username: str | None = None
    password_file: str | None = Field(None, alias="password-file")
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    coral: bool | None = None
    instance: str | None = None


def completed(arguments: Namespace) -> Namespace:
    """
    Return the options of `setup`, completed by the answers of the file of `--from`.

    Raises:
        ConfigError: the file cannot be read, has other answers, or names a device by its name,
            which nobody said.
    """
    file: Path | None = arguments.answers
    if file is None:
        return arguments
    said = {name: value for name, value in _read(file) if getattr(arguments, name) is None}
    names = {name: getattr(arguments, name) or said.get(name) for name in NAMES}
    for name in sorted(said, key=lambda name: name not in NAMES):  # a device may have its site's
        value = said[name]
        if isinstance(value, str):
            said[name] = _filled(f"{file}: {name.replace('_', '-')}", value, names)
        if name in NAMES:
            names[name] = said[name]
    for name in BESIDE:
        if (path := said.get(name)) not in (None, "-"):
            said[name] = str(file.parent / path) if name == "password_file" else file.parent / path
    return Namespace(**{**vars(arguments), **said})


def _read(file: Path) -> list[tuple[str, Any]]:
    try:
        found = AnswersFile.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        msg = f"{file}: {error.strerror}"
        raise ConfigError(msg) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        known = ", ".join(field.alias or name for name, field in AnswersFile.model_fields.items())
        unknown = f"unknown, expected one of {known}"
        why = unknown if first["type"] == "extra_forbidden" else first["msg"]
        msg = f"{file}: {'.'.join(map(str, first['loc']))}: {why}"
        raise ConfigError(msg) from None
    except ValueError as error:
        msg = f"{file}: {error}"
        raise ConfigError(msg) from None
    return [(name, value) for name, value in found.model_dump().items() if value is not None]


def _filled(what: str, text: str, names: dict[str, str | None]) -> str:
    for name, value in names.items():
        if f"{{{name}}}" in text:
            if value is None:
                msg = f"{what}: found {text!r} and no {name}: say --{name}"
                raise ConfigError(msg)
            text = text.replace(f"{{{name}}}", value)
    return text
