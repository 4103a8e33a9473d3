"""A verdict on an exam keeps the exam's score of then, outlives it, and goes with its images."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.models.calibration import sigmoid
from edge.models.manifest import DomainFit, OperatingPoint, Platt
from edge.models.pairs import Truth
from edge.storage.ledger import Ledger
from edge.storage.ledger.database import FILE
from edge.storage.ledger.records import Score, note_score
from edge.storage.ledger.verdict_report import read_report
from edge.storage.ledger.verdicts import Verdict, read_scored
from tests.support.exam_ledger import B1, BOOT, MODEL, Site, add_all, make_old
from tests.support.tools import ROOT


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    made = Site(tmp_path / "state")
    monkeypatch.setattr("edge.storage.ledger.exam_rows.boot_id", lambda: BOOT)
    monkeypatch.setattr("edge.storage.ledger.exam_rows.uptime_s", lambda: made.now)
    yield made
    made.ledger.close()


def judge(site: Site, exam_id: str, *, malignant: bool = True) -> int:
    truth: Truth = "malignant" if malignant else "benign"
    verdict = Verdict(exam_id, truth, "biopsy", score_seen=False, kind="exam")
    return site.ledger.verdicts.record([verdict])


def rows(site: Site, columns: str, table: str = "exam_verdicts") -> list[tuple[object, ...]]:
    with site.ledger._database.reading() as db:
        return db.execute(f"SELECT {columns} FROM {table}").fetchall()  # noqa: S608


def forget_results(site: Site, image_ids: list[str]) -> None:
    """As retention does when all is delivered and old."""
    (delivery,) = site.ledger.exam_outbox.pending(["exam"])
    site.ledger.exam_outbox.delivered(delivery)
    make_old(site, image_ids)
    assert site.ledger.pruning.forget(before=2.0, limit=9) > 0


def test_a_verdict_has_the_worst_breast_s_score_of_then_and_is_none_on_an_image(
    site: Site,
) -> None:
    add_all(site)
    (exam,) = site.published
    assert judge(site, exam["exam_id"]) == 1
    worst = max(exam["breasts"], key=lambda one: one["malignant"])
    assert exam["score"]["malignant"] == worst["malignant"]
    said = [(1, exam["result_id"], worst["malignant"], worst["logit"], 0.5, "film", B1)]
    columns = "revision, result_id, malignant, logit, threshold, domain, bundle_id"
    assert rows(site, columns) == said
    (pair,) = site.ledger.verdicts.pairs("exam")
    assert (pair.is_malignant, pair.called) == (True, worst["malignant"] >= 0.5)
    assert pair.raw == sigmoid(worst["logit"])
    assert site.ledger.verdicts.pairs() == []
    with site.ledger._database.reading() as db:
        assert [(one.images, one.with_verdict) for one in read_scored(db, kind="exam")] == [(1, 1)]
        assert read_scored(db) == []
    site.add("L", "ML", 0.99)  # named in a further revision
    site.later(600.0)
    assert site.published[-1]["revision"] == 2
    assert judge(site, exam["exam_id"]) == 0
    assert rows(site, columns) == said
    assert judge(site, exam["exam_id"], malignant=False) == 1
    assert rows(site, "revision, truth") == [(2, "benign")]


def test_an_exam_is_called_if_its_lower_breast_is(site: Site) -> None:
    high = OperatingPoint(threshold=0.95, band_low=0.95, band_high=0.95, chosen_on="x")
    fit = DomainFit(calibration=Platt(slope=1, intercept=0), operating_points={"default": high})
    model = MODEL.model_copy(update={"breasts": {"film": fit}})
    for side, view, raw in (("L", "CC", 0.9), ("L", "MLO", 0.9), ("R", "CC", 0.7)):
        site.add(side, view, raw, model=model)
    site.later(600.0)
    (exam,) = site.published
    judge(site, exam["exam_id"])
    (pair,) = site.ledger.verdicts.pairs("exam")
    assert (exam["outcome"], exam["score"]["laterality"]) == ("malignant", "L")
    assert (pair.malignant, pair.threshold) == (exam["score"]["malignant"], 0.5)
    assert pair.called


def test_an_exam_that_nobody_knows_has_no_score_and_stores_nothing(site: Site) -> None:
    image_id, exam_id = add_all(site)[0], "f" * 64
    (exam,) = site.published
    given = [exam["exam_id"], exam_id, image_id]
    assert site.ledger.verdicts.unknown(given, "exam") == [exam_id, image_id]
    assert judge(site, exam_id) == 0
    assert rows(site, "*") == []


def test_the_woman_and_the_machine_are_those_of_its_images_if_these_agree(site: Site) -> None:
    image_ids = add_all(site)
    with site.ledger._database.transaction() as db:
        for number, one in enumerate(image_ids):
            numbers = (0.5, 0.5, 0.5, "film", "CC", "ge", f"machine-{number}", "w" * 64, 1.0)
            note_score(db, Score(one, "r", B1, "m", "p", *numbers))
    site.add("L", "ML", 0.99)
    site.later(600.0)
    assert rows(site, "maker, machine, woman", "exam_scores") == [("ge", None, "w" * 64)]


def test_a_verdict_comes_when_the_exam_s_results_are_gone_and_stays_when_its_score_goes(
    site: Site,
) -> None:
    image_ids = add_all(site)
    (exam,) = site.published
    forget_results(site, image_ids)
    assert (site.published, judge(site, exam["exam_id"])) == ([], 1)
    assert site.ledger.pruning.forget_scores(before=1e12, limit=9) == 1
    assert site.ledger.verdicts.unknown([exam["exam_id"]], "exam") == [exam["exam_id"]]
    assert len(site.ledger.verdicts.pairs("exam")) == 1


def test_the_score_of_an_exam_that_is_here_goes_by_no_age(site: Site) -> None:
    add_all(site)
    assert site.ledger.pruning.forget_scores(before=1e12, limit=9) == 0
    assert rows(site, "revision", "exam_scores") == [(1,)]


@pytest.mark.parametrize("pruned", [False, True])
def test_an_erased_image_takes_its_exam_s_score_and_verdict_along(
    site: Site, *, pruned: bool
) -> None:
    image_ids = add_all(site)
    (exam,) = site.published
    site.add("L", "CC", 0.5, study="6" * 64)
    site.add("R", "CC", 0.5, study="6" * 64)
    judge(site, exam["exam_id"])
    if pruned:
        forget_results(site, image_ids)
    site.later(600.0)
    other = site.published[-1]["exam_id"]
    judge(site, other)
    site.ledger.erasure.erase([image_ids[3]], lambda path: path.unlink(missing_ok=True))
    site.ledger.erasure.scrub()
    assert rows(site, "exam_id") == rows(site, "exam_id", "exam_scores") == [(other,)]
    files = [path for path in site.folder.iterdir() if path.is_file()]
    assert [path for path in files if image_ids[3].encode() in path.read_bytes()] == []


def test_an_exam_is_found_by_its_score_and_verdict_when_all_else_of_it_is_gone(
    site: Site,
) -> None:
    image_ids = add_all(site)
    (exam,) = site.published
    judge(site, exam["exam_id"])
    forget_results(site, image_ids)
    for _ in range(2):
        for key in ("exam_id", "result_id"):
            assert site.ledger.exams.find(exam[key][:9]) == [exam["exam_id"]]
        assert site.ledger.exams.images_of(exam["exam_id"]) == sorted(image_ids)
        for image_id in image_ids:
            assert site.ledger.queries.image_ids(image_id[:16]) == [image_id]
        site.ledger.pruning.forget_scores(before=1e12, limit=9)


def test_an_exam_that_ended_after_its_images_is_measured_with_its_own_bundle(site: Site) -> None:
    add_all(site)
    judge(site, site.published[0]["exam_id"])
    with site.ledger._database.reading() as db:
        (completed,) = db.execute("SELECT max(completed_at) FROM exam_scores").fetchone()
        db.execute("UPDATE scores SET completed_at = ?", (completed - 600.0,))
        found = read_report(db, since=completed)
        db.rollback()
    assert found["exams"]["bundle"] == B1
    assert found["exams"]["left_out"]["other_bundle"] == 0


def test_an_exam_that_is_taken_back_has_no_score_and_keeps_the_verdict_of_then(
    site: Site,
) -> None:
    add_all(site)
    exam_id = site.published[0]["exam_id"]
    judge(site, exam_id)
    site.add("L", "ML", 0.5, patient="2" * 64)
    assert site.published[-1]["outcome"] == "rejected"
    assert site.ledger.verdicts.unknown([exam_id], "exam") == [exam_id]
    assert rows(site, "revision") == [(1,)]


def test_exams_of_an_earlier_ledger_have_the_scores_of_their_last_revisions(
    tmp_path: Path,
) -> None:
    with sqlite3.connect(tmp_path / FILE) as db:
        db.executescript((ROOT / "tests/data/ledger/v5.sql").read_text())
        exam_id = db.execute("SELECT exam_id FROM exams").fetchone()[0]
    db.close()
    ledger = Ledger(tmp_path, [], lambda payload, _: payload)
    try:
        verdict = Verdict(exam_id, "malignant", "biopsy", score_seen=True, kind="exam")
        assert ledger.verdicts.record([verdict]) == 1
        (pair,) = ledger.verdicts.pairs("exam")
        assert (pair.domain, pair.maker, pair.woman) == ("film", "hologic", "7" * 64)
        assert pair.malignant == pytest.approx(0.83182, abs=1e-5)
        assert ledger.exams.images_of(exam_id) == ["1" * 64, "2" * 64]
    finally:
        ledger.close()
