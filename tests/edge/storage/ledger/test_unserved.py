"""What waits for a sink that is not configured any more is told and may go, but a broker's."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge.cli import check
from edge.cli.status import look_around, screen
from edge.cli.unserved import ADVICE
from edge.config.settings import Settings
from edge.daemon.wiring.exam_maker import Maker
from edge.storage.ledger.exam_rows import ExamRules
from edge.storage.ledger.exam_sinks import DICOM, EXAM
from tests.support.contract_page import examples
from tests.support.exam_ledger import DEVICE, Site, add_all, make_old

BOTH = ExamRules(Maker(DEVICE), sinks=(EXAM, DICOM))
NO_REPORTS = ExamRules(Maker(DEVICE), sinks=(EXAM,))


def old_exam(folder: Path, sinks: tuple[str, ...] = ("mqtt",)) -> Site:
    """Make an exam that only a PACS has not heard of, so old that it would go."""
    site = Site(folder, BOTH, sinks=sinks)
    make_old(site, add_all(site))
    (delivery,) = site.ledger.exam_outbox.pending([EXAM])
    site.ledger.exam_outbox.delivered(delivery)
    return site


def all_go(site: Site) -> bool:
    """Let all go that may; tells if the exam did."""
    gone = site.ledger.pruning.forget(before=2.0, limit=32)
    assert bool(gone) is not bool(site.ledger.queries.results())
    return bool(gone)


def test_an_exam_waits_for_its_report_only_while_somebody_sends_reports(tmp_path: Path) -> None:
    site = old_exam(tmp_path)
    assert not all_go(site)
    site.rules = NO_REPORTS
    site.reopen()
    assert site.ledger.queries.unserved(["mqtt"], [EXAM]) == {DICOM: 1}
    assert all_go(site)
    assert site.ledger.exam_reports.counts() == {}
    site.ledger.close()


def test_an_image_waits_for_a_broker_also_while_nobody_serves_it_as_the_advice_says(
    tmp_path: Path,
) -> None:
    site = old_exam(tmp_path, sinks=("mqtt",))
    site.ledger.exam_reports.delivered(site.ledger.exam_reports.pending([DICOM])[0])
    with site.ledger._database.transaction() as db:
        db.execute("INSERT OR IGNORE INTO outbox (seq, sink) SELECT seq, 'mqtt' FROM results")
    site.sinks = ()
    site.reopen()
    assert site.ledger.queries.unserved([], [EXAM, DICOM]) == {"mqtt": 4}
    assert not all_go(site)
    assert "results for `mqtt` and `reply` wait on and keep their images" in ADVICE
    site.ledger.close()


def test_an_image_waits_for_its_report_only_while_somebody_sends_reports(tmp_path: Path) -> None:
    site = old_exam(tmp_path, sinks=("mqtt", DICOM))
    site.ledger.exam_reports.delivered(site.ledger.exam_reports.pending([DICOM])[0])
    with site.ledger._database.transaction() as db:
        db.execute("INSERT INTO outbox (seq, sink) SELECT seq, ? FROM results", (DICOM,))
    assert not all_go(site)
    site.sinks = ("mqtt",)
    site.reopen()
    assert site.ledger.queries.unserved(["mqtt"], [EXAM, DICOM]) == {DICOM: 4}
    assert all_go(site)
    assert site.ledger.outbox.counts() == {}
    site.ledger.close()


@pytest.mark.parametrize(("pacs", "told"), [({}, True), ({"peer": "P@127.0.0.1:104"}, False)])
def test_check_and_status_tell_of_it_and_what_to_do(
    tmp_path: Path, pacs: dict[str, str], *, told: bool
) -> None:
    old_exam(tmp_path / "state").ledger.close()
    settings = Settings(state={"path": tmp_path / "state"}, pacs=pacs)
    checked = check._ledger(settings)
    around = look_around(settings, datetime.now(UTC), tmp_path)
    shown = " ".join(" ".join(screen(examples("mammo.health/1")[0], around)).split())
    for said in (checked, shown):
        assert ("1 for dicom" in said) is told
        assert ("configure the sink as it was" in said) is told
