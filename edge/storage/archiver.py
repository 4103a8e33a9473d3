"""
Moves an image's file to done or failed once its outcome is recorded, and again until it is.

After one that fails there is a rest, as the whole archive may be away; then it is the turn of the
next one, as it may have been that file alone.
"""

import time
from typing import Final

from edge.errors import StateDamagedError, Unavailable
from edge.health import Cause, Health
from edge.storage.ledger import Ledger
from edge.storage.ledger.records import Image
from edge.storage.ledger.states import State
from edge.storage.spool import Spool
from edge.system.threads import note_failure

NAME: Final = "archive"
BATCH: Final = 16
MOST_FAILED: Final = 1000
"""Files that may fail before the first of them is tried again, though others were not yet."""
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
        self._failed: set[str] = set()
        """Images that are tried again once all others were."""

    def archive(self, image: Image, payload: bytes, *, scored: bool) -> bool:
        """Move the file, with its outcome beside it; False if that has to be tried again."""
        try:
            self._move(image, payload, scored=scored)
        except StateDamagedError:
            raise
        except Exception as error:  # noqa: BLE001 - one file, and all others go on
            self._note_failed(image, error)
            return False
        return True

    def _move(self, image: Image, payload: bytes, *, scored: bool) -> None:
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
            try:
                self._spool.archive(before, image.image_id, image.name, payload, scored=scored)
            except Exception:
                # The image is archived, so nobody would try again: recovery removes spare copies.
                if before.parent == self._spool.claimed:
                    self._spool.stranded.append((before, image.name))
                raise

    def _note_failed(self, image: Image, error: Exception) -> None:
        foreseen = isinstance(error, Unavailable)
        why = str(error) if foreseen else note_failure("archiving_failed", error)
        self._health.degrade(Cause.ARCHIVE_UNAVAILABLE, f"archive: {why}")
        self._failed.add(image.image_id)
        self._again_at = time.monotonic() + PAUSE_S

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
        left_over = self._next()
        for image in left_over:
            self._health.beat()
            if not self._archive_again(image):
                return False
        more = len(left_over) == BATCH
        if more:
            self._again_at = 0.0
        elif not self._failed:
            self._again_at = None
            self._health.recover(Cause.ARCHIVE_UNAVAILABLE)
        return more

    def _next(self) -> list[Image]:
        """List the oldest files that did not fail; once there is none, those that did."""
        limit = BATCH + len(self._failed)
        concluded = self._ledger.images.in_state(State.CONCLUDED, limit)
        fresh = [image for image in concluded if image.image_id not in self._failed]
        if fresh and len(self._failed) < MOST_FAILED:
            return fresh[:BATCH]
        self._failed.clear()
        return concluded[:BATCH]

    def _archive_again(self, image: Image) -> bool:
        try:
            scored, payload = self._ledger.images.conclusion_of(image.image_id)
        except (StateDamagedError, Unavailable):
            raise
        except Exception as error:  # noqa: BLE001 - as in `archive`
            self._note_failed(image, error)
            return False
        return self.archive(image, payload, scored=scored)
