"""A bundle says on what it was measured, and its daemon keeps to that."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.domain import Result
from edge.errors import ModelError
from edge.inference.examiner import Examiner
from edge.inference.image import Limits
from edge.models.bundle import Bundle, verify
from edge.models.manifest import Manifest
from tests.support.films import dicom, film
from tests.support.tiny import Tiny, draw_films
from tests.support.tools import DATA
from train import cli
from train.data.datasets import index_csv
from train.data.domains import domains_of
from train.evaluation import digital
from train.reporting import tables
from train.scoring.measured import LEAST, Measurement, measured


@pytest.fixture(scope="module")
def bundle(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The tiny network, exported once more with what is to stand for digital mammograms."""
    root = tmp_path_factory.mktemp("digital")
    films, run = draw_films(root / "films", 16), tiny.copy_run(root)
    command = ["export", str(run.root), "--digital", str(films), "--bundle", str(root / "b")]
    assert cli.main(command) == 0
    return verify(root / "b")


def half(scores: list[float], domains: list[str], data: str = "some") -> Measurement:
    """As many malignant as benign images, benign ones first, each of another patient."""
    labels = np.repeat([0.0, 1.0], len(scores) // 2).astype(np.float32)
    patients = np.array([str(number) for number in range(len(scores))])
    return Measurement(data, labels, np.array(scores), patients, np.array(domains))


def test_a_domain_is_measured_if_there_are_enough_images_of_each_class() -> None:
    perfect = [0.1] * LEAST + [0.9] * LEAST
    few = half([0.1, 0.9], ["digital"] * 2)
    enough = half(perfect, ["film"] * 2 * LEAST)
    found = measured([few, enough], seed=0)
    assert list(found) == ["film"]
    film_ = found["film"]
    assert (film_.images, film_.malignant, film_.patients, film_.auc) == (
        2 * LEAST,
        LEAST,
        2 * LEAST,
        1.0,
    )
    assert film_.interval_95 == (1.0, 1.0)
    assert not film_.at_chance


def test_scores_that_know_nothing_are_at_chance() -> None:
    scores = np.random.default_rng(1).random(200).tolist()
    assert measured([half(scores, ["digital"] * 200)], seed=0)["digital"].at_chance


def test_the_first_measurement_of_a_domain_counts() -> None:
    good, bad = [0.1] * LEAST + [0.9] * LEAST, [0.5] * 2 * LEAST
    domains = ["film"] * 2 * LEAST
    found = measured([half(bad, domains, "own"), half(good, domains, "other")], seed=0)
    assert found["film"].data == "own"


def test_the_domain_is_the_data_set_s_word_else_what_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "index.csv"
    name = str(DATA / "cbis-ddsm-benign-cc.jpg")
    path.write_text(
        "path,label,patient,domain\n"
        f"{name},benign,a,\n{name},benign,a,digital\n{name},malignant,b,film\n"
    )
    films = index_csv.read(path).films
    assert domains_of(films).tolist() == ["film", "digital", "film"]


def test_the_exported_bundle_says_where_it_was_measured_and_has_a_calibration_of_its_own(
    bundle: Bundle,
) -> None:
    for model in bundle.manifest.models.values():
        assert model.measured is not None
        assert set(model.measured) == {"digital"}  # the run's own test side has too few films
        assert (model.measured["digital"].images, model.measured["digital"].data) == (64, "films")
        fit = model.by_domain["digital"]
        assert fit.calibration != model.calibration
        assert set(fit.operating_points) == set(model.operating_points)
        assert "films" in fit.operating_points["default"].chosen_on


def test_evaluation_on_the_same_digital_mammograms_finds_what_the_bundle_says(
    bundle: Bundle, tmp_path: Path
) -> None:
    model = bundle.manifest.models[bundle.manifest.default_model]
    assert model.measured is not None
    films = bundle.folder.parent / "films"
    found = digital.measure(
        bundle, films, tmp_path, seed=int(str(bundle.manifest.training["seed"]))
    )
    assert (found["data"], found["images"], found["normal"]) == ("films", 64, {})
    assert found["auc"] == pytest.approx(model.measured["digital"].auc)
    assert found["intervals_95"]["auc"] == pytest.approx(model.measured["digital"].interval_95)
    own = model.by_domain["digital"].operating_points["default"]
    assert found["threshold"] == own.threshold != model.operating_points["default"].threshold
    assert ("malignant", "32") in tables.digital({"digital": found}).rows
    assert tables.digital({}).rows == []


def test_its_daemon_uses_the_calibration_of_the_domain(bundle: Bundle, tmp_path: Path) -> None:
    capture = "1.2.840.10008.5.1.4.1.1.7"
    for name, detector in (("film", "FILM"), ("digital", "DIRECT")):
        data = dicom(film().pixels, SOPClassUID=capture, DetectorType=detector)
        (tmp_path / name).write_bytes(data)
    opened = Examiner(bundle, "auto", 1, None, Limits(), decide_unmeasured=True)
    by_film, by_digital = (opened.examine(tmp_path / name) for name in ("film", "digital"))
    assert isinstance(by_film, Result)
    assert isinstance(by_digital, Result)
    assert by_film.prediction.raw == by_digital.prediction.raw
    assert by_film.prediction.malignant != by_digital.prediction.malignant
    assert by_film.prediction.decision != by_digital.prediction.decision
    fit = bundle.manifest.models[bundle.manifest.default_model].by_domain["digital"]
    assert by_digital.prediction.decision.threshold == fit.operating_points["default"].threshold


def test_a_domain_without_the_file_s_operating_points_is_refused(bundle: Bundle) -> None:
    values: dict[str, Any] = bundle.manifest.model_dump(by_alias=True)
    model = values["models"][bundle.manifest.default_model]
    model["by_domain"]["digital"]["operating_points"].pop("sensitivity-0.90")
    with pytest.raises(ValueError, match="its domain digital has"):
        Manifest.model_validate(values | {"input": bundle.manifest.input})


def test_an_operating_point_is_looked_up_in_every_domain(bundle: Bundle) -> None:
    with pytest.raises(ModelError, match="'screening', the bundle has default"):
        Examiner(bundle, "auto", 1, "screening", Limits())
    assert replace(bundle).decision(bundle.manifest.default_model, None, "unknown") == (
        bundle.decision(bundle.manifest.default_model)
    )
