"""The reasons for being degraded that lie in the inbox: what cannot be taken, and why."""

from pathlib import Path
from typing import Final

from edge.daemon.intake.candidates import Candidates
from edge.daemon.intake.walk import MAX_DEPTH
from edge.errors import MammoEdgeError
from edge.health import Cause, Health

UNFINISHED_S: Final = 600.0
"""Seconds for which a file may be open and unchanged before anybody is told."""


class Complaints:
    """
    Tells what keeps files in the inbox, and takes each reason back once it is gone.

    Args:
        candidates: the files that are not taken yet.
        health: is told.
    """

    def __init__(self, candidates: Candidates, health: Health) -> None:
        self._candidates = candidates
        self._health = health
        self.unreadable = False
        """True if the last listing found files or folders that cannot be read."""
        # as of the last listing, and what came since: a single file costs no look at all others
        self._locked: set[Path] = set()
        self._failed: set[Path] = set()

    def listed(self, now: float, unreadable: int, too_deep: int) -> None:
        """
        Tell of all that a listing has shown.

        Args:
            now: monotonic time, in seconds.
            unreadable: files that cannot be read and folders that cannot be listed.
            too_deep: folders that were not entered.
        """
        self.unreadable = unreadable > 0
        self._tell_unreadable(unreadable, too_deep)
        self._tell_unfinished(self._candidates.unfinished(now, UNFINISHED_S))
        self._locked, self._failed = self._candidates.locked(), self._candidates.failed()
        self._tell_locked()
        if not self._failed:
            self._health.recover(Cause.INBOX_SET_ASIDE)

    def failed(self, path: Path, error: Exception) -> None:
        """Tell of a file whose taking failed for a reason that nobody foresaw."""
        self._failed.add(path)
        said = str(error) if isinstance(error, MammoEdgeError) else type(error).__name__
        why = f"inbox: {len(self._failed)} files cannot be taken and are left there: {said}"
        self._health.degrade(Cause.INBOX_SET_ASIDE, why)

    def locked(self, folder: Path) -> None:
        """Tell of a folder that lets nobody but its sender remove files."""
        self._locked.add(folder)
        self._tell_locked()

    def _tell_locked(self) -> None:
        if self._locked:
            why = (
                f"inbox: {len(self._locked)} of its folders let nobody but their sender remove "
                "files: `mammo-edge doctor` names them and what to do"
            )
            self._health.degrade(Cause.INBOX_LOCKED, why)
        else:
            self._health.recover(Cause.INBOX_LOCKED)

    def _tell_unfinished(self, count: int) -> None:
        if count:
            why = (
                f"inbox: {count} files are open and have not changed for "
                f"{UNFINISHED_S / 60:.0f} minutes: their sender does not close them"
            )
            self._health.degrade(Cause.INBOX_UNFINISHED, why)
        else:
            self._health.recover(Cause.INBOX_UNFINISHED)

    def _tell_unreadable(self, count: int, too_deep: int) -> None:
        if count:
            why = f"inbox: {count} files or folders cannot be read: check their owner and mode"
        elif too_deep:
            why = f"inbox: {too_deep} folders lie more than {MAX_DEPTH} levels deep: not looked at"
        else:
            self._health.recover(Cause.INBOX_UNREADABLE)
            return
        self._health.degrade(Cause.INBOX_UNREADABLE, why)
