"""
The verdict of a bundle on some films, as figures count it.

A refused mammogram has p = 0.5 and is not decided.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.models.manifest import ModelFile, OperatingPoint
from train.data.index import Film
from train.scoring import calibration, gate
from train.scoring.score import Scored
from train.stats.metrics import Floats, Labels, Patients


@dataclass(frozen=True, slots=True)
class Judged:
    """All films of one side, in the order of the index."""

    films: tuple[Film, ...]
    raw: Floats
    """Shape (n,); NaN if refused."""
    scores: Floats
    """Shape (n,), calibrated; 0.5 if refused."""
    refused: NDArray[np.bool_]
    """Shape (n,): true if refused by the decoder or by the input gate."""

    @property
    def labels(self) -> Labels:
        """Give 1 for malignant and 0 for benign, shape (n,)."""
        return np.array([film.malignant for film in self.films], dtype=np.float32)

    @property
    def patients(self) -> Patients:
        """Give the patient of each film, shape (n,)."""
        return np.array([film.patient for film in self.films])

    def decided(self, point: OperatingPoint) -> NDArray[np.bool_]:
        """Tell which films get `benign` or `malignant`, shape (n,)."""
        return calibration.decided(self.scores, point) & ~self.refused


def judge(films: tuple[Film, ...], scored: Scored, model: ModelFile, folder: Path) -> Judged:
    """
    Calibrate the scores of some films and take the refused ones in.

    Args:
        films: all films of the side.
        scored: those of them that could be decoded, scored by the model file.
        model: the entry of that file in the manifest.
        folder: of the bundle.
    """
    place = {film.name: number for number, film in enumerate(scored.films.films)}
    shut = gate.refused(
        scored.films, scored.features, model.gate, gate.boundary_of(model.gate, folder)
    )
    number = np.array([place.get(film.name, -1) for film in films])
    refused = (number < 0) | shut[number]
    raw = np.where(refused, np.nan, scored.raw[number])
    scores = np.full(len(films), calibration.REFUSED)
    scores[~refused] = calibration.calibrated(raw[~refused], model.calibration)
    return Judged(films, raw, scores, refused)
