"""
Sources, one file each.

A source hands what comes to a Receiver, and tells its sender only when that has returned.
"""

import math
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Final, Protocol

from edge.storage.ledger.records import Reference, Request

CLOSED: Final = math.inf
"""The quiet times of a file whose writer was seen to close it or to move it in."""
UNWATCHED: Final = nullcontext()
"""In place of a note that the text of a message is in hand."""


class Receiver(Protocol):
    """The way in, as a source sees it: everything is in the ledger when a method returns."""

    def has_room(self) -> bool:
        """Tell if more may come in: below the limits of queue and disk."""
        ...

    def finish_taking(self) -> None:
        """
        Remove from the inbox what was taken before the daemon ended.

        Raises:
            Unavailable: the ledger cannot be read.
        """
        ...

    def forget_gone(self, *, idle: bool) -> None:
        """
        Forget what was taken, was to be removed from the inbox and was removed by somebody else.

        To be called after each listing of the inbox.

        Args:
            idle: true if no file is still to be taken.

        Raises:
            Unavailable: the ledger cannot be read.
        """
        ...

    def take_file(self, path: Path, *, quiet: float) -> bool:
        """
        Take a file out of the inbox.

        Args:
            path: a regular file.
            quiet: quiet times for which it has not changed, or `CLOSED`.

        Returns:
            False if it was copied and stays for now: call again later, and it will go.

        Raises:
            NotReadyError: it is gone or changed under our hands; look again later.
            LockedError: its folder does not let us remove it.
            Unavailable: disk or ledger do not take it now.
        """
        ...

    def take_bytes(self, request: Request) -> None:
        """
        Take an image that came as bytes.

        Raises:
            Unavailable: disk or ledger do not take it now.
        """
        ...

    def take_reference(
        self, request: Request, *, reading: AbstractContextManager[None] = UNWATCHED
    ) -> None:
        """
        Record a request that names a file of the inbox; `settle_reference` answers it.

        Args:
            request: as it came.
            reading: entered while the text is parsed, if it is.

        Raises:
            Unavailable: the ledger does not take it now.
        """
        ...

    def refuse_reference(
        self, request: Request, why: str, waiting: Reference | None = None
    ) -> None:
        """
        Answer a request that names no image.

        Args:
            request: that cannot be worked on.
            why: the reason.
            waiting: the reference that waits no longer; None if it never waited.

        Raises:
            Unavailable: disk or ledger do not take it now.
        """
        ...

    def references(self) -> list[Reference]:
        """
        List the requests that `take_reference` has recorded and that wait.

        Raises:
            Unavailable: the ledger does not say.
        """
        ...

    def settle_reference(
        self,
        reference: Reference,
        *,
        patient: bool,
        reading: AbstractContextManager[None] = UNWATCHED,
    ) -> None:
        """
        Take the image that a request names by its name and hash, or answer why that cannot be.

        Args:
            reference: from `references`.
            patient: true if a file that is not there yet is waited for.
            reading: entered while the text is parsed, and left before any file is looked at.

        Raises:
            NotReadyError: the file may still come.
            Unavailable: disk or ledger do not take it now.
        """
        ...

    def drop_reference(self, reference: Reference) -> None:
        """
        Forget a request that cannot even be refused.

        Raises:
            Unavailable: the ledger does not take note of it now.
        """
        ...
