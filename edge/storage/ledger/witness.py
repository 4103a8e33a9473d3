"""
A witness of the last number that a ledger gave, outside of the ledger and its folder.

If an older copy of the ledger is put back, it would give numbers again that readers have seen. The
archive shows that only for results that lie beside an image. The note is not synced: after a power
cut it may be older than the ledger, never newer, and an older one raises no alarm.
"""

import contextlib
import os
import zlib
from pathlib import Path
from typing import Final

NAME: Final = ".numbering"
"""The note's file, in the folder of the spool."""
SIZE: Final = 80


class Witness:
    """
    The note of one ledger.

    Args:
        file: of the note; made when it is needed.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._descriptor: int | None = None
        self._noted = ("", -1)

    def note(self, ledger_id: str, seq: int) -> None:
        """Note the last number that was given; a disk that does not take it raises no alarm."""
        if (ledger_id, seq) == self._noted:
            return
        with contextlib.suppress(OSError):
            if self._descriptor is None:
                how = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
                self._descriptor = os.open(self._file, how, 0o640)
            os.pwrite(self._descriptor, _record(ledger_id, seq), 0)
            self._noted = (ledger_id, seq)

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)


def _record(ledger_id: str, seq: int) -> bytes:
    said = f"{ledger_id} {seq:020d}"
    return f"{said} {zlib.crc32(said.encode()):08x}".encode().ljust(SIZE)


def last_noted(file: Path) -> tuple[str, int] | None:
    """Read the ledger's id and the last number that it gave; None if there is no whole note."""
    try:
        ledger_id, seq, _ = (data := file.read_bytes()[:SIZE]).decode("ascii").split()
        return (ledger_id, int(seq)) if data == _record(ledger_id, int(seq)) else None
    except (OSError, ValueError):
        return None
