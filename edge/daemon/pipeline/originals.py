"""
Originals: files of the inbox that were copied into the spool, as it lies on another mount.

One whose sender was seen to be done goes as soon as its copy is recorded. Of any other nobody
knows: its sender may pause, and would go on in a file that has no name any more. So it stays until
it has its result and has not changed for long, for longer still if it was rejected, as half a film
is. One that has changed by then is taken anew, as what it has become.
"""

import contextlib
import logging
import time
from pathlib import Path
from typing import Final

from edge.errors import Unavailable
from edge.health import Cause, Health
from edge.storage.ledger import Ledger
from edge.storage.ledger.records import Origin
from edge.storage.spool import Spool
from edge.system.files import Fingerprint, NotReadyError, fingerprint

log = logging.getLogger(__name__)

SCORED_AFTER: Final = 60
"""Quiet times after which the original of a scored image goes."""
REJECTED_AFTER: Final = 8640
"""Quiet times after which that of a rejected one goes: a day on a network, else five hours."""
GONE_S: Final = 3600.0
"""Seconds for which one has to be gone from its place until it is forgotten."""


class Originals:
    """
    Removes originals when they may go; in threads that may wait for the inbox.

    Args:
        ledger: knows what was copied.
        spool: compares and removes.
        health: is told of those that cannot be removed.
    """

    def __init__(self, ledger: Ledger, spool: Spool, health: Health) -> None:
        self._origins = ledger.origins
        self._spool = spool
        self._health = health
        self._undeletable: set[str] = set()
        self._gone: dict[str, float] = {}
        """Claims whose originals are gone from their places, and since when that is known."""

    def remove_left(self) -> None:
        """
        Remove what a kill left of those that were to go at once.

        Raises:
            Unavailable: the ledger cannot be read.
        """
        for origin in self._origins.all():
            self._health.beat()
            if origin.settled:
                with contextlib.suppress(NotReadyError):
                    self.settle(origin.path, 0.0)

    def forget_gone(self, *, idle: bool) -> None:
        """
        Forget originals that somebody else removed; to be called after each listing of the inbox.

        A share may be away and look empty, so one has to be missing for GONE_S, and from the file
        system that it was copied from, for as long as the ledger knows its image.

        Args:
            idle: true if the listing found no new file, which may be one that has been renamed.

        Raises:
            Unavailable: the ledger cannot be read.
        """
        now = time.monotonic()
        gone = {}
        for origin in self._origins.all():
            self._health.beat()
            if self._has_left(origin):
                self._undeletable.discard(origin.claim)
                if self._may_forget(origin):
                    gone[origin.claim] = self._gone.get(origin.claim, now)
        self._gone = gone
        self._tell()
        for claim, since in gone.items() if idle else ():
            if now - since >= GONE_S:
                self._forget(claim)

    def settle(self, path: Path, quiet: float) -> bool | None:
        """
        Deal with a file of the inbox if it is an original.

        Args:
            path: the file.
            quiet: as `Receiver.take_file` has it.

        Returns:
            None if it is none, or has changed: it is to be taken. True once it is gone, and False
            while it stays.

        Raises:
            NotReadyError: it is gone, or cannot be read now.
            Unavailable: the ledger cannot be read.
        """
        found = fingerprint(path)
        origin = self._find(path, found)
        if origin is None:
            return None
        if not _is_due(origin, quiet):
            return False
        # One that could not be removed was read by then: a share is not read again and again.
        sure = origin.settled or origin.claim in self._undeletable
        sure &= found == origin.fingerprint
        if not sure and not self._spool.is_original(path, origin.image_id):
            return None
        return self.remove(origin.claim, path, found)

    def _find(self, path: Path, found: Fingerprint) -> Origin | None:
        """Find the original that a file with these looks is, under its old name or a new one."""
        here = self._origins.at(path)
        for origin in here:
            # Not by device and inode, which may be others once a mount has come back.
            if found[2:] == origin.fingerprint[2:]:
                return origin
        for origin in here:  # some senders set the time at the end
            unsettled = not origin.settled and found[2] == origin.fingerprint[2]
            if unsettled and self._spool.is_original(path, origin.image_id):
                self._origins.touched(origin.claim, found)
                return origin
        for origin in self._origins.like(found):
            if self._has_left(origin) and self._spool.is_original(path, origin.image_id):
                self._origins.renamed(origin.claim, path)
                return origin
        return None

    def _has_left(self, origin: Origin) -> bool:
        """Tell if the file at an original's place is another one, or none; False if unsure."""
        try:
            return fingerprint(origin.path)[2:] != origin.fingerprint[2:]
        except NotReadyError:
            return self._spool.is_gone(origin.path)

    def _may_forget(self, origin: Origin) -> bool:
        known = origin.fingerprint
        return not origin.image_id or self._spool.on_its_mount(origin.path, known)

    def remove(self, claim: str, path: Path, known: Fingerprint) -> bool:
        """
        Remove an original; one that cannot be removed is told, and tried again later.

        Args:
            claim: name of the copy in spool/claimed.
            path: of the original.
            known: its fingerprint; a file that has another one by now is left.

        Returns:
            False if it is still there.
        """
        removed = self._spool.remove_origin(path, known)
        if removed:
            self._forget(claim)
        else:
            self._undeletable.add(claim)
            self._tell()
        return removed

    def _forget(self, claim: str) -> None:
        self._undeletable.discard(claim)
        self._tell()
        try:
            self._origins.removed(claim)
        except Unavailable as error:  # the image is recorded: nothing of it may be undone
            log.warning('event=origin_not_noted why="%s"', error)

    def _tell(self) -> None:
        if left := len(self._undeletable):
            self._health.degrade(
                Cause.INBOX_UNDELETABLE,
                f"inbox: {left} files were taken and cannot be removed: check the folder's mode",
            )
        else:
            self._health.recover(Cause.INBOX_UNDELETABLE)


def _is_due(origin: Origin, quiet: float) -> bool:
    if origin.settled:
        return True
    return origin.answered and quiet >= (SCORED_AFTER if origin.scored else REJECTED_AFTER)
