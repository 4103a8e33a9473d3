"""
Mammogram -> model input, and the model's map back onto the mammogram. Serving and training both use
this file, so they cannot differ.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.domain import Box, HeatMap, InputSpec
from edge.inference.image.mammogram import Mammogram, Pixels
from edge.inference.image.polarity import is_inverted, spread, turned

Mask: TypeAlias = NDArray[np.bool_]

THUMBNAIL: Final = 512
"""Longest side of the small copy on which breast, side and window are found, in pixels."""
BORDER: Final = 0.02
"""Share of each side that is blanked: film edges and scanner frames."""
HALF_UP: Final = 0.501
"""
Added before cutting off: a mean of exactly a half is rounded up, in whatever order its terms were
added.
"""
AIR: Final = 0.03
"""What is brighter than the air by less than this share of the picture's range is air."""
BLUR: Final = 0.005
"""
Standard deviation of the blur before the level of the air is looked for, as a share of the longest
side: film grain is finer.
"""
GRAIN: Final = 5
"""
Side of the median filter before breast and air are told apart, in pixels of the small copy: edges
stay where they are.
"""
OPENING: Final = 0.06
"""
Diameter of the opening ellipse as a share of the longest side: labels and markers are thinner.
"""
SAME_ASPECT: Final = 0.01
"""Aspects closer than this are the same."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where the model's input came from."""

    rows: int
    columns: int
    """Of the original."""
    flipped: bool
    """Whether left and right were exchanged, so that the chest wall is on the left."""
    box: Box
    """What was cut out, in original pixel coordinates."""
    top: int
    left: int
    height: int
    width: int
    """Where that stands in the model's input; the rest is padding."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One prepared image and what was learnt about it on the way."""

    tensor: NDArray[np.float32]
    """Shape (1, height, width, channels), in [spec.low, spec.high]."""
    geometry: Geometry
    breast_fraction: float
    """Share of the image's area that the breast mask covers."""
    contrast: float
    """Width of the percentile window over the full range of the pixels."""


@dataclass(frozen=True, slots=True)
class Breast:
    """What the small copy shows."""

    thumbnail: Pixels
    mask: Mask
    """Shape of the thumbnail; all False where no breast was found."""

    @property
    def fraction(self) -> float:
        """Share of the area that the breast covers."""
        return float(self.mask.mean())

    @property
    def on_right(self) -> bool:
        """Whether more of the breast lies in the right half than in the left."""
        half = self.mask.shape[1] // 2
        return bool(self.mask[:, -half:].sum() > self.mask[:, :half].sum()) if half else False


def prepare(image: Mammogram, spec: InputSpec) -> Batch:
    """
    Turn one mammogram into the model's input.

    Args:
        image: pixels of shape (rows, columns), uint8 or uint16, bright = dense; where the air is
            bright, it is turned first.
        spec: size, range, window, crop and aspect.

    Returns:
        The tensor, shape (1, spec.height, spec.width, spec.channels), float32 in [spec.low,
        spec.high], chest wall left,
        top and bottom padded evenly, and the way back to original pixel coordinates.
    """
    thumbnail = _thumbnail(image)
    if is_inverted(thumbnail):
        image = turned(image)
        thumbnail = _thumbnail(image)
    breast = find_breast(thumbnail)
    low, high = _window(breast, spec)
    box = _box(breast, image.pixels.shape) if spec.crop else _whole(image.pixels)
    cut = _cut(image, box, round(low))
    height, width = _fit(cut.shape, spec)
    top = (spec.height - height) // 2
    content = _scale(_resize(cut, height, width), low, high, spec)
    rows, columns = image.pixels.shape
    if spec.mask and breast.mask.any():
        content = spec.low + (content - spec.low) * _cover(
            breast.mask, box, (rows, columns), (height, width)
        )
    if breast.on_right:
        content = content[:, ::-1]
    tensor = np.full((1, spec.height, spec.width, spec.channels), spec.low, np.float32)
    tensor[0, top : top + height, :width] = content[:, :, np.newaxis]
    geometry = Geometry(rows, columns, breast.on_right, box, top, 0, height, width)
    white = image.white or 2**image.facts.bits - 1
    return Batch(tensor, geometry, breast.fraction, (high - low) / white)


