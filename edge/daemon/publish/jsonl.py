"""Results to a file, one JSON line each: for log shippers and for sites without a broker."""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, TypeAlias

from edge.errors import StartupError, Unavailable
from edge.health import Cause
from edge.storage.ledger.outbox import Delivery
from edge.system import files

Wanted: TypeAlias = Callable[[Delivery], AbstractContextManager[bool]]
"""Tells, for as long as it is open, if a delivery is still to be made."""


class JsonlSink:
    """
    Appends and syncs; the file may be rotated under it.

    Args:
        path: the file.
        wanted: gives False if a delivery was erased on its way; no erasure ends meanwhile.

    Raises:
        StartupError: the file cannot be written.
    """

    name: Final = "jsonl"
    takes: Final[Sequence[str]] = ("jsonl",)
    unavailable: Final = Cause.JSONL_UNAVAILABLE
    refused: Final = None

    def __init__(self, path: Path, wanted: Wanted) -> None:
        self._path = path
        self._wanted = wanted
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._append(b"")
        except OSError as error:
            msg = f"publish.jsonl: {path}: {error.strerror}"
            raise StartupError(msg) from None

    def send(self, delivery: Delivery) -> None:
        """Append one line; after a kill the same line, with the same seq, may stand there twice."""
        try:
            with self._wanted(delivery) as wanted:
                if wanted:
                    self._append(delivery.payload + b"\n")
        except OSError as error:
            msg = f"jsonl: {error.strerror}"
            raise Unavailable(msg) from None

    def _append(self, data: bytes) -> None:
        descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
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
