"""
`mammo-edge try`: a sample film through the whole path, from the inbox to the subscribers.

The film is one that the shipped bundle is proved with. Each try adds a text of its own to the PNG,
so that the daemon meets an image that it does not know.
"""

import hashlib
import json
import sys
import time
import uuid
import zlib
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge.cli import exits, standing
from edge.cli.layout import shown
from edge.cli.output import RESULT_HEAD, print_table, result_row
from edge.config.settings import Settings
from edge.daemon.workers.servable import shipped_bundle
from edge.errors import ConfigError, Unavailable
from edge.mqtt.topics import Topics
from edge.storage.ledger.queries import open_queries

FILM: Final = "known/3.png"
PATIENCE_S: Final = 120.0
LOOK_S: Final = 0.2
END: Final = 12
"""Bytes of a PNG's last chunk, IEND: length, type, checksum."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of the film, and if it is on its way."""

    result: Mapping[str, Any]
    delivered: bool
    """True if every sink has taken it."""


def run(arguments: Namespace) -> int:
    """Try the running daemon; returns the exit status."""
    settings = standing.settings_of(arguments.config)
    return try_film(settings, arguments.config, as_json=arguments.json)


def try_film(settings: Settings, config: Path | None, *, as_json: bool = False) -> int:
    """
    Give the running daemon a film, and show the result once its sinks have it.

    Returns:
        The exit status; 1 if there was no result, or if one waits for a sink.

    Raises:
        ConfigError: the inbox cannot be written to.
        Unavailable: no daemon answers.
    """
    state = standing.ask(config, "status")
    with open_queries(settings.state.path) as queries:
        after = max((json.loads(one)["seq"] for one in queries.results(limit=1)), default=0)
    film = sample()
    path = drop(settings.inbox.path, film)
    answer = _await(settings.state.path, hashlib.sha256(film).hexdigest(), after)
    if answer is None:
        for reason in state["reasons"]:
            print(shown(reason), file=sys.stderr)
        msg = f"no result within {PATIENCE_S:g} s for {path}: see `mammo-edge status`"
        raise Unavailable(msg)
    if as_json:
        print(json.dumps(answer.result))
    else:
        _tell(settings, path, answer)
    return exits.DONE if answer.delivered else exits.FAILED


def sample() -> bytes:
    """Return a film as PNG that no daemon has seen."""
    film = (shipped_bundle() / FILM).read_bytes()
    text = b"tEXtComment\0mammo-edge try " + str(uuid.uuid4()).encode()
    chunk = (len(text) - 4).to_bytes(4, "big") + text + zlib.crc32(text).to_bytes(4, "big")
    return film[:-END] + chunk + film[-END:]


def drop(inbox: Path, film: bytes) -> Path:
    """
    Write a film as careful senders do, under a name that is left alone until it is whole.

    Raises:
        ConfigError: the inbox cannot be written to.
    """
    path = inbox / f"mammo-edge-try-{uuid.uuid4().hex[:8]}.png"
    part = path.with_suffix(".part")
    try:
        part.write_bytes(film)
        part.chmod(0o644)
        part.rename(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        advice = "run this as root, or as a user of the group `mammo-inbox`"
        msg = f"{inbox}: {error.strerror}: {advice}"
        raise ConfigError(msg) from None
    return path


def _await(state: Path, image_id: str, after: int) -> Answer | None:
    """Look for the result until every sink has it; None if there is none in time."""
    deadline = time.monotonic() + PATIENCE_S
    answer: Answer | None = None
    while time.monotonic() < deadline and not (answer and answer.delivered):
        time.sleep(LOOK_S)
        with open_queries(state) as queries:
            for payload in queries.each_result(after):
                result = json.loads(payload)
                if result["image_id"] == image_id:
                    answer = Answer(result, not queries.is_undelivered(result["seq"]))
    return answer


def _tell(settings: Settings, path: Path, answer: Answer) -> None:
    print(shown(f"dropped {path}"))
    print_table(RESULT_HEAD, [result_row(answer.result)])
    topic = f"on {Topics.of(settings.device).result}" if settings.publish.mqtt else "to the file"
    seq = answer.result["seq"]
    print(
        f"published {topic}, seq {seq}"
        if answer.delivered
        else f"seq {seq} waits for its way out: see `mammo-edge status`"
    )
    print(
        "Subscribers saw a result like any other; "
        f"`mammo-edge forget {answer.result['image_id'][:12]}` takes it out of this device."
    )
