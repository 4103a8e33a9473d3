"""Write one real mammogram in every encoding that dcmtk, gdcm and OpenCV can write."""

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import pydicom
from pydicom.encaps import encapsulate
from pydicom.uid import HTJ2KLossless

RAW: Final = "Explicit VR Little Endian"
RLE: Final = "RLE Lossless"
J2K: Final = "JPEG 2000, lossless"
SV1: Final = "JPEG Lossless, process 14 SV1"
COMMANDS: Final[dict[str, tuple[str, ...]]] = {
    RAW: ("dcmconv", "+te"),
    "Implicit VR Little Endian": ("dcmconv", "+ti"),
    "Explicit VR Big Endian": ("dcmconv", "+tb"),
    "Deflated Explicit VR": ("dcmconv", "+td"),
    RLE: ("dcmcrle",),
    "JPEG Baseline, 8 bits": ("dcmcjpeg", "+eb"),
    "JPEG Extended, 12 bits": ("dcmcjpeg", "+ee"),
    "JPEG Lossless, process 14": ("dcmcjpeg", "+el"),
    SV1: ("dcmcjpeg", "+e1"),
    "JPEG-LS Lossless": ("dcmcjpls", "+el"),
    "JPEG-LS near-lossless": ("dcmcjpls", "+en"),
    J2K: ("gdcmconv", "--j2k"),
    "JPEG 2000, lossy": ("gdcmconv", "--j2k", "--lossy", "-r", "10"),
}
PACKAGES: Final = {
    "dcmconv": "dcmtk",
    "dcmcrle": "dcmtk",
    "dcmcjpeg": "dcmtk",
    "dcmcjpls": "dcmtk",
    "gdcmconv": "libgdcm-tools",
}
RASTERS: Final = {"PNG, 16 bits": "png", "TIFF, 16 bits": "tiff", "PGM, 16 bits": "pgm"}


@dataclass(frozen=True, slots=True)
class Encoded:
    """A file in one encoding."""

    name: str
    path: Path | None
    """The path; None if it could not be written."""
    why: str = ""


def encodings(
    mammogram: Path, folder: Path, names: Sequence[str] = tuple(COMMANDS)
) -> list[Encoded]:
    """
    Write all encodings, or a part of the DICOM ones; an encoding that cannot be written has the
    reason.
    """
    folder.mkdir(exist_ok=True)
    plain = _plain(mammogram, folder)
    made = [_transcoded(name, plain, folder / f"{number}.dcm") for number, name in enumerate(names)]
    pixels = pydicom.dcmread(plain).pixel_array
    made.append(
        _made(
            "HTJ2K, lossless", folder / "ht.dcm", lambda path: _high_throughput(plain, pixels, path)
        )
    )
    made += [
        _made(name, folder / f"film.{kind}", lambda path: _raster(pixels, path))
        for name, kind in RASTERS.items()
    ]
    made.append(
        _made(
            "JPEG, 8 bits",
            folder / "film.jpg",
            lambda path: _raster((pixels >> 8).astype(np.uint8), path),
        )
    )
    return made


def _plain(mammogram: Path, folder: Path) -> Path:
    """Write the uncompressed file from which all others are made."""
    target = folder / "plain.dcm"
    if (
        str(pydicom.dcmread(mammogram, stop_before_pixels=True).file_meta.TransferSyntaxUID.name)
        == RLE
    ):
        subprocess.run(["dcmdrle", mammogram, target], check=True, capture_output=True)
    else:
        shutil.copyfile(mammogram, target)
    return target


def _transcoded(name: str, source: Path, target: Path) -> Encoded:
    program, *options = COMMANDS[name]
    if shutil.which(program) is None:
        return Encoded(name, None, f"{program} is missing: apt install {PACKAGES[program]}")
    ended = subprocess.run(
        [program, *options, str(source), str(target)], capture_output=True, text=True, check=False
    )
    if ended.returncode or not target.exists():
        return Encoded(name, None, f"{program} cannot write it")
    return Encoded(name, target)


def _made(name: str, target: Path, make: Callable[[Path], None]) -> Encoded:
    try:
        make(target)
    except ImportError as error:
        return Encoded(name, None, f"{error.name} is missing, which writes it")
    return Encoded(name, target)


def _high_throughput(source: Path, pixels: np.ndarray[Any, Any], target: Path) -> None:
    import imagecodecs  # noqa: PLC0415 - not everywhere

    dataset = pydicom.dcmread(source)
    dataset.PixelData = encapsulate([bytes(imagecodecs.htj2k_encode(pixels, reversible=True))])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = HTJ2KLossless
    dataset.save_as(target)


def _raster(pixels: np.ndarray[Any, Any], target: Path) -> None:
    cv2.imwrite(str(target), pixels)
