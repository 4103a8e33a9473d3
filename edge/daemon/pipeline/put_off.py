"""
Images that cannot be given to a worker for now, and let the others go first.

An archive that is away is away for all its images, of which an operator may have had thousands
wait again: they are passed over together, and one of them is tried again after a while. One file of
the archive that fails alone, or for which the spool has no room, puts off no other, until there are
more of those than are remembered.
"""

import logging
import os
import time
from collections import Counter
from collections.abc import Collection
from errno import EACCES, EDQUOT, ENOSPC, EPERM, EROFS
from typing import Final

from edge.errors import Unavailable
from edge.health import Health
from edge.storage.ledger.records import Image
from edge.system.files import OF_ALL
from edge.system.threads import note_failing, note_good_turn

log = logging.getLogger(__name__)

PART: Final = "dispatch of an image"
"""The name of this part of the daemon in the reason `loop_failed`."""
PUT_OFF_S: Final = 60.0
"""Seconds until such an image is tried again."""
MOST: Final = 1000
"""Images that are put off at a time; of more, the first is tried again."""
INTERRUPTIONS: Final = 3
"""Interruptions of an image in a row after which it may be that file alone."""
OF_SPOOL: Final = OF_ALL | {EACCES, EPERM, EROFS}
"""Errors that all files of the spool meet: those of one file a worker meets, too."""
OF_ARCHIVE: Final = OF_ALL - {ENOSPC, EDQUOT}
"""Errors that all files of the archive meet; a disk that is full is the spool's."""


class PutOff:
    """
    Remembers which images were put off, until when, and tells of it.

    Args:
        health: is told.
    """

    def __init__(self, health: Health) -> None:
        self._health = health
        self._until: dict[str, float] = {}
        """Monotonic times, in seconds, by image, the soonest first; also those that are past."""
        self._archive_away_until = 0.0
        """The monotonic time, in seconds, until which no image of the archive is tried."""
        self._interrupted: Counter[str] = Counter()

    def add(self, image: Image, error: Exception, *, archived: bool = False) -> bool:
        """
        Let others go first from now on if this image failed, and not spool or ledger.

        Args:
            image: failed.
            error: of the spool, the archive or the ledger, or one that nobody foresaw.
            archived: true if its file lies in the archive, which may be away for itself.

        Returns:
            True if the archive is away for all of its images, so that others can go on at once.
        """
        foreseen = isinstance(error, Unavailable)
        if foreseen and not _is_of_one_file(error, frozenset() if archived else OF_SPOOL):
            return False
        self._add(image, str(error) if foreseen else type(error).__name__)
        many = len(self._until) >= MOST  # each rests the loop, before any image of the spool
        away = foreseen and archived and (many or _is_archive_away(image, error))
        if away:
            self._archive_away_until = time.monotonic() + PUT_OFF_S
        return away

    def interrupted(self, image: Image, why: str) -> None:
        """Note that a worker gave an image back; let others go first after some times in a row."""
        self._interrupted[image.image_id] += 1
        if self._interrupted[image.image_id] >= INTERRUPTIONS:
            del self._interrupted[image.image_id]
            self._add(image, why)

    def had_its_turn(self, image: Image) -> None:
        """Note that a worker was done with an image, or that it needed none."""
        self._interrupted.pop(image.image_id, None)
        self._until.pop(image.image_id, None)

    def _add(self, image: Image, why: str) -> None:
        log.warning('event=image_put_off image=%s why="%s"', image.image_id[:16], why)
        self._health.count("put_off")
        self._until.pop(image.image_id, None)
        self._until[image.image_id] = time.monotonic() + PUT_OFF_S
        if len(self._until) > MOST:
            del self._until[next(iter(self._until))]
        note_failing(self._health, PART, why)

    def now(self) -> list[str]:
        """List the images that are not to be tried for now."""
        now = time.monotonic()
        waiting = [image_id for image_id, until in self._until.items() if until > now]
        if not waiting:
            note_good_turn(self._health, PART)
        return waiting

    def archive_is_away(self) -> bool:
        """Tell if no image of the archive is to be tried for now."""
        return time.monotonic() < self._archive_away_until

    def ever(self) -> list[str]:
        """List all that were put off and not examined since: others go first, however many."""
        return list(self._until)


def _is_of_one_file(error: Exception, of_all: Collection[int | None]) -> bool:
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno not in of_all


def _is_archive_away(image: Image, error: Exception) -> bool:
    """Tell if no file of the archive can be had: one that changed, or is damaged, fails alone."""
    cause = error.__cause__
    of_all = isinstance(cause, OSError) and cause.errno in OF_ARCHIVE
    return of_all or not os.access(image.path.parent, os.X_OK)
