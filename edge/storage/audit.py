"""
The audit log: what people and topics had the daemon do, each entry chained to the one before.

It is a file of its own, so that a damaged ledger takes nothing of it along. Each line is an entry
as canonical JSON with the hash of the line's other fields, among them the hash of the entry before:
a changed entry breaks the chain at its place. A note beside the log has the number and hash of the
last entry, so that a tail that was cut off shows; whoever may write here may change both, so a
head that is kept elsewhere tells more. No entry names a patient, a person, a file or an image.
"""

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from edge.errors import Unavailable
from edge.system import files

NAME: Final = "audit.jsonl"
NOTE: Final = "audit.head"
"""The file that has the head of the log, in the same folder."""
NOTE_BYTES: Final = 96
TAIL_BYTES: Final = 65536
"""The most bytes of one entry."""
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


class Audit:
    """
    The audit log of one state folder; several processes may add to it.

    Args:
        folder: the state folder.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / NAME
        self._note = folder / NOTE

    def add(self, event: str, caller: Caller = DAEMON, **details: object) -> Head:
        """
        Add an entry, which is on the disk when this returns.

        Args:
            event: a word for what is done.
            caller: the one who has it done.
            details: JSON values that identify no patient and no person.

        Raises:
            Unavailable: the disk does not take it.
        """
        try:
            with self._locked() as log:
                head = self._resume(log)
                body = {
                    "number": head.number + 1,
                    "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                    "event": event,
                    "by": caller.said(),
                    "details": details,
                    "previous": head.hash,
                }
                return self._append(log, body)
        except OSError as error:
            msg = f"{self.file}: {error.strerror}"
            raise Unavailable(msg) from None

    def head(self) -> Head:
        """Return the head of the log as it is, or as the note has it if that is further."""
        with suppress(OSError), self.file.open("rb") as log:
            return _further(_last_of(log.fileno())[0], self._noted())
        return self._noted()

    def entries(self) -> Iterator[dict[str, Any]]:
        """Yield the entries that can be read, oldest first."""
        with suppress(FileNotFoundError), self.file.open("rb") as log:
            yield from filter(None, map(_entry, log))

    def newest(self, event: str) -> dict[str, Any] | None:
        """Return the newest entry of an event; None if there is none."""
        found = None
        for entry in self.entries():
            if entry.get("event") == event:
                found = entry
        return found

    def problems(self, expected: Head | None = None) -> list[str]:
        """
        Say what is wrong with the log, a sentence each; an empty list if nothing is.

        Args:
            expected: a head that was noted elsewhere.
        """
        found, last = [], Head()
        heads = [head for head in (self._noted(), expected) if head is not None and head.number]
        with suppress(FileNotFoundError), self.file.open("rb") as log:
            for count, line in enumerate(log, 1):
                why, last = _look(line, last)
                found += [f"line {count}: {one}" for one in why]
                found += [_other(head) for head in heads if _differs(head, last)]
        found += [_missing(last.number, head.number) for head in heads if head.number > last.number]
        return list(dict.fromkeys(found))

    @contextmanager
    def _locked(self) -> Iterator[int]:
        log = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(log, fcntl.LOCK_EX)
            yield log
        finally:
            os.close(log)

    def _resume(self, log: int) -> Head:
        """Find the head to go on from; half an entry, which a power cut left, is taken away."""
        last, end = _last_of(log)
        os.ftruncate(log, end)
        if end and os.pread(log, 1, end - 1) != b"\n":
            os.pwrite(log, b"\n", end)
        # If the tail was cut off, the next number leaves the hole for everyone to see.
        return _further(last, self._noted())

    def _append(self, log: int, body: dict[str, object]) -> Head:
        head = Head(int(str(body["number"])), _hash(body))
        end = os.lseek(log, 0, os.SEEK_END)
        try:
            files.write_all(log, _line(body | {"hash": head.hash}))
            os.fsync(log)
        except OSError:
            with suppress(OSError):
                os.ftruncate(log, end)
            raise
        self._note_down(head)
        return head

    def _note_down(self, head: Head) -> None:
        with suppress(OSError):  # the entry stands, and an older note raises no alarm
            note = os.open(self._note, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                os.pwrite(note, f"{head}\n".encode().ljust(NOTE_BYTES), 0)
            finally:
                os.close(note)

    def _noted(self) -> Head:
        try:
            return Head.parse(self._note.read_text("ascii"))
        except (OSError, ValueError):
            return Head()


def _line(entry: Mapping[str, object]) -> bytes:
    return json.dumps(entry, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _hash(body: Mapping[str, object]) -> str:
    return hashlib.sha256(_line(body)).hexdigest()


def _last_of(log: int) -> tuple[Head, int]:
    """Return the head of an open log, and where its last whole line ends."""
    size = os.fstat(log).st_size
    begin = max(0, size - TAIL_BYTES)
    tail = os.pread(log, TAIL_BYTES, begin)
    end = tail.rfind(b"\n") + 1
    if begin and not end:
        return Head(), size  # no entry is so long: what it is, `problems` tells
    lines = tail[:end].splitlines()
    entry = _entry(lines[-1]) if lines else None
    return Head() if entry is None else _head_of(entry), begin + end


def _entry(line: bytes) -> dict[str, Any] | None:
    """Read a line; None if it is no entry."""
    try:
        entry = json.loads(line)
        sound = all(isinstance(entry[field], kind) for field, kind in FIELDS.items())
        sound = sound and entry["number"] > 0 and HASH.fullmatch(entry["hash"]) is not None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return entry if sound else None


def _head_of(entry: Mapping[str, Any]) -> Head:
    return Head(entry["number"], entry["hash"])


def _further(one: Head, other: Head) -> Head:
    return other if other.number > one.number else one


def _look(line: bytes, last: Head) -> tuple[list[str], Head]:
    """Say what is wrong with a line that follows `last`; and return its own head."""
    entry = _entry(line)
    if entry is None:
        return ["not an entry"], Head(last.number + 1)
    body = {key: value for key, value in entry.items() if key != "hash"}
    head = _head_of(entry)
    if head.hash != _hash(body) or line != _line(entry):
        return ["changed: its hash is not that of its text"], head
    if head.number > last.number + 1:
        return [_missing(last.number, head.number - 1)], head
    if head.number <= last.number or entry["previous"] != last.hash:
        return ["does not continue the entry before"], head
    return [], head


def _missing(last: int, until: int) -> str:
    return f"entries {last + 1} to {until} are missing"


def _differs(head: Head, found: Head) -> bool:
    return head.number == found.number and head.hash != found.hash


def _other(head: Head) -> str:
    return f"entry {head.number} is not the one that was noted: its hash was {head.hash[:16]}"
