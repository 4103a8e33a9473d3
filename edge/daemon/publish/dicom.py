"""Reports to the PACS: a structured report of each result, on an exam or on an image."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from edge.contract.report_job import Job
from edge.daemon.publish import NothingToSendError
from edge.daemon.publish.pacs import PacsSink
from edge.health import Cause
from edge.storage.ledger.exam_sinks import DICOM
from edge.storage.ledger.outbox import Delivery

GONE: Final = "original_gone"
WITHOUT_SCORE: Final = "reports_without_score"
"""The counter of results that get no report, and are not told of one by one."""


class DicomSink(PacsSink):
    """Has a report of each result sent, on an exam or on an image."""

    kind = "reports"
    name: Final = DICOM
    takes: Final[Sequence[str]] = (DICOM,)
    unavailable: Final = Cause.DICOM_UNAVAILABLE
    refused: Final = Cause.DICOM_REFUSED

    def _job(self, delivery: Delivery) -> Job:
        """Gather what one report needs."""
        result = _without_map(json.loads(delivery.payload))
        result["supersedes"] = self._reported_before(result)
        if result["outcome"] == "rejected" and result["supersedes"] is None:
            raise NothingToSendError(WITHOUT_SCORE)
        named = [view["result_id"] for view in _scored(result)]
        of_images = {one: self._result(one) for one in named}
        if any(one is None for one in of_images.values()):
            self._send_nothing(delivery, GONE)
        paths = {one: self._path_of(one) for one in self._image_ids(result)}
        originals = {one: path for one, path in paths.items() if path is not None}
        if not originals or len(originals) < len(paths):
            self._send_nothing(delivery, GONE)
        return Job(peer=self._peer, result=result, of_images=of_images, originals=originals)

    def _image_ids(self, result: Mapping[str, Any]) -> list[str]:
        """List the images that a result is of, or, if it takes one back, that one was of."""
        if "image_id" in result:
            return [result["image_id"]]
        before = (said for _, said in self._before(result) if said["views"])
        said = result if result["views"] else next(before, {})
        return [view["image_id"] for view in _scored(said)]

    def _reported_before(self, result: Mapping[str, Any]) -> str | None:
        """Find the last result before this one that has a score, so a report; None for none."""
        return next((one for one, said in self._before(result) if said["score"] is not None), None)

    def _before(self, result: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield the results before this one, the last first, each once, with their ids."""
        seen = {None}
        said: Mapping[str, Any] | None = result
        while said is not None and said["supersedes"] not in seen:
            before = said["supersedes"]
            seen.add(before)
            said = self._result(before)
            if said is not None:
                yield str(before), said

    def _result(self, result_id: str) -> dict[str, Any] | None:
        payload = self._ledger.queries.result(result_id)
        return None if payload is None else _without_map(json.loads(payload))


def _scored(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """List the views of an exam that have a score: others may be of anything, as a report is."""
    return [view for view in result.get("views", []) if view["malignant"] is not None]


def _without_map(result: dict[str, Any]) -> dict[str, Any]:
    """Leave out what no report says and is long."""
    return {key: value for key, value in result.items() if key != "heatmap"}
