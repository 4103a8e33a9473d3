"""
Images that cannot be given to a worker for now, and let all others go first.

One that was put off is tried again after a while, once no other waits, the one that failed longest
ago first; where others wait without end, one of them a minute goes first. None is forgotten while
it waits: what is remembered are as many ids as images wait.

What lies in the archive keeps nothing of the spool waiting. After a file of it that fails alone,
its folder rests for a moment; one that is away is away for all its images, of which an operator
may have had thousands wait again, and rests until one of them is tried again.
"""

import logging
import os
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from errno import EACCES, EDQUOT, ENOSPC, EPERM, EROFS
from itertools import takewhile
from pathlib import Path
from typing import Final

from edge.errors import Unavailable
from edge.health import Health
from edge.storage.ledger.records import Image
from edge.storage.ledger.turns import Turns
from edge.system.files import OF_ALL
from edge.system.moving import is_gone
from edge.system.threads import note_failing, note_failure, note_good_turn

log = logging.getLogger(__name__)

PART: Final = "dispatch of an image"
"""The name of this part of the daemon in the reason `loop_failed`."""
PUT_OFF_S: Final = 60.0
"""Seconds until such an image, or an archive that is away, is tried again."""
PATIENCE_S: Final = 60.0
"""Seconds for which those that are due, after the last of them was tried, let others go first."""
REST_S: Final = 1.0
"""Seconds for which a folder of the archive rests after a file that failed alone."""
INTERRUPTIONS: Final = 3
"""Interruptions of an image in a row after which it may be that file alone."""
OF_SPOOL: Final = OF_ALL | {EACCES, EPERM, EROFS}
"""Errors that all files of the spool meet: those of one file a worker meets, too."""
OF_ARCHIVE: Final = OF_ALL - {ENOSPC, EDQUOT}
"""Errors that all files of the archive meet; a disk that is full is the spool's."""


@dataclass(slots=True)
class _Failed:
    """An image that was put off."""

    folder: Path
    until: float
    """Monotonic time, in seconds."""
    away: bool
    """True if it failed as its whole folder was away."""
    why: str
    """The reason that is told; none once it, or its folder, was not in the way any more."""


class PutOff:
    """
    Remembers which images were put off, until when, and tells of it.

    Args:
        health: is told.
        turns: of the ledger.
    """

    def __init__(self, health: Health, turns: Turns) -> None:
        self._health = health
        self._turns = turns
        self._failed: dict[str, _Failed] = {}
        """By image, the one that failed longest ago first."""
        self._resting: dict[Path, float] = {}
        """Monotonic times, in seconds, until which no image of a folder is tried."""
        self._interrupted: Counter[str] = Counter()
        self._patient_until = 0.0
        """The monotonic time, in seconds, until which those that are due let others go first."""
        self._look_at = 0.0
        """The monotonic time, in seconds, of the next look for images that wait no more."""

    def __len__(self) -> int:
        return len(self._failed)

    def add(self, image: Image, error: Exception, *, archived: bool = False) -> bool:
        """
        Let others go first from now on if this image failed, and not spool or ledger.

        Args:
            image: failed.
            error: of the spool, the archive or the ledger, or one that nobody foresaw.
            archived: true if its file lies in the archive, which may be away for itself.

        Returns:
            True if the others can go on at once, as only a folder of the archive rests.
        """
        foreseen = isinstance(error, Unavailable)
        # What is gone from the spool is looked for in the archive: that is none of the others'.
        of_all = frozenset() if archived or is_gone(image.path) else OF_SPOOL
        if foreseen and not _is_of_one_file(error, of_all):
            self._note_try(image)  # if it was this file after all, it does not go first again
            return False
        why = str(error) if foreseen else note_failure("image_failed", error)
        away = archived and foreseen and _is_archive_away(image, error)
        self._add(image, why, away=away)
        if archived:
            self._rest(image.path.parent, PUT_OFF_S if away else REST_S)
        return archived

    def interrupted(self, image: Image, why: str, *, archived: bool = False) -> None:
        """Note that a worker gave an image back; let others go first after some times in a row."""
        self._interrupted[image.image_id] += 1
        if self._interrupted[image.image_id] >= INTERRUPTIONS:
            del self._interrupted[image.image_id]
            self._add(image, why)
        if archived:
            self._rest(image.path.parent, REST_S)

    def given(self, image: Image) -> None:
        """Note that a worker has an image: nothing is wrong with its folder, nor maybe with it."""
        self._note_try(image)
        for image_id, failed in self._failed.items():
            back = failed.away and failed.folder == image.path.parent
            if back or image_id == image.image_id:
                failed.why = ""
        self._tell()

    def had_its_turn(self, image: Image) -> None:
        """Note that a worker was done with an image, or that it needed none."""
        self._note_try(image)
        self._interrupted.pop(image.image_id, None)
        if self._failed.pop(image.image_id, None):
            self._tell()

    def next(self) -> Image | None:
        """
        Find the image whose turn it is: one that was put off if no other waits, or now and then.

        Raises:
            Unavailable: the ledger cannot be read.
        """
        now = time.monotonic()
        self._forget_finished(now)
        resting = [folder for folder, until in self._resting.items() if until > now]
        due = self._due(now - PATIENCE_S) if now >= self._patient_until else []
        if due and (image := self._turns.first_waiting(due, outside=resting)):
            return image
        if image := self._turns.next_waiting(but=self._failed, outside=resting):
            return image
        due = self._due(now)
        return self._turns.first_waiting(due, outside=resting) if due else None

    def _due(self, at: float) -> list[str]:
        """Return the images that may be tried again at a monotonic time, in seconds."""
        due = takewhile(lambda failed: failed[1].until <= at, self._failed.items())
        return [image_id for image_id, _ in due]

    def _forget_finished(self, now: float) -> None:
        """Forget now and then what has its outcome by another way, or was erased."""
        known = self._failed.keys() | self._interrupted.keys()
        if not known or now < self._look_at:
            return
        self._look_at = now + PUT_OFF_S
        for image_id in known - self._turns.unfinished(known):
            self._failed.pop(image_id, None)
            self._interrupted.pop(image_id, None)
        self._tell()

    def _add(self, image: Image, why: str, *, away: bool = False) -> None:
        log.warning('event=image_put_off image=%s why="%s"', image.image_id[:16], why)
        self._health.count("put_off")
        self._note_try(image)
        self._failed.pop(image.image_id, None)  # the last to be tried again, from now on
        until = time.monotonic() + PUT_OFF_S
        self._failed[image.image_id] = _Failed(image.path.parent, until, away, why)
        self._tell()

    def _note_try(self, image: Image) -> None:
        if image.image_id in self._failed:
            self._patient_until = time.monotonic() + PATIENCE_S

    def _rest(self, folder: Path, rest_s: float) -> None:
        self._resting[folder] = time.monotonic() + rest_s

    def _tell(self) -> None:
        told = [failed.why for failed in self._failed.values() if failed.why]
        if told:
            note_failing(self._health, PART, told[-1])
        else:
            note_good_turn(self._health, PART)


def _is_of_one_file(error: Exception, of_all: Collection[int | None]) -> bool:
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno not in of_all


def _is_archive_away(image: Image, error: Exception) -> bool:
    """Tell if no file of the archive can be had: one that changed, or is damaged, fails alone."""
    cause = error.__cause__
    of_all = isinstance(cause, OSError) and cause.errno in OF_ARCHIVE
    return of_all or not os.access(image.path.parent, os.X_OK)
