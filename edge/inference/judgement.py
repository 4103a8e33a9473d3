"""From a model's scores to a prediction: calibration, label, peaks, and the domain's verdict."""

import math
from typing import Final

from edge.domain import Decision, Domain, Finding, InputSpec, Origin, Prediction, Withheld
from edge.inference.engine import Scores, sigmoid
from edge.inference.findings import LogitMap, find
from edge.inference.heat_map import heat_map
from edge.inference.image.mammogram import Mammogram
from edge.inference.origin import known_domain
from edge.inference.preprocess import Batch
from edge.models.manifest import ModelFile, Platt

TINY: Final = 1e-7
"""Keeps the logit of a raw score of exactly 0 or 1 finite."""


class Judge:
    """
    The words of a manifest about one model file, applied to scores.

    Args:
        model: the facts of the file.
        decision: the operating point.
        spec: the model's input.
        decide_unmeasured: give labels also to images of a domain that was not measured.
    """

    def __init__(
        self, model: ModelFile, decision: Decision, spec: InputSpec, *, decide_unmeasured: bool
    ) -> None:
        self._model = model
        self._decision = decision
        self._spec = spec
        self._decide_unmeasured = decide_unmeasured

    def predict(self, image: Mammogram, batch: Batch, scores: Scores) -> Prediction:
        """Say what the scores of an image mean."""
        domain, known_by = known_domain(image, batch.domain)
        measured = None if self._model.measured is None else domain in self._model.measured
        return Prediction(
            calibrate(scores.raw, self._model.calibration),
            scores.raw,
            self._decision,
            None
            if scores.logit_map is None
            else heat_map(scores.logit_map, batch.geometry, self._spec, scores.inside),
            self._findings(batch, scores),
            Origin(domain, known_by, measured),
            None if self._decide_unmeasured else withheld(self._model, domain),
        )

    def _findings(self, batch: Batch, scores: Scores) -> tuple[Finding, ...] | None:
        if scores.logit_map is None or scores.inside is None:
            return None
        rows, columns = scores.logit_map.shape
        cell = self._spec.height / rows, self._spec.width / columns
        return find(
            LogitMap(scores.logit_map, scores.inside, batch.geometry, cell),
            lambda logit: calibrate(sigmoid(logit), self._model.calibration),
            self._decision.band_low,
        )


def withheld(model: ModelFile, domain: Domain) -> Withheld | None:
    """Tell why images of a domain get no label; None if they do, or if the manifest is silent."""
    if model.measured is None:
        return None
    found = model.measured.get(domain)
    if found is None:
        return "domain-unmeasured"
    return "domain-at-chance" if found.at_chance else None


def calibrate(raw: float, platt: Platt) -> float:
    """Turn a raw score into a probability: Platt scaling on its logit (Platt, 1999)."""
    inside = min(1 - TINY, max(TINY, raw))
    logit = math.log(inside / (1 - inside))
    return sigmoid(platt.slope * logit + platt.intercept)
