"""Removes files of the archive, the oldest first; one that cannot be removed keeps no other."""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from edge.config.settings import Settings
from edge.storage.archive_folders import ArchiveFolders
from edge.storage.erased_files import remove_file
from edge.storage.ledger import Ledger
from edge.storage.ledger.pruning import FIRST, Place
from edge.storage.names import result_path
from edge.storage.pruned import Pruned
from edge.system import files

log = logging.getLogger(__name__)
ANY_AGE: Final = float("inf")
"""The Unix time before which every file was archived."""


class OldFiles:
    """
    The files of done and failed that may go.

    Args:
        settings: say where they lie, and how much room must be free.
        ledger: lists the files, and knows which only look old.
        pruned: counts what goes.
        beat: called for each page that is listed, as many may be.
    """

    def __init__(
        self, settings: Settings, ledger: Ledger, pruned: Pruned, beat: Callable[[], None]
    ) -> None:
        folders = (settings.spool.done, settings.spool.failed)
        self._done = settings.spool.done
        self._min_free_mb = settings.retention.min_free_mb
        self._ledger = ledger
        self._pruning = ledger.pruning
        self._pruned = pruned
        self._beat = beat
        self._remove = partial(_remove_unless_away, ArchiveFolders(settings.state.path, folders))
        self.stuck: dict[str, str] = {}
        """Files that could not be removed, with the reason: none is tried again while here."""
        self._stuck_until = {True: FIRST, False: FIRST}
        """The place, in done and failed, up to which there is none but those, to look behind it."""

    def try_again(self) -> None:
        """Forget which files could not be removed."""
        self.stuck.clear()
        self._stuck_until = {True: FIRST, False: FIRST}

    def remove(self, *, scored: bool, before: float, limit: int) -> int:
        """
        Remove some files; if room is to be made, until there is enough.

        Args:
            scored: true for done, false for failed.
            before: archived before this Unix time; ANY_AGE to make room.
            limit: at most so many.

        Returns:
            The number of those that were tried; if there are any, there may be more.
        """
        tried = removed = 0
        for place in self._next(scored=scored, before=before, limit=limit):
            gone = self._removed(place.image_id)
            tried += gone or place.image_id in self.stuck
            if gone:
                self._pruned.count("pruned_done" if scored else "pruned_failed")
                removed += 1
            if removed and before == ANY_AGE and not is_short(self._done, self._min_free_mb):
                break
        if removed:
            log.info("event=files_pruned scored=%s count=%d", scored, removed)
        return tried

    def _next(self, *, scored: bool, before: float, limit: int) -> list[Place]:
        """
        List the oldest files, but for those that could not be removed.

        Those are not listed anew for each batch. Once there is nothing behind them, the next look
        begins with the oldest again, for what may go since. What only looks old goes last.
        """
        place, newer = self._stuck_until[scored], list[Place]()
        begin, end = self._ledger.clock.looking_old()
        while found := self._pruning.files(scored=scored, before=before, limit=limit, after=place):
            fresh = [one for one in found if one.image_id not in self.stuck]
            if older := [one for one in fresh if not begin <= one.archived_at <= end]:
                return older
            place, newer = found[-1], newer or fresh
            if newer:  # all others of those dates, too, go after what is older
                place = max(place, Place(end, 0, ""))
            else:
                self._stuck_until[scored] = place
            self._beat()
        if not newer:
            self._stuck_until[scored] = FIRST
        return newer

    def _removed(self, image_id: str) -> bool:
        try:
            return self._pruning.remove_file(image_id, self._remove)
        except OSError as error:
            self.stuck[image_id] = error.strerror or str(error)
            return not self._pruning.has_file(image_id)  # it is only a picture that stays, then


def _remove_unless_away(archives: ArchiveFolders, path: Path) -> None:
    """Remove a file, or find it gone from the folder that had it, not with its mount."""
    there = path.exists() or result_path(path).exists()
    if not there and archives.is_away(path.parent):
        archives.demand(path.parent)
    remove_file(path)


def is_short(folder: Path, min_free_mb: int) -> bool:
    """
    Tell if a file system has less room than that, or too few inodes.

    Raises:
        OSError: it does not say.
    """
    few_bytes = files.free_bytes(folder) < min_free_mb * 2**20
    return few_bytes or files.short_of_inodes(folder)
