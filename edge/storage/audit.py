"""
The audit log: what people and topics had the daemon do, each entry chained to the one before.

It is a file of its own, so that a damaged ledger takes nothing of it along. Each line is an entry
as canonical JSON with the hash of the line's other fields, among them the hash of the entry before:
a changed entry breaks the chain at its place. A note beside the log has the number and hash of the
last entry, so that a tail that was cut off shows; whoever may write here may change both, so a
head that is kept elsewhere tells more. No entry names a patient, a person, a file or an image.

Old entries lie in files of their own, see `audit_segments`. Before one of these is removed, an
entry names its last number and hash, to which the first entry that is left must connect.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from errno import EILSEQ
from pathlib import Path
from typing import Any, Final

from edge.errors import Unavailable
from edge.storage.audit_chain import CONTINUES, PRUNED, Chain
from edge.storage.audit_entry import (
    DAEMON,
    Caller,
    Head,
    further,
    hash_of,
    head_of,
    line_of,
    read_entry,
)
from edge.storage.audit_segments import MAX_BYTES, Segments
from edge.system import files

__all__ = ["DAEMON", "NAME", "NOTE", "Audit", "Caller", "Head"]

NAME: Final = "audit.jsonl"
NOTE: Final = "audit.head"
"""The file that has the head of the log, in the same folder."""
NOTE_BYTES: Final = 96
TAIL_BYTES: Final = 65536
"""The most bytes of one entry."""


class Audit:
    """
    The audit log of one state folder; several processes may add to it.

    Args:
        folder: the state folder.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / NAME
        self._segments = Segments(self.file)
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
            with self._segments.locked() as log:
                head, continues = self._resume(log)
                body = {
                    "number": head.number + 1,
                    "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                    "event": event,
                    "by": caller.said(),
                    "details": details,
                    "previous": head.hash,
                    **({CONTINUES: head.number} if continues else {}),
                }
                return self._append(log, body)
        except OSError as error:
            msg = f"{self.file}: {error.strerror}"
            raise Unavailable(msg) from None

    def head(self) -> Head:
        """Return the head of the log as it is, or as the note has it if that is further."""
        last = Head()
        with suppress(OSError), self._segments.opened() as logs:
            ends = (_last_of(log.fileno())[0] for log in reversed(logs))
            last = next((end for end in ends if end.number), last)
        return further(last, self._noted())

    def entries(self) -> Iterator[dict[str, Any]]:
        """Yield the entries that can be read, oldest first."""
        with self._segments.opened() as logs:
            for log in logs:
                yield from filter(None, map(read_entry, log))

    def first(self) -> int | None:
        """Return the number of the oldest entry that can be read; None if there is none."""
        with suppress(OSError):
            return next((int(entry["number"]) for entry in self.entries()), None)
        return None

    def closed(self) -> list[Path]:
        """List the files with older entries only, oldest first."""
        return self._segments.closed()

    def prune(self, before: float) -> int:
        """
        Remove files with older entries only; an entry says so first.

        Args:
            before: Unix time of the last change of those that go.

        Returns:
            The number of the files.

        Raises:
            Unavailable: the disk does not take the entry.
            OSError: a file cannot be removed, or does not end with an entry.
        """
        removed = 0
        for path in self.closed():
            if path.stat().st_mtime >= before:
                break
            with path.open("rb") as log:
                last, _ = _last_of(log.fileno())
            if not last.number:
                raise OSError(EILSEQ, f"{path.name}: its last line is no entry: audit verify")
            said, details = self.newest(PRUNED), {"number": last.number, "hash": last.hash}
            if said is None or said["details"] != details:  # as if a file could not be removed
                self.add(PRUNED, DAEMON, **details)
            path.unlink()
            removed += 1
        return removed

    def newest(self, event: str) -> dict[str, Any] | None:
        """Return the newest entry of an event; None if there is none."""
        found = None
        for entry in self.entries():
            if entry.get("event") == event:
                found = entry
        return found

    def problems(self, expected: Head | None = None) -> list[str]:
        """Say what is wrong with the log, see `verify`; an empty list if nothing is."""
        return self.verify(expected).problems()

    def verify(self, expected: Head | None = None, *, removes: bool = True) -> Chain:
        """
        Look at the whole log.

        Args:
            expected: a head that was noted elsewhere.
            removes: true if old entries may be removed at all.
        """
        heads = [head for head in (self._noted(), expected) if head is not None and head.number]
        with self._segments.opened() as logs:
            chain = Chain(heads, removes=removes)
            for log in logs:
                file = "" if log.name == str(self.file) else f"{Path(log.name).name}, "
                for count, line in enumerate(log, 1):
                    chain.follow(line, f"{file}line {count}")
        return chain

    def _resume(self, log: int) -> tuple[Head, bool]:
        """
        Find the head to go on from; half an entry, which a power cut left, is taken away.

        Returns:
            The head; and true if it is the end of a closed file, which a new file continues.
        """
        last, end = _last_of(log)
        os.ftruncate(log, end)
        if end and os.pread(log, 1, end - 1) != b"\n":
            os.pwrite(log, b"\n", end)
        if not end and (closed := self.closed()):
            with closed[-1].open("rb") as before:
                last, _ = _last_of(before.fileno())
        # If the tail was cut off, the next number leaves the hole for everyone to see.
        head = further(last, self._noted())
        return head, not end and head.number > 0 and head == last

    def _append(self, log: int, body: dict[str, object]) -> Head:
        head = Head(int(str(body["number"])), hash_of(body))
        end = os.lseek(log, 0, os.SEEK_END)
        try:
            files.write_all(log, line_of(body | {"hash": head.hash}))
            os.fsync(log)
        except OSError:
            with suppress(OSError):
                os.ftruncate(log, end)
            raise
        self._note_down(head)
        with suppress(OSError):  # the entry stands
            if not end:
                files.sync_folder(self.file.parent)
            if os.lseek(log, 0, os.SEEK_END) >= MAX_BYTES:
                self._segments.close(head.number)
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


def _last_of(log: int) -> tuple[Head, int]:
    """Return the head of an open log, and where its last whole line ends."""
    size = os.fstat(log).st_size
    begin = max(0, size - TAIL_BYTES)
    tail = os.pread(log, TAIL_BYTES, begin)
    end = tail.rfind(b"\n") + 1
    if begin and not end:
        return Head(), size  # no entry is so long: what it is, `problems` tells
    lines = tail[:end].splitlines()
    entry = read_entry(lines[-1]) if lines else None
    return Head() if entry is None else head_of(entry), begin + end
