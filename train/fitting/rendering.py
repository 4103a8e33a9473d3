"""
Other renderings of one mammogram, as scanners, digital machines and file formats make them.

A network that has seen one scanner's tone learns that scanner. Each piece of film is therefore
shown in another tone every time: half of them as a digital machine might process them (thickness
equalised, local contrast raised, another window), others through a random monotone curve, at
another resolution, compressed, sharpened or noisy. No picture of a digital machine is needed for
it. Air stays black throughout, as `edge.inference.preprocess` makes it.
"""

import math
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Picture: TypeAlias = NDArray[np.uint8]
"""Shape (height, width), 0 = air to 255 = white."""
Plane: TypeAlias = NDArray[np.float32]

LEAST_BREAST: Final = 500
"""Pixels below which a piece has too little breast to tell its local contrast."""
_LEVELS: Final = np.arange(256) / 255


def render(picture: Picture, generator: np.random.Generator) -> Picture:
    """
    Change tone, local contrast, resolution, compression, sharpness and noise at random.

    Args:
        picture: a piece of a prepared mammogram.
        generator: decides; the same state gives the same rendering.

    Returns:
        The same shape; pixels that were 0 still are.
    """
    air = picture == 0
    kind = generator.random()
    if kind < 0.55:  # noqa: PLR2004 - shares of the pieces
        picture = as_digital(picture, generator)
    elif kind < 0.65:  # noqa: PLR2004
        picture = _equalised(picture, generator)
    if generator.random() < 0.5:  # noqa: PLR2004
        picture = _lut(picture, curve(generator))
    picture = _sharpness(_resolution(picture, generator), generator)
    picture = _noise(_exposure(picture, generator), generator)
    return np.where(air, np.uint8(0), picture)


def as_digital(picture: Picture, generator: np.random.Generator) -> Picture:
    """
    Process a film as digital machines process their images.

    Thickness equalisation flattens what is larger than some millimetres, unsharp masking raises
    what is smaller, a window cuts both ends.

    Args:
        picture: a piece of a prepared mammogram.
        generator: decides how much of each.

    Returns:
        The same shape; air stays 0, breast becomes at least 1.
    """
    breast = (picture > 0).astype(np.float32)
    if breast.sum() < LEAST_BREAST:
        return picture
    plane = _equal_thickness(np.float32(1 / 255) * picture.astype(np.float32), breast, generator)
    if generator.random() < 0.7:  # noqa: PLR2004
        sigma = _log_uniform(generator, 0.8, 6)
        plane = plane + generator.uniform(0.2, 1.6) * (plane - _blur(plane, sigma))
    return _byte(_windowed(plane, breast, generator), breast)


def curve(generator: np.random.Generator) -> NDArray[np.float64]:
    """
    Draw a smooth monotone tone curve: gamma, sigmoid, logarithm or its inverse, or a free one.

    Returns:
        Shape (256,), from 0 to 1, its values at the 256 levels; blended with the straight line.
    """
    draw = (_gamma, _sigmoid, _logarithm, _free)[generator.integers(4)]
    share = generator.uniform(0.3, 1)
    blended: NDArray[np.float64] = share * draw(generator) + (1 - share) * _LEVELS
    return blended


def _gamma(generator: np.random.Generator) -> NDArray[np.float64]:
    return np.asarray(_LEVELS ** math.exp(generator.uniform(-0.7, 0.7)))


def _sigmoid(generator: np.random.Generator) -> NDArray[np.float64]:
    steep, middle = generator.uniform(3, 10), generator.uniform(0.25, 0.75)
    values = 1 / (1 + np.exp(-steep * (_LEVELS - middle)))
    return np.asarray((values - values[0]) / (values[-1] - values[0]))


def _logarithm(generator: np.random.Generator) -> NDArray[np.float64]:
    bend = math.exp(generator.uniform(0, 3.2))
    if generator.random() < 0.5:  # noqa: PLR2004
        return np.asarray(np.log1p(bend * _LEVELS) / math.log1p(bend))
    return np.asarray(np.expm1(_LEVELS * math.log1p(bend)) / bend)


def _free(generator: np.random.Generator) -> NDArray[np.float64]:
    """Nine random steps, smoothed over a sixth of the range."""
    knots = np.concatenate([[0], np.cumsum(np.exp(generator.normal(0, 0.8, 9)))])
    values = np.interp(_LEVELS, np.linspace(0, 1, 10), knots / knots[-1])
    padded = np.pad(values, 20, mode="reflect", reflect_type="odd")
    smooth = np.convolve(padded, np.ones(41) / 41, "valid")
    return np.asarray((smooth - smooth[0]) / (smooth[-1] - smooth[0]))


def _equal_thickness(plane: Plane, breast: Plane, generator: np.random.Generator) -> Plane:
    sigma = _log_uniform(generator, 12, 90)
    large = _masked_blur(plane, breast, sigma)
    detail, middle = (plane - large) * breast, float((large * breast).sum() / breast.sum())
    if generator.random() < 0.5:  # noqa: PLR2004 - half of them with equal local contrast
        spread = np.sqrt(np.maximum(_masked_blur(detail * detail, breast, sigma), 0)) + 0.015
        usual = float((spread * breast).sum() / breast.sum())
        detail = detail * (usual / spread) ** generator.uniform(0, 1)
    flat = generator.uniform(0.1, 1)
    return np.asarray(middle + (1 - flat) * (large - middle) + detail, np.float32)


