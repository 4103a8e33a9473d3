"""Erases what copying has left of an image in the inbox, from which it would come in again."""

from pathlib import Path

from edge.daemon.intake.walk import Walk
from edge.errors import Unavailable
from edge.storage.ledger import Ledger
from edge.storage.ledger.records import Origin
from edge.storage.ledger.states import State
from edge.storage.spool import Spool
from edge.system.files import Fingerprint, NotReadyError, fingerprint


class OriginalErasure:
    """
    Removes originals, wherever in the inbox they are by now.

    Args:
        inbox: the folder.
        ledger: knows what was copied.
        spool: compares and removes.
    """

    def __init__(self, inbox: Path, ledger: Ledger, spool: Spool) -> None:
        self._inbox = inbox
        self._ledger = ledger
        self._spool = spool

    def remove(self, image_id: str) -> tuple[int, bool]:
        """
        Remove the originals of an image, or files of its bytes if the ledger knows it no more.

        Returns:
            Their number; and False if one was not found, and may lie on a mount that is away.

        Raises:
            Unavailable: one cannot be read or removed.
            OSError: the inbox cannot be listed.
        """
        image, removed, sure = self._ledger.images.find(image_id), 0, True
        if image is None:  # erased, maybe while the mount with an original was away
            return self._remove_unknown(image_id), True
        if image.state is not State.ARCHIVED:
            return 0, True
        for origin in self._ledger.origins.all():
            if origin.image_id == image_id:
                here = self._remove(origin.path, image_id) or self._remove_moved(origin)
                sure &= bool(here) or self._spool.on_its_mount(origin.path, origin.fingerprint)
                removed += here
        return removed, sure

    def _remove_unknown(self, image_id: str) -> int:
        """Remove files of these bytes that are not taken in yet; those of others are known."""
        if not self._inbox.exists():
            return 0
        known = {origin.fingerprint for origin in self._ledger.origins.all()}
        return sum(
            self._remove(folder / name, image_id)
            for folder, names in Walk(self._inbox)
            for name in names
            if (looks := _looks(folder / name)) is not None and looks not in known
        )

    def _remove_moved(self, origin: Origin) -> int:
        """Remove an original that is no longer at its place, wherever in the inbox it is."""
        return sum(
            self._remove(folder / name, origin.image_id)
            for folder, names in Walk(self._inbox)
            for name in names
            if (looks := _looks(folder / name)) and looks[2] == origin.fingerprint[2]
        )

    def _remove(self, path: Path, image_id: str) -> bool:
        try:
            if not self._spool.is_original(path, image_id):
                return False
            if self._spool.remove_origin(path, fingerprint(path)):
                return True
        except NotReadyError:
            msg = f"{self._inbox}: a file there cannot be read, so it might come in again"
            raise Unavailable(msg) from None
        msg = f"{self._inbox}: the file cannot be removed there: check the folder's mode"
        raise Unavailable(msg)


def _looks(path: Path) -> Fingerprint | None:
    """Return the fingerprint of a regular file; None if there is none."""
    try:
        return fingerprint(path)
    except NotReadyError:
        return None
