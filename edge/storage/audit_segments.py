"""
The files of the audit log: the one that is written, and closed ones with older entries.

A file that has grown large is renamed after its last entry, and the chain goes on in a new one: the
first entry there has the hash of the last one here. Whoever has the lock of the file that has the
log's own name may rename it; who waited for the lock of a file that was renamed meanwhile asks
again.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from edge.system.files import sync_folder

MAX_BYTES: Final = 2**20
"""Bytes at which a file is closed: some 3,000 entries."""


class Segments:
    """
    The files of one log.

    Args:
        file: the one that is written.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def closed(self) -> list[Path]:
        """List the closed files, oldest first."""
        stem, suffix = re.escape(self.file.stem), re.escape(self.file.suffix)
        ours = re.compile(rf"{stem}\.[0-9]{{12}}{suffix}")  # not a copy that a person made
        return sorted(path for path in self.file.parent.glob("*") if ours.fullmatch(path.name))

    @contextmanager
    def locked(self) -> Iterator[int]:
        """
        Open the file that is written, for this process alone.

        Raises:
            OSError: the disk does not let us.
        """
        while True:
            log = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                fcntl.flock(log, fcntl.LOCK_EX)
                if self._is_current(log):
                    yield log
                    return
            finally:
                os.close(log)

    def close(self, last: int) -> None:
        """
        Close the file that is written and locked.

        Args:
            last: the number of its last entry.

        Raises:
            OSError: the disk does not let us.
        """
        self.file.rename(self.file.with_name(f"{self.file.stem}.{last:012}{self.file.suffix}"))
        sync_folder(self.file.parent)

    @contextmanager
    def opened(self) -> Iterator[list[BinaryIO]]:
        """Open all files for reading, oldest first, as they are at one moment."""
        with ExitStack() as stack:
            current = self._opened_current(stack)
            found: list[BinaryIO] = []
            for path in self.closed():
                with suppress(FileNotFoundError):  # removed just now
                    found.append(stack.enter_context(path.open("rb")))
            if current is not None:
                fcntl.flock(current, fcntl.LOCK_UN)
                found.append(current)
            yield found

    def _opened_current(self, stack: ExitStack) -> BinaryIO | None:
        """Open the file that is written, and keep it from being closed; None without one."""
        while True:
            try:
                log = stack.enter_context(self.file.open("rb"))
            except FileNotFoundError:
                return None
            fcntl.flock(log, fcntl.LOCK_SH)
            if self._is_current(log.fileno()):
                return log
            log.close()

    def _is_current(self, log: int) -> bool:
        with suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(log), self.file.stat())
        return False
