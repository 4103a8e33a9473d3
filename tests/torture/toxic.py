"""Make messages that cannot be worked on, and have some end the daemon or raise in it."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from deploy.demo.daemon import TOPICS
from edge.contract.reference import parse_reference
from edge.daemon.control.mqtt import CommandIntake
from edge.daemon.pipeline import reception
from tests.support.scripted import string
from tests.torture import crashes

IMAGE: Final = f"{TOPICS}/request/image"
REFERENCE: Final = f"{TOPICS}/request/ref"
COMMAND: Final = f"{TOPICS}/command/model/list"
DEADLY: Final = "deadly"
"""A word that ends the daemon which works on it; the one below raises what nobody foresaw."""
RAISES: Final = "raises"
ASKED_BY: Final = b"\x08" + string(b"mammo/v1/demo/ws/elsewhere")
"""The property that names a response topic."""


@dataclass(frozen=True, slots=True)
class Toxic:
    """One message of a sender who is not honest, or does not know better."""

    topic: str
    payload: bytes
    scored: bool | None = None
    """True if its bytes are a film all the same, False if they are refused, None if dropped."""
    properties: bytes = b""
    retain: bool = False
    dup: bool = False


def toxics(number: int) -> Iterator[Toxic]:
    """Yield one of each kind, with other bytes for each number."""
    film = f"film of a bad request {number} ".encode() * 9
    for refused in (
        b"[" * 12_000 + b"%d" % number,
        b'{"name": "\\ud83d%d.png", "sha256": "' % number + b"0" * 64 + b'"}',
        json.dumps({"name": f"{number}/" + "a/" * 1000, "sha256": "0" * 64}).encode(),
        json.dumps({"name": f"{number}/" + "a/" * 500_000, "sha256": "0" * 64}).encode(),
        json.dumps({"name": f"../state/lock{number}", "sha256": "f" * 64}).encode(),
    ):
        yield Toxic(REFERENCE, refused, scored=False, properties=ASKED_BY)
    for why, properties in {
        b"repeated": ASKED_BY + ASKED_BY,
        b"no text": b"\x26" + string(b"note") + string(b"\xff"),
        b"unknown": b"\x7f\x00",
    }.items():
        yield Toxic(IMAGE, film + why, properties=properties)
    for why, topic in {b"wildcard": b"mammo/#", b"levels": b"mammo/" + b"a/" * 250}.items():
        yield Toxic(IMAGE, film + why, scored=True, properties=b"\x08" + string(topic))
    yield Toxic(IMAGE, film + b"retained", retain=True)
    yield Toxic(IMAGE, film + b"again", scored=True, dup=True)
    yield of_command(f"{number} {RAISES}", {RAISES: True})
    yield Toxic(COMMAND, b"[" * 60_000, properties=b"\x09" + string(b"%d too deep" % number))


def of_command(correlation: str, request: Mapping[str, object]) -> Toxic:
    """Return a command with its correlation data."""
    properties = b"\x09" + string(correlation.encode())
    return Toxic(COMMAND, json.dumps(request).encode(), properties=properties)


def arm(deaths: Path) -> None:
    """Have some words end this daemon, or raise in it; `deaths` gets a line for each end."""
    make = CommandIntake.__init__

    def parse_deadly(request: bytes) -> tuple[str, str]:
        if DEADLY.encode() in request:
            _die(deaths, request)
        return parse_reference(request)

    def make_with_words(self: CommandIntake, *args: Any) -> None:  # noqa: ANN401
        make(self, *args)
        self._handlers = {
            name: _heeding(handler, deaths) for name, handler in self._handlers.items()
        }

    vars(reception).update(parse_reference=parse_deadly)
    CommandIntake.__init__ = make_with_words  # type: ignore[assignment, method-assign]


def _heeding(
    handler: Callable[[Mapping[str, Any]], dict[str, Any]], deaths: Path
) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    def heeding(request: Mapping[str, Any]) -> dict[str, Any]:
        if DEADLY in request:
            _die(deaths, json.dumps(request).encode())
        if RAISES in request:
            raise RuntimeError(RAISES)
        return handler(request)

    return heeding


def _die(deaths: Path, request: bytes) -> None:
    with deaths.open("a") as file:
        file.write(hashlib.sha256(request).hexdigest() + "\n")
    crashes.die(workers_too=False)
