"""
The protocol version and the pause with which a lost connection is made anew.

MQTT 3.1.1 knows neither response topics nor correlation data, so that a reply to one would go to
everyone. It is spoken if the broker said that it knows no MQTT 5, or the configuration says so. A
broker that closes connections unanswered may be an old one, or a proxy whose broker is down: 3.1.1
is then a guess, and never made of a broker that has spoken 5 before.
"""

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
    """
    The protocol of the next attempt, and the pause before it.

    Args:
        fixed: the only version to speak; None to find out.
        spoke_5: true if this broker has spoken MQTT 5 before.
    """

    def __init__(self, fixed: Protocol | None = None, *, spoke_5: bool = False) -> None:
        self.protocol = fixed or Protocol.V5
        self.guessed = False
        """True if MQTT 3.1.1 is tried although the broker did not say that it knows no other."""
        self.spoke_5 = spoke_5
        self._fixed = fixed is not None
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
            self._unanswered = 0
            self._speak(Protocol.V5)
            if lasted_s > STEADY_S:
                self._failures = 0
                return 0.0
        if self._asks_for_other_version(ended):
            other = Protocol.V311 if self.protocol is Protocol.V5 else Protocol.V5
            self._speak(other, guessed=ended is not Ended.UNSUPPORTED)
            if self.protocol is Protocol.V311:
                return 0.0
        pause = BACKOFF_S[min(self._failures, len(BACKOFF_S) - 1)]
        self._failures += 1
        return pause

    def _speak(self, protocol: Protocol, *, guessed: bool = False) -> None:
        if not self._fixed:
            self.protocol = protocol
            self.guessed = guessed and protocol is Protocol.V311

    def _asks_for_other_version(self, ended: Ended) -> bool:
        self._unanswered = self._unanswered + 1 if ended is Ended.CLOSED_UNANSWERED else 0
        if self._fixed:
            return False
        if ended is Ended.UNSUPPORTED:
            return True
        only_5 = self.spoke_5 and self.protocol is Protocol.V5
        if only_5 or self._unanswered < CLOSES_BEFORE_FALLBACK:
            return False
        self._unanswered = 0
        return True
