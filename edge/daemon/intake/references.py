"""
References that wait: requests that name a file of the inbox, each looked at until it is answered.

They are in the ledger, so that they hold up neither each other nor any other request. How long one
has waited counts from when this daemon first looked at it, not by the clock, which may jump.

Each look reads a file, so a round of looks ends where ledger or disk refuse to take one. The next
round begins behind that reference, which may be refused for ever.
"""

import logging
import threading
import time
from errno import EACCES, EPERM, EROFS
from typing import Final

from edge.daemon.intake import Receiver
from edge.daemon.intake.suspects import ENDED_THE_DAEMON, Suspects, key_of
from edge.errors import StateDamagedError, Unavailable
from edge.health import Health
from edge.storage.ledger.records import Reference
from edge.system.files import PASSING, NotReadyError
from edge.system.threads import Loop, note_failure

log = logging.getLogger(__name__)

LOOP: Final = "intake-reference"
TICK_S: Final = 0.5
WAIT_S: Final = 10.0
"""Seconds for which a reference waits for its file."""
OF_DISK: Final = PASSING | {EACCES, EPERM, EROFS}
"""Errors that the files of all references may meet; any other is of one file."""


class ReferenceIntake(Loop):
    """
    Looks at each reference until its file is there, or has not come in time.

    Args:
        receiver: has the references, and answers them.
        health: for stamps and counters.
        suspects: the references that may have ended a daemon.
    """

    def __init__(self, receiver: Receiver, health: Health, suspects: Suspects) -> None:
        super().__init__(LOOP, health)
        self._receiver = receiver
        self._suspects = suspects
        self._bell = threading.Event()
        self._bell.set()  # some may be left of the last daemon
        self._since: dict[Reference, float] = {}
        self._ended_at = 0
        """The number of the reference at which ledger or disk ended a round last."""

    def wake(self) -> None:
        """Look at once; from any thread."""
        self._bell.set()

    def turn(self) -> None:
        """Look at each reference once."""
        rung = self._bell.wait(TICK_S)
        self._bell.clear()
        if not rung and not self._since:
            return
        failed: Unavailable | OSError | None = None
        try:
            for reference in self._waiting():
                if self._stop.is_set() or not self._receiver.has_room():
                    break
                self._health.beat()
                failed = self._try(reference) or failed
        except (Unavailable, OSError) as error:
            failed = error
        if failed is not None:
            why = getattr(failed, "strerror", None) or failed
            log.warning('event=references_wait why="%s"', why)

    def _waiting(self) -> list[Reference]:
        """List the references, those behind the one at which the last round ended first."""
        waiting = self._receiver.references()
        now = time.monotonic()
        self._since = {one: self._since.get(one, now) for one in waiting}
        return sorted(waiting, key=lambda one: one.number <= self._ended_at)

    def _try(self, reference: Reference) -> Unavailable | None:
        """
        Settle a reference; return the error for which its file, and no other, waits.

        Raises:
            Unavailable: ledger or disk take no file now.
        """
        try:
            self._settle(reference)
        except Unavailable as error:
            cause = error.__cause__
            if isinstance(cause, OSError) and cause.errno not in OF_DISK:
                return error
            self._ended_at = reference.number
            raise
        return None

    def _settle(self, reference: Reference) -> None:
        patient = time.monotonic() - self._since[reference] < WAIT_S
        request = reference.request
        key = key_of(LOOP, request.payload, request.correlation)
        try:
            if self._suspects.ends(key):
                self._refuse(reference, ENDED_THE_DAEMON)
                return
            reading = self._suspects.in_hand(LOOP, key)
            self._receiver.settle_reference(reference, patient=patient, reading=reading)
            self._since.pop(reference, None)  # the next one like it waits from its own first look
        except NotReadyError:
            log.debug("event=reference_waits_for_its_file")
        except (Unavailable, StateDamagedError):
            raise
        except Exception as error:  # noqa: BLE001 - one request must not hold up the others
            self._refuse(reference, note_failure("reference_failed", error))

    def _refuse(self, reference: Reference, why: str) -> None:
        self._health.count("requests_given_up")
        try:
            self._receiver.refuse_reference(reference.request, why, reference)
        except (Unavailable, StateDamagedError):
            raise
        except MemoryError:  # forgotten, it would have no answer
            msg = "too little memory to refuse a request"
            raise Unavailable(msg) from None
        except Exception as error:  # noqa: BLE001 - see above
            note_failure("reference_not_refused", error)
            self._receiver.drop_reference(reference)
        self._since.pop(reference, None)
