"""
Pieces of whole films for the dense network: turned, scaled and mirrored, most with a lesion.

A piece depends on the film and the generator alone, so that a training that was interrupted goes on
with the pieces it would have seen.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from train.data.films import Prepared, lesion_boxes
from train.data.index import Lesion
from train.fitting import targets
from train.fitting.rendering import Picture, render
from train.fitting.targets import Mark, Targets
from train.recipe import Dense

TURN: Final = 20.0
"""Degrees either way."""
ZOOM: Final = (0.85, 1.2)
STRETCH: Final = 0.06
"""The largest |log| by which the aspect changes."""
SHIFT: Final = 0.05
OVERHANG: Final = 32
"""Pixels by which a piece may hang over the film's edge."""
MARGIN: Final = 16
"""Pixels of a lesion's surroundings that stay inside of the piece."""
TRIES: Final = 6
"""For a place without a lesion; a film full of lesions has none."""
SMOOTHED: Final = 0.03
"""Labels of whole pieces are pulled by this from 0 and 1."""

Affine = NDArray[np.float64]
"""Shape (2, 3), from pixels of the result to pixels of the film."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One example."""

    picture: Picture
    """Shape (height, width), 0 to 255."""
    targets: Targets
    malignant: float
    """Target of the whole piece, 0 to 1."""


def marks(
    films: Prepared, number: int, opinions: Sequence[float | None] = (), share: float = 0.0
) -> tuple[Mark, ...]:
    """
    The lesions of a film, those outside of the breast's crop left out.

    Args:
        films: of which one is asked for.
        number: of that one.
        opinions: of the radiologist on its lesions, as `opinions.of_reader` gives them.
        share: of an opinion in a lesion's target.
    """
    film = films.films[number]
    boxes = lesion_boxes(film, films.geometry[number])
    told = opinions or (None,) * len(boxes)
    return tuple(
        Mark(
            (box.xmin + box.xmax) / 2,
            (box.ymin + box.ymax) / 2,
            (box.xmax - box.xmin) / 2,
            (box.ymax - box.ymin) / 2,
            _target(lesion, opinion, share),
            lesion.abnormality == "mass",
        )
        for lesion, box, opinion in zip(film.lesions, boxes, told, strict=True)
        if box.xmax - box.xmin > 1 and box.ymax - box.ymin > 1
    )


def _target(lesion: Lesion, opinion: float | None, share: float) -> float:
    proven = float(lesion.label == "malignant")
    return proven if opinion is None else (1 - share) * proven + share * opinion


def known_lesions(
    films: Prepared, number: int, opinions: Sequence[float | None] = (), share: float = 0.0
) -> tuple[Mark, ...] | None:
    """
    The lesions of a film; none for a normal one, and None where nobody marked their place.

    A film whose boxes all lie outside of the breast's crop counts as not marked. Arguments as for
    `marks`.
    """
    found = marks(films, number, opinions, share)
    return found if found or films.films[number].abnormality == "normal" else None


