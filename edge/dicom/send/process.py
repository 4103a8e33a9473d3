"""
The process that sends one object: `python -m edge.dicom.send.process`.

It reads a job from its standard input, writes the answer to its standard output, and ends; at the
end of its input, which is the end of the supervisor, it ends at once.
"""

import logging
import os
import resource
import sys
import threading
import traceback
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edge.contract.report_job import Answer, Job, Sent
from edge.errors import ConfigError
from edge.system import extras

if TYPE_CHECKING:
    from pydicom import Dataset


def main() -> None:
    """Do one job."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold a patient's name
    job = Job.model_validate_json(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_supervisor, daemon=True).start()
    try:
        answer = _do(job)
    except Exception as error:  # noqa: BLE001 - its message may name a patient
        trace = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(trace.filename).name}:{trace.lineno}"
        what = "report" if job.picture is None else "picture of the map"
        answer = Answer(sent=Sent.REFUSED, why=f"no {what}: {type(error).__name__} at {where}")
    sys.stdout.write(answer.model_dump_json() + "\n")
    sys.stdout.flush()
    os._exit(0)  # whatever threads are left


def _do(job: Job) -> Answer:
    warnings.simplefilter("ignore")  # pydicom and pynetdicom quote values
    logging.disable(logging.CRITICAL)
    try:
        extras.require(["pynetdicom"], "dicom", "pacs.peer")
    except ConfigError as error:
        return Answer(sent=Sent.UNAVAILABLE, why=str(error))
    from edge.dicom.send import headers  # noqa: PLC0415

    try:
        paths = {one: Path(os.fsdecode(bytes.fromhex(path))) for one, path in job.originals.items()}
        read = {image_id: headers.read(path) for image_id, path in paths.items()}
        headers.demand_one_study(read.values())
    except FileNotFoundError:
        return Answer(sent=Sent.GONE)
    except OSError as error:
        return Answer(sent=Sent.FAILED, why=f"an image cannot be read: {error.strerror}")
    except headers.NotDicomError:
        return Answer(sent=Sent.NOT_DICOM)
    except headers.SeveralStudiesError:
        return Answer(sent=Sent.SEVERAL_STUDIES)
    return _send(job, read)


def _send(job: Job, read: "Mapping[str, Dataset]") -> Answer:
    """Make an object from the headers of its images, and send it."""
    from edge.dicom.send import association, capture, document, facts  # noqa: PLC0415

    said = facts.facts_of(job.result, job.of_images)
    if job.picture is None:
        make = lambda one: document.document(said, read, one)  # noqa: E731
        return association.send(job.peer, document.CLASSES, make)
    ((_, header),) = read.items()
    made = capture.capture(said, header, job.picture)
    return association.send(job.peer, [capture.SECONDARY_CAPTURE], lambda _: made)


def _end_with_supervisor() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main()
