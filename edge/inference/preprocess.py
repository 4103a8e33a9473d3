"""
The way from a Mammogram to the model's input.

Serving and training both use this file, so they cannot differ.
"""

from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.domain import Box, Domain, InputSpec
from edge.inference.breast import Breast
from edge.inference.geometry import Geometry
from edge.inference.image.mammogram import Mammogram, Pixels
from edge.inference.interpolation import cells_of, is_inside, over
from edge.inference.levels import quantiles
from edge.inference.margins import Content, Flat
from edge.inference.origin import domain_by_pixels
from edge.inference.segmentation import Segmentation, segment

Mask: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float32]

COARSE: Final = 4096
"""Pixels whose window has fewer levels than this are averaged in float, others as stored."""
DARKEST: Final = 0.1
"""The percentile of the pixels that is taken for the darkest."""
LEAST: Final = 16
"""Fewer levels than this make no contrast."""
SHORT: Final = 64
"""Sides up to so many pixels are left as they are."""
SAME_ASPECT: Final = 0.01
"""Aspects closer than this are the same."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One prepared image and what was learnt about it on the way."""

    tensor: NDArray[np.float32]
    """Shape (1, height, width, channels), in [spec.low, spec.high]."""
    geometry: Geometry
    breast_fraction: float
    """Share of the image's area, without its uniform margins, that the breast mask covers."""
    contrast: float
    """Width of the percentile window as a share of all levels from the darkest to its upper end."""
    turned: bool = False
    """Bright and dark were exchanged: the image was a negative."""
    fault: str | None = None
    """Why this is not one whole breast; None if it is one."""
    domain: Domain = "unknown"
    """The kind of machine by what is seen."""


def prepare(image: Mammogram, spec: InputSpec) -> Batch:
    """
    Turn one mammogram into the model's input.

    Args:
        image: pixels of shape (rows, columns), uint8 or uint16, bright = dense; if it is a negative
            all the same, it is turned first.
        spec: size, range, window, crop and aspect.

    Returns:
        The tensor, shape (1, spec.height, spec.width, spec.channels), float32 in [spec.low,
        spec.high], chest wall left, top and bottom padded evenly, and the way back to original
        pixel coordinates.
    """
    found = segment(image)
    low, high = _window(found, spec)
    box = _box(found.breast, found.content) if spec.crop else _whole(image.pixels)
    cut = _cut(image, found, box, low, high)
    height, width = _fit(cut.shape, spec)
    top = (spec.height - height) // 2
    content = _resize(cut, height, width)
    if found.turned:
        np.subtract(np.float32(found.white), content, out=content)
    _scale(content, low, high, spec)
    if spec.mask and found.breast.mask.any():
        cover = _cover(found.breast.mask, box, found.content, (height, width))
        content -= np.float32(spec.low)
        content *= cover
        content += np.float32(spec.low)
    flipped = found.breast.on_right
    if flipped:
        content = content[:, ::-1]
    plane = np.full((spec.height, spec.width), spec.low, np.float32)
    plane[top : top + height, :width] = content
    planes: Any = plane if spec.channels == 1 else cv2.merge([plane] * spec.channels)
    tensor: Floats = planes.reshape(1, spec.height, spec.width, spec.channels)
    rows, columns = image.pixels.shape
    geometry = Geometry(rows, columns, flipped, box, top, 0, height, width)
    contrast = (high - low) / max(high - quantiles(found.small, DARKEST)[0], LEAST)
    domain = domain_by_pixels(found.small, found.breast)
    return Batch(
        tensor, geometry, found.breast.fraction, contrast, found.turned, found.fault, domain
    )


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
    size = round(width * max(1 / stretch, 1)), round(height * max(stretch, 1))
    # The plain way rounds otherwise on ARM than on x86.
    return cast("Pixels", cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR_EXACT))


def _window(found: Segmentation, spec: InputSpec) -> tuple[float, float]:
    """Black and white of the breast, without marks on it that are as dark as air."""
    breast = found.breast
    values = found.small[breast.tissue] if breast.tissue.any() else found.small
    low, high = np.percentile(values, (spec.percentile_low, spec.percentile_high))
    return float(low), float(high)


def _whole(pixels: Pixels) -> Box:
    return Box(0, 0, pixels.shape[1], pixels.shape[0])


def _box(breast: Breast, content: Content) -> Box:
    """The breast's bounding box in original pixels, its sides even so that it is quickly halved."""
    mask = breast.mask
    if not mask.any():
        return Box(content.left, content.top, content.right, content.bottom)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    ymin, ymax = _span(rows, mask.shape[0], content.top, content.bottom)
    xmin, xmax = _span(columns, mask.shape[1], content.left, content.right)
    ymax -= _odd(ymin, ymax)
    odd = _odd(xmin, xmax)  # cut off away from the chest wall, whichever side that is
    return Box(
        xmin + (odd if breast.on_right else 0), ymin, xmax - (0 if breast.on_right else odd), ymax
    )


