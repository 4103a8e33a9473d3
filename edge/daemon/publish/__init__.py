"""Sinks, one file each: an object that sends one delivery and returns when it is safe there."""

from collections.abc import Sequence
from typing import Protocol

from edge.health import Cause
from edge.storage.ledger.outbox import Delivery


class Sink(Protocol):
    """A place where results go."""

    @property
    def name(self) -> str:
        """The name in the configuration, by which deliveries are counted."""
        ...

    @property
    def takes(self) -> Sequence[str]:
        """The outbox's sinks that this one serves, in one order of sequence numbers."""
        ...

    @property
    def unavailable(self) -> Cause:
        """The code to report while a result cannot be delivered."""
        ...

    @property
    def refused(self) -> Cause | None:
        """The code to report while refused results are kept; None for a sink that refuses none."""
        ...

    def send(self, delivery: Delivery) -> None:
        """
        Deliver one result; it is safe there when this returns.

        Raises:
            Unavailable: not now; try the same again later.
            RefusedError: never as it is; go on with the next.
        """
        ...
