"""
Sources, one file each.

A source hands what comes to a Receiver, and tells its sender only when that has returned.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol


class Receiver(Protocol):
    """The way in, as a source sees it: everything is in the ledger when a method returns."""

    def has_room(self) -> bool:
        """Tell if more may come in: below the limits of queue and disk."""
        ...

    def take_file(self, path: Path, *, settled: bool, may_copy: bool) -> None:
        """
        Take a file out of the inbox.

        Args:
            path: a regular file.
            settled: whether its writer is known to have finished.
            may_copy: whether it may be copied if it lies on another mount.

        Raises:
            NotReadyError: it is gone or changed under our hands; look again later.
            Unavailable: disk or ledger do not take it now.
        """
        ...

    def take_bytes(
        self, data: bytes, response_topic: str | None, correlation: bytes | None
    ) -> None:
        """
        Take an image that came as bytes.

        Raises:
            Unavailable: disk or ledger do not take it now.
        """
        ...

    def take_reference(
        self,
        request: bytes,
        response_topic: str | None,
        correlation: bytes | None,
        patient: Callable[[], bool],
    ) -> None:
        """
        Take an image by its name in the inbox and its hash, or answer why that cannot be.

        Args:
            request: the JSON that came.
            response_topic: gets the answer; None for `result`.
            correlation: goes back with the answer.
            patient: tells if a file that is not there yet is waited for.

        Raises:
            NotReadyError: the file may still come.
            Unavailable: disk or ledger do not take it now.
        """
        ...
