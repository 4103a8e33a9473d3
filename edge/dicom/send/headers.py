"""The headers of the images that a report names, read up to the pixels."""

import io
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pydicom
from pydicom import Dataset

from edge.dicom.send.items import Instance
from edge.system import files

pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
"""A patient and a study are named as the image names them, also where that is not by the book."""

PATIENT: Final = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
)
STUDY: Final = (
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
)
"""Attributes that a report has, if only empty (types 1 and 2)."""
OPTIONAL: Final = (
    "SpecificCharacterSet",
    "TimezoneOffsetFromUTC",
    "IssuerOfPatientID",
    "IssuerOfAccessionNumberSequence",
    "StudyDescription",
)
"""Attributes that a report has if its images have them."""
OWN: Final = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID")
OF_PIXELS: Final = ("LossyImageCompression",)
UID: Final = r"[0-9.]{1,64}"
PREAMBLE: Final = 128
BARE_GROUPS: Final = (b"\x02\0", b"\x08\0", b"\0\x08")
"""The beginning of a file without preamble."""


class NotDicomError(Exception):
    """The file is no DICOM object, or none that names its study."""


class SeveralStudiesError(Exception):
    """The images are of several studies, or of several patients."""


def read(path: Path) -> Dataset:
    """
    Read the header of an image.

    Raises:
        NotDicomError: it has none, or none with the UIDs that a reference needs.
        OSError: the file cannot be read, is no regular one, or is not there.
    """
    with io.BufferedReader(files.open_regular(path, follow=True)) as file:
        start = file.read(PREAMBLE + 4)
        if start[PREAMBLE:] != b"DICM" and start[:2] not in BARE_GROUPS:
            raise NotDicomError
        file.seek(0)
        wanted = [*PATIENT, *STUDY, *OPTIONAL, *OWN, *OF_PIXELS]
        try:
            header = pydicom.dcmread(
                file, stop_before_pixels=True, force=True, specific_tags=wanted
            )
            whole = all(_is_uid(header.get(name)) for name in (*OWN, "StudyInstanceUID"))
        except OSError:
            raise
        except Exception as error:
            raise NotDicomError from error
    if not whole:
        raise NotDicomError
    return header


def instance_of(header: Dataset) -> Instance:
    """Return a reference to an image."""
    return Instance(str(header.SOPClassUID), str(header.SOPInstanceUID))


def demand_one_study(headers: Iterable[Dataset]) -> None:
    """
    Let no report stand in the study, or with the name, of another patient.

    Raises:
        SeveralStudiesError: the images name several studies or patients.
    """
    named = {(str(one.StudyInstanceUID), str(one.get("PatientID", "")).strip()) for one in headers}
    if len(named) > 1:
        raise SeveralStudiesError


def _is_uid(found: object) -> bool:
    return isinstance(found, str) and re.fullmatch(UID, found) is not None