def restore_aspect(pixels: Pixels, rows: int, columns: int) -> Pixels:
    """
    Stretch a picture that was squeezed to another aspect back to its true one.

    Args:
        pixels: shape (any, any).
        rows: of the original, before it was squeezed.
        columns: of the original.

    Returns:
        The same array where the aspect already is that of rows x columns; else the axis that lost
        more is enlarged.
    """
    height, width = pixels.shape
    stretch = (rows / columns) / (height / width)
    if abs(stretch - 1) < SAME_ASPECT:
        return pixels
    return _resize(pixels, round(height * max(stretch, 1)), round(width * max(1 / stretch, 1)))


def find_breast(small: Pixels) -> Breast:
    """
    Find the breast on a small copy with dark air: the thing with most light in it that is no thin
    label.

    Breast and air are told apart by the triangle method (Zack, Rogers and Latt, 1977), made for a
    histogram with one high peak, the air, and a long tail: it also holds where the air of a scanned
    film is grey.
    """
    rows, columns = small.shape
    levels = spread(small)
    smooth = cv2.GaussianBlur(levels, (0, 0), BLUR * max(rows, columns))
    without_grain = cv2.medianBlur(levels, GRAIN)
    top, left = round(rows * BORDER), round(columns * BORDER)
    inner = slice(top, rows - top), slice(left, columns - left)
    air, _ = cv2.threshold(np.ascontiguousarray(smooth[inner]), 0, 255, cv2.THRESH_TRIANGLE)
    bright = np.zeros(small.shape, np.uint8)
    bright[inner] = without_grain[inner] > max(air, AIR * 255)
    across = (
        round(OPENING * max(rows, columns)) | 1
    )  # odd: an even ellipse has no middle and moves what it opens by one pixel
    opened = cv2.morphologyEx(
        bright, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (across, across))
    )
    count, things = cv2.connectedComponents(opened)
    if count == 1:
        return Breast(small, np.zeros(small.shape, np.bool_))
    light = np.bincount(things.ravel(), weights=without_grain.ravel())
    return Breast(small, things == 1 + int(light[1:].argmax()))


def heat_map(logits: NDArray[np.float32], geometry: Geometry, spec: InputSpec) -> HeatMap:
    """
    Lay the model's logit map over the original.

    Args:
        logits: shape (grid rows, grid columns), spread evenly over the model's input.
        geometry: of the image that gave it.
        spec: the model's input.

    Returns:
        Interpolated onto the cut-out: padding dropped, flip undone, about as many cells as the map
        has there.
    """
    y = _cells(logits.shape[0], spec.height, geometry.top, geometry.height)
    x = _cells(logits.shape[1], spec.width, geometry.left, geometry.width)
    along_x = [np.interp(x, np.arange(logits.shape[1]), row) for row in logits]
    values = np.array(
        [np.interp(y, np.arange(logits.shape[0]), column) for column in np.array(along_x).T]
    ).T
    if geometry.flipped:
        values = values[:, ::-1]
    return HeatMap(tuple(tuple(map(float, row)) for row in values), geometry.box)


def _cells(cells: int, extent: int, start: int, length: int) -> NDArray[np.float64]:
    """Centres of the new cells over start .. start + length, in units of the old cells."""
    size = extent / cells
    count = max(1, round(length / size))
    return (start + (np.arange(count) + 0.5) * length / count) / size - 0.5


