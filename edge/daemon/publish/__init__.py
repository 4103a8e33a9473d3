"""
Sinks: one file each. A sink is an object that sends one delivery and returns when it is safe there.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Final, Protocol

from edge.errors import Unavailable
from edge.health import Cause, Health
from edge.mqtt.errors import HungUpError, RefusedError
from edge.storage.ledger.outbox import Delivery, Outbox
from edge.storage.ledger.records import REPLY

log = logging.getLogger(__name__)

PAUSE_S: Final = 1.0
"""How long a courier rests when there is nothing to send, or nobody to send it to."""


HANG_UPS: Final = 3
"""
So many connections in a row that end under one result are taken for a refusal; twice as many where
it was not alone on its way.
"""
HUNG_UP: Final = "the broker hung up on it"
HUNG_UP_RETRY_S: Final = 600.0
"""How long such a result then lets the others go first, in seconds."""


class Sink(Protocol):
    """Where results go."""

    @property
    def name(self) -> str:
        """What the configuration calls it."""
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


class Courier:
    """Drains the outbox of one sink in a thread of its own: a sink that is down delays no other."""

    def __init__(
        self, sink: Sink, outbox: Outbox, health: Health, *, reply_expiry_s: float
    ) -> None:
        self._sink = sink
        self._outbox = outbox
        self._health = health
        self._reply_expiry_s = reply_expiry_s
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._retry_held = threading.Event()
        self._hang_ups: Counter[int] = Counter()
        self._tried_since: dict[int, float] = {}
        self._next_hung_up = 0.0
        self._loop = f"publish-{sink.name}"
        self._thread = threading.Thread(target=self._run, name=self._loop, daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._retry_held.set()
        self._thread.start()

    def wake(self) -> None:
        """There is something new in the outbox."""
        self._wake.set()

    def retry_held(self) -> None:
        """The sink is there again: try what it refused once more."""
        self._retry_held.set()
        self._wake.set()

    def stop(self, timeout_s: float) -> None:
        """Deliver what goes at once, then end; the rest stays in the outbox."""
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            self._health.stamp(self._loop)
            sent = self._turn()
            if self._stop.is_set() and not sent:
                break
            if not sent:
                self._wake.wait(PAUSE_S)
                self._wake.clear()
        self._health.retire(self._loop)

    def _turn(self) -> bool:
        """Deliver some; False where there is nothing to do or nothing can be done for now."""
        try:
            self._release_held()
            deliveries = self._outbox.pending(self._sink.takes)
            for delivery in deliveries:
                self._deliver(delivery)
                self._health.stamp(self._loop)
        except _SinkUnavailableError as error:
            self._health.degrade(self._sink.unavailable, str(error))
            return False
        except Unavailable as error:
            self._health.degrade(Cause.OUTBOX_UNAVAILABLE, str(error))
            return False
        self._health.recover(Cause.OUTBOX_UNAVAILABLE)
        if deliveries:
            self._health.recover(self._sink.unavailable)
        return bool(deliveries)

    def _release_held(self) -> None:
        """
        What was refused is tried again on a new connection; what the broker hung up on, only now
        and then.
        """
        due = time.monotonic() > self._next_hung_up
        if not self._retry_held.is_set() and not due:
            return
        self._retry_held.clear()
        if due:
            self._next_hung_up = time.monotonic() + HUNG_UP_RETRY_S
        self._outbox.release_held(self._sink.takes, but="" if due else HUNG_UP)
        if self._sink.refused is not None and not self._outbox.held(self._sink.takes):
            self._health.recover(self._sink.refused)

    def _deliver(self, delivery: Delivery) -> None:
        if delivery.sink == REPLY and self._expired(delivery):
            log.warning("event=reply_given_up seq=%d", delivery.seq)
            self._health.count("replies_given_up")
            self._outbox.delivered(delivery)
            return
        try:
            self._sink.send(delivery)
        except RefusedError as error:
            self._hold(delivery, str(error))
        except HungUpError as error:
            self._hang_ups[delivery.seq] += 2 if error.alone else 1
            if self._hang_ups[delivery.seq] < 2 * HANG_UPS:
                raise _SinkUnavailableError(str(error)) from error
            self._next_hung_up = time.monotonic() + HUNG_UP_RETRY_S
            self._hold(delivery, HUNG_UP)
        except Unavailable as error:
            raise _SinkUnavailableError(str(error)) from error
        else:
            self._outbox.delivered(delivery)
            self._health.count(f"delivered_{self._sink.name}")
        self._hang_ups.pop(delivery.seq, None)
        self._tried_since.pop(delivery.seq, None)

    def _expired(self, delivery: Delivery) -> bool:
        """
        By the time we have tried, not by the clock: a small device starts in the past and jumps
        into the present.
        """
        since = self._tried_since.setdefault(delivery.seq, time.monotonic())
        if time.monotonic() - since <= self._reply_expiry_s:
            return False
        del self._tried_since[delivery.seq]
        return True

    def _hold(self, delivery: Delivery, why: str) -> None:
        """Keep what was refused, tell so, and let the next one go."""
        log.warning(
            'event=result_refused sink=%s seq=%d why="%s"', self._sink.name, delivery.seq, why
        )
        self._outbox.hold(delivery, why)
        if self._sink.refused is not None:
            self._health.degrade(
                self._sink.refused, f"{self._sink.name}: results were refused and are kept: {why}"
            )


class _SinkUnavailableError(Unavailable):
    """The sink, and not the ledger, cannot take a result for now."""
