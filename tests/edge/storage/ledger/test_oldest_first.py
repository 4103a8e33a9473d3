"""The ledger reads what is oldest in the order of its index, however many images there are."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge.daemon.wiring.exam_maker import Maker
from edge.storage.ledger import Ledger, open_ledger
from edge.storage.ledger.exam_rows import ExamRules
from edge.storage.ledger.exam_sinks import DICOM, EXAM
from edge.storage.ledger.pruning import FIRST
from tests.support.exam_ledger import DEVICE

ARCHIVED = (
    "INSERT INTO images (image_id, state, result_id, path, name, received_at, archived_at, kept) "
    "VALUES (?1, 'archived', ?1, x'', x'', 1.0, ?2, 1)"
)


@pytest.fixture(params=[None, ExamRules(Maker(DEVICE), sinks=(EXAM, DICOM))])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path, ["mqtt"], lambda payload, _: payload, request.param) as made:
        yield made


class Explained:
    """A connection that has each query explained before it is made."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.plans: list[str] = []

    def execute(self, query: str, which: tuple[object, ...] = ()) -> sqlite3.Cursor:
        explained = self._db.execute(f"EXPLAIN QUERY PLAN {query}", which)
        self.plans.append("\n".join(row[3] for row in explained))
        return self._db.execute(query, which)


@pytest.mark.parametrize("what", ["files", "forget"])
def test_no_page_of_the_oldest_takes_a_sort_of_all(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """With 20,000 files that could not be removed, a look for room took half a minute."""
    with ledger.pruning._database.transaction() as db:
        explained = Explained(db)

    @contextmanager
    def explaining() -> Iterator[Any]:
        yield explained

    for access in ("reading", "transaction"):
        monkeypatch.setattr(ledger.pruning._database, access, explaining)
    if what == "files":
        ledger.pruning.files(scored=True, before=1e9, limit=32)
    else:
        ledger.pruning.forget(before=1e9, limit=32)
    (plan,) = explained.plans
    assert "USING INDEX images_by_archive (archived_at>? AND archived_at<?)" in plan
    assert "TEMP B-TREE" not in plan


def test_each_image_is_on_one_page_also_if_several_were_archived_at_the_same_time(
    ledger: Ledger,
) -> None:
    """As after a ledger was rebuilt from an archive whose file system counts whole seconds."""
    with ledger.pruning._database.transaction() as db:
        for image_id, archived_at in zip("fbeadc", (2.0, 2.0, 1.0, 2.0, 2.0, 3.0), strict=True):
            db.execute(ARCHIVED, (image_id, archived_at))
            db.execute("INSERT INTO outcomes VALUES (?1, ?1, 'b', 0, 1, 1)", (image_id,))
    found, place = "", FIRST
    while page := ledger.pruning.files(scored=True, before=9.0, limit=2, after=place):
        found, place = found + "".join(one.image_id for one in page), page[-1]
    assert (found[0], sorted(found[1:5]), found[5]) == ("e", ["a", "b", "d", "f"], "c")
