"""
References that wait: requests that name a file of the inbox, each looked at until it is answered.

They are in the ledger, so that they hold up neither each other nor any other request. How long one
has waited counts from when this daemon first looked at it, not by the clock, which may jump.
"""

import logging
import threading
import time
from typing import Final

from edge.daemon.intake import Receiver
from edge.daemon.intake.suspects import ENDED_THE_DAEMON, Suspects, key_of
from edge.errors import StateDamagedError, Unavailable
from edge.health import Health
from edge.storage.ledger.records import Reference
from edge.system.files import NotReadyError
from edge.system.threads import Loop, note_failure

log = logging.getLogger(__name__)

LOOP: Final = "intake-reference"
TICK_S: Final = 0.5
WAIT_S: Final = 10.0
"""Seconds for which a reference waits for its file."""


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
        self._since: dict[int, float] = {}

    def wake(self) -> None:
        """Look at once; from any thread."""
        self._bell.set()

    def turn(self) -> None:
        """Look at each reference once."""
        rung = self._bell.wait(TICK_S)
        self._bell.clear()
        if not rung and not self._since:
            return
        try:
            waiting = self._receiver.references()
            self._since = {
                one.number: self._since.get(one.number, time.monotonic()) for one in waiting
            }
            for reference in waiting:
                if self._stop.is_set() or not self._receiver.has_room():
                    return
                self._health.beat()
                self._try(reference)
        except (Unavailable, OSError) as error:
            _tell(error)

    def _try(self, reference: Reference) -> None:
        """Settle a reference, or leave it for the next turn; what it waits for is its own."""
        try:
            self._settle(reference)
        except Unavailable as error:
            _tell(error)

    def _settle(self, reference: Reference) -> None:
        patient = time.monotonic() - self._since[reference.number] < WAIT_S
        request = reference.request
        key = key_of(LOOP, request.payload, request.correlation)
        try:
            if self._suspects.ends(key):
                self._refuse(reference, ENDED_THE_DAEMON)
                return
            with self._suspects.in_hand(LOOP, key):
                self._receiver.settle_reference(reference, patient=patient)
        except NotReadyError:
            log.debug("event=reference_waits_for_its_file")
        except (Unavailable, StateDamagedError):
            raise
        except Exception as error:  # noqa: BLE001 - one request must not hold up the others
            self._refuse(reference, note_failure("reference_failed", error))

    def _refuse(self, reference: Reference, why: str) -> None:
        self._health.count("requests_given_up")
        try:
            self._receiver.refuse_reference(reference.request, why)
        except (Unavailable, StateDamagedError):
            raise
        except Exception as error:  # noqa: BLE001 - see above
            note_failure("reference_not_refused", error)
        self._receiver.drop_reference(reference)


def _tell(error: Unavailable | OSError) -> None:
    log.warning('event=references_wait why="%s"', getattr(error, "strerror", None) or error)
