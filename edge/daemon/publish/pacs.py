"""
Objects to the PACS: each is made and sent by a process of its own, which alone knows DICOM.

The supervisor says which result, which files and which peer, and hears how it ended; it sees no
patient. An object's name is derived from its result, so that one that is sent again, after a kill
or a lost answer, is the same object.
"""

import logging
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

from edge.contract.report_job import Answer, Job, Peer, Sent
from edge.daemon.publish import NothingToSendError
from edge.errors import Unavailable
from edge.mqtt.errors import RefusedError
from edge.storage.ledger import Ledger
from edge.storage.ledger.outbox import Delivery
from edge.storage.ledger.states import State

log = logging.getLogger(__name__)

PAUSES_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Pauses after the first, second, ... failure of the peer in a row, in seconds."""
FAILURES: Final = 3
"""Failures of one object before that is taken for a refusal, so that the others go on."""
NEVER: Final = (Sent.NOT_DICOM, Sent.SEVERAL_STUDIES)
AWAY: Final = "an image's file is not in the archive: is its mount away?"


class PacsSink:
    """
    Has an object of each result made and sent.

    Args:
        peer: the PACS.
        ledger: knows the images' files.
        ask: has a job done, and returns how it ended.
    """

    kind: str
    """The beginning of the counters of results that get no object."""

    def __init__(self, peer: Peer, ledger: Ledger, ask: Callable[[Job], Answer]) -> None:
        self._peer, self._ledger, self._ask = peer, ledger, ask
        self._failures = 0
        self._next = 0.0
        self._why = ""
        self._failed: Counter[int] = Counter()

    def send(self, delivery: Delivery) -> None:
        """Have one object sent, unless the peer has just failed."""
        if time.monotonic() < self._next:
            raise Unavailable(self._why)
        job = self._job(delivery)
        answer = self._done(delivery, job)
        match answer.sent:
            case Sent.UNAVAILABLE:
                self._wait(answer.why)
            case Sent.FAILED:
                self._fail(delivery, answer.why)
            case Sent.GONE:
                if any(self._ledger.images.find(one) is None for one in job.originals):
                    self._send_nothing(delivery, "original_gone")  # forgotten, with this delivery
                if self._is_moving(job):
                    self._fail(delivery, "an image is being moved")
                if any(map(self._ledger.pruning.has_file, job.originals)):
                    self._fail(delivery, AWAY)
                self._send_nothing(delivery, "original_gone")
        self._failures = 0
        self._failed.pop(delivery.seq, None)
        if answer.sent is Sent.REFUSED:
            raise RefusedError(answer.why)
        if answer.sent in NEVER:
            self._send_nothing(delivery, answer.sent)

    def _job(self, delivery: Delivery) -> Job:
        """Gather what one object needs."""
        raise NotImplementedError

    def _done(self, _delivery: Delivery, job: Job) -> Answer:
        """Have a job done."""
        return self._ask(job)

    def _path_of(self, image_id: str) -> str | None:
        path = self._ledger.images.path_of(image_id)
        return None if path is None else as_hex(path)

    def _is_moving(self, job: Job) -> bool:
        """Tell if a file is not gone, but on its way to the archive or to a worker."""
        for image_id, path in job.originals.items():
            image = self._ledger.images.find(image_id)
            moving = image is not None and image.state is not State.ARCHIVED
            if moving or self._path_of(image_id) not in {path, None}:
                return True
        return False

    def _fail(self, delivery: Delivery, why: str) -> NoReturn:
        self._failed[delivery.seq] += 1
        if self._failed[delivery.seq] < FAILURES:
            self._wait(why)
        del self._failed[delivery.seq]
        self._failures = 0
        raise RefusedError(why)

    def _wait(self, why: str) -> NoReturn:
        """Let the peer rest for a while, the longer the more often it failed."""
        self._next = time.monotonic() + PAUSES_S[min(self._failures, len(PAUSES_S) - 1)]
        self._failures += 1
        self._why = f"dicom: {why}"
        raise Unavailable(self._why)

    def _send_nothing(self, delivery: Delivery, why: str) -> NoReturn:
        counter = f"{self.kind}_{why}"
        log.warning('event=%s_not_sent seq=%d why="%s"', self.kind[:-1], delivery.seq, counter)
        raise NothingToSendError(counter)


def as_hex(path: Path) -> str:
    """Write the bytes of a path, which need be no text, in hexadecimal."""
    return os.fsencode(path).hex()


def as_path(written: str) -> Path:
    """Read what `as_hex` wrote."""
    return Path(os.fsdecode(bytes.fromhex(written)))
