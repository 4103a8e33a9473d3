"""The oracle of exams finds each kind of fault, planted one at a time."""

import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from edge.storage.ledger.database import FILE
from tests.support.exam_ledger import Site, add_all
from tests.torture.exam_oracle import faults_of

Messages = list[dict[str, Any]]


def run(folder: Path) -> tuple[list[frozenset[str]], Messages]:
    """Make an exam of two revisions in a ledger, and deliver both."""
    site = Site(folder)
    image_ids = [*add_all(site), site.add("L", "CC", 0.9)]
    for delivery in site.ledger.exam_outbox.pending(["exam"]):
        site.ledger.exam_outbox.delivered(delivery)
    heard = site.published
    site.ledger.close()
    return [frozenset(image_ids)], heard


def test_a_sound_run_and_repetitions_are_no_fault(tmp_path: Path) -> None:
    studies, heard = run(tmp_path / "state")
    assert faults_of(studies, [*heard, *heard], tmp_path / "state") == []


@pytest.mark.parametrize(
    ("place", "change", "fault"),
    [
        (1, {"seq": 1}, "exam seq 1 says two things"),
        (1, {"seq": 3}, r"exam numbers came as \[1, 3\]"),
        (1, {"revision": 3}, "revision 3 of an exam stands at place 2"),
        (1, {"supersedes": None}, "revision 2 of an exam stands at place 2"),
        (1, {"exam_id": "0" * 64}, "2 exams of 1 studies"),
        (1, {"complete": False}, "not complete"),
        (1, {"result_id": "x"}, "the ledger has other exam results"),
        (1, {"views": []}, "or of other images"),
    ],
)
def test_each_planted_fault_is_found(
    tmp_path: Path, place: int, change: dict[str, Any], fault: str
) -> None:
    studies, heard = run(tmp_path / "state")
    heard[place] |= change
    found = "; ".join(faults_of(studies, heard, tmp_path / "state"))
    assert re.search(fault, found), found


def test_an_exam_that_was_never_heard_or_is_left_undone_is_found(tmp_path: Path) -> None:
    studies, heard = run(tmp_path / "state")
    assert faults_of(studies, heard[:1], tmp_path / "state") != []
    site = Site(tmp_path / "other")
    add_all(site)
    site.ledger.close()
    assert "1 exams are left undone" in faults_of([], [], tmp_path / "other")


def test_a_score_that_is_not_of_the_last_revision_is_found(tmp_path: Path) -> None:
    studies, heard = run(tmp_path / "state")
    with sqlite3.connect(tmp_path / "state" / FILE) as db:
        db.execute("UPDATE exam_scores SET result_id = ?", (heard[0]["result_id"],))
    db.close()
    (found,) = faults_of(studies, heard, tmp_path / "state")
    assert "not those of their last revisions" in found
