"""
The example configuration: every key with its meaning and its default.

`python -m edge.config.example` prints `deploy/edge.toml`.
"""

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, SecretStr

from edge.config.settings import PREFIX, Settings

HEAD: Final = f"""\
# mammo-edge configuration: /etc/mammo-edge/edge.toml
# Every key, with its default. Remove the # to change one.
# An environment variable {PREFIX}SECTION__KEY goes before this file,
# for example {PREFIX}BROKER__HOST=broker.lan
"""


def render() -> str:
    """Return the example file, written from the settings' own docstrings."""
    parts = [HEAD]
    for name, field in Settings.model_fields.items():
        parts.append("\n".join(_section(name, field.default)))
    return "\n".join(parts) + "\n"


def commented(section: str, key: str) -> str:
    """Return the line that stands in the example for a key of a section, such as `broker.tls`."""
    default: Any = Settings()
    for name in (*section.split("."), key):
        default = getattr(default, name)
    return _line(key, default)


def _section(name: str, default: BaseModel) -> Iterator[str]:
    yield from _comment(type(default).__doc__ or "")
    yield f"[{name}]"
    nested = []
    for key, field in type(default).model_fields.items():
        value = getattr(default, key)
        if isinstance(value, BaseModel):
            nested.append((f"{name}.{key}", value))
            continue
        yield from _comment(field.description or "")
        yield _line(key, value)
    for path, value in nested:
        yield ""
        yield from _section(path, value)
    yield ""


def _comment(text: str) -> Iterator[str]:
    for line in textwrap.wrap(" ".join(text.split()), 97):
        yield f"## {line}"


def _line(key: str, default: object) -> str:
    if default is None or isinstance(default, SecretStr):
        return f"# {key} ="
    value = str(default) if isinstance(default, Path) else default
    return f"# {key} = {json.dumps(value, ensure_ascii=False)}"


if __name__ == "__main__":
    print(render(), end="")  # noqa: T201 - this is the command
