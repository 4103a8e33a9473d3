"""
The configuration for commands that speak to the running daemon.

Once the present one is refused, the daemon goes on with the last that worked. So do they, and say
so; who may not read that one still reaches the daemon by its socket.
"""

import os
import sys
from pathlib import Path
from typing import Any

from edge.config.last_good import LastGood, named_path
from edge.config.load import load, read_environment
from edge.config.network import Control
from edge.config.paths import DEFAULT_CONFIG
from edge.config.settings import PREFIX, Settings
from edge.daemon.control import unix_socket
from edge.errors import ConfigError, Unavailable

GOES_ON = "the daemon goes on with the configuration that worked last"


def settings_of(config: Path | None) -> Settings:
    """
    Read the configuration, or the one that worked last.

    Raises:
        ConfigError: it is refused, and the other may not be read or does not stand in for it.
    """
    try:
        return load(config)
    except ConfigError as refused:
        return LastGood(config or DEFAULT_CONFIG, read_environment()).instead_of(refused)


def ask(config: Path | None, command: str, **fields: object) -> dict[str, Any]:
    """
    Ask the running daemon, also while its configuration is refused.

    Raises:
        ConfigError: the configuration is refused, and no daemon answers.
        Unavailable: no daemon answers, or it refuses; the text says why.
    """
    try:
        socket = load(config).control.socket
    except ConfigError as refused:
        return _ask_all_the_same(refused, _socket(config, refused), command, fields)
    return unix_socket.ask(socket, command, **fields)


def tell(refused: ConfigError) -> None:
    """Say what is wrong with the configuration, and what is used instead."""
    print(f"mammo-edge: configuration refused: {refused}", file=sys.stderr)
    print(f"mammo-edge: {GOES_ON}", file=sys.stderr)


def _ask_all_the_same(
    refused: ConfigError, socket: Path, command: str, fields: dict[str, object]
) -> dict[str, Any]:
    try:
        answer = unix_socket.ask(socket, command, **fields)
    except unix_socket.NoDaemonError:
        raise refused from None
    except Unavailable:
        tell(refused)
        raise
    tell(refused)
    return answer


def _socket(config: Path | None, refused: ConfigError) -> Path:
    """Find the daemon's socket without the rest; raises `refused` if nobody says where it is."""
    file = config or DEFAULT_CONFIG
    if named := os.environ.get(f"{PREFIX}CONTROL__SOCKET"):
        return Path(named)
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        if file != DEFAULT_CONFIG:  # of another daemon, or mistyped
            raise refused from None
        text = ""
    return named_path(text, "control", "socket") or Control().socket