def _thumbnail(image: Mammogram) -> Pixels:
    step = (
        max(1, max(image.pixels.shape) // (2 * THUMBNAIL)) | 1
    )  # odd, so that a grid of any length has a middle
    rows, columns = (_grid(side, step) for side in image.pixels.shape)
    sample = np.ascontiguousarray(image.pixels[rows, columns])
    if image.background is not None:
        sample = _without(sample, image.background)
    scale = min(1.0, THUMBNAIL / max(sample.shape))
    small = _resize(
        sample.astype(np.float32), *(max(1, round(side * scale)) for side in sample.shape)
    )
    rounded: Pixels = np.floor(small + HALF_UP).astype(sample.dtype)
    return rounded


def _grid(side: int, step: int) -> slice:
    """
    Every step-th of `side` pixels, as far from the first as from the last: a mirrored film gives
    the mirrored thumbnail.
    """
    rest = (side - 1) % step
    start = (rest + step * (rest % 2)) // 2
    return slice(start, side - start, step) if start < side else slice(side // 2, side // 2 + 1)


def _without(pixels: Pixels, background: int) -> Pixels:
    """The pixels with padding made as dark as the darkest of the rest."""
    padding = pixels == background
    if not padding.any() or padding.all():
        return pixels
    return np.where(padding, pixels[~padding].min(), pixels)


def _window(breast: Breast, spec: InputSpec) -> tuple[float, float]:
    values = breast.thumbnail[breast.mask] if breast.mask.any() else breast.thumbnail
    low, high = np.percentile(values, (spec.percentile_low, spec.percentile_high))
    return float(low), float(high)


def _whole(pixels: Pixels) -> Box:
    return Box(0, 0, pixels.shape[1], pixels.shape[0])


def _box(breast: Breast, shape: tuple[int, ...]) -> Box:
    """
    The breast's bounding box in original pixels; a side that reaches the blanked border reaches the
    edge.
    """
    if not breast.mask.any():
        return Box(0, 0, shape[1], shape[0])
    ymin, ymax = _span(np.flatnonzero(breast.mask.any(axis=1)), breast.mask.shape[0], shape[0])
    xmin, xmax = _span(np.flatnonzero(breast.mask.any(axis=0)), breast.mask.shape[1], shape[1])
    return Box(xmin, ymin, xmax, ymax)


def _span(found: NDArray[np.intp], small: int, full: int) -> tuple[int, int]:
    """
    From where to where the breast goes, given where it is found on a small axis, on the full one.
    """
    border = round(small * BORDER)
    first, last = int(found[0]), int(found[-1]) + 1
    start = 0 if first <= border else first * full // small
    return start, full if last >= small - border else -(-last * full // small)


def _cover(
    mask: Mask, box: Box, full: tuple[int, int], size: tuple[int, int]
) -> NDArray[np.float32]:
    """
    How much of each pixel of the cut-out, `size` pixels large, the breast covers: 0 to 1, with a
    soft edge.
    """
    y = _cells_of(size[0], box.ymin, box.ymax, mask.shape[0] / full[0])
    x = _cells_of(size[1], box.xmin, box.xmax, mask.shape[1] / full[1])
    return _along(_along(mask.astype(np.float32), y).T, x).T


def _cells_of(count: int, start: float, stop: float, scale: float) -> NDArray[np.float64]:
    """Centres of `count` cells over start .. stop, in units of a picture `scale` times as large."""
    return (start + (np.arange(count) + 0.5) * (stop - start) / count) * scale - 0.5


def _along(values: NDArray[np.float32], places: NDArray[np.float64]) -> NDArray[np.float32]:
    """
    Rows in between, linearly interpolated. OpenCV's own way rounds otherwise in version 4 than in
    version 5.
    """
    places = np.clip(places, 0, len(values) - 1)
    before = places.astype(np.intp)
    share = (places - before).astype(np.float32)[:, np.newaxis]
    return values[before] * (1 - share) + values[np.minimum(before + 1, len(values) - 1)] * share


def _cut(image: Mammogram, box: Box, dark: int) -> Pixels:
    cut = image.pixels[int(box.ymin) : int(box.ymax), int(box.xmin) : int(box.xmax)]
    if image.background is None:
        return cut
    return np.where(cut == image.background, cut.dtype.type(dark), cut)


def _fit(shape: tuple[int, ...], spec: InputSpec) -> tuple[int, int]:
    """Height and width that the cut-out takes in the model's input."""
    if spec.aspect == "squeeze":
        return spec.height, spec.width
    scale = min(spec.height / shape[0], spec.width / shape[1])
    return min(spec.height, max(1, round(shape[0] * scale))), min(
        spec.width, max(1, round(shape[1] * scale))
    )


def _resize(pixels: Pixels, height: int, width: int) -> Pixels:
    if pixels.shape == (height, width):
        return pixels
    shrinks = height <= pixels.shape[0] and width <= pixels.shape[1]
    how = (
        cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR_EXACT
    )  # the plain one rounds otherwise on ARM than on x86
    return cast("Pixels", cv2.resize(pixels, (width, height), interpolation=how))


def _scale(content: Pixels, low: float, high: float, spec: InputSpec) -> NDArray[np.float32]:
    gain = (spec.high - spec.low) / max(high - low, 1e-6)
    scaled: NDArray[np.float32] = (content.astype(np.float32) - np.float32(low)) * np.float32(
        gain
    ) + np.float32(spec.low)
    return np.clip(scaled, np.float32(spec.low), np.float32(spec.high))
