"""From a model's scores to a prediction: calibration, label, peaks, and the domain's verdict."""

from typing import get_args

from edge.domain import Domain, Finding, Origin, Prediction, Withheld
from edge.inference.engine import Scores
from edge.inference.findings import LogitMap, find
from edge.inference.heat_map import heat_map
from edge.inference.image.mammogram import Mammogram
from edge.inference.origin import known_domain
from edge.inference.preprocess import Batch
from edge.models.bundle import Bundle
from edge.models.calibration import calibrate, sigmoid
from edge.models.manifest import ModelFile, Platt


class Judge:
    """
    The words of a manifest about one model file, applied to scores.

    Args:
        bundle: a verified bundle.
        file: a model file of it.
        operating_point: a name from the manifest; None for its default.
        decide_unmeasured: give labels also to images of a domain that was not measured.

    Raises:
        ModelError: the bundle has no such operating point.
    """

    def __init__(
        self, bundle: Bundle, file: str, operating_point: str | None, *, decide_unmeasured: bool
    ) -> None:
        self._model = bundle.manifest.model_of(file)
        self._spec = bundle.manifest.input
        self._decide_unmeasured = decide_unmeasured
        self._decisions = {
            domain: bundle.decision(file, operating_point, domain) for domain in get_args(Domain)
        }

    def predict(self, image: Mammogram, batch: Batch, scores: Scores) -> Prediction:
        """Say what the scores of an image mean."""
        domain, known_by = known_domain(image, batch.domain)
        measured = None if self._model.measured is None else domain in self._model.measured
        return Prediction(
            calibrate(scores.raw, self.calibration(domain)),
            scores.raw,
            self._decisions[domain],
            None
            if scores.logit_map is None
            else heat_map(scores.logit_map, batch.geometry, self._spec, scores.inside),
            self._findings(batch, scores, domain),
            Origin(domain, known_by, measured),
            None if self._decide_unmeasured else withheld(self._model, domain),
        )

    def calibration(self, domain: Domain) -> Platt:
        """Return the calibration of images of a domain."""
        return self._model.by_domain.get(domain, self._model).calibration

    def _findings(self, batch: Batch, scores: Scores, domain: Domain) -> tuple[Finding, ...] | None:
        if scores.logit_map is None or scores.inside is None:
            return None
        rows, columns = scores.logit_map.shape
        cell = self._spec.height / rows, self._spec.width / columns
        return find(
            LogitMap(scores.logit_map, scores.inside, batch.geometry, cell),
            lambda logit: calibrate(sigmoid(logit), self.calibration(domain)),
            self._decisions[domain].band_low,
        )


def withheld(model: ModelFile, domain: Domain) -> Withheld | None:
    """Tell why images of a domain get no label; None if they do, or if the manifest is silent."""
    if model.measured is None:
        return None
    found = model.measured.get(domain)
    if found is None:
        return "domain-unmeasured"
    return "domain-at-chance" if found.at_chance else None
