"""
A bundle calibrated for a site: a new one, the old one untouched, with what it is worth on unseen
patients.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edge.errors import ModelError
from edge.inference.examiner import Examiner
from edge.inference.image import Limits
from edge.models.bundle import Bundle, verify
from edge.models.manifest import DomainFit, Measured
from edge.models.pointing import KEY, Pointing, pointing_of
from tests.support.tiny import Tiny, draw_films
from train import cli
from train.data import datasets
from train.data.films import Prepared
from train.recalibration import cross_validation
from train.recalibration.recalibrate import shifted
from train.recalibration.refit import Site, _with_domains


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_films(tmp_path_factory.mktemp("site"), 16)


@pytest.fixture(scope="module")
def site(tiny: Tiny, films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    assert (
        cli.main(["calibrate", str(tiny.run.bundle), "--data", str(films), "--out", str(out)]) == 0
    )
    return out


def default(bundle: Bundle) -> str:
    return bundle.manifest.default_model


def test_new_bundle_has_another_id_and_version_and_the_same_network(tiny: Tiny, site: Path) -> None:
    old, new = verify(tiny.run.bundle), verify(site / "bundle")
    assert new.manifest.version == "0.1.0+site"
    assert new.bundle_id != old.bundle_id
    assert new.manifest.files == old.manifest.files
    assert (
        new.manifest.models[default(new)].calibration
        != old.manifest.models[default(old)].calibration
    )
    assert new.manifest.training["site"]


def test_where_the_map_points_is_said_of_the_new_one_too(tiny: Tiny, tmp_path: Path) -> None:
    measured = tmp_path / "measured"
    shutil.copytree(tiny.run.bundle, measured)
    fields = json.loads((measured / "bundle.json").read_bytes())
    fields["scores"][KEY] = {"films": 4, "with_tolerance": {"hits": 0.5}}
    (measured / "bundle.json").write_text(json.dumps(fields))
    words = ["calibrate", str(measured), "--prevalence", "0.1", "--out", str(tmp_path / "out")]
    assert cli.main(words) == 0
    new = verify(tmp_path / "out" / "bundle").manifest
    assert pointing_of(new) == Pointing(0.5, 4)
    assert list(new.scores) == [KEY]


def test_scores_of_the_old_calibration_are_not_said_of_the_new_one(tiny: Tiny, site: Path) -> None:
    old, new = verify(tiny.run.bundle).manifest, verify(site / "bundle").manifest
    assert old.scores
    assert not new.scores
    note = new.training["site"]
    assert isinstance(note, dict)
    assert note["before"] == {"version": "0.1.0", "scores": old.scores}


def test_default_operating_point_keeps_the_rule_of_its_recipe(tiny: Tiny) -> None:
    manifest = verify(tiny.run.bundle).manifest
    rule = {"sensitivity": 0.8, "undecided": 0.4}
    assert cross_validation.rule_of(
        manifest.model_copy(update={"training": {"operating_point": rule}})
    ) == cross_validation.Rule(**rule)
    assert cross_validation.rule_of(
        manifest.model_copy(update={"training": {}})
    ) == cross_validation.Rule(0.9, 0.15)
    with pytest.raises(ModelError, match=r"training\.operating_point is 'high'"):
        cross_validation.rule_of(
            manifest.model_copy(update={"training": {"operating_point": "high"}})
        )


def test_manifest_says_the_rule_of_the_recipe(tiny: Tiny) -> None:
    recipe = json.loads(tiny.run.notes.read_text())["recipe"]
    found = cross_validation.rule_of(
        verify(tiny.run.bundle).manifest.model_copy(update={"default_operating_point": "default"})
    )
    assert "operating_point" in verify(tiny.run.bundle).manifest.training
    assert found == cross_validation.Rule(recipe["sensitivity"], recipe["undecided"])


def test_daemon_takes_it_and_its_known_answers_come_out(site: Path) -> None:
    Examiner(verify(site / "bundle"), "litert", 1, "specificity-0.889", Limits()).prove()


def test_report_compares_before_and_after(site: Path) -> None:
    page = (site / "calibration.md").read_text()
    for text in (
        "not a medical device",
        "expected calibration error",
        "specificity-0.889",
        "Reliability",
        "min_contrast",
        "refused by it",
    ):
        assert text in page
    assert "{" not in page
    numbers = json.loads((site / "calibration.json").read_text())
    found = next(iter(numbers["files"].values()))
    assert found["data"] == {"images": 64, "malignant": 32, "patients": 32}
    assert 0 <= found["after"]["ece"] <= 1


def test_few_images_are_refused_with_how_many_it_takes(
    tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = draw_films(tmp_path / "few", 10)
    assert (
        cli.main(
            ["calibrate", str(tiny.run.bundle), "--data", str(few), "--out", str(tmp_path / "out")]
        )
        == 1
    )
    assert "20 benign images of 10 patients, expected at least 30 of 10" in capsys.readouterr().err
    assert not (tmp_path / "out" / "bundle").exists()


def test_nothing_to_do_is_one_line(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["calibrate", str(tiny.run.bundle)]) == 1
    assert "give --data" in capsys.readouterr().err


def test_bundle_is_never_written_over(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    before = verify(tiny.run.bundle).bundle_id
    assert (
        cli.main(
            ["calibrate", str(tiny.run.bundle), "--prevalence", "0.01", "--out", str(tiny.run.root)]
        )
        == 1
    )
    assert "stays as it is" in capsys.readouterr().err
    assert verify(tiny.run.bundle).bundle_id == before


def test_nothing_is_written_into_the_folder_of_the_bundle(
    tiny: Tiny, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tiny.run.bundle / "sub"
    assert (
        cli.main(["calibrate", str(tiny.run.bundle), "--prevalence", "0.01", "--out", str(out)])
        == 1
    )
    assert "stays as it is" in capsys.readouterr().err
    assert not out.exists()


def test_bundle_named_by_a_dot_gets_its_neighbour(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny.run.bundle, tmp_path / "mine")
    monkeypatch.chdir(tmp_path / "mine")
    assert cli.main(["calibrate", ".", "--prevalence", "0.01"]) == 0
    assert verify(tmp_path / "mine-site" / "bundle").manifest.version == "0.1.0+site"


def test_suffix_is_no_path(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["calibrate", "bundle", "--prevalence", "0.1", "--suffix", "a/b"])
    assert "'a/b': expected letters, digits, dots and hyphens" in capsys.readouterr().err


def test_prevalence_alone_keeps_every_decision(tiny: Tiny, films: Path, tmp_path: Path) -> None:
    assert (
        cli.main(
            ["calibrate", str(tiny.run.bundle), "--prevalence", "0.0059", "--out", str(tmp_path)]
        )
        == 0
    )
    old, new = (
        Examiner(verify(folder), "litert", 1, None, Limits())
        for folder in (tiny.run.bundle, tmp_path / "bundle")
    )
    scores = []
    for path in sorted((films / "Malignant").iterdir())[:6]:
        first, second = old.examine(path), new.examine(path)
        # both are results
        assert first.prediction.label == second.prediction.label  # type: ignore[union-attr]
        scores.append((first.prediction.malignant, second.prediction.malignant))  # type: ignore[union-attr]
    assert all(shifted < before for before, shifted in scores)


@pytest.mark.parametrize("share", ["0", "1", "2"])
def test_prevalence_is_a_share(share: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["calibrate", "bundle", "--prevalence", share])
    assert "not between 0 and 1" in capsys.readouterr().err


def scores_of(
    images: int,
) -> tuple[
    np.ndarray[tuple[int], np.dtype[np.float32]], np.ndarray[tuple[int], np.dtype[np.float64]]
]:
    labels = (np.arange(images) % 2).astype(np.float32)
    return labels, np.clip(np.random.default_rng(0).normal(0.4 + 0.2 * labels, 0.15), 0.01, 0.99)


def test_folds_never_divide_a_patient() -> None:
    labels, _ = scores_of(200)
    patients = np.array([f"p{number // 4}" for number in range(200)])
    fold = cross_validation.folds(labels, patients)
    assert set(fold.tolist()) == set(range(cross_validation.COUNT))
    assert all(
        len(set(fold[patients == patient].tolist())) == 1 for patient in set(patients.tolist())
    )


def test_calibration_of_unseen_patients_is_not_that_of_the_fitted_ones() -> None:
    labels, raw = scores_of(60)
    fold = cross_validation.folds(labels, np.arange(60).astype(str))
    scores, called, decided = cross_validation.cross_fitted(
        labels, raw, fold, cross_validation.Rule()
    )
    assert (scores > 0).all()
    assert decided.any()
    swapped = labels.copy()
    swapped[fold == 0] = 1 - swapped[fold == 0]
    again, _, _ = cross_validation.cross_fitted(swapped, raw, fold, cross_validation.Rule())
    np.testing.assert_array_equal(again[fold == 0], scores[fold == 0])
    assert not np.array_equal(again[fold == 1], scores[fold == 1])
    assert set(called) == {"default", "sensitivity-0.90", "specificity-0.889"}


def test_calibration_makes_the_domain_of_the_site_s_films_a_measured_one(
    tiny: Tiny, site: Path
) -> None:
    before, after = (
        bundle.manifest.models[default(bundle)]
        for bundle in (verify(tiny.run.bundle), verify(site / "bundle"))
    )
    assert before.measured == {}  # its own test side has too few films
    assert after.measured is not None
    assert list(after.measured) == ["film"]
    assert after.measured["film"].images == 64
    assert after.measured["film"].data.endswith(", for a site's calibration")
    assert after.by_domain == {}


def test_other_domains_keep_the_calibration_that_they_were_measured_with(
    tiny: Tiny, films: Path
) -> None:
    old = verify(tiny.run.bundle).manifest.models["model.tflite"]
    digital = Measured(
        data="x", images=90, malignant=40, patients=90, auc=0.8, interval_95=(0.7, 0.9)
    )
    fit = DomainFit(calibration=old.calibration, operating_points=old.operating_points)
    known = old.model_copy(
        update={"measured": {"digital": digital}, "breasts": {"digital": fit, "film": fit}}
    )
    index = datasets.load(films)
    none = np.zeros((64, 1, 1), np.float16)
    prepared = Prepared(index.films, none, np.ones(64, np.float32), np.ones(64, np.float32), {})
    site = Site(prepared, np.full(64, "film"), np.zeros(64, np.int_), "site")
    moved = old.model_copy(
        update={"calibration": old.calibration.model_copy(update={"intercept": 9.0})}
    )
    scores = np.linspace(0, 1, 64)
    found = _with_domains(known, moved, site, scores)
    assert found.measured is not None
    assert set(found.measured) == {"digital", "film"}
    assert found.measured["digital"] == digital
    assert found.by_domain["digital"].calibration == old.calibration
    assert found.breasts == {"digital": fit}  # those of film belong to the calibration before
    rare = shifted(found, 0.01)
    assert rare.by_domain["digital"].calibration.prevalence == 0.01
    assert rare.breasts["digital"].calibration.prevalence == 0.01
