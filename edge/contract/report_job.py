"""The order to the process that sends one object, and its answer: a line of JSON each."""

from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from edge.contract.result import Hash


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Peer(_Part):
    """The PACS that gets them, and how it is spoken to."""

    aet: str
    host: str
    port: int
    calling: str
    """Our own AE title."""
    tls: bool
    ca: Path | None
    cert: Path | None
    key: Path | None


class Picture(_Part):
    """A drawn map."""

    rows: int
    columns: int
    pixels: str
    """Rows of red, green and blue, 8 bits each, compressed by zlib, in Base64."""


class Job(_Part):
    """One report, or one picture of a map, to be made and sent."""

    peer: Peer
    result: dict[str, Any]
    """The message, as it is published."""
    of_images: dict[str, dict[str, Any]]
    """The results of an exam's images that have a score, by their ids."""
    originals: dict[Hash, str]
    """The files of the images that it is of, by image id: each path's bytes in hexadecimal."""
    picture: Picture | None = None
    """The map to be sent; None for a report."""


class Sent(StrEnum):
    """The ways in which a job ends."""

    STORED = "stored"
    """The peer has the object."""
    GONE = "gone"
    """An image's file is not there."""
    NOT_DICOM = "not_dicom"
    """An image is no DICOM object that names its study."""
    SEVERAL_STUDIES = "several_studies"
    """The images are of several studies or patients."""
    UNAVAILABLE = "unavailable"
    """The peer cannot be reached."""
    FAILED = "failed"
    """This object failed for now; others may go."""
    REFUSED = "refused"
    """The peer refuses the object, or none could be made."""


class Answer(_Part):
    """The end of a job."""

    sent: Sent
    why: str = ""
    """A sentence for people, without names of patients, objects or files."""
