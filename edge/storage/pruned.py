"""Counts what retention removes, and tells the audit log now and then."""

import contextlib
import time
from collections import Counter
from typing import Final

from edge.errors import Unavailable
from edge.health import Health
from edge.storage.audit import DAEMON, Audit

TELL_S: Final = 3600.0
"""Seconds between two entries of the audit log about what was pruned."""


class Pruned:
    """
    The counts of what was removed since the audit log was last told; used by one thread.

    Args:
        health: counts too.
        audit: is told.
    """

    def __init__(self, health: Health, audit: Audit) -> None:
        self._health = health
        self._audit = audit
        self._untold: Counter[str] = Counter()
        self._told_at = time.monotonic()

    def count(self, what: str, number: int = 1) -> None:
        """Count what was removed."""
        for _ in range(number):
            self._health.count(what)
        self._untold[what] += number

    def tell_now_and_then(self) -> None:
        """Tell the audit log if the last time was long ago."""
        if time.monotonic() - self._told_at >= TELL_S:
            self.tell()

    def tell(self) -> None:
        """Write one entry for all that was removed; one that the disk does not take comes later."""
        self._told_at = time.monotonic()
        if +self._untold:
            with contextlib.suppress(Unavailable):
                self._audit.add("pruned", DAEMON, **+self._untold)
                self._untold.clear()
