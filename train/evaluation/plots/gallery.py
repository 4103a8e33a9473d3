"""The films that the model got right and wrong, with its map and the radiologist's boxes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from edge.domain import InputSpec
from train.data.films import lesion_boxes
from train.data.index import Label
from train.evaluation.plots.style import DPI, Axes, plt
from train.scoring.judge import Judged
from train.scoring.pointing_game import peak
from train.scoring.score import Scored

FILMS: Final = 5
"""The number of films of each kind."""
WIDTH: Final = 2.4
"""The width of a film, in inches."""
COLOURS: Final[dict[Label, str]] = {"malignant": "#ff5a4f", "benign": "#59b3ff"}
KINDS: Final = {
    "gallery-found.png": ("malignant, and the highest scores among them", 1, True),
    "gallery-missed.png": ("malignant, and the lowest scores among them", 1, False),
    "gallery-cleared.png": ("benign, and the lowest scores among them", 0, False),
    "gallery-false-alarm.png": ("benign, and the highest scores among them", 0, True),
}
"""Of each picture the title, the label, and true for the highest scores, false for the lowest."""


def draw(folder: Path, judged: Judged, scored: Scored, spec: InputSpec) -> None:
    """Draw one picture of each kind; no two films in a picture are of one patient."""
    place = {film.name: number for number, film in enumerate(scored.films.films)}
    scale = float(np.quantile(np.abs(scored.maps), 0.99)) if scored.maps.size else 1.0
    for name, (title, label, highest) in KINDS.items():
        chosen = _choose(judged, label, highest=highest)
        size = (WIDTH * FILMS, 2 * WIDTH * spec.height / spec.width + 0.8)
        figure, rows = plt.subplots(2, FILMS, figsize=size, layout="constrained", squeeze=False)
        figure.suptitle(f"Test films that are {title}")
        for axes in rows.flat:
            axes.axis("off")
        for column, number in zip(rows.T, chosen, strict=False):
            _film(column, scored, place[judged.films[number].name], spec, scale)
            column[0].set_title(f"p = {judged.scores[number]:.2f}", fontsize="medium")
        figure.savefig(folder / name, dpi=DPI)
        plt.close(figure)


def _choose(judged: Judged, label: int, *, highest: bool) -> list[int]:
    """Choose the films of a label that score highest or lowest, one a patient, none refused."""
    order = np.argsort(-judged.scores if highest else judged.scores, kind="stable")
    chosen: dict[str, int] = {}
    for number in order.tolist():
        film = judged.films[number]
        if film.malignant == label and not judged.refused[number]:
            chosen.setdefault(film.patient, number)
    return list(chosen.values())[:FILMS]


def _film(
    column: Sequence[Axes], scored: Scored, number: int, spec: InputSpec, scale: float
) -> None:
    """Draw a film as the network sees it, above; the same with its map over it, below."""
    films = scored.films
    image, film, geometry = (
        films.images[number].astype(np.float32),
        films.films[number],
        films.geometry[number],
    )
    for axes in column:
        axes.imshow(image, cmap="gray", vmin=0, vmax=1)
        for lesion, box in zip(film.lesions, lesion_boxes(film, geometry), strict=True):
            corner, size = (box.xmin, box.ymin), (box.xmax - box.xmin, box.ymax - box.ymin)
            axes.add_patch(
                Rectangle(corner, *size, fill=False, edgecolor=COLOURS[lesion.label], linewidth=1.2)
            )
    if scored.maps.size:
        column[1].imshow(_overlay(scored.maps[number], image.shape, scale))
        if film.malignant:
            point = peak(scored.maps[number], geometry, spec)
            column[1].plot(
                point.x, point.y, "+", color="#ffe14d", markersize=9, markeredgewidth=1.6
            )


def _overlay(
    logits: NDArray[np.float32], shape: tuple[int, ...], scale: float
) -> NDArray[np.float64]:
    """
    Colour the map, shape (*shape, 4): red speaks for malignant, blue against it.

    The map is transparent in cells that say little.
    """
    smooth = (
        np.asarray(cv2.resize(logits, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)) / scale
    )
    colour = np.array(mpl.colormaps["RdBu_r"](np.clip(smooth / 2 + 0.5, 0, 1)), dtype=np.float64)
    colour[..., 3] = 0.5 * np.clip(np.abs(smooth), 0, 1)
    return colour
