"""The robustness of a score: its move if the film comes in another format, size or tone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from edge.errors import ImageRejected, Unavailable
from edge.inference.engine import Engine, open_engine
from edge.inference.gate import InputGate
from edge.inference.image import Limits, Pixels, open_mammogram
from edge.inference.preprocess import prepare
from edge.models.bundle import Bundle
from train.data.films import open_film
from train.data.index import Film
from train.errors import DataError
from train.progress import bar, warn
from train.scoring import calibration
from train.scoring.score import shapes_of

MEDIAN: Final = 0.03
MAXIMUM: Final = 0.10
"""The aim: a variant's largest move of any film's score; MEDIAN is that of half of the films."""
OFFSET: Final = 200
TOP_12_BIT: Final = 4095

Write: TypeAlias = Callable[[Pixels, Path], None]
"""
A function that writes pixels (rows, columns), uint8 or uint16, in their true aspect to a file.
"""


def _png(pixels: NDArray[Any], path: Path) -> None:
    cv2.imwrite(str(path), pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])


def _top(pixels: Pixels) -> int:
    """Give the white of as many bits as the largest pixel needs, at least 8."""
    return int(2 ** max(8, int(pixels.max()).bit_length()) - 1)


def _eight_bit(pixels: Pixels) -> NDArray[np.uint8]:
    return np.asarray(np.rint(pixels * (255.0 / _top(pixels))), dtype=np.uint8)


def _shrunk(pixels: Pixels, longest: int) -> NDArray[Any]:
    """Shrink to 8 bits; never enlarge."""
    scale = min(1.0, longest / max(pixels.shape))
    size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    return np.asarray(cv2.resize(_eight_bit(pixels), size, interpolation=cv2.INTER_AREA))


def _jpeg_800(pixels: Pixels, path: Path) -> None:
    cv2.imwrite(str(path), _shrunk(pixels, 800), [cv2.IMWRITE_JPEG_QUALITY, 75])


def _toned(gamma: float) -> Write:
    return lambda pixels, path: _png(
        np.rint((pixels / _top(pixels)) ** gamma * 255).astype(np.uint8), path
    )


def _dicom(pixels: NDArray[np.uint16], path: Path, bits: int, photometric: str) -> None:
    """Write a DICOM file as small as one can be, without windows."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
        SecondaryCaptureImageStorage,
        generate_uid(),
    )
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = (
        meta.MediaStorageSOPClassUID,
        meta.MediaStorageSOPInstanceUID,
        "MG",
    )
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = (
        1,
        photometric,
        0,
    )
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, bits, bits - 1
    dataset.PixelData = pixels.astype("<u2").tobytes()
    dataset.save_as(path, enforce_file_format=True)


def _offset_12_bit(pixels: Pixels, path: Path) -> None:
    values = OFFSET + np.rint(pixels * ((TOP_12_BIT - OFFSET) / _top(pixels)))
    _dicom(values.astype(np.uint16), path, 12, "MONOCHROME2")


def _monochrome1(pixels: Pixels, path: Path) -> None:
    _dicom(_inverted(pixels).astype(np.uint16), path, _top(pixels).bit_length(), "MONOCHROME1")


def _inverted(pixels: Pixels) -> Pixels:
    return np.asarray(pixels.dtype.type(_top(pixels)) - pixels)


VARIANTS: Final[Mapping[str, Write]] = {
    "JPEG of quality 75, longest side 800 px": _jpeg_800,
    "PNG, longest side 299 px": lambda pixels, path: _png(_shrunk(pixels, 299), path),
    "inverted, DICOM that says so (MONOCHROME1)": _monochrome1,
    "inverted, PNG, which cannot say so": lambda pixels, path: _png(_inverted(pixels), path),
    "mirrored": lambda pixels, path: _png(np.ascontiguousarray(pixels[:, ::-1]), path),
    "gamma 0.7": _toned(0.7),
    "gamma 1.4": _toned(1.4),
    f"DICOM of 12 bits, lifted by {OFFSET}": _offset_12_bit,
}


