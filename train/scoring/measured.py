"""The worth of a model file by domain, as its manifest says: AUC with its interval."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.domain import Domain
from edge.models.manifest import Measured
from train.stats import bootstrap, metrics
from train.stats.metrics import Floats, Labels, Patients

LEAST: Final = 30
"""The fewest images of each class: fewer tell no AUC."""
KNOWN: Final[tuple[Domain, ...]] = ("film", "digital", "unknown")


@dataclass(frozen=True, slots=True)
class Measurement:
    """The scores of some images that nothing was learnt from."""

    data: str
    """Data set and patients, in words."""
    labels: Labels
    scores: Floats
    """Shape (n,); one half for those that the gate refuses."""
    patients: Patients
    domains: NDArray[np.str_]
    """The domain of each image, shape (n,)."""


def measured(found: Iterable[Measurement], seed: int) -> dict[Domain, Measured]:
    """
    Measure each domain of which there are enough images, in the first measurement that has them.

    Args:
        found: those on patients most like a site's own first.
        seed: of the bootstrap over patients.
    """
    result: dict[Domain, Measured] = {}
    for measurement in found:
        for domain in KNOWN:
            among = measurement.domains == domain
            malignant = measurement.labels[among] > 0
            if domain not in result and min(malignant.sum(), (~malignant).sum()) >= LEAST:
                result[domain] = _measured(measurement, among, seed)
    return result


def _measured(of: Measurement, among: NDArray[np.bool_], seed: int) -> Measured:
    labels, scores, patients = of.labels[among], of.scores[among], of.patients[among]
    weights = bootstrap.draw(labels, patients, seed)
    low, high = bootstrap.interval(bootstrap.auc(labels, scores, weights)) or (0.0, 1.0)
    return Measured(
        data=of.data,
        images=len(labels),
        malignant=int(np.sum(labels > 0)),
        patients=len(set(patients.tolist())),
        auc=metrics.auc(labels, scores),
        interval_95=(low, high),
    )
