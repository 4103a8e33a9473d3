"""The input gate: what an image must look like to be scored at all, learnt from the training images."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.bundle import Gate
from train.films import Prepared

TAIL: Final = 0.003
"""Share of the training images that each of the three limits may refuse: together less than 1 %."""
ROOM: Final = 0.5
"""The lower limits are set this much lower again: digital images have a narrower window and less breast than scanned film."""


def fit_gate(training: Prepared) -> Gate:
    """Limits on breast fraction and contrast that at most 1 % of the training images break."""
    return Gate(
        min_breast_fraction=_low(training.breast_fraction),
        max_breast_fraction=round(float(np.quantile(training.breast_fraction, 1 - TAIL)) * (1 - ROOM) + ROOM, 4),
        min_contrast=_low(training.contrast),
    )


def refused_share(films: Prepared, gate: Gate) -> float:
    """Which share of these films the gate would refuse."""
    fraction, contrast = films.breast_fraction, films.contrast
    passed = (fraction >= gate.min_breast_fraction) & (fraction <= gate.max_breast_fraction) & (contrast >= gate.min_contrast)
    return float(1 - passed.mean())


def _low(values: NDArray[np.float32]) -> float:
    return round(float(np.quantile(values, TAIL)) * ROOM, 4)
