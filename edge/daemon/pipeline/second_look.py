"""
A second look at archived files whose sender was not seen to finish.

On a file system without events a pause looks like an end. A sender that goes on after it writes
into the file wherever that lies by then; so for a day its file is looked at, and taken up anew as
soon as its bytes are others. Until then a file of another user is left as it is: a copy would miss
what its sender still writes.
"""

import logging
import os
import time
from pathlib import Path
from typing import Final

from edge.daemon.pipeline.examination import Parts
from edge.errors import StateDamagedError, Unavailable
from edge.storage.known_looks import Since
from edge.storage.ledger.records import Image
from edge.system.threads import note_failing, note_failure, note_good_turn

log = logging.getLogger(__name__)

PART: Final = "second look at the archive"
"""The name of this part of the daemon in the reason `loop_failed`."""
EVERY_S: Final = 60.0
SHARE: Final = 100
"""A look takes at most this part of the time."""
FOR_S: Final = 86400.0
"""Seconds for which a sender may go on."""
OURS_AFTER_S: Final = 3600.0
"""Seconds after which a file of another user becomes ours."""
BEHIND_S: Final = 1.0
"""Seconds by which the kernel may date a write too early."""


class SecondLook:
    """Looks now and then, in the dispatcher's thread."""

    def __init__(self, parts: Parts) -> None:
        self._ledger = parts.ledger
        self._spool = parts.spool
        self._health = parts.health
        self._again_at = 0.0

    def turn(self) -> None:
        """
        Look if it is time to.

        Raises:
            Unavailable: the ledger cannot be read.
        """
        begun = time.monotonic()
        if begun < self._again_at:
            return
        self._again_at = begun + EVERY_S  # should it fail
        failed: Exception | None = None
        for image, archived_at in self._ledger.images.unsettled_since(time.time() - FOR_S):
            self._health.beat()
            try:
                self._look(image, archived_at)
            except StateDamagedError:
                raise
            except Exception as error:  # noqa: BLE001 - one file, and all others are looked at
                failed = error
        took_s = time.monotonic() - begun
        self._again_at = time.monotonic() + max(EVERY_S, SHARE * took_s)
        self._tell(failed)

    def _tell(self, failed: Exception | None) -> None:
        if failed is not None:
            foreseen = isinstance(failed, Unavailable)
            why = str(failed) if foreseen else note_failure("second_look_failed", failed)
            note_failing(self._health, PART, why)
        else:
            note_good_turn(self._health, PART)

    def _look(self, image: Image, archived_at: float) -> None:
        if self._may_have_changed(image.path, archived_at):
            if not self._spool.is_image(image.path, image.image_id):
                log.info("event=changed_in_archive image=%s", image.image_id[:16])
                self._spool.take_back(image.path, image.name)
        elif time.time() - archived_at > OURS_AFTER_S and _is_foreign(image.path):
            scored, payload = self._ledger.images.conclusion_of(image.image_id)
            place = self._spool.archive(
                image.path, image.image_id, image.name, payload, scored=scored
            )
            if place != image.path:  # an earlier release archived it under another name
                self._ledger.images.relocate(image.image_id, place)

    def _may_have_changed(self, path: Path, archived_at: float) -> bool:
        match self._spool.since_hashed(path):
            case Since.SAME:
                return False
            case Since.CHANGED:
                return True
            case Since.UNKNOWN:
                return _written_after(path, archived_at)


def _written_after(path: Path, moment: float) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    # A write sets both times alike; our own copy is renamed after it is written, so they differ.
    behind = BEHIND_S if found.st_mtime_ns == found.st_ctime_ns else 0.0
    return max(found.st_mtime, found.st_ctime) + behind > moment


def _is_foreign(path: Path) -> bool:
    try:
        return path.lstat().st_uid != os.geteuid()
    except OSError:
        return False