def _odd(start: int, stop: int) -> int:
    """1 if so many pixels are odd and one may go."""
    length = stop - start
    return length % 2 if length > SHORT else 0


def _span(found: NDArray[np.intp], small: int, start: int, stop: int) -> tuple[int, int]:
    """From where to where the breast goes on start .. stop, given where on a copy `small` long."""
    full = stop - start
    first, last = int(found[0]), int(found[-1]) + 1
    return start + first * full // small, start - (-last * full // small)


def _cover(mask: Mask, box: Box, content: Content, size: tuple[int, int]) -> Floats:
    """Return the share of each cut-out pixel that the breast covers, 0 to 1 with soft edges."""
    rows, columns = content.bottom - content.top, content.right - content.left
    top, bottom = box.ymin - content.top, box.ymax - content.top
    left, right = box.xmin - content.left, box.xmax - content.left
    y = cells_of(size[0], top, bottom, mask.shape[0] / rows)
    x = cells_of(size[1], left, right, mask.shape[1] / columns)
    cover = over(mask.astype(np.float32), y, x)
    cover[~is_inside(y, mask.shape[0])] = 0
    cover[:, ~is_inside(x, mask.shape[1])] = 0
    return cover


def _cut(image: Mammogram, found: Segmentation, box: Box, low: float, high: float) -> NDArray[Any]:
    """The cut-out as it stands in the file, padding and artefacts made black."""
    rows = slice(int(box.ymin), int(box.ymax))
    columns = slice(int(box.xmin), int(box.xmax))
    cut = image.pixels[rows, columns]
    if high - low < COARSE:
        cut = cut.astype(np.float32)
    black = cut.dtype.type(found.white - low if found.turned else low)
    if image.background is not None:
        cut = np.where(cut == image.background, black, cut)
    if found.artefacts:
        cut = cut.copy()
        for flat in found.artefacts:
            _blacken(cut, box, found.content, flat, black)
    return cut


def _blacken(cut: NDArray[Any], box: Box, content: Content, flat: Flat, black: Any) -> None:  # noqa: ANN401
    """Make black what has the level of an artefact, in it and up to three small pixels beside."""
    wider = cv2.dilate(flat.mask.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    of_rows, of_columns = (np.asarray(wider.any(axis=axis)) for axis in (1, 0))
    y, rows = _reached(of_rows, content.top, content.bottom, int(box.ymin), cut.shape[0])
    x, columns = _reached(of_columns, content.left, content.right, int(box.xmin), cut.shape[1])
    part = cut[y, x]
    same = np.abs(part - np.float32(flat.level)) <= flat.tolerance
    part[same & wider[np.ix_(rows, columns)]] = black


def _reached(
    found: Mask, start: int, stop: int, first: int, count: int
) -> tuple[slice, NDArray[np.intp]]:
    """
    Find the lines of the cut-out that what was found on a small copy reaches.

    Args:
        found: shape (lines of the small copy,), not all False.
        start: first line of the content, in the original.
        stop: end of the content.
        first: first line of the cut-out, in the original.
        count: of the lines of the cut-out.

    Returns:
        Those lines, and the line of the small copy for each.
    """
    at = np.arange(max(first, start), min(first + count, stop))
    small = (at - start) * len(found) // (stop - start)
    lines = np.flatnonzero(found)
    inside = slice(*np.searchsorted(small, (lines[0], lines[-1] + 1)))
    begin = max(first, start) - first
    return slice(begin + inside.start, begin + inside.stop), small[inside]


def _fit(shape: tuple[int, ...], spec: InputSpec) -> tuple[int, int]:
    """Height and width that the cut-out takes in the model's input."""
    if spec.aspect == "squeeze":
        return spec.height, spec.width
    scale = min(spec.height / shape[0], spec.width / shape[1])
    return min(spec.height, max(1, round(shape[0] * scale))), min(
        spec.width, max(1, round(shape[1] * scale))
    )


def _resize(values: NDArray[Any], height: int, width: int) -> Floats:
    rows, columns = values.shape
    if (rows, columns) == (height, width):
        return values.astype(np.float32)
    if height <= rows and width <= columns:
        if rows >= 2 * height and columns >= 2 * width and not (rows % 2 or columns % 2):
            half = columns // 2, rows // 2  # a tenth of the time of one step to the size
            values = cv2.resize(values, half, interpolation=cv2.INTER_AREA)
        small = cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.float32)
    y, x = cells_of(height, 0, rows, 1), cells_of(width, 0, columns, 1)
    return over(np.asarray(values, np.float32), y, x)


def _scale(content: Floats, low: float, high: float, spec: InputSpec) -> None:
    """Spread the levels from `low` to `high` over the model's range, in place."""
    gain = (spec.high - spec.low) / max(high - low, 1e-6)
    content -= np.float32(low)
    content *= np.float32(gain)
    content += np.float32(spec.low)
    np.clip(content, np.float32(spec.low), np.float32(spec.high), out=content)