def cut(
    image: NDArray[np.float16],
    lesions: Sequence[Mark] | None,
    label: float,
    how: Dense,
    generator: np.random.Generator,
) -> Piece:
    """
    Cut a piece out of a film and render it anew.

    A film whose lesions are not marked teaches by its label alone: it is shown whole, smaller, lest
    a piece of a malignant film shows healthy tissue; no cell of it is background for sure.

    Args:
        image: shape (height, width), 0 = black to 1 = white, as `prepare` cached it.
        lesions: of the film; None: they are not marked.
        label: of the film, for films without boxes.
        how: size of the piece, share of pieces without a lesion.
        generator: decides.
    """
    film = np.rint(image.astype(np.float32) * 255).astype(np.uint8)
    if lesions is None:
        film = _fitted(film, how)
    moved = _move(film.shape, generator)
    if lesions is None:
        to_film = _middle(film, moved, how)
    else:
        to_film = _place(film, moved, lesions, how, generator)
    picture = cv2.warpAffine(
        film,
        to_film,
        (how.width, how.height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderValue=0,
    )
    drawn = (
        targets.unknown(how.cells) if lesions is None else targets.draw(lesions, to_film, how.cells)
    )
    malignant = drawn.highest if lesions else label
    smoothed = min(max(malignant, SMOOTHED), 1 - SMOOTHED)
    return Piece(render(np.asarray(picture, np.uint8), generator), drawn, smoothed)


def turned(film: Picture, generator: np.random.Generator) -> Picture:
    """Turn, zoom and mirror a whole film at random; the same shape, black where nothing was."""
    height, width = film.shape
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(
        film, _move(film.shape, generator), (width, height), flags=how, borderValue=0
    )
    return np.asarray(moved, np.uint8)


def _move(shape: tuple[int, ...], generator: np.random.Generator) -> Affine:
    """Turn, zoom, stretch, mirror and shift about the film's middle."""
    angle = math.radians(generator.uniform(-TURN, TURN))
    zoom = math.exp(generator.uniform(math.log(ZOOM[0]), math.log(ZOOM[1])))
    stretch = math.exp(generator.uniform(-STRETCH, STRETCH))
    across, down = (1 if generator.random() < 0.5 else -1 for _ in range(2))  # noqa: PLR2004
    x, y = stretch * across / zoom, down / stretch / zoom
    linear = np.array(
        [
            [math.cos(angle) * x, -math.sin(angle) * y],
            [math.sin(angle) * x, math.cos(angle) * y],
        ]
    )
    size = np.array([shape[1], shape[0]])
    middle, shift = (size - 1) / 2, generator.uniform(-SHIFT, SHIFT, 2) * size
    return np.concatenate([linear, (middle - linear @ middle + shift)[:, None]], axis=1)


def _placed(moved: Affine, x: float, y: float) -> Affine:
    """The same for a piece whose top left corner lies at x, y of the moved film."""
    offset = moved[:, 2] + moved[:, :2] @ np.array([round(x), round(y)])
    return np.concatenate([moved[:, :2], offset[:, None]], axis=1)


def _fitted(film: Picture, how: Dense) -> Picture:
    """Shrink a film until all of it fits into a piece."""
    height, width = film.shape
    scale = min(1.0, how.height / height, how.width / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(film, size, interpolation=cv2.INTER_AREA), np.uint8)


def _middle(film: Picture, moved: Affine, how: Dense) -> Affine:
    """The place of a piece with the whole film in its middle."""
    return _placed(moved, (film.shape[1] - how.width) / 2, (film.shape[0] - how.height) / 2)


def _place(
    film: Picture,
    moved: Affine,
    lesions: Sequence[Mark],
    how: Dense,
    generator: np.random.Generator,
) -> Affine:
    """The place of a piece of a film whose lesions are marked."""
    empty = _empty(film, moved, lesions, how, generator)
    return _about_a_lesion(film.shape, moved, lesions, how, generator) if empty is None else empty


def _empty(
    film: Picture,
    moved: Affine,
    lesions: Sequence[Mark],
    how: Dense,
    generator: np.random.Generator,
) -> Affine | None:
    """Now and then, a place in the breast without any lesion; None for the other times."""
    if not lesions or generator.random() >= how.without_lesion:
        return None
    height, width = film.shape
    for _ in range(TRIES):
        place = _placed(
            moved,
            generator.uniform(-MARGIN, width - how.width + MARGIN),
            generator.uniform(-MARGIN, height - how.height + MARGIN),
        )
        x, y = place @ np.array([how.width / 2, how.height / 2, 1])
        inside = 0 <= x < width and 0 <= y < height and film[int(y), int(x)] > 0
        if inside and not targets.near(lesions, place, how.cells):
            return place
    return None


def _about_a_lesion(
    shape: tuple[int, ...],
    moved: Affine,
    lesions: Sequence[Mark],
    how: Dense,
    generator: np.random.Generator,
) -> Affine:
    """A place that shows a lesion, a malignant one if there is any; anywhere on a normal film."""
    height, width = shape
    if not lesions:
        return _placed(
            moved,
            generator.uniform(0, max(0, width - how.width)),
            generator.uniform(0, max(0, height - how.height)),
        )
    wanted = [mark for mark in lesions if mark.malignant] or lesions
    mark = wanted[int(generator.integers(len(wanted)))]
    middle = np.linalg.solve(moved[:, :2], np.array([mark.x, mark.y]) - moved[:, 2])
    corner = [
        _corner(*each, generator)
        for each in (
            (middle[0], mark.half_width, how.width, width),
            (middle[1], mark.half_height, how.height, height),
        )
    ]
    return _placed(moved, *corner)


def _corner(
    middle: float, half: float, side: int, film: int, generator: np.random.Generator
) -> float:
    """Draw a start of the piece along one axis so that the lesion lies inside."""
    margin = min(half + MARGIN, side / 2 - 1)
    start = generator.uniform(middle - side + margin, middle - margin)
    return float(np.clip(start, -OVERHANG, max(film - side + OVERHANG, -OVERHANG)))
