"""The inbox watched: through events if its file system has any, by listing it if not."""

import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edge.config.settings import Inbox
from edge.daemon.intake.inotify import NETWORK, NO_EVENTS, Hint, Watch, filesystem_of
from edge.health import Cause, Health

QUIET_S: Final = 2.0
"""Seconds without a change after which a local file counts as finished."""
NETWORK_QUIET_S: Final = 10.0
"""The same on a network file system, in seconds."""


class Watching:
    """
    Keeps a watch on a folder that may come, go, or be mounted over.

    Args:
        settings: of the inbox.
        health: is told if there are no events.
    """

    def __init__(self, settings: Inbox, health: Health) -> None:
        self._settings = settings
        self._health = health
        self._watch: Watch | None = None
        self._inode = -1
        self._woken = threading.Event()
        self.polls = False
        """True if the inbox is listed more often, since it has no events."""
        self.remote = False
        """True if it lies on a network file system, whose clock is not ours."""
        self.quiet_s = QUIET_S
        """Seconds without a change after which a file counts as finished."""

    def keep(self) -> bool:
        """
        Watch the folder, if that is not so already.

        Returns:
            True if the watch is new, so that the folder has to be listed.

        Raises:
            OSError: the folder is away.
        """
        inode = self._settings.path.stat().st_ino
        if self._watch is not None and (self._watch.inode != inode or not self._watch.alive()):
            self.close()
        if self._watch is not None or (self.polls and self._inode == inode):
            return False
        self._inode = inode
        kind = filesystem_of(self._settings.path)
        poll = self._settings.poll
        self.polls = poll == "always" or (poll == "auto" and kind.startswith(NO_EVENTS))
        self.remote = kind.startswith(NETWORK)
        self.quiet_s = self._settings.quiet_s or (NETWORK_QUIET_S if self.remote else QUIET_S)
        if not self.polls:
            self._start(self._settings.path)
        return True

    def hints(self, timeout_s: float) -> Iterator[Hint]:
        """Wait for events until `wake` or for `timeout_s` seconds, and yield all there are."""
        if self._watch is None:
            self._woken.wait(timeout_s)
            return
        try:
            yield self._watch.hints.get(timeout=timeout_s)
            while True:
                yield self._watch.hints.get_nowait()
        except queue.Empty:
            return

    def wake(self) -> None:
        """End the wait for hints, for good; from any thread."""
        self._woken.set()
        if self._watch is not None:
            self._watch.wake()

    def close(self) -> None:
        """Watch no more."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _start(self, folder: Path) -> None:
        try:
            self._watch = Watch(folder)
        except OSError as error:
            self.polls = True
            self._health.degrade(
                Cause.INBOX_WITHOUT_EVENTS,
                f"inbox: no events, listing it instead: {error.strerror}",
            )
        else:
            self._health.recover(Cause.INBOX_WITHOUT_EVENTS)
