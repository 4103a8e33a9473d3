"""
`mammo-edge try`: a sample film through the whole path, from the inbox to the subscribers.

The film is one that the shipped bundle is proved with. Each try adds a text of its own to the PNG,
so that the daemon meets an image that it does not know.
"""

import contextlib
import errno
import hashlib
import json
import sys
import time
import uuid
import zlib
from argparse import Namespace
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

from edge.cli import exits, remedies, standing
from edge.cli.layout import shown
from edge.cli.output import RESULT_HEAD, print_table, result_row
from edge.cli.status import plain
from edge.config.settings import Settings
from edge.errors import Unavailable
from edge.models.active import shipped_bundle
from edge.mqtt.topics import Topics
from edge.storage.ledger.exam_sinks import DICOM, DICOM_MAP
from edge.storage.ledger.queries import Told, open_queries

FILM: Final = "known/3.png"
RESULT_S: Final = 120.0
"""Seconds to wait for a result."""
DELIVERY_S: Final = 20.0
"""Seconds to wait for its delivery after that."""
LOOK_S: Final = 0.2
END: Final = 12
"""Bytes of a PNG's last chunk, IEND: length, type, checksum."""


def run(arguments: Namespace) -> int:
    """Try the running daemon; returns the exit status."""
    settings = standing.settings_of(arguments.config)
    return try_film(settings, arguments.config, as_json=arguments.json)


def try_film(settings: Settings, config: Path | None, *, as_json: bool = False) -> int:
    """
    Give the running daemon a film, and show the result once its sinks have it.

    Returns:
        The exit status; 1 if the film is rejected, or if its result still waits for a sink.

    Raises:
        Unavailable: no daemon answers, none watches the inbox, the inbox cannot be written to, or
            no result came in time.
    """
    if standing.ask(config, "status")["inbox"] is None:
        msg = "the daemon watches no inbox (`[intake] folder`), so no film can be dropped"
        raise Unavailable(msg)
    film = sample()
    path = drop(settings.inbox.path, film)
    print(shown(f"dropped {path}"), file=sys.stderr)
    told = _await(settings.state.path, hashlib.sha256(film).hexdigest())
    result = json.loads(told.payload) if told else None
    if told is None or told.waits_for:
        _complain(config)
    if told is None or result is None:
        msg = f"no result within {RESULT_S:g} s; the film stays, and its result is published later"
        raise Unavailable(msg)
    print(json.dumps(result)) if as_json else _tell(settings, config, told, result)
    well = result["outcome"] != "rejected" and not told.waits_for
    return exits.DONE if well else exits.FAILED


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
        Unavailable: the inbox cannot be written to.
    """
    path = inbox / f"mammo-edge-try-{uuid.uuid4().hex[:8]}.png"
    part = path.with_suffix(".part")
    try:
        part.write_bytes(film)
        part.chmod(0o644)
        part.rename(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        rights = error.errno in {errno.EACCES, errno.EPERM}
        who = "run this as root, or as a user of the groups `mammo-edge` and `mammo-inbox`"
        msg = f"{inbox}: {error.strerror}{f': {who}' if rights else ''}"
        raise Unavailable(msg) from None
    return path


def _await(state: Path, image_id: str) -> Told | None:
    """Look for the result, and then for its delivery; None if there is no result in time."""
    told, deadline = None, time.monotonic() + RESULT_S
    while time.monotonic() < deadline:
        time.sleep(LOOK_S)
        with open_queries(state) as queries:
            found = queries.told(image_id)
        if found and not found.waits_for:
            return found
        if found and told is None:
            deadline = time.monotonic() + DELIVERY_S
        told = found
    return told


def _complain(config: Path | None) -> None:
    report = standing.ask(config, "status")
    for reason, code in zip_longest(report["reasons"], report["reason_codes"]):
        print(shown(f"{reason}: {remedies.about(code)}"), file=sys.stderr)


def _tell(settings: Settings, config: Path | None, told: Told, result: dict[str, Any]) -> None:
    print_table(RESULT_HEAD, [result_row(result)])
    for line in _lines(settings, told, result):
        print(shown(line))
    ours = f" --config {config}" if config else ""
    print(f"`mammo-edge{ours} forget {result['image_id'][:12]}` takes it out of this device again")


def _lines(settings: Settings, told: Told, result: dict[str, Any]) -> Iterator[str]:
    if result["outcome"] == "rejected":
        yield plain(remedies.about_rejection("; ".join(result["gate"]["reasons"])))
    places = {
        "mqtt": Topics.of(settings.device).result,
        "jsonl": settings.publish.jsonl,
        DICOM: "the PACS",
        DICOM_MAP: "the PACS, as a picture of its map,",
    }
    for sink in settings.sink_names:
        waits = sink in told.waits_for
        if sink in {DICOM, DICOM_MAP} and not waits:
            what = "report" if sink == DICOM else "map"
            yield f"no {what} to the PACS: the film is a PNG, not DICOM"
        else:
            state = "waits for" if waits else "published to"
            yield f"seq {result['seq']} {state} {places[sink]}"
