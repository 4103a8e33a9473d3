"""Results to a file, one JSON line each: for log shippers and for sites without a broker."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from edge.errors import StartupError, Unavailable
from edge.health import Cause
from edge.storage.ledger.outbox import Delivery
from edge.system import files


class JsonlSink:
    """
    Appends and syncs; the file may be rotated under it.

    Args:
        path: the file.
        still_wanted: returns False if a delivery was erased on its way.

    Raises:
        StartupError: the file cannot be written.
    """

    name: Final = "jsonl"
    takes: Final[Sequence[str]] = ("jsonl",)
    unavailable: Final = Cause.JSONL_UNAVAILABLE
    refused: Final = None

    def __init__(self, path: Path, still_wanted: Callable[[Delivery], bool]) -> None:
        self._path = path
        self._still_wanted = still_wanted
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._append(lambda: b"")
        except OSError as error:
            msg = f"publish.jsonl: {path}: {error.strerror}"
            raise StartupError(msg) from None

    def send(self, delivery: Delivery) -> None:
        """Append one line; after a kill the same line, with the same seq, may stand there twice."""
        try:
            self._append(lambda: delivery.payload + b"\n" if self._still_wanted(delivery) else b"")
        except OSError as error:
            msg = f"jsonl: {error.strerror}"
            raise Unavailable(msg) from None

    def _append(self, line: Callable[[], bytes]) -> None:
        """Append what `line` gives while nobody blanks the lines of an erased image."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            files.lock_if_possible(descriptor)
            data = line()
            size = os.fstat(descriptor).st_size
            if data and size and os.pread(descriptor, 1, size - 1) != b"\n":
                # A kill cut the last line: it stays one line, and this is another.
                data = b"\n" + data
            try:
                files.write_all(descriptor, data)
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)
