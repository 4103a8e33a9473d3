"""Maps to the PACS: a picture of each image's map, which a worker draws before it is sent."""

import base64
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from edge.contract.report_job import Answer, Job, Peer, Picture, Sent
from edge.daemon.publish import NothingToSendError
from edge.daemon.publish.pacs import PacsSink, as_path
from edge.drawn import Capture
from edge.errors import ModelError, Unavailable, UnreadableError
from edge.health import Cause
from edge.storage.ledger import Ledger
from edge.storage.ledger.exam_sinks import DICOM_MAP
from edge.storage.ledger.outbox import Delivery
from edge.system import files

log = logging.getLogger(__name__)

WITHOUT_SCORE: Final = "maps_without_score"
NOT_DICOM: Final = "maps_not_dicom"
"""Counters of results that get no map, and are not told of one by one."""
SAME: Final = 0.0005
"""The greatest difference between two scores that are written alike, with three digits."""


@dataclass(frozen=True, slots=True)
class Scored:
    """The result of which a map is wanted, and its image's file."""

    image_id: str
    result_id: str
    bundle_id: str
    path: Path


Draw: TypeAlias = Callable[[Scored], Capture | str]
"""
A function that has a map drawn, or says why there will be none, as the end of a counter.

It raises UnreadableError if the worker cannot read the file, ModelError if the worker failed, or
Unavailable if there is no worker for now, which is no map's fault.
"""


class MapSink(PacsSink):
    """
    Has the map of each scored DICOM image sent.

    Args:
        peer: the PACS.
        ledger: knows the images' files.
        ask: has a job done, and returns how it ended.
        draw: has a map drawn.
    """

    kind = "maps"
    name: Final = DICOM_MAP
    takes: Final[Sequence[str]] = (DICOM_MAP,)
    unavailable: Final = Cause.MAPS_UNAVAILABLE
    refused: Final = Cause.MAPS_REFUSED

    def __init__(
        self, peer: Peer, ledger: Ledger, ask: Callable[[Job], Answer], draw: Draw
    ) -> None:
        super().__init__(peer, ledger, ask)
        self._draw = draw
        self._drawn: tuple[int, Picture] | None = None
        """The last picture, which the PACS may not have yet, by its delivery's number."""

    def _job(self, delivery: Delivery) -> Job:
        result = json.loads(delivery.payload)
        if result["score"] is None:
            raise NothingToSendError(WITHOUT_SCORE)
        if result["image"]["format"] != "dicom":
            raise NothingToSendError(NOT_DICOM)
        image_id = result["image_id"]
        path = self._path_of(image_id)
        if path is None:
            self._send_nothing(delivery, "original_gone")
        said = {key: value for key, value in result.items() if key not in {"heatmap", "findings"}}
        return Job(peer=self._peer, result=said, of_images={}, originals={image_id: path})

    def _done(self, delivery: Delivery, job: Job) -> Answer:
        """Have the map drawn, unless it is, then sent."""
        if self._drawn is None or self._drawn[0] != delivery.seq:
            ((image_id, written),) = job.originals.items()
            path = as_path(written)
            result = job.result
            wanted = Scored(image_id, result["result_id"], result["model"]["bundle"], path)
            try:
                drawn = self._draw(wanted)
            except UnreadableError as error:
                return Answer(sent=_cause_at(path), why=str(error))
            except Unavailable as error:
                return Answer(sent=Sent.UNAVAILABLE, why=str(error))
            except ModelError as error:
                return Answer(sent=Sent.FAILED, why=f"it could not be drawn: {error}")
            if isinstance(drawn, str):
                self._send_nothing(delivery, drawn)
            if not _shows(drawn, result):
                self._send_nothing(delivery, "of_another_score")
            self._drawn = delivery.seq, _picture(drawn)
        answer = self._ask(job.model_copy(update={"picture": self._drawn[1]}))
        if answer.sent not in {Sent.UNAVAILABLE, Sent.FAILED}:
            self._drawn = None
        return answer


def _cause_at(path: Path) -> Sent:
    """
    Tell if a map was not drawn as no file can be opened now, for which all maps wait.

    Else it is this one alone: its file is gone, or the worker has given it back.
    """
    try:
        files.open_regular(path).close()
    except (FileNotFoundError, NotADirectoryError):
        return Sent.GONE
    except OSError as error:
        return Sent.UNAVAILABLE if error.errno in files.OF_ALL else Sent.FAILED
    return Sent.FAILED


def _shows(drawn: Capture, result: Mapping[str, Any]) -> bool:
    """Tell if a picture shows the score that was published: an accelerator's may differ."""
    return bool(abs(drawn.malignant - result["score"]["malignant"]) < SAME)


def _picture(drawn: Capture) -> Picture:
    pixels = base64.b64encode(drawn.pixels).decode()
    return Picture(rows=drawn.rows, columns=drawn.columns, pixels=pixels)
