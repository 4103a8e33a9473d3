"""`mammo-edge status`, `retry` and `reload`: requests that only the running daemon can do."""

import json
from argparse import Namespace
from datetime import UTC, datetime
from typing import Any

from edge.config.load import load
from edge.daemon.control import unix_socket


def ask(arguments: Namespace, command: str, **fields: object) -> dict[str, Any]:
    """
    Ask the running daemon.

    Raises:
        Unavailable: no daemon answers, or it refuses; the text says why.
    """
    return unix_socket.ask(load(arguments.config).control.socket, command, **fields)


def run_status(arguments: Namespace) -> int:
    """Show the running daemon's state; returns the exit status."""
    report = ask(arguments, "status")
    if arguments.json:
        print(json.dumps(report))
        return 0
    from edge.cli.status import look_around, screen  # noqa: PLC0415 - programs need none of it

    around = look_around(load(arguments.config), datetime.now(UTC).astimezone())
    print(*screen(report, around), sep="\n")
    return 0


def run_retry(arguments: Namespace) -> int:
    """Have images examined again; returns the exit status."""
    answer = ask(arguments, "retry", images=arguments.ids)
    print(
        json.dumps(answer)
        if arguments.json
        else "\n".join(f"{image_id} is examined again" for image_id in answer["images"])
    )
    return 0


def run_reload(arguments: Namespace) -> int:
    """Have the daemon read its configuration again; returns the exit status."""
    answer = ask(arguments, "reload")
    if arguments.json:
        print(json.dumps(answer))
        return 0
    print(f"serving bundle {answer['bundle'][:16]}")
    if answer["needs_restart"]:
        print(f"changed, and taken at the next restart only: {', '.join(answer['needs_restart'])}")
    return 0
