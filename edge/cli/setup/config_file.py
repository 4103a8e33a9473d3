"""Edits of edge.toml that keep an operator's own comments, order and values."""

import re
import tomllib
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit import TOMLDocument

from edge.config import example
from edge.errors import ConfigError


def tables_of(config: Path) -> dict[str, Any]:
    """
    Read the tables of a configuration; empty if there is no file.

    Raises:
        ConfigError: the file cannot be read, is not TOML, or has a value instead of a table.
    """
    try:
        found = tomllib.loads(_text(config))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        msg = f"{config}: {getattr(error, 'strerror', None) or error}: remove it or mend it first"
        raise ConfigError(msg) from None
    _refuse_no_table(config, found)
    _refuse_no_table(config, {"broker.tls": found.get("broker", {}).get("tls", {})})
    return found


def edited(config: Path, values: Mapping[str, Mapping[str, object]]) -> str:
    """
    Return the configuration's text with some values set, and all else as it stands.

    Args:
        config: an existing file, already read by `tables_of`; if there is none, the text is that
            of `deploy/edge.toml` with the values in it.
        values: the keys to set, by table; a table's name may have a dot.

    Raises:
        ConfigError: a value is no text in UTF-8.
    """
    text = _text(config) if config.exists() else example.render()
    for name, keys in values.items():
        for key in keys:
            text = _with_line(text, name, key)
    document = tomlkit.parse(text)
    for name, keys in values.items():
        table = _table(document, name)
        for key, value in keys.items():
            if table.get(key) != value:
                table[key] = value
    return _encodable(tomlkit.dumps(document))


def _with_line(text: str, name: str, key: str) -> str:
    """
    Give an unset key a line in its table, for tomlkit to set.

    The line takes the place of the key's commented default, otherwise it follows the table's last
    value: tomlkit itself would append it below comments that belong to the next table.
    """
    section = re.search(rf"^\[{re.escape(name)}\].*\n(?:(?!\[).*\n)*", text, re.MULTILINE)
    tables = tomllib.loads(text)
    if section is None or key in _below(tables, name):
        return text
    lines = section.group().splitlines(keepends=True)
    default, line = f"{example.commented(name, key)}\n", f'{key} = ""\n'
    if default in lines:
        lines[lines.index(default)] = line
    else:
        last = max(at for at, one in enumerate(lines) if not re.match(r"\s*(#|$)", one))
        lines.insert(last + 1, line)
    placed = f"{text[: section.start()]}{''.join(lines)}{text[section.end() :]}"
    _below(tables, name)[key] = ""
    return placed if _is(placed, tables) else text


def _is(text: str, tables: dict[str, Any]) -> bool:
    """Say if a text has these tables: a line within a string of many lines is none of them."""
    try:
        return tomllib.loads(text) == tables
    except tomllib.TOMLDecodeError:
        return False


def _below(tables: dict[str, Any], name: str) -> Any:  # noqa: ANN401 - a tree of tables
    """Return a table by its name with dots, made if there is none."""
    for part in name.split("."):
        tables = tables.setdefault(part, {})
    return tables


def _table(document: TOMLDocument, name: str) -> MutableMapping[str, object]:
    """Return a table by its name with dots, added at the end if there is none."""
    table: MutableMapping[str, Any] = document
    for part in name.split("."):
        if part not in table:
            table[part] = tomlkit.table()
        table = table[part]
    return table


def _text(config: Path) -> str:
    return config.read_bytes().decode()


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        msg = "an answer has bytes that are no text in UTF-8"
        raise ConfigError(msg) from None
    return text


def _refuse_no_table(config: Path, found: Mapping[str, Any]) -> None:
    for name, table in found.items():
        if not isinstance(table, dict):
            msg = (
                f"{config}: {name}: found a single value or a list, expected a "
                f"table, [{name}]: remove it or mend it first"
            )
            raise ConfigError(msg)
