"""
Reports to the PACS: each is made and sent by a process of its own, which alone knows DICOM.

The supervisor says which result, which files and which peer, and hears how it ended; it sees no
patient. A report's name is derived from its result, so that one that is sent again, after a kill or
a lost answer, is the same object.
"""

import json
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn

from edge.contract.report_job import Answer, Job, Peer, Sent
from edge.daemon.publish import NothingToSendError
from edge.errors import Unavailable
from edge.health import Cause
from edge.mqtt.errors import RefusedError
from edge.storage.ledger import Ledger
from edge.storage.ledger.exam_sinks import DICOM
from edge.storage.ledger.outbox import Delivery
from edge.storage.ledger.states import State

log = logging.getLogger(__name__)

PAUSES_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Pauses after the first, second, ... failure of the peer in a row, in seconds."""
FAILURES: Final = 3
"""Failures of one report before that is taken for a refusal, so that the others go on."""
NOT_SENT: Final[Mapping[Sent, str]] = {
    Sent.NOT_DICOM: "reports_not_dicom",
    Sent.SEVERAL_STUDIES: "reports_several_studies",
}
AWAY: Final = "an image's file is not in the archive: is its mount away?"
GONE: Final = "reports_original_gone"
WITHOUT_SCORE: Final = "reports_without_score"
"""Counters of results that get no report."""


class DicomSink:
    """
    Has a report of each result sent, on an exam or on an image.

    Args:
        peer: the PACS.
        ledger: knows the images' files, and the results that an exam names.
        ask: has a job done, and returns how it ended.
    """

    name: Final = DICOM
    takes: Final[Sequence[str]] = (DICOM,)
    unavailable: Final = Cause.DICOM_UNAVAILABLE
    refused: Final = Cause.DICOM_REFUSED

    def __init__(self, peer: Peer, ledger: Ledger, ask: Callable[[Job], Answer]) -> None:
        self._peer, self._ledger, self._ask = peer, ledger, ask
        self._failures = 0
        self._next = 0.0
        self._why = ""
        self._failed: Counter[int] = Counter()

    def send(self, delivery: Delivery) -> None:
        """Have one report sent, unless the peer has just failed."""
        if time.monotonic() < self._next:
            raise Unavailable(self._why)
        job = self._job(delivery)
        answer = self._ask(job)
        match answer.sent:
            case Sent.UNAVAILABLE:
                self._wait(answer.why)
            case Sent.FAILED:
                self._fail(delivery, answer.why)
            case Sent.GONE:
                self._demand_that_none_moved(job)
                if any(map(self._ledger.pruning.has_file, job.originals)):
                    self._fail(delivery, AWAY)
                _send_nothing(delivery, GONE)
        self._failures = 0
        self._failed.pop(delivery.seq, None)
        if answer.sent is Sent.REFUSED:
            raise RefusedError(answer.why)
        if answer.sent in NOT_SENT:
            _send_nothing(delivery, NOT_SENT[answer.sent])

    def _job(self, delivery: Delivery) -> Job:
        """Gather what one report needs."""
        result = _without_map(json.loads(delivery.payload))
        result["supersedes"] = self._reported_before(result)
        if result["outcome"] == "rejected" and result["supersedes"] is None:
            raise NothingToSendError(WITHOUT_SCORE)
        named = [view["result_id"] for view in _scored(result)]
        of_images = {one: self._result(one) for one in named}
        if any(one is None for one in of_images.values()):
            _send_nothing(delivery, GONE)
        paths = {one: self._path_of(one) for one in self._image_ids(result)}
        originals = {one: path for one, path in paths.items() if path is not None}
        if not originals or len(originals) < len(paths):
            _send_nothing(delivery, GONE)
        return Job(peer=self._peer, result=result, of_images=of_images, originals=originals)

    def _image_ids(self, result: Mapping[str, Any]) -> list[str]:
        """List the images that a result is of, or, if it takes one back, that one was of."""
        if "image_id" in result:
            return [result["image_id"]]
        said: Mapping[str, Any] | None = result
        while said is not None and not said["views"]:
            said = self._result(said["supersedes"]) if said["supersedes"] else None
        return [view["image_id"] for view in _scored(said or {})]

    def _reported_before(self, result: Mapping[str, Any]) -> str | None:
        """Find the last result before this one that has a score, so a report; None for none."""
        said: Mapping[str, Any] | None = result
        while said is not None and said["supersedes"] is not None:
            before = said["supersedes"]
            said = self._result(before)
            if said is not None and said["score"] is not None:
                return str(before)
        return None

    def _result(self, result_id: str) -> dict[str, Any] | None:
        payload = self._ledger.queries.result(result_id)
        return None if payload is None else _without_map(json.loads(payload))

    def _path_of(self, image_id: str) -> str | None:
        path = self._ledger.images.path_of(image_id)
        return None if path is None else os.fsencode(path).hex()

    def _demand_that_none_moved(self, job: Job) -> None:
        """
        Make sure that a file is gone, and not on its way to the archive or to a worker.

        Raises:
            Unavailable: one was moved since it was asked for.
        """
        for image_id, path in job.originals.items():
            image = self._ledger.images.find(image_id)
            moving = image is not None and image.state is not State.ARCHIVED
            if moving or self._path_of(image_id) not in {path, None}:
                msg = "dicom: an image is being moved"
                raise Unavailable(msg)

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


def _scored(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """List the views of an exam that have a score: others may be of anything, as a report is."""
    return [view for view in result.get("views", []) if view["malignant"] is not None]


def _without_map(result: dict[str, Any]) -> dict[str, Any]:
    """Leave out what no report says and is long."""
    return {key: value for key, value in result.items() if key != "heatmap"}


def _send_nothing(delivery: Delivery, counter: str) -> NoReturn:
    log.warning('event=report_not_sent seq=%d why="%s"', delivery.seq, counter)
    raise NothingToSendError(counter)
