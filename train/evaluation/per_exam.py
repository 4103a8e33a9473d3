"""
Films, breasts and exams on the same women, scored by the functions of the daemon.

Data sets of mammograms seldom name exams: all films of a patient count as one.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from edge.domain import Domain
from edge.models.breasts import Breast, breasts_of, worst
from edge.models.manifest import ModelFile
from train.data.domains import domains_of
from train.scoring.breasts import pairs, view_of
from train.scoring.judge import Judged
from train.scoring.measured import KNOWN
from train.stats import metrics

CLASSES: Final = 2


def tables(judged: Judged, model: ModelFile, default: str, seed: int) -> dict[str, dict[str, Any]]:
    """
    Measure films, breasts and exams of each domain whose breasts the manifest calibrates.

    Args:
        judged: all films of the side; refused ones are missing views.
        model: calibration and operating points of the file that judged them.
        default: name of the operating point which is served.
        seed: of the bootstrap.

    Returns:
        By `film: breasts with CC and MLO`, `film: their films, one by one` and `film: exams`, what
        `metrics.measure` gives, each cut at its own operating point. Without those of which a class
        is missing; empty if the manifest calibrates no breasts.
    """
    if not model.breasts:
        return {}
    kept = np.flatnonzero(~judged.refused)
    kinds = domains_of([judged.films[number] for number in kept])
    found: dict[str, dict[str, Any]] = {}
    for domain in (each for each in KNOWN if each in model.breasts):
        side = _Domain(judged, kept[kinds == domain].tolist(), model, domain)
        found |= side.tables(default, seed)
    return found


class _Domain:
    """The films of one domain that the gate lets pass."""

    def __init__(
        self, judged: Judged, members: Sequence[int], model: ModelFile, domain: Domain
    ) -> None:
        self._judged = judged
        self._members = members
        self._model = model
        self._domain = domain

    def tables(self, default: str, seed: int) -> dict[str, dict[str, Any]]:
        """Measure breasts, their films one by one, and exams."""
        films = [self._judged.films[number] for number in self._members]
        breasts = [[self._members[at] for at in group] for group in pairs(films).values()]
        women: dict[str, list[int]] = defaultdict(list)
        for number in self._members:
            women[self._judged.films[number].patient].append(number)
        exams = [group for group in women.values() if self._breasts(group)]
        singles = [[number] for group in breasts for number in group]
        found = {
            "breasts with CC and MLO": self._measure(breasts, default, seed),
            "their films, one by one": self._measure(singles, default, seed),
            "exams": self._measure(exams, default, seed),
        }
        return {f"{self._domain}: {name}": numbers for name, numbers in found.items() if numbers}

    def _measure(self, groups: Sequence[list[int]], default: str, seed: int) -> dict[str, Any]:
        labels = np.array([self._judged.labels[group].max() for group in groups], np.float32)
        highest = [worst(self._breasts(group)) for group in groups]
        known = [breast for breast in highest if breast is not None]
        if len(known) < len(groups) or len(set(labels.tolist())) < CLASSES:
            return {}
        thresholds = np.array([_threshold(self._breasts(group), default) for group in groups])
        scores = np.array([one.malignant for one in known])
        patients = np.array([self._judged.patients[group[0]] for group in groups])
        return metrics.measure(labels, scores, patients, thresholds, seed)

    def _breasts(self, group: Sequence[int]) -> tuple[Breast, ...]:
        films, raw = self._judged.films, self._judged.raw
        views = [view_of(films[number], float(raw[number]), self._domain) for number in group]
        return breasts_of(views, self._model)


def _threshold(breasts: Sequence[Breast], name: str) -> float:
    """
    Return the threshold that the exam's score is cut at: it is called if one of its breasts is.

    A breast of one view has the threshold of single images, one of both that of breasts. So the
    lower score of two may be the one that is called, and then the higher one is over its threshold.
    """
    called = [one for one in breasts if one.malignant >= _point(one, name)]
    highest = worst(called or breasts)
    return _point(highest, name) if highest else 1.0


def _point(breast: Breast, name: str) -> float:
    return breast.fit.operating_points[name].threshold
