"""`mammo-edge status`, `retry`, `replay`, `reload` and `forget`: the running daemon does them."""

import json
from argparse import Namespace
from datetime import UTC, datetime
from typing import Any

from edge.cli import standing
from edge.cli.layout import shown
from edge.cli.parser import make_parser
from edge.contract.messages import REPLAY_AT_ONCE
from edge.errors import ConfigError


def ask(arguments: Namespace, command: str, **fields: object) -> dict[str, Any]:
    """
    Ask the running daemon; raises as `standing.ask`.
    """
    return standing.ask(arguments.config, command, **fields)


def run_status(arguments: Namespace) -> int:
    """Show the running daemon's state; returns the exit status."""
    report = ask(arguments, "status")
    if arguments.json:
        print(json.dumps(report))
        return 0
    from edge.cli.status import look_around, screen  # noqa: PLC0415 - programs need none of it

    try:
        settings = standing.settings_of(arguments.config)
    except ConfigError:  # told by `ask`
        settings = None
    around = look_around(settings, datetime.now(UTC).astimezone())
    print(*map(shown, screen(report, around)), sep="\n")
    return 0


def run_retry(arguments: Namespace) -> int:
    """Have images examined again; returns the exit status."""
    chosen = {
        "reason": arguments.reason,
        "since": arguments.since,
        "all": arguments.all or None,
        "images": arguments.ids or None,
    }
    fields = {name: value for name, value in chosen.items() if value is not None}
    if not fields:
        make_parser().error("retry: say which images: IDs, --reason, --since or --all")
    answer = ask(arguments, "retry", **fields)
    print(
        json.dumps(answer)
        if arguments.json
        else "\n".join(f"{image_id} is examined again" for image_id in answer["images"])
    )
    return 0


def run_replay(arguments: Namespace) -> int:
    """Have earlier results sent over MQTT once more; returns the exit status."""
    count, since = 0, arguments.since
    topic = "exam" if arguments.exams else "result"
    while True:  # the daemon takes so many at a time
        answer = ask(arguments, "replay", since=since, topic=topic)
        count += answer["results"]
        if answer["results"] < REPLAY_AT_ONCE:
            break
        since = answer["last_seq"]
    print(json.dumps({"results": count}) if arguments.json else f"{count} results are sent again")
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
    if "dicom" in answer["changed"]:
        print("dicom changed: the receiver takes it after `systemctl restart mammo-edge-dicom`")
    return 0


def run_forget(arguments: Namespace) -> int:
    """Have an image, or an exam, erased; returns the exit status."""
    answer = ask(arguments, "forget", id=arguments.id, gone=arguments.gone)
    if arguments.json:
        print(json.dumps(answer))
        return 0
    counts = ("files", "results", "lines", "damaged_ledgers")
    print("erased:", ", ".join(f"{answer[key]} {key.replace('_', ' ')}" for key in counts))
    print("out of reach:", "; ".join(answer["out_of_reach"]))
    return 0
