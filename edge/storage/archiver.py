"""Moves an image's file to done or failed once its outcome is recorded, and again until it is."""

import time
from typing import Final

from edge.errors import Unavailable
from edge.health import Cause, Health
from edge.storage.ledger import Ledger
from edge.storage.ledger.records import Image
from edge.storage.ledger.states import State
from edge.storage.spool import Spool

NAME: Final = "archive"
BATCH: Final = 16
PAUSE_S: Final = 1.0
"""Rest after the archive could not be written, in seconds."""


class Archiver:
    """Archives files; in the dispatcher's thread only."""

    def __init__(self, ledger: Ledger, spool: Spool, health: Health) -> None:
        self._ledger = ledger
        self._spool = spool
        self._health = health
        self._again_at: float | None = 0.0
        """Monotonic time at which to look for what is left over; None if nothing is."""

    def archive(self, image: Image, payload: bytes, *, scored: bool) -> bool:
        """Move the file, with its outcome beside it; False if that has to be tried again."""
        try:
            path = self._spool.archive(
                image.path,
                image.image_id,
                image.name,
                payload,
                scored=scored,
                settled=self._ledger.submissions.settled(image.image_id),
            )
            before = self._ledger.images.archived(image.image_id, path)
            # The same bytes may have come while ours were at neither place: one copy is enough.
            if before not in {image.path, path}:
                self._spool.archive(before, image.image_id, image.name, payload, scored=scored)
        except Unavailable as error:
            self._health.degrade(Cause.ARCHIVE_UNAVAILABLE, f"archive: {error}")
            self._again_at = time.monotonic() + PAUSE_S
            return False
        return True

    def archive_left_over(self) -> bool:
        """
        Archive some of what a kill or a full disk left concluded and not archived.

        Returns:
            True if there is more.

        Raises:
            Unavailable: the ledger cannot be read.
        """
        if self._again_at is None or time.monotonic() < self._again_at:
            return False
        self._again_at = time.monotonic() + PAUSE_S  # should the ledger fail
        concluded = self._ledger.images.in_state(State.CONCLUDED, limit=BATCH)
        left_over = [
            (image, *self._ledger.images.conclusion_of(image.image_id)) for image in concluded
        ]
        for image, scored, payload in left_over:
            self._health.beat()
            if not self.archive(image, payload, scored=scored):
                return False  # no use in trying the next
        more = len(left_over) == BATCH
        self._again_at = 0.0 if more else None
        if not more:
            self._health.recover(Cause.ARCHIVE_UNAVAILABLE)
        return more
