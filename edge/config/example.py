"""
Every key with its meaning, as a configuration file: `python -m edge.config.example` prints
`deploy/edge.toml`, where all are defaults.
"""

import json
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from edge.config.settings import PREFIX, Settings

HEAD = f"""\
# mammo-edge configuration: /etc/mammo-edge/edge.toml
# Every key, with its default. Remove the # to change one.
# An environment variable {PREFIX}SECTION__KEY goes before this file, for example {PREFIX}BROKER__HOST=broker.lan
"""  # noqa: E501


def render(chosen: Mapping[str, Any] | None = None) -> str:
    """
    A configuration file, from the settings' own docstrings.

    Args:
        chosen: what is not left at its default, as TOML would give it: tables of values.
    """
    parts = [HEAD]
    for name, field in Settings.model_fields.items():
        parts.append("\n".join(_section(name, field.default, (chosen or {}).get(name, {}))))
    return "\n".join(parts) + "\n"


def _section(name: str, default: BaseModel, chosen: Mapping[str, Any]) -> Iterator[str]:
    yield from _comment(type(default).__doc__ or "", "")
    yield f"[{name}]"
    nested = []
    for key, field in type(default).model_fields.items():
        value = getattr(default, key)
        if isinstance(value, BaseModel):
            nested.append((f"{name}.{key}", value, chosen.get(key, {})))
            continue
        yield from _comment(field.description or "", "")
        yield (
            f"{key} = {_toml(chosen[key])}"
            if key in chosen
            else f"# {key} = {_toml(value)}".rstrip()
        )
    for path, value, below in nested:
        yield ""
        yield from _section(path, value, below)
    yield ""


def _comment(text: str, indent: str) -> Iterator[str]:
    for line in textwrap.wrap(" ".join(text.split()), 116):
        yield f"{indent}## {line}"


def _toml(value: Any) -> str:  # noqa: ANN401 - whatever a setting may be
    if value is None or isinstance(value, SecretStr):
        return ""
    text = json.dumps(
        str(value) if isinstance(value, Path) else value, ensure_ascii=False
    )  # TOML knows no surrogate pairs
    return text.replace("\x7f", "\\u007f")  # the one control character that JSON leaves as it is


if __name__ == "__main__":
    print(render(), end="")  # noqa: T201 - this is the command
