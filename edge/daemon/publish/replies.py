"""
The courier of replies: strangers name their topics, so that one of them may be bad.

A bad reply costs results nothing but now and then a connection. A topic at which the broker hangs
up rests with all its replies; one such topic is tried again at a time. The pause after hang-ups
grows, and is longer than a connection must last to be made anew at once. A reply that was refused,
hung up on or could not be sent for `reply_expiry_s` is given up, by the time that we have tried and
not by the clock: a small device starts in the past and jumps into the present.
"""

import logging
import time
from typing import Final

from edge.daemon.publish import Sink
from edge.daemon.publish.courier import Courier
from edge.health import Health
from edge.mqtt.backoff import STEADY_S
from edge.storage.ledger.outbox import HUNG_UP, Delivery, Outbox

log = logging.getLogger(__name__)

PAUSE_S: Final = STEADY_S + 1.0
"""The first pause after a hang-up, in seconds; each further one in a row is twice as long."""
REST_S: Final = 60.0
"""The longest pause, and the time between two tries of topics that rest, in seconds."""
LOOK_S: Final = 5.0
"""Seconds between two looks at replies that may be given up."""


class ReplyCourier(Courier):
    """
    Drains the replies.

    Args:
        sink: publishes replies.
        outbox: of the ledger.
        health: for stamps, reasons and counters.
        expiry_s: seconds after which a reply that cannot be delivered is given up.
    """

    most_hang_ups = 1
    hung_up_retry_s = REST_S
    _outbox: Outbox

    def __init__(self, sink: Sink, outbox: Outbox, health: Health, expiry_s: float) -> None:
        super().__init__(sink, outbox, health)
        self._expiry_s = expiry_s
        self._since: dict[int, float] = {}
        """The time at which each reply was tried first, by its number."""
        self._tried: dict[int, float] = {}
        """The time at which the broker hung up on it last, by its number."""
        self._in_a_row = 0
        self._pause_until = 0.0
        self._next_look = 0.0

    def turn(self) -> None:
        """Deliver some replies, or rest; after hang-ups, leave the connection to the results."""
        if time.monotonic() < self._pause_until:
            self._stop.wait(1.0)
        else:
            super().turn()

    def _release_held(self) -> None:
        """Give up what is too old, and try again what may be tried."""
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + LOOK_S
            for reply in self._outbox.stuck_replies():
                if self._expired(reply):
                    self._give_up(reply)
                    self._retry_held.set()  # so that the reason goes with the last one
        super()._release_held()

    def _release(self, *, due: bool) -> None:
        """Try again what was refused and, if it is `due`, one topic that rests."""
        self._outbox.release_held(self._sink.takes, but=HUNG_UP)
        hung_up = [one for one in self._outbox.stuck_replies() if one.held == HUNG_UP]
        if due and hung_up:
            first = min(hung_up, key=lambda one: self._tried.get(one.seq, 0.0))
            self._outbox.release(first.seq, self._sink.takes)

    def _deliver(self, delivery: Delivery) -> None:
        if self._expired(delivery):
            self._give_up(delivery)
        else:
            super()._deliver(delivery)
            self._in_a_row = 0

    def _note_hang_up(self) -> None:
        super()._note_hang_up()
        pause_s = min(REST_S, PAUSE_S * 2**self._in_a_row)
        self._pause_until = time.monotonic() + pause_s
        self._in_a_row += 1

    def _hold(self, delivery: Delivery, why: str) -> None:
        self._tried[delivery.seq] = time.monotonic()
        super()._hold(delivery, why)

    def _done(self, delivery: Delivery) -> None:
        super()._done(delivery)
        self._since.pop(delivery.seq, None)
        self._tried.pop(delivery.seq, None)

    def _expired(self, delivery: Delivery) -> bool:
        since = self._since.setdefault(delivery.seq, time.monotonic())
        return time.monotonic() - since > self._expiry_s

    def _give_up(self, delivery: Delivery) -> None:
        log.warning("event=reply_given_up seq=%d", delivery.seq)
        self._health.count("replies_given_up")
        self._done(delivery)
