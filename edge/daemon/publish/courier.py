"""
Couriers: each takes results from the outbox to one sink, in the order of their numbers.

What the sink refused is tried again now and then, one by one, and only while nothing else waits: of
what it refuses for ever there is more with the months, and each try may take seconds.
"""

import logging
import threading
import time
from collections import Counter, deque
from typing import Final

from edge.daemon.publish import NothingToSendError, Sink
from edge.errors import StateDamagedError, Unavailable
from edge.health import Cause, Health
from edge.mqtt.errors import HungUpError, RefusedError
from edge.storage.ledger.outbox import HUNG_UP, Delivery, ExamOutbox, Outbox
from edge.storage.ledger.records import REPLY
from edge.system.threads import Loop, note_failing, note_failure, note_good_turn

log = logging.getLogger(__name__)

PAUSE_S: Final = 1.0
"""Rest when there is nothing to send, or nobody to send it to, in seconds."""
HANG_UPS: Final = 3
"""
Connections in a row that end under one result before that is taken for a refusal.

Twice as many if the result was not alone on its way.
"""
HUNG_UP_RETRY_S: Final = 600.0
"""Seconds for which such a result then lets the others go first."""


class Courier(Loop):
    """
    Drains the outbox of one sink: a sink that is down delays no other.

    Args:
        sink: where results go.
        outbox: of the ledger.
        health: for stamps, reasons and counters.
    """

    most_hang_ups = HANG_UPS
    hung_up_retry_s = HUNG_UP_RETRY_S

    def __init__(self, sink: Sink, outbox: Outbox | ExamOutbox, health: Health) -> None:
        super().__init__(f"publish-{sink.takes[0]}", health)
        self._sink = sink
        self._part = f"delivery to {sink.name}"
        self._outbox = outbox
        self._wake = threading.Event()
        self._retry_held = threading.Event()
        self._retry_held.set()
        self._hang_ups: Counter[int] = Counter()
        self._again: deque[int] = deque()
        """The numbers of held deliveries that are to be tried again."""
        self._tries_again = False
        """True from the first of those on, until the last one was delivered or is held again."""
        self._next_hung_up = 0.0
        self._outbox_failed = False

    def wake(self) -> None:
        """Look into the outbox now; from any thread."""
        self._wake.set()

    def retry_held(self) -> None:
        """Try once more what the sink refused, since it is there again; from any thread."""
        self._retry_held.set()
        self._wake.set()

    def turn(self) -> None:
        """Deliver some results, or rest until `wake`."""
        if not self._deliver_some():
            self._wake.wait(PAUSE_S)
            self._wake.clear()

    def last_turn(self) -> None:
        """Deliver what goes at once; the rest stays in the outbox."""
        while self._deliver_some():
            self._health.beat()

    def _deliver_some(self) -> bool:
        """Deliver some; False if there is nothing to do, or nothing can be done for now."""
        try:
            self._release_held()
            deliveries = self._next()
            self._recover_outbox()
            for delivery in deliveries:
                self._deliver(delivery)
                self._health.beat()
            if self._tries_again and not self._again:
                self._recover_held()
                self._tries_again = False
        except _SinkUnavailableError as error:
            self._health.degrade(self._sink.unavailable, str(error))
            return False
        except Unavailable as error:
            self._outbox_failed = True
            self._health.degrade(Cause.OUTBOX_UNAVAILABLE, str(error))
            return False
        self._health.recover(self._sink.unavailable)
        return bool(deliveries)

    def _next(self) -> list[Delivery]:
        """List the next deliveries, else the next of those that are to be tried again."""
        fresh = self._outbox.pending(self._sink.takes)
        if fresh or not self._again:
            return fresh
        self._outbox.release(self._again.popleft(), self._sink.takes)
        self._tries_again = True
        return self._outbox.pending(self._sink.takes)

    def _recover_outbox(self) -> None:
        if self._outbox_failed:  # another courier's failure is not ours to take back
            self._outbox_failed = False
            self._health.recover(Cause.OUTBOX_UNAVAILABLE)

    def _release_held(self) -> None:
        """Try again what was refused, but only now and then what the broker hung up on."""
        due = time.monotonic() > self._next_hung_up
        if not self._retry_held.is_set() and not due:
            return
        self._retry_held.clear()
        try:
            self._release(due=due)
            self._recover_held()
        except Unavailable:
            self._retry_held.set()
            raise
        if due:
            self._next_hung_up = time.monotonic() + self.hung_up_retry_s

    def _recover_held(self) -> None:
        if self._outbox.held(self._sink.takes):
            return
        if self._sink.refused is not None:
            self._health.recover(self._sink.refused)
        else:
            note_good_turn(self._health, self._part)

    def _release(self, *, due: bool) -> None:
        """
        Begin to try again what was refused and, if it is `due`, what the broker hung up on.

        What has not had its turn since the last time comes first, whatever it is held for: of what
        the broker hangs up on, the first one ends the connection, and so begins this anew.
        """
        held = set(self._outbox.held_numbers(self._sink.takes))
        found = self._outbox.held_numbers(self._sink.takes, but="" if due else HUNG_UP)
        left = [seq for seq in self._again if seq in held]
        self._again = deque(dict.fromkeys([*left, *found]))

    def _deliver(self, delivery: Delivery) -> None:
        try:
            self._sink.send(delivery)
        except RefusedError as error:
            self._hold(delivery, str(error))
        except HungUpError as error:
            self._hang_ups[delivery.seq] += 2 if error.alone else 1
            self._note_hang_up()
            if self._hang_ups[delivery.seq] >= 2 * self.most_hang_ups:
                self._hold(delivery, HUNG_UP)
                del self._hang_ups[delivery.seq]
            raise _SinkUnavailableError(str(error)) from error
        except Unavailable as error:
            raise _SinkUnavailableError(str(error)) from error
        except NothingToSendError as nothing:
            self._done(delivery)
            self._health.count(nothing.counter)
        except StateDamagedError:
            raise
        except Exception as error:  # noqa: BLE001 - one result must not hold up the others
            self._health.count("deliveries_failed")
            self._hold(delivery, note_failure("delivery_failed", error))
        else:
            self._done(delivery)
            self._health.count(f"delivered_{self._sink.name}")
        self._hang_ups.pop(delivery.seq, None)

    def _note_hang_up(self) -> None:
        """Give the others time before a delivery is tried again that the broker hung up on."""
        self._next_hung_up = time.monotonic() + self.hung_up_retry_s

    def _done(self, delivery: Delivery) -> None:
        """Forget a delivery that the sink has, or that is given up."""
        self._outbox.delivered(delivery)

    def _hold(self, delivery: Delivery, why: str) -> None:
        """Keep a refused result, say so, and let the next one go."""
        log.warning(
            'event=result_refused sink=%s seq=%d why="%s"', self._sink.takes[0], delivery.seq, why
        )
        self._outbox.hold(delivery, why)
        if self._sink.refused is not None:
            what = "replies" if delivery.sink == REPLY else f"{self._sink.name}: results"
            self._health.degrade(self._sink.refused, f"{what} were refused and are kept: {why}")
        else:
            note_failing(self._health, self._part, why)


class _SinkUnavailableError(Unavailable):
    """The sink, and not the ledger, cannot take a result for now."""
