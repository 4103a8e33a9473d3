"""
Make a DICOM mammogram that identifies its patient wherever DICOM allows it.

The words, numbers and dates stand nowhere else, so a test can search for them.
"""

from collections.abc import Iterator
from io import BytesIO
from typing import Any, Final

import pydicom
from numpy.typing import NDArray
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, ExplicitVRLittleEndian

from tests.support.films import dicom, whole_file

WORD: Final = "QZXJWV"
NUMBER: Final = "1735700173"
DATE: Final = "17350713"
TIME: Final = "031741.735017"
MARKERS: Final = (WORD, NUMBER, DATE, TIME)
UID_ROOT: Final = f"1.2.826.0.{NUMBER}"
STUDY: Final = f"{UID_ROOT}.13"
SOP: Final = f"{UID_ROOT}.17"
AGE: Final = "873Y"
"""An age: three digits and a Y are too common to be searched for."""

TEXTS: Final = {"LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT", "AE", "CS"}
VALUES: Final = dict.fromkeys(TEXTS, WORD) | {
    "UI": UID_ROOT,
    "DA": DATE,
    "TM": TIME,
    "DT": DATE + TIME,
    "DS": NUMBER,
    "IS": NUMBER,
    "AS": AGE,
}
DECISIVE: Final = frozenset(
    [
        "Modality",
        "SOPClassUID",
        "PresentationIntentType",
        "ImageType",
        "BodyPartExamined",
        "SpecimenDescriptionSequence",
        "EstimatedRadiographicMagnificationFactor",
    ]
)
"""Tags by which a reader decides about an image; they are planted only if it may be rejected."""
CHARACTER_SET: Final = "ISO_IR 100"
PIXEL_GROUP: Final = 0x0028
FIRST_GROUP: Final = 0x0008
OVERLAYS: Final = 0x5000
"""The first group of curves, overlays and pixels."""


def planted(
    pixels: NDArray[Any], *, everywhere: bool = False, number: int = 0, trailer: bytes = b""
) -> bytes:
    """
    Give the bytes of such a file.

    Args:
        pixels: shape (rows, columns).
        everywhere: also in the tags by which a reader decides, so that it will refuse it.
        number: makes the bytes differ.
        trailer: put into a private tag, for whoever looks for it.
    """
    dataset = Dataset()
    for tag, vr in _tags(everywhere=everywhere):
        dataset.add_new(tag, vr, Sequence([_item()]) if vr == "SQ" else VALUES[vr])
    plain = pydicom.dcmread(BytesIO(dicom(pixels)))
    for element in plain:
        if element.tag.group == PIXEL_GROUP or element.keyword in {
            "PixelData",
            *(() if everywhere else DECISIVE),
        }:
            dataset.add(element)
    dataset.StudyInstanceUID, dataset.SOPInstanceUID = STUDY, SOP
    dataset.InstanceNumber = number
    dataset.SpecificCharacterSet = CHARACTER_SET
    _add_private(dataset, trailer)
    data = whole_file(dataset, _meta(), (WORD * 30).encode()[:128])
    return data.replace(
        CHARACTER_SET.encode(), WORD.ljust(len(CHARACTER_SET)).encode()
    )  # pydicom writes none that it does not know


def _tags(*, everywhere: bool) -> Iterator[tuple[BaseTag, str]]:
    """
    Yield every tag of the dictionary that can hold text, a number as text, a date, a UID, or a
    sequence of such.
    """
    for number, (vr, _, _, _, keyword) in DicomDictionary.items():
        tag = Tag(number)
        text = vr in VALUES or vr == "SQ"
        if (
            text
            and FIRST_GROUP <= tag.group < OVERLAYS
            and tag.group != PIXEL_GROUP
            and (everywhere or keyword not in DECISIVE)
        ):
            yield tag, vr


def _item() -> Dataset:
    """Make the item of a sequence."""
    item = Dataset()
    item.PatientName = item.PatientComments = item.CodeValue = item.CodeMeaning = (
        item.CodingSchemeDesignator
    ) = WORD
    item.ReferencedSOPInstanceUID = UID_ROOT
    return item


def _add_private(dataset: Dataset, trailer: bytes) -> None:
    block = dataset.private_block(0x0011, f"{WORD} CREATOR", create=True)
    for offset, vr in enumerate(("LO", "PN", "UT", "UI", "DA"), 1):
        block.add_new(offset, vr, VALUES.get(vr, WORD))
    block.add_new(0x40, "OB", f"{WORD} {NUMBER}".encode() + b" " * (len(trailer) % 2) + trailer)


def _meta() -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID(UID_ROOT), UID(SOP)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID, meta.ImplementationVersionName = UID(UID_ROOT), WORD
    meta.SourceApplicationEntityTitle = WORD
    meta.PrivateInformationCreatorUID, meta.PrivateInformation = UID(UID_ROOT), WORD.encode()
    return meta


def found_in(text: bytes) -> list[str]:
    """List the markers that occur in the bytes, whatever their case."""
    return [marker for marker in MARKERS if marker.lower().encode() in text.lower()]