@dataclass(frozen=True, slots=True)
class _DaemonsWay:
    """The way of the daemon from a file to its calibrated score."""

    bundle: Bundle
    engine: Engine
    gate: InputGate

    def score(self, file: Path) -> float | None:
        """Score the file; None if it is refused."""
        manifest = self.bundle.manifest
        try:
            batch = prepare(open_mammogram(file, Limits()), manifest.input)
            self.gate.look_at(batch)
            scores = self.engine.infer(batch.tensor)
            self.gate.look_at_features(scores.features)
        except ImageRejected:
            return None
        platt = manifest.models[manifest.default_model].calibration
        return float(calibration.calibrated(np.array([scores.raw]), platt)[0])


def measure(bundle: Bundle, films: tuple[Film, ...], count: int, seed: int) -> dict[str, Any]:
    """
    Measure |dp| between films and their variants, on the daemon's whole way from file to score.

    Args:
        bundle: verified; its default model file is measured.
        films: to draw from, all of them readable: validation films, since this is looked at while
            tuning.
        count: number of films to take; 0: none.
        seed: of the draw.

    Returns:
        Of each variant median, 95th percentile and maximum of |dp|, and how many films are refused
        only with it or only without it (a refused one counts as p = 0.5). Empty if there is no
        film.
    """
    chosen = np.random.default_rng(seed).permutation(len(films))[:count]
    if not len(chosen):
        return {}
    way = _way(bundle)
    with TemporaryDirectory() as folder:
        rows = [
            _differences(way, films[number], Path(folder))
            for number in bar(chosen, "score variants", len(chosen))
        ]
    table = {name: _summary([row[name] for row in rows]) for name in VARIANTS}
    return {"films": len(chosen), "aim": {"median": MEDIAN, "maximum": MAXIMUM}, "variants": table}


def readable(folder: Path) -> tuple[Film, ...]:
    """
    List every mammogram below a folder, by name; what is none, as a README, is said.

    Raises:
        DataError: there is none.
    """
    films, skipped = [], []
    for path in sorted(
        path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")
    ):
        film = Film(path=path, name=path.relative_to(folder).as_posix(), label="benign", patient="")
        try:
            open_film(film)
        except (ImageRejected, Unavailable) as error:
            skipped.append(f"{film.name}: {error}")
        else:
            films.append(film)
    text = (
        f"{len(skipped)} files are no mammograms ({'; '.join(skipped[:3])})"
        if skipped
        else "no file there"
    )
    if not films:
        msg = f"{folder}: {text}, expected mammograms"
        raise DataError(msg)
    if skipped:
        warn(f"{folder}: {text} and are left out")
    return tuple(films)


def within_aim(numbers: Mapping[str, Any]) -> bool:
    """Tell if one variant's median and maximum are within the aim."""
    return bool(numbers["median"] <= MEDIAN and numbers["maximum"] <= MAXIMUM)


def _way(bundle: Bundle) -> _DaemonsWay:
    manifest = bundle.manifest
    engine = open_engine("litert", bundle.folder / manifest.default_model, shapes_of(manifest))
    gate = InputGate(
        manifest.models[manifest.default_model].gate, bundle.folder, manifest.outputs.features
    )
    return _DaemonsWay(bundle, engine, gate)


def _differences(way: _DaemonsWay, film: Film, folder: Path) -> dict[str, tuple[float, bool]]:
    """
    Give |dp| of each variant of a film, and if the gate takes the two differently.

    A squeezed film is compared in its true aspect.
    """
    pixels, file = open_film(film).pixels, folder / "film"
    if film.aspect is not None:
        _png(pixels, folder / "true.png")
    usual = way.score(film.path if film.aspect is None else folder / "true.png")
    found = {}
    for name, write in VARIANTS.items():
        path = file.with_suffix(".dcm" if "DICOM" in name else ".jpg" if "JPEG" in name else ".png")
        write(pixels, path)
        score = way.score(path)
        difference = abs(
            (calibration.REFUSED if score is None else score)
            - (calibration.REFUSED if usual is None else usual)
        )
        found[name] = difference, (score is None) != (usual is None)
    return found


def _summary(differences: list[tuple[float, bool]]) -> dict[str, Any]:
    values = np.array([difference for difference, _ in differences])
    median, high, maximum = (float(value) for value in np.percentile(values, (50, 95, 100)))
    return {
        "median": median,
        "p95": high,
        "maximum": maximum,
        "taken_differently": sum(other for _, other in differences),
    }
