"""One entry of the audit log: a line of canonical JSON that names the entry before by its hash."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

NONE: Final = "0" * 64
"""The hash before the first entry."""
HASH: Final = re.compile(r"[0-9a-f]{64}")
FIELDS: Final[Mapping[str, type]] = {
    "number": int,
    "at": str,
    "event": str,
    "by": dict,
    "details": dict,
    "previous": str,
    "hash": str,
}
"""The fields of an entry, with the type of each."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The one who had something done: a user of this machine, a topic, a signal, or the daemon."""

    uid: int | None = None
    topic: str | None = None
    signal: str | None = None

    def said(self) -> dict[str, int | str]:
        """Return the caller as an entry has it; the daemon itself is `{"daemon": "self"}`."""
        known = {key: value for key, value in asdict(self).items() if value is not None}
        return known or {"daemon": "self"}


DAEMON: Final = Caller()


@dataclass(frozen=True, slots=True)
class Head:
    """The number and the hash of the last entry; 0 and zeros for an empty log."""

    number: int = 0
    hash: str = NONE

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read a head as `audit verify` writes it, `NUMBER:HASH`.

        Raises:
            ValueError: the text is no head.
        """
        number, _, digest = text.strip().partition(":")
        if not (number.isascii() and number.isdigit() and HASH.fullmatch(digest)):
            msg = f"head: found {text.strip()[:80]!r}, expected NUMBER:HASH of `audit verify`"
            raise ValueError(msg)
        return cls(int(number), digest)

    def __str__(self) -> str:
        """Return `NUMBER:HASH`."""
        return f"{self.number}:{self.hash}"


def line_of(entry: Mapping[str, object]) -> bytes:
    """Return the line of an entry."""
    return json.dumps(entry, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def hash_of(body: Mapping[str, object]) -> str:
    """Return the SHA-256 (hex) of an entry without its hash."""
    return hashlib.sha256(line_of(body)).hexdigest()


def read_entry(line: bytes) -> dict[str, Any] | None:
    """Read a line; None if it is no entry."""
    try:
        entry = json.loads(line)
        sound = all(isinstance(entry[field], kind) for field, kind in FIELDS.items())
        sound = sound and entry["number"] > 0 and HASH.fullmatch(entry["hash"]) is not None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return entry if sound else None


def head_of(entry: Mapping[str, Any]) -> Head:
    """Return the number and the hash of an entry."""
    return Head(entry["number"], entry["hash"])


def further(one: Head, other: Head) -> Head:
    """Return the head of the longer log."""
    return other if other.number > one.number else one
