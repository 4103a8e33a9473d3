"""
The pointing game: the share of maps whose highest point lies on the lesion.

The method is that of Zhang et al., IJCV 126 (2018) 1084.

A hit is a maximum inside a lesion's box or not further from it than the tolerance, which is the
customary 15 pixels of a picture 500 pixels long: 3 % of the input's longer side. Chance is the
share of the breast, as the model is shown it, that the boxes with their rim cover.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.domain import Box, InputSpec
from edge.inference.geometry import Geometry
from train.data.films import lesion_boxes
from train.data.index import Film
from train.scoring.score import Scored
from train.stats import bootstrap

TOLERANCE: Final = 0.03
"""The rim around a box that counts as a hit, as a share of the input's longer side."""


@dataclass(frozen=True, slots=True)
class Point:
    """A place in the model's input, in pixels."""

    x: float
    y: float

    def within(self, boxes: tuple[Box, ...], rim: float) -> bool:
        """Tell if the point lies in one of the boxes or at most `rim` beside it."""
        return any(
            box.xmin - rim <= self.x <= box.xmax + rim
            and box.ymin - rim <= self.y <= box.ymax + rim
            for box in boxes
        )


def play(scored: Scored, spec: InputSpec, seed: int) -> dict[str, Any]:
    """
    Point at the malignant lesions of the malignant films that have a box.

    Returns:
        Hits with the tolerance and without, each with its interval over patients, its chance level,
        and the share that the middle of the cut-out hits; empty if there is no film to play with,
        or no map.
    """
    films = scored.films
    numbers = [
        number for number, film in enumerate(films.films) if targets(film, films.geometry[number])
    ]
    if not numbers or not scored.maps.size:
        return {}
    patients = np.array([films.films[number].patient for number in numbers])
    weights = bootstrap.draw(np.zeros(len(numbers)), patients, seed)
    found: dict[str, Any] = {
        "films": len(numbers),
        "patients": len(set(patients.tolist())),
        "tolerance": TOLERANCE,
    }
    for name, rim in {
        "with_tolerance": TOLERANCE * max(spec.height, spec.width),
        "in_the_box": 0.0,
    }.items():
        rounds = np.array([_round(scored, number, spec, rim) for number in numbers])
        everyone = np.ones(len(rounds), dtype=np.bool_)
        hits, middle, by_chance = rounds.mean(axis=0).tolist()
        interval = bootstrap.interval(bootstrap.mean(rounds[:, 0], everyone, weights))
        found[name] = {
            "hits": hits,
            "interval_95": interval,
            "chance": by_chance,
            "middle_of_the_breast": middle,
        }
    return found


def peak(logits: NDArray[np.float32], geometry: Geometry, spec: InputSpec) -> Point:
    """Find the middle of the highest cell of a map, shape (rows, columns), padding left out."""
    rows, columns = logits.shape
    y, x = (
        (np.arange(rows) + 0.5) * spec.height / rows,
        (np.arange(columns) + 0.5) * spec.width / columns,
    )
    inside = np.outer(
        (y >= geometry.top) & (y < geometry.top + geometry.height),
        (x >= geometry.left) & (x < geometry.left + geometry.width),
    )
    highest = int(np.argmax(np.where(inside, logits, -np.inf)))
    return Point(float(x[highest % columns]), float(y[highest // columns]))


def targets(film: Film, geometry: Geometry) -> tuple[Box, ...]:
    """
    Place the malignant lesions of a malignant film in the model's input.

    Those outside the cut-out have no area and are left out.
    """
    if not film.malignant:
        return ()
    boxes = zip(film.lesions, lesion_boxes(film, geometry), strict=True)
    return tuple(
        box
        for lesion, box in boxes
        if lesion.label == "malignant" and box.xmin < box.xmax and box.ymin < box.ymax
    )


def chance(
    boxes: tuple[Box, ...], rim: float, geometry: Geometry, image: NDArray[np.float16]
) -> float:
    """
    Give the share of the breast that the boxes with their rim cover.

    Args:
        boxes: in the model's input.
        rim: around each, in pixels of the input.
        geometry: of the film.
        image: the prepared film, shape (height, width); all but the breast is 0.
    """
    cut_out = np.s_[
        geometry.top : geometry.top + geometry.height,
        geometry.left : geometry.left + geometry.width,
    ]
    covered = np.zeros(image.shape, dtype=np.bool_)
    for box in boxes:
        top, bottom, left, right = (
            max(0, round(side))
            for side in (box.ymin - rim, box.ymax + rim, box.xmin - rim, box.xmax + rim)
        )
        covered[top:bottom, left:right] = True
    breast = image[cut_out] > 0
    return float(covered[cut_out][breast].mean()) if breast.any() else 0.0


def _round(scored: Scored, number: int, spec: InputSpec, rim: float) -> tuple[float, float, float]:
    """Play one film: hit by the map, hit by the middle of the cut-out, and chance."""
    films = scored.films
    geometry = films.geometry[number]
    boxes = targets(films.films[number], geometry)
    middle = Point(geometry.left + geometry.width / 2, geometry.top + geometry.height / 2)
    hit = peak(scored.maps[number], geometry, spec).within(boxes, rim)
    return (
        hit,
        middle.within(boxes, rim),
        chance(boxes, rim, geometry, films.images[number]),
    )