def _windowed(plane: Plane, breast: Plane, generator: np.random.Generator) -> Plane:
    inside = plane[::3, ::3][breast[::3, ::3] > 0]
    ends = [generator.uniform(0.2, 8), generator.uniform(98.5, 99.9)]
    low, high = (float(value) for value in np.percentile(inside, ends))
    high += generator.uniform(-0.08, 0.35) * (high - low)
    low -= generator.uniform(0, 0.15) * (high - low)
    scaled = np.clip((plane - low) / max(high - low, 1e-3), 0, 1)
    return np.asarray(scaled ** math.exp(generator.uniform(-0.4, 0.7)), np.float32)


def _equalised(picture: Picture, generator: np.random.Generator) -> Picture:
    """Contrast-limited adaptive histogram equalisation (Pizer et al. 1987)."""
    tiles = int(generator.integers(3, 9))
    return _as_picture(cv2.createCLAHE(generator.uniform(1, 4), (tiles, tiles)).apply(picture))


def _resolution(picture: Picture, generator: np.random.Generator) -> Picture:
    """Lose what a smaller or a compressed file loses."""
    if generator.random() >= 0.65:  # noqa: PLR2004
        return _compressed(picture, generator) if generator.random() < 0.3 else picture  # noqa: PLR2004
    height, width = picture.shape
    scale = _log_uniform(generator, 0.28, 1)
    across = min(1.0, scale * math.exp(generator.uniform(-0.35, 0.35)))
    size = max(8, round(width * across)), max(8, round(height * scale))
    small = _as_picture(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    if generator.random() < 0.5:  # noqa: PLR2004
        small = _compressed(small, generator)
    how = cv2.INTER_CUBIC if generator.random() < 0.3 else cv2.INTER_LINEAR  # noqa: PLR2004
    return _as_picture(cv2.resize(small, (width, height), interpolation=how))


def _compressed(picture: Picture, generator: np.random.Generator) -> Picture:
    quality = int(generator.integers(50, 96))
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return _as_picture(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))


def _sharpness(picture: Picture, generator: np.random.Generator) -> Picture:
    if generator.random() >= 0.5:  # noqa: PLR2004
        return picture
    blurred = cv2.GaussianBlur(picture, (0, 0), generator.uniform(0.7, 1.8))
    share = generator.uniform(-0.8, 0.8)
    return _as_picture(cv2.addWeighted(picture, 1 - share, blurred, share, 0))


def _exposure(picture: Picture, generator: np.random.Generator) -> Picture:
    """Another gamma, contrast and black level."""
    if generator.random() >= 0.8:  # noqa: PLR2004
        return picture
    gamma, gain = math.exp(generator.uniform(-0.4, 0.4)), 1 + generator.uniform(-0.15, 0.15)
    return _lut(picture, np.clip(_LEVELS**gamma * gain + generator.uniform(-0.06, 0.06), 0, 1))


def _noise(picture: Picture, generator: np.random.Generator) -> Picture:
    """Grain of some pixels' size, half of the time in proportion to brightness."""
    if generator.random() >= 0.3:  # noqa: PLR2004
        return picture
    grain = _blur(
        generator.standard_normal(picture.shape, dtype=np.float32), generator.uniform(0.3, 1.6)
    )
    grain *= generator.uniform(1, 7) / max(float(grain.std()), 1e-3)
    if generator.random() < 0.5:  # noqa: PLR2004
        grain *= picture / np.float32(160)
    return _as_picture(np.clip(picture + grain, 0, 255))


def _lut(picture: Picture, values: NDArray[np.float64]) -> Picture:
    return _as_picture(cv2.LUT(picture, np.rint(values * 254 + 1).astype(np.uint8)))


def _byte(plane: Plane, breast: Plane) -> Picture:
    return np.where(breast > 0, np.clip(np.rint(plane * 254) + 1, 1, 255), 0).astype(np.uint8)


def _masked_blur(plane: Plane, breast: Plane, sigma: float) -> Plane:
    """Gaussian blur within the breast, computed on a copy of a quarter or an eighth of the size."""
    shrink = 4 if sigma < 30 else 8  # noqa: PLR2004 - pixels
    height, width = plane.shape
    size = max(4, width // shrink), max(4, height // shrink)
    light, weight = (
        _blur(cv2.resize(each, size, interpolation=cv2.INTER_AREA), sigma / shrink)
        for each in (plane * breast, breast)
    )
    ratio = light / (weight + 1e-3)
    return np.asarray(cv2.resize(ratio, (width, height), interpolation=cv2.INTER_LINEAR))


def _blur(plane: ArrayLike, sigma: float) -> Plane:
    return np.asarray(cv2.GaussianBlur(np.asarray(plane), (0, 0), sigma), np.float32)


def _log_uniform(generator: np.random.Generator, low: float, high: float) -> float:
    return math.exp(generator.uniform(math.log(low), math.log(high)))


def _as_picture(found: object) -> Picture:
    """OpenCV's results are typed as any array."""
    return np.asarray(found, np.uint8)
