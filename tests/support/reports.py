"""Results as they are published, the headers of their images, and a PACS of pynetdicom."""

import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.events import Event

from deploy.demo.brokers import free_port
from edge.contract.report_job import Job, Peer
from edge.dicom.send.document import CLASSES
from tests.support.exams import FOUR, Study
from tests.support.rig import PATIENCE_S, Rig, until
from tests.support.tools import need

MODEL: Final = {"name": "m", "version": "1.2", "bundle": "b" * 64, "file": "model.tflite"}
LEDGER: Final = "aaaaaaaa-0000-5000-8000-000000000000"
POINT: Final = {"operating_point": "default", "threshold": 0.5, "band": [0.4, 0.5]}
SENDER: Final = {
    "ledger_id": LEDGER,
    "site": "north",
    "device": "edge-1",
    "completed_at": "2026-11-29T12:00:00.5Z",
    "model": MODEL,
}
PACS: Final = "PACS"


def id_of(number: int) -> str:
    return f"{number:08x}-0000-5000-8000-000000000000"


def image_result(number: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - fields
    """The result of one of the FOUR views."""
    side, view = FOUR[number]
    score = 0.1 + number / 10
    return {
        **SENDER,
        "result_id": id_of(number),
        "image_id": f"{number:064x}",
        "supersedes": None,
        "outcome": "benign",
        "score": {"malignant": score, "raw": score},
        "decision": POINT,
        "domain": {"kind": "digital", "known_by": "header", "measured": number != 1},
        "gate": {"passed": True, "reasons": []},
        "image": {"laterality": side, "view": view},
        **more,
    }


def rejected_image(**more: Any) -> dict[str, Any]:  # noqa: ANN401 - fields
    gate = {"passed": False, "reasons": ["poison: it ended three workers"]}
    nothing = {"score": None, "decision": None, "domain": None, "image": None}
    return image_result(0, outcome="rejected", gate=gate, **nothing, **more)


def exam_result(**more: Any) -> dict[str, Any]:  # noqa: ANN401 - fields
    """The result of the FOUR."""
    views = [
        {
            "image_id": f"{number:064x}",
            "result_id": id_of(number),
            "laterality": side,
            "view": view,
            "counts_as": view,
            "malignant": 0.1 + number / 10,
        }
        for number, (side, view) in enumerate(FOUR)
    ]
    breasts = [
        {
            "laterality": side,
            "outcome": outcome,
            "malignant": malignant,
            "views": ["CC", "MLO"],
            "domain": "digital",
            "decision": POINT | withheld,
        }
        for side, outcome, malignant, withheld in (
            ("L", "malignant", 0.75, {}),
            ("R", "indeterminate", 0.25, {"withheld": "domain-unmeasured"}),
        )
    ]
    return {
        **SENDER,
        "result_id": id_of(100),
        "exam_id": "e" * 64,
        "supersedes": None,
        "revision": 1,
        "outcome": "malignant",
        "reasons": [],
        "complete": True,
        "breasts": breasts,
        "views": views,
        **more,
    }


def taken_back() -> dict[str, Any]:
    nothing: dict[str, Any] = {"breasts": [], "views": [], "model": None}
    why = {"outcome": "rejected", "reasons": ["several patients: see the sender"]}
    return exam_result(**nothing, **why, revision=2, supersedes=id_of(100), result_id=id_of(101))


def of_images() -> dict[str, dict[str, Any]]:
    return {id_of(number): image_result(number) for number in range(4)}


def films(folder: Path, **tags: object) -> dict[str, Path]:
    """Write the FOUR as files of one study; returns them by image id."""
    found = {}
    for number, (side, view) in enumerate(FOUR):
        path = folder / f"film-{number}.dcm"
        named = {"SeriesInstanceUID": f"1.2.3.{number % 2}", **tags}
        path.write_bytes(Study("reports").film(side, view, number, **named))
        found[f"{number:064x}"] = path
    return found


def job_of(port: int, originals: dict[str, Path], **more: Any) -> Job:  # noqa: ANN401 - fields
    """The order to report on the exam to a PACS on this machine."""
    plain: dict[str, Any] = {"tls": False, "ca": None, "cert": None, "key": None}
    plain |= {"aet": PACS, "host": "127.0.0.1", "port": port, "calling": "MAMMO_EDGE", **more}
    return Job(
        peer=Peer(**plain),
        result=exam_result(),
        of_images=of_images(),
        originals={one: os.fsencode(path).hex() for one, path in originals.items()},
    )


def items(root: Dataset) -> Iterator[Dataset]:
    """Give all content items of a report, from top to bottom."""
    yield root
    for below in root.get("ContentSequence") or []:
        yield from items(below)


def saved(made: Dataset) -> bytes:
    """Write an object as a file."""
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    file = BytesIO()
    made.save_as(file, enforce_file_format=True)
    return file.getvalue()


def said(root: Dataset) -> list[tuple[str, str]]:
    """List the names and values of the content items that have one."""
    found = []
    for one in items(root):
        name = one.ConceptNameCodeSequence[0].CodeMeaning
        match one.ValueType:
            case "TEXT":
                found.append((name, one.TextValue))
            case "CODE":
                found.append((name, one.ConceptCodeSequence[0].CodeMeaning))
            case "NUM":
                found.append((name, str(one.MeasuredValueSequence[0].NumericValue)))
    return found


@contextmanager
def storescp(folder: Path, *options: object) -> Iterator[int]:
    """Run DCMTK's SCP, which writes into a folder, on a port of this machine."""
    folder.mkdir()
    port = free_port()
    command = [need("storescp", "dcmtk"), "-aet", PACS, "-od", folder, *options, port]
    with subprocess.Popen([str(word) for word in command], stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: _listens(port) or process.poll() is not None, "storescp listens")
            yield port
        finally:
            process.kill()


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S):
        return True
    return False


class Pacs:
    """
    An SCP that takes reports.

    Args:
        answer: the status for each report; None aborts the association in its place.
    """

    def __init__(self, answer: Callable[[], int | None] = lambda: 0) -> None:
        self._answer = answer
        self.received: list[Dataset] = []
        self.came = threading.Event()

    @contextmanager
    def listening(self, classes: tuple[str, ...] = CLASSES) -> Iterator[int]:
        """Listen on a port that the system chooses."""
        ae = AE(PACS)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = PATIENCE_S
        for one in classes:
            ae.add_supported_context(one)
        handlers: Any = [(evt.EVT_C_STORE, self._store)]
        server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        assert server is not None
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()

    def _store(self, event: Event) -> int:
        self.received.append(event.dataset)
        self.came.set()
        status = self._answer()
        if status is None:
            event.assoc.abort()
        return status or 0


class HeldPacs(Pacs):
    """A PACS that answers nothing before the daemon was killed, so that nobody hears the first."""

    def __init__(self) -> None:
        self._killed = threading.Event()
        super().__init__(self._answer_late)

    def _answer_late(self) -> int:
        self._killed.wait(PATIENCE_S)
        return 0

    def kills(self, rig: Rig) -> list[Dataset]:
        """Kill the daemon with an object on its way; returns it, and what came after the start."""
        until(self.came.is_set, "an object", rig.words)
        rig.kill()
        self._killed.set()
        rig.ready()
        until(lambda: len(self.received) > 1, "the object again", rig.words)
        until(rig.settled, "settled", rig.words)
        return self.received
