"""Strangers and failures: each is counted, and told to the journal, of which a flood makes few."""

import logging
import threading
import time
from typing import Final

from edge.contract.receiver import Aborted, Cause
from edge.dicom.receive.tally import Tally

log = logging.getLogger(__name__)

EVERY_S: Final = 10.0
"""Seconds between two lines about the same thing."""
MOST: Final = 1024
"""Things that are remembered."""


def quoted(text: str) -> str:
    """Write a peer's text so that it stays one value: other characters than common ones as `?`."""
    kept = "".join(
        one if one.isascii() and (one.isalnum() or one in "_-.") else "?" for one in text
    )
    return f'"{kept[:16]}"'


class Journal:
    """
    Writes a line at most every EVERY_S seconds about each event, peer and reason.

    Args:
        tally: counts all that is told, also what is left out here.
    """

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._lock = threading.Lock()
        self._told: dict[tuple[str, str, str], tuple[float, int]] = {}

    def tell(self, event: str, cause: Cause, peer: str, why: str, **more: str) -> None:
        """
        Count, and write a warning, or count it for the next one.

        Args:
            event: its name.
            cause: the code to count it by.
            peer: the address; never text that the peer sent.
            why: in words of ours.
            more: further values; a peer's text is `quoted`.
        """
        self._tally.count(cause)
        unsaid = self._unsaid((event, peer, why), time.monotonic())
        if unsaid is None:
            return
        rest = "".join(f" {name}={value}" for name, value in more.items())
        times = f" unsaid={unsaid}" if unsaid else ""
        log.warning('event=%s peer=%s why="%s"%s%s', event, peer, why, rest, times)

    def took(self, peer: str, size: int) -> None:
        """Count an object of some bytes that is in the inbox, and write a line about it."""
        self._tally.took()
        log.info("event=object_taken peer=%s bytes=%d", peer, size)

    def _unsaid(self, key: tuple[str, str, str], now: float) -> int | None:
        """Count the lines left out since the last one; None if this one is left out, too."""
        with self._lock:
            told, unsaid = self._told.pop(key, (-EVERY_S, 0))
            if now - told < EVERY_S:
                self._told[key] = told, unsaid + 1
                return None
            self._told[key] = now, 0
            if len(self._told) > MOST:
                del self._told[next(iter(self._told))]
            return unsaid


class Ending:
    """
    Tells why one association ends before its time: the first cause, and none that follows from it.

    Args:
        journal: is told.
        peer: the address.
    """

    def __init__(self, journal: Journal, peer: str) -> None:
        self._journal, self._peer = journal, peer
        self._told = False

    def __call__(self, cause: Aborted, why: str) -> None:
        """Note a cause, and the reason in words of ours."""
        if not self._told:
            self._told = True
            self._journal.tell("aborted", cause, self._peer, why)
