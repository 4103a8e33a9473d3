"""The bundle that comes with mammo-edge, its model card and its recipe tell one story."""

import re
from importlib.resources import files
from pathlib import Path

import pytest

from edge.inference.image import Limits, open_mammogram
from edge.inference.preprocess import prepare
from edge.models.bundle import Bundle, verify
from tests.support.tools import ROOT
from train.exporting import remote_engine
from train.recipes import default
from train.scoring.score import shapes_of


def documented() -> str:
    """The recipe's docstring on one line."""
    return " ".join((default.__doc__ or "").split())


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return verify(Path(str(files("edge"))) / "models" / "default")


def test_known_answers_come_out(shipped: Bundle) -> None:
    manifest = shipped.manifest
    model = manifest.models[manifest.default_model]
    tensors = [
        prepare(open_mammogram(shipped.folder / answer.image, Limits()), manifest.input).tensor
        for answer in model.known_answers
    ]
    file, shapes = shipped.folder / manifest.default_model, shapes_of(manifest)
    found = remote_engine.scores(file, shapes, "litert", tensors)
    assert found == pytest.approx(
        [answer.raw for answer in model.known_answers], abs=model.tolerance["litert"]
    )
    assert found.max() - found.min() > 0.1


def test_fixtures_pass_the_gate(shipped: Bundle) -> None:
    gate = shipped.manifest.models[shipped.manifest.default_model].gate
    for path in (ROOT / "tests" / "data").glob("*.jpg"):
        batch = prepare(open_mammogram(path, Limits()), shipped.manifest.input)
        assert gate.min_breast_fraction <= batch.breast_fraction <= gate.max_breast_fraction
        assert batch.contrast >= gate.min_contrast


def test_at_least_four_of_five_validation_images_are_decided(shipped: Bundle) -> None:
    validation = shipped.manifest.scores["validation"]
    assert isinstance(validation, dict)
    assert validation["decided"]["share"] >= 0.8


def test_no_more_than_one_training_image_in_a_hundred_is_refused(shipped: Bundle) -> None:
    refused = shipped.manifest.training["gate"]
    assert isinstance(refused, dict)
    assert refused["train"] <= 0.01


def test_it_is_small_and_its_pictures_may_be_passed_on(shipped: Bundle) -> None:
    assert (
        sum(path.stat().st_size for path in shipped.folder.rglob("*") if path.is_file())
        <= 15_000_000
    )
    assert "creativecommons.org/licenses/by/3.0" in (shipped.folder / "ATTRIBUTION").read_text()


def test_card_and_recipe_quote_its_score(shipped: Bundle) -> None:
    test = shipped.manifest.scores["test"]
    assert isinstance(test, dict)
    auc = f"{test['auc']:.3f}"
    assert f"| AUC | {auc} (" in (ROOT / "docs" / "quality" / "model-card.md").read_text()
    assert f"AUC {auc}" in documented()


def test_its_gate_knows_features_and_catches_pictures_it_never_saw(shipped: Bundle) -> None:
    unseen = shipped.manifest.training["gate_on_unseen"]
    assert isinstance(unseen, dict)
    assert unseen["others_caught"] >= 0.95
    assert unseen["mammograms_refused"] <= 0.01


def test_its_command_is_the_documented_one(shipped: Bundle) -> None:
    command = re.sub(r" --weights \S+", "", str(shipped.manifest.training["command"]))
    assert command in documented()
