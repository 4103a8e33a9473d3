"""The worth of the bundle that serves, by the verdicts so far, for the metrics."""

import threading
from collections.abc import Callable

from edge.models.performance import Look, look
from edge.storage.ledger.verdicts import Kind, Verdicts


class ServingPerformance:
    """
    Measures when a verdict or the bundle is another, and not before; any thread may call it.

    Args:
        verdicts: of the ledger.
        bundle_id: returns the id of the bundle that serves.
        kind: of the verdicts.
    """

    def __init__(
        self, verdicts: Verdicts, bundle_id: Callable[[], str], kind: Kind = "image"
    ) -> None:
        self._verdicts = verdicts
        self._kind = kind
        self._bundle_id = bundle_id
        self._lock = threading.Lock()
        self._of: object = None
        self._found: Look | None = None

    def __call__(self) -> Look:
        """
        Measure, or return what was measured before.

        Raises:
            Unavailable: the ledger cannot be read.
        """
        with self._lock:
            bundle_id = self._bundle_id()
            now = (self._verdicts.version(self._kind), bundle_id)
            if self._found is None or now != self._of:
                pairs = self._verdicts.pairs(self._kind)
                own = [pair for pair in pairs if pair.bundle_id == bundle_id and pair.woman]
                self._found, self._of = look(own), now
            return self._found
