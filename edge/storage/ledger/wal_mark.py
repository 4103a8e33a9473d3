"""
The mark of the write-ahead log: its length, noted beside it after every commit.

SQLite cannot tell a log that was cut short or removed from one that never held more: it opens the
ledger as it was before, and says nothing. The note is not synced: after a power cut it may be older
than the log, never newer, and an older one raises no alarm.
"""

import contextlib
import os
import struct
from pathlib import Path
from typing import Final, TypeAlias

from edge.system import workarounds
from edge.system.files import sync_folder

NAME: Final = "open"
"""The note's file; it is there while a daemon has the ledger open, and after a kill."""
NOTE: Final = struct.Struct("=III")
"""Number of frames, then the log's two salts, as the index of the log has them."""
HALF: Final = 1 << 31

Note: TypeAlias = tuple[int, int, int]


class WalMark:
    """The note of one open ledger."""

    def __init__(self, ledger: Path) -> None:
        self._folder = ledger.parent
        self._index = os.open(f"{ledger}-shm", os.O_RDONLY | os.O_CLOEXEC)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            self._file = os.open(ledger.with_name(NAME), flags, 0o640)
        except BaseException:
            os.close(self._index)
            raise
        self._noted: bytes = b""
        self.note()

    def note(self) -> None:
        """Note how far the log has come; two small system calls."""
        # On a full disk the commit stands, and an older note raises no alarm.
        with contextlib.suppress(OSError):
            now = workarounds.wal_position(self._index)
            if now != self._noted:
                os.pwrite(self._file, now, 0)
                self._noted = now

    def void(self) -> None:
        """Note that the write-ahead log may be empty, until the next `note`."""
        with contextlib.suppress(OSError):
            os.pwrite(self._file, NOTE.pack(0, 0, 0), 0)
        self._noted = b""

    def clear(self) -> None:
        """Remove the note; to be called before the ledger is closed in order."""
        (self._folder / NAME).unlink(missing_ok=True)
        # A power cut could bring the note back, without the log that it speaks of.
        sync_folder(self._folder)

    def close(self) -> None:
        """Let go of the files."""
        os.close(self._index)
        os.close(self._file)


def left_behind(ledger: Path) -> Note | None:
    """Read the note of a daemon that did not close its ledger; None if it did, or wrote nothing."""
    try:
        data = ledger.with_name(NAME).read_bytes()
    except FileNotFoundError:
        return None
    note = NOTE.unpack(data) if len(data) == NOTE.size else (0, 0, 0)
    return note if note[0] else None


def salts(ledger: Path) -> tuple[int, int] | None:
    """
    Read the salts in the log's header; None if there is no whole header.

    They are in the byte order in which the index has them.
    """
    try:
        with Path(f"{ledger}-wal").open("rb") as file:
            header = file.read(32)
    except FileNotFoundError:
        return None
    if len(header) < 32:  # noqa: PLR2004 - what a header has
        return None
    first, second = struct.unpack("=II", header[16:24])
    return first, second


def missing(note: Note, found: tuple[int, int] | None, frames: int) -> str | None:
    """
    Say what the log has lost since the note, or None.

    Args:
        note: what was noted.
        found: the salts in the log's header now.
        frames: how many of its frames SQLite can read now.
    """
    if found is None:
        return "its write-ahead log is missing"
    if found == note[1:]:
        return (
            f"its write-ahead log has {frames} readable frames, expected {note[0]}"
            if frames < note[0]
            else None
        )
    # begun anew since: the first salt, big-endian in both files, grows by one each time
    noted, now = (int.from_bytes(struct.pack("=I", salt), "big") for salt in (note[1], found[0]))
    return None if 0 < (now - noted) % (2 * HALF) < HALF else "its write-ahead log is an older one"
