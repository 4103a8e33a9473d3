"""A label is given only where the model was measured, and found better than chance."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from edge.domain import Domain, Origin, Prediction, Result
from edge.inference.examiner import Examiner
from edge.inference.image import Limits
from edge.models.bundle import Bundle, verify
from edge.models.manifest import FeatureGate, Measured
from tests.support.films import FILM, dicom, film
from tests.support.tools import ROOT

BUNDLE: Final = ROOT / "edge" / "models" / "default"
GOOD: Final = Measured(
    data="films", images=100, malignant=40, patients=90, auc=0.8, interval_95=(0.7, 0.9)
)
CHANCE: Final = GOOD.model_copy(update={"auc": 0.55, "interval_95": (0.45, 0.65)})
DIGITAL: Final = "1.2.840.10008.5.1.4.1.1.1.2"


def changed(**fields: object) -> Bundle:
    """The shipped bundle with other facts of its default model."""
    bundle = verify(BUNDLE)
    manifest = bundle.manifest
    name = manifest.default_model
    models = {**manifest.models, name: manifest.models[name].model_copy(update=fields)}
    return replace(bundle, manifest=manifest.model_copy(update={"models": models}))


def predicted(bundle: Bundle, path: Path = FILM, *, decide_unmeasured: bool = False) -> Prediction:
    opened = Examiner(bundle, "auto", 1, None, Limits(), decide_unmeasured=decide_unmeasured)
    outcome = opened.examine(path)
    assert isinstance(outcome, Result), outcome
    return outcome.prediction


@pytest.fixture
def digital(tmp_path: Path) -> Path:
    """The film, in a file that says that a digital machine made it."""
    path = tmp_path / "digital.dcm"
    path.write_bytes(dicom(film().pixels, SOPClassUID=DIGITAL))
    return path


def test_a_bundle_that_says_nothing_of_domains_decides_everything() -> None:
    found = predicted(changed(measured=None))
    assert found.label == found.decision.label(found.malignant)
    assert (found.origin, found.withheld) == (Origin("film", "pixels", measured=None), None)


def test_where_it_was_measured_the_score_decides() -> None:
    found = predicted(changed(measured={"film": GOOD}))
    assert found.label == found.decision.label(found.malignant) != "indeterminate"
    assert found.origin == Origin("film", "pixels", measured=True)


@pytest.mark.parametrize(
    ("domains", "why"),
    [
        ({"film": GOOD}, "domain-unmeasured"),
        ({}, "domain-unmeasured"),
        ({"film": GOOD, "digital": CHANCE}, "domain-at-chance"),
    ],
)
def test_elsewhere_the_outcome_is_indeterminate_with_its_reason_score_and_map(
    digital: Path, domains: dict[Domain, Measured], why: str
) -> None:
    plain, found = predicted(changed()), predicted(changed(measured=domains), digital)
    assert (found.label, found.withheld) == ("indeterminate", why)
    assert found.origin == Origin("digital", "header", measured="digital" in domains)
    assert found.raw == pytest.approx(plain.raw, abs=0.05)
    assert found.heatmap is not None


def test_an_operator_may_have_unmeasured_images_decided_all_the_same(digital: Path) -> None:
    found = predicted(changed(measured={"film": GOOD}), digital, decide_unmeasured=True)
    assert found.label == found.decision.label(found.malignant)
    assert (found.withheld, found.origin) == (None, Origin("digital", "header", measured=False))


def test_a_score_that_is_worse_than_chance_is_at_chance() -> None:
    assert GOOD.model_copy(update={"interval_95": (0.3, 0.45)}).at_chance
    assert GOOD.model_copy(update={"interval_95": (0.5, 0.7)}).at_chance
    assert not GOOD.at_chance


def test_a_map_that_is_pooled_by_its_mean_has_no_findings() -> None:
    bundle = changed()
    outputs = bundle.manifest.outputs.model_copy(update={"pooling": "mean"})
    found = predicted(
        replace(bundle, manifest=bundle.manifest.model_copy(update={"outputs": outputs}))
    )
    assert found.findings is None


def test_the_first_finding_has_the_score_of_the_image() -> None:
    found = predicted(changed())
    assert found.findings
    assert found.findings[0].probability == found.malignant
    assert all(each.probability >= found.decision.band_low for each in found.findings[1:])


@pytest.mark.parametrize(("modality", "passes"), [("MG", True), ("", False), ("CR", False)])
def test_a_mammogram_by_its_header_is_never_refused_for_its_distance_from_films(
    tmp_path: Path, modality: str, *, passes: bool
) -> None:
    bundle = changed()
    model = bundle.manifest.models[bundle.manifest.default_model]
    channels = (bundle.manifest.outputs.features or (0,))[-1]
    np.save(tmp_path / "gate.npy", np.zeros(channels, np.float32))
    shut = FeatureGate(weights=str(tmp_path / "gate.npy"), bias=-1.0)
    gate = model.gate.model_copy(update={"features": shut})
    path = tmp_path / "image.dcm"
    path.write_bytes(dicom(film().pixels, Modality=modality, BodyPartExamined="BREAST"))
    outcome = Examiner(changed(gate=gate), "auto", 1, None, Limits()).examine(path)
    assert isinstance(outcome, Result) is passes
