"""The protocol version and the pause with which a lost connection is made anew."""

from enum import Enum, auto
from typing import Final

from edge.mqtt.connection import Protocol

BACKOFF_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Pauses after the first, second, ... failure in a row, in seconds."""
STEADY_S: Final = 5.0
"""
A connection that lasted so long is made anew at once, in seconds.

A shorter one is made anew after a pause, because some brokers hang up on what they dislike.
"""
CLOSES_BEFORE_FALLBACK: Final = 2
"""Connections in a row that the broker closes unanswered before MQTT 3.1.1 is tried."""


class Ended(Enum):
    """The ways in which an attempt to connect ends."""

    LASTED = auto()
    """Connected, and ended later."""
    UNREACHABLE = auto()
    CLOSED_UNANSWERED = auto()
    """Closed before CONNACK, as brokers do that do not know MQTT 5."""
    REFUSED = auto()
    UNSUPPORTED = auto()
    """CONNACK says that the broker does not speak this version."""


class Backoff:
    """The protocol of the next attempt, and the pause before it."""

    def __init__(self) -> None:
        self.protocol = Protocol.V5
        self._unanswered = 0
        self._failures = 0

    def after(self, ended: Ended, lasted_s: float) -> float:
        """
        Note how an attempt ended, and choose the protocol of the next one.

        Args:
            ended: how it ended.
            lasted_s: seconds from the attempt's beginning to its end.

        Returns:
            The pause before the next attempt, in seconds.
        """
        if ended is Ended.LASTED:
            self.protocol, self._unanswered = Protocol.V5, 0
            if lasted_s > STEADY_S:
                self._failures = 0
                return 0.0
        if self._asks_for_other_version(ended):
            self.protocol = Protocol.V311 if self.protocol is Protocol.V5 else Protocol.V5
            if self.protocol is Protocol.V311:
                return 0.0
        pause = BACKOFF_S[min(self._failures, len(BACKOFF_S) - 1)]
        self._failures += 1
        return pause

    def _asks_for_other_version(self, ended: Ended) -> bool:
        self._unanswered = self._unanswered + 1 if ended is Ended.CLOSED_UNANSWERED else 0
        if ended is not Ended.UNSUPPORTED and self._unanswered < CLOSES_BEFORE_FALLBACK:
            return False
        self._unanswered = 0
        return True
