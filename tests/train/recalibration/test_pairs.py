"""A bundle calibrated by verdicts alone: measured, good on fresh women, the old one untouched."""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.daemon.telemetry.drift import counts_of
from edge.models.active import shipped_bundle
from edge.models.bundle import Bundle, verify
from edge.models.calibration import calibrate
from edge.models.pairs import Pair
from edge.storage.ledger.schema import FILE
from tests.support.pairs import fill, women
from train import cli
from train.errors import DataError
from train.recalibration import pairs
from train.stats import metrics

SHIPPED = shipped_bundle()


def drawn(bundle: Bundle, number: int, seed: int) -> list[Pair]:
    model = bundle.manifest.files[bundle.manifest.default_model]
    return women(number, seed, model=model, preprocess=bundle.preprocess_id)


def error_of(found: list[Pair], scores: list[float]) -> float:
    labels = np.array([pair.is_malignant for pair in found], dtype=np.float32)
    return metrics.calibration_error(labels, np.array(scores))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command, run on a ledger of 200 simulated women."""
    folder = tmp_path_factory.mktemp("site")
    fill(folder / "state", drawn(verify(SHIPPED), 200, 11))
    words = ["--pairs", str(folder / "state"), "--out", str(folder / "out")]
    assert cli.main(["calibrate", str(SHIPPED), *words]) == 0
    return folder


def test_fresh_women_confirm_the_calibration(site: Path) -> None:
    old, new = (verify(folder).manifest for folder in (SHIPPED, site / "out" / "bundle"))
    fresh = drawn(verify(SHIPPED), 2000, 12)
    before, after = (
        error_of(
            fresh,
            [
                calibrate(
                    pair.raw, manifest.models[manifest.default_model].fit_of("digital").calibration
                )
                for pair in fresh
            ],
        )
        for manifest in (old, new)
    )
    assert after < 0.05 < before


def test_the_domain_is_measured_by_it_and_other_domains_stay_as_they_are(site: Path) -> None:
    old, new = (verify(folder) for folder in (SHIPPED, site / "out" / "bundle"))
    assert new.bundle_id != old.bundle_id
    assert new.manifest.version == f"{old.manifest.version}+site"
    assert new.manifest.files == old.manifest.files
    before, after = (one.manifest.models[one.manifest.default_model] for one in (old, new))
    assert after.measured is not None
    fact = after.measured["digital"]
    found = drawn(old, 200, 11)
    assert (fact.images, fact.malignant) == (len(found), sum(pair.is_malignant for pair in found))
    assert fact.data.startswith("verdicts at the site (")
    assert fact.interval_95[0] < fact.auc < fact.interval_95[1]
    assert after.fit_of("film") == before.fit_of("film")
    assert after.gate == before.gate
    assert "digital" not in after.breasts


@pytest.mark.parametrize("shift", [(), ("--prevalence", "0.01")])
def test_drift_is_compared_with_the_scores_of_all_images_by_the_final_calibration(
    tmp_path: Path, shift: tuple[str, ...]
) -> None:
    found = drawn(verify(SHIPPED), 60, 13)
    suspicious = [pair for pair in found if pair.raw > 0.5]
    others = [pair for pair in found if pair.raw <= 0.5]
    fill(tmp_path / "state", [*suspicious, *others])
    with sqlite3.connect(tmp_path / "state" / FILE) as db:  # of most others nobody says anything
        last = db.execute("SELECT image_id FROM verdicts ORDER BY completed_at DESC LIMIT 40")
        db.executemany("DELETE FROM verdicts WHERE image_id = ?", last.fetchall())
    db.close()
    words = ["--pairs", str(tmp_path / "state"), "--out", str(tmp_path / "out"), *shift]
    assert cli.main(["calibrate", str(SHIPPED), *words]) == 0
    manifest = verify(tmp_path / "out" / "bundle").manifest
    model = manifest.models[manifest.default_model]
    by = model.fit_of("digital").calibration
    assert list(model.reference_histogram) == counts_of(
        [calibrate(pair.raw, by) for pair in found], 20
    )


def test_the_report_names_what_the_verdicts_rest_on(site: Path) -> None:
    page = (site / "out" / "calibration.md").read_text()
    for text in ("no random ones", "had seen the score", "biopsy", "Reliability", "gate is as"):
        assert text in page
    assert "{" not in page
    numbers = json.loads((site / "out" / "calibration.json").read_text())
    (by_domain,) = numbers["pairs"].values()
    assert by_domain["digital"]["after"]["ece"] < by_domain["digital"]["before"]["ece"]


def test_too_few_verdicts_are_refused_with_how_many_it_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path, drawn(verify(SHIPPED), 12, 11))
    words = ["--pairs", str(tmp_path / FILE), "--out", str(tmp_path / "out")]
    assert cli.main(["calibrate", str(SHIPPED), *words]) == 1
    said = capsys.readouterr().err
    assert "too few verdicts on scores of this bundle's files" in said
    assert "expected at least 30 of 10" in said
    assert not (tmp_path / "out" / "bundle").exists()


@pytest.mark.parametrize(
    "other",
    [
        lambda pair: replace(pair, model="0" * 64),
        lambda pair: replace(pair, preprocess="x"),
        lambda pair: replace(pair, woman=None),
    ],
    ids=["network", "preprocessing", "woman"],
)
def test_scores_of_another_network_and_of_unknown_women_do_not_count(
    other: Callable[[Pair], Pair],
) -> None:
    bundle = verify(SHIPPED)
    found = drawn(bundle, 200, 11)
    strange = [other(pair) for pair in drawn(bundle, 200, 13)]
    (alone,), (beside,) = (pairs.fits(bundle, one).values() for one in (found, found + strange))
    assert alone == beside
    with pytest.raises(DataError, match="too few verdicts"):
        pairs.fits(bundle, strange)


def test_mammograms_and_verdicts_at_once_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--pairs", str(tmp_path), "--data", str(tmp_path)]
    assert cli.main(["calibrate", str(SHIPPED), *words]) == 1
    assert "two things to fit to" in capsys.readouterr().err


def test_no_ledger_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["calibrate", str(SHIPPED), "--pairs", str(tmp_path)]) == 1
    assert "there is no ledger yet" in capsys.readouterr().err
