"""Sinks, one file each: an object that sends one delivery and returns when it is safe there."""

from collections.abc import Sequence
from typing import Protocol

from edge.health import Cause
from edge.storage.ledger.outbox import Delivery


class NothingToSendError(Exception):
    """
    The sink gets nothing of this result, which is done with.

    Args:
        counter: counts such results.
    """

    def __init__(self, counter: str) -> None:
        super().__init__(counter)
        self.counter = counter


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
            NothingToSendError: there is nothing to deliver; go on with the next.
        """
        ...
