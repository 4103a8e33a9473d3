"""The picture of a map as a Secondary Capture, in the patient's study."""

import base64
import zlib
from typing import Final

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from edge.contract.report_job import Picture
from edge.dicom.send.document import SERIES
from edge.dicom.send.facts import Facts
from edge.dicom.send.headers import instance_of
from edge.dicom.send.identity import note_time, take_over
from edge.dicom.send.items import plain
from edge.dicom.send.uids import number_of, uid_of
from edge.domain import OWN

SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
SERIES_NUMBER: Final = 1501
MODALITY: Final = "OT"
"""Other: a picture of a mammogram is none, and nobody shall hang or score it as one."""
LOSSY: Final = "01"


def capture(facts: Facts, header: Dataset, picture: Picture) -> Dataset:
    """
    Make the capture of a result.

    The same result, header and picture give the same bytes, whenever it is made.

    Args:
        facts: of the result of one image.
        header: of that image.
        picture: the drawn map.
    """
    made, study = Dataset(), str(header.StudyInstanceUID)
    take_over(made, header)
    made.Modality = MODALITY
    made.SeriesInstanceUID = uid_of("maps", study)
    made.SeriesNumber = SERIES_NUMBER
    made.SeriesDescription = SERIES
    made.Manufacturer = made.SecondaryCaptureDeviceManufacturer = OWN
    made.ConversionType = "WSD"
    made.SOPClassUID = SECONDARY_CAPTURE
    made.SOPInstanceUID = uid_of("map", facts.result_id)
    made.InstanceNumber = number_of("map", facts.result_id)  # no other map of the series has it
    _name_breast(made, facts)
    made.ImageType = ["DERIVED", "SECONDARY"]
    made.PatientOrientation = None
    made.BurnedInAnnotation = "YES"
    made.DerivationDescription = plain(_derivation(facts))
    made.SourceImageSequence = [instance_of(header).item()]
    if header.get("LossyImageCompression") == LOSSY:
        made.LossyImageCompression = LOSSY
    note_time(made, facts.completed_at)
    _draw(made, picture)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return made


def _name_breast(made: Dataset, facts: Facts) -> None:
    """Name side and view, as far as the image's own header does."""
    (of_image,) = facts.groups
    if of_image.laterality:
        made.ImageLaterality = of_image.laterality
    else:  # one of both must be there; the series has maps of both sides
        made.Laterality = None
    if of_image.view:
        made.ViewPosition = of_image.view


def _derivation(facts: Facts) -> str:
    model = facts.model or {}
    return (
        f"The breast cut out of the source image, with the map of malignancy of {model['name']} "
        f"{model['version']}, bundle {model['bundle']}. Research, not for diagnosis."
    )


def _draw(made: Dataset, picture: Picture) -> None:
    pixels = zlib.decompress(base64.b64decode(picture.pixels))
    made.SamplesPerPixel = 3
    made.PhotometricInterpretation = "RGB"
    made.PlanarConfiguration = 0
    made.Rows, made.Columns = picture.rows, picture.columns
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit = 7
    made.PixelRepresentation = 0
    made.PixelData = pixels + b"\0" * (len(pixels) % 2)
    made["PixelData"].VR = "OW"
