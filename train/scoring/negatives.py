"""Pictures that are no mammograms, for the input gate: your own, and some drawn here."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.domain import InputSpec
from edge.errors import ImageRejected
from edge.inference.image import Limits, decode
from edge.inference.preprocess import Batch, prepare
from train.data.films import Prepared
from train.errors import DataError
from train.progress import say

SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".pgm"})
SIZE: Final = (600, 480)
"""Rows and columns of a drawn picture."""
DRAWN: Final = 24


def read(folders: Sequence[Path], spec: InputSpec) -> Prepared:
    """
    Prepare every picture below some folders, and the drawn ones, as the daemon would.

    Colour pictures, which the daemon turns away by themselves, are made grey: their like may come
    grey.

    Args:
        folders: of pictures that are not mammograms.
        spec: the model's input.

    Returns:
        In an order that only the pictures decide; without films.

    Raises:
        DataError: a folder holds no picture.
    """
    pictures = {
        hashlib.sha256(data).hexdigest(): data for folder in folders for data in _files(folder)
    }
    kept = [batch for _, data in sorted(pictures.items()) if (batch := _prepared(data, spec))]
    say(
        f"not mammograms: {len(pictures)} pictures, {len(pictures) - len(kept)} "
        f"of them turned away before the gate; {DRAWN} drawn"
    )
    return gathered([*kept, *(batch for data in drawn() if (batch := _prepared(data, spec)))], spec)


def drawn(seed: int = 0) -> Iterator[bytes]:
    """Draw noise, ramps, stripes, discs and pages of text, as PNG files."""
    generator = np.random.default_rng(seed)
    kinds = (_noise, _ramp, _stripes, _discs, _page, _squares)
    for number in range(DRAWN):
        picture = kinds[number % len(kinds)](generator)
        yield _png(np.clip(picture, 0, 255).astype(np.uint8))


def _files(folder: Path) -> list[bytes]:
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        msg = (
            f"--not-mammograms {folder}: no picture there, expected files "
            f"ending in {', '.join(sorted(SUFFIXES))}"
        )
        raise DataError(msg)
    return [path.read_bytes() for path in found]


def _prepared(data: bytes, spec: InputSpec) -> Batch | None:
    try:
        return prepare(decode(_grey(data), Limits()), spec)
    except ImageRejected:
        return None


def _grey(data: bytes) -> bytes:
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:  # empty, or larger than it decodes
        return data
    if pixels is None or pixels.ndim == 2:  # noqa: PLR2004 - rows and columns: it is grey
        return data
    read = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    return data if read is None else _png(read)


def gathered(batches: Sequence[Batch], spec: InputSpec) -> Prepared:
    """Put prepared pictures into one record, without films."""
    images = np.stack(
        [(batch.tensor[0, :, :, 0] - spec.low) / (spec.high - spec.low) for batch in batches]
    )
    return without_films(
        images, [batch.breast_fraction for batch in batches], [batch.contrast for batch in batches]
    )


def without_films(
    images: NDArray[np.floating], fractions: Iterable[float], contrasts: Iterable[float]
) -> Prepared:
    """Make a record of pictures that are no films of a data set."""
    return Prepared(
        (),
        images.astype(np.float16),
        np.fromiter(fractions, np.float32),
        np.fromiter(contrasts, np.float32),
        {},
    )


def _png(pixels: NDArray[np.uint8] | cv2.typing.MatLike) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def _noise(generator: np.random.Generator) -> NDArray[np.floating]:
    rows, columns = (max(2, int(size / generator.uniform(1, 60))) for size in SIZE)
    coarse = generator.uniform(0, 255, (rows, columns)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, SIZE[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _ramp(generator: np.random.Generator) -> NDArray[np.floating]:
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    along = x * generator.normal() + y * generator.normal()
    return np.asarray(255 * (along - along.min()) / np.ptp(along), np.float64)


def _stripes(generator: np.random.Generator) -> NDArray[np.floating]:
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    return np.asarray(
        127
        + 127
        * np.sin((x * generator.normal() + y * generator.normal()) / generator.uniform(2, 30)),
        np.float64,
    )


def _discs(generator: np.random.Generator) -> NDArray[np.floating]:
    picture = np.zeros(SIZE, np.uint8)
    for _ in range(int(generator.integers(1, 8))):
        centre = (int(generator.integers(SIZE[1])), int(generator.integers(SIZE[0])))
        cv2.circle(
            picture, centre, int(generator.integers(20, 250)), int(generator.integers(40, 255)), -1
        )
    return picture.astype(np.float64)


def _page(generator: np.random.Generator) -> NDArray[np.floating]:
    picture = np.full(SIZE, int(generator.integers(150, 255)), np.uint8)
    for line in range(30, SIZE[0] - 10, int(generator.integers(18, 40))):
        text = "".join(
            chr(97 + letter) for letter in generator.integers(0, 26, int(generator.integers(5, 40)))
        )
        cv2.putText(
            picture,
            text,
            (20, line),
            cv2.FONT_HERSHEY_SIMPLEX,
            float(generator.uniform(0.4, 0.9)),
            20,
            1,
        )
    return picture.astype(np.float64)


def _squares(generator: np.random.Generator) -> NDArray[np.floating]:
    size = int(generator.integers(10, 120))
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    return np.asarray(((x // size + y // size) % 2) * generator.uniform(80, 255), np.float64)
