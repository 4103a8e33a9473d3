"""
The views of a breast taken together, and the breasts of an exam.

The score of a breast is the mean of the raw logits of its CC and its MLO, calibrated as the
manifest's `breasts` say for its domain. Several pictures of one view are averaged first, so that a
repeated view weighs no more than the other. A breast of which one view is there has that view's
logit and the calibration of single images, which was fitted on just that. Other views are named
beside the score and change nothing: calibration knows of none. The score of an exam is that of its
higher breast. Sums are exact (`math.fsum`), so the order of arrival moves no bit.

Daemon and `mammo-train evaluate` call the same functions.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from edge.domain import Domain, Laterality
from edge.models.calibration import calibrate_logit, logit
from edge.models.manifest import DomainFit, ModelFile

Projection: TypeAlias = Literal["CC", "MLO"]
PROJECTIONS: Final[tuple[Projection, ...]] = ("CC", "MLO")
SIDES: Final[tuple[Laterality, ...]] = ("L", "R")
# FB is CC from below, LMO the MLO from below. XCCL, XCCM and XCC show the outer or inner part, ML,
# LM, SIO and ISO look from another angle, CV and AT show a part: none of them stands for CC or MLO,
# nor does a partial view. Spot, magnification and specimen views get no score at all. An
# implant-displaced view is one more picture of its view.
PROJECTION_OF: Final[Mapping[str, Projection]] = {
    "CC": "CC",
    "FB": "CC",
    "MLO": "MLO",
    "LMO": "MLO",
}
"""The views that are averaged, by DICOM's View Position."""


@dataclass(frozen=True, slots=True)
class View:
    """A scored image as one view of an exam."""

    raw: float
    """The model's own output, 0 to 1."""
    domain: Domain
    laterality: Laterality | None = None
    view: str | None = None
    """DICOM's View Position (CC, MLO, ...)."""
    partial: bool = False
    """True if the header says that a part of the breast is shown."""
    copy_of: str | None = field(default=None, repr=False)
    """The same for all images of one SOP Instance UID; None if the image has none."""

    @property
    def projection(self) -> Projection | None:
        """The view that the image counts as; None for one that is named but not averaged."""
        return None if self.partial or self.view is None else PROJECTION_OF.get(self.view)


@dataclass(frozen=True, slots=True)
class Mean:
    """The views of one breast averaged, not calibrated."""

    logit: float
    """The mean of the raw logits of the views."""
    projections: tuple[Projection, ...]
    """The views that were averaged, CC first."""
    domain: Domain


@dataclass(frozen=True, slots=True)
class Breast:
    """The views of one breast as one score."""

    laterality: Laterality
    malignant: float
    """Calibrated probability of malignancy, 0 to 1."""
    mean: Mean
    fit: DomainFit
    """The calibration, and the operating points that belong to it."""


def latest(views: Iterable[View]) -> list[View]:
    """Leave out every image that a later one with the same SOP Instance UID replaces."""
    kept: dict[object, View] = {}
    for number, view in enumerate(views):
        key: object = view.copy_of if view.copy_of is not None else number
        kept.pop(key, None)
        kept[key] = view
    return list(kept.values())


def complete(views: Iterable[View]) -> bool:
    """Tell if CC and MLO of both breasts are there."""
    found = {(view.laterality, view.projection) for view in views}
    return all((side, projection) in found for side in SIDES for projection in PROJECTIONS)


def breasts_of(views: Iterable[View], model: ModelFile) -> tuple[Breast, ...]:
    """
    Score the breasts of an exam, left before right.

    Args:
        views: the scored images in their order of arrival; rejected ones are missing views.
        model: the entry of the file that scored all of them.

    Returns:
        At most two. A breast has none if it has neither CC nor MLO, if its views are of several
        domains, or if the manifest has no calibration of breasts for its domain.
    """
    current = latest(views)
    found = [_breast(side, current, model) for side in SIDES]
    return tuple(breast for breast in found if breast is not None)


def worst(breasts: Sequence[Breast]) -> Breast | None:
    """Return the breast with the higher score, the left one of two equal; None if none has one."""
    return max(breasts, key=lambda breast: breast.malignant, default=None)


def mean_of(views: Iterable[View]) -> Mean | None:
    """
    Average the views of one breast.

    Returns:
        None if neither CC nor MLO is among them, or if they are of several domains.
    """
    logits: dict[Projection, list[float]] = defaultdict(list)
    domains: set[Domain] = set()
    for view in views:
        if view.projection:
            logits[view.projection].append(logit(view.raw))
            domains.add(view.domain)
    if len(domains) != 1:
        return None
    there = tuple(projection for projection in PROJECTIONS if projection in logits)
    return Mean(_mean([_mean(logits[projection]) for projection in there]), there, domains.pop())


def _breast(side: Laterality, views: Iterable[View], model: ModelFile) -> Breast | None:
    mean = mean_of(view for view in views if view.laterality == side)
    if mean is None:
        return None
    fit = fit_of(model, mean.domain, views=len(mean.projections))
    if fit is None:
        return None
    return Breast(side, calibrate_logit(mean.logit, fit.calibration), mean, fit)


def fit_of(model: ModelFile, domain: Domain, *, views: int) -> DomainFit | None:
    """
    Return calibration and operating points of breasts of a domain of which 1 or 2 views are there.

    None if the manifest has none for both views: no exam of that domain is published, for half of
    one would look like all of it.
    """
    both = model.breasts.get(domain)
    if both is None or views == len(PROJECTIONS):
        return both
    return model.fit_of(domain)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
