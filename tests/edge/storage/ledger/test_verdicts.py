"""Scores outlive results, verdicts keep the score of then, and both go with their image."""

import json
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import astuple, replace
from pathlib import Path

import pytest

from edge.domain import Numbering
from edge.errors import StartupError
from edge.models.pairs import Calls
from edge.storage.ledger import Ledger, schema
from edge.storage.ledger.database import FILE
from edge.storage.ledger.readonly import open_readonly
from edge.storage.ledger.records import Conclusion, Score, Submission, note_score
from edge.storage.ledger.restore import Archived
from edge.storage.ledger.states import Move
from edge.storage.ledger.verdicts import Verdict, calls_of, read_pairs, read_scored
from tests.support.pairs import fill, name, score_of, women
from tests.support.tools import ROOT

PAIRS = women(60, 5)
MESSAGE = {
    "image_id": name(1),
    "image": {"view": "MLO"},
    "model": {"sha256": "m" * 64, "preprocess": "p"},
    "score": {"raw": 0.875, "malignant": 0.75},
    "decision": {"threshold": 0.5},
    "domain": {"kind": "film"},
}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path, [], lambda payload, _: payload)
    yield opened
    opened.close()


def rows(folder: Path, table: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(folder / FILE) as db:
        found = db.execute(f"SELECT * FROM {table} ORDER BY image_id").fetchall()  # noqa: S608
    db.close()
    return found


def conclude(ledger: Ledger, folder: Path, number: int, score: Score | None) -> None:
    image_id = name(number)
    submission = Submission(image_id, folder / f"f-{number}", b"film.dcm", "folder", time.time())
    ledger.submissions.accept(submission, "b")
    again(ledger, number, score, f"r{number}")


def again(ledger: Ledger, number: int, score: Score | None, result_id: str) -> None:
    def render(_: Numbering) -> bytes:
        return b"{}"

    image_id, scored = name(number), score is not None
    ledger.images.move(image_id, Move.DISPATCH)
    ledger.images.conclude(
        Conclusion(image_id, result_id, "b", scored=scored, render=render, score=score)
    )


def test_a_score_is_noted_with_its_result_and_a_rejection_has_none(
    ledger: Ledger, tmp_path: Path
) -> None:
    score = score_of(1, PAIRS[0])
    conclude(ledger, tmp_path, 1, score)
    conclude(ledger, tmp_path, 2, None)
    assert rows(tmp_path, "scores") == [astuple(score)]
    assert ledger.verdicts.unknown([name(1), name(2), name(3)]) == [name(2), name(3)]


def test_a_verdict_given_again_once_the_woman_is_known_counts_for_her(
    ledger: Ledger, tmp_path: Path
) -> None:
    """As after an upgrade, `mammo-edge retry`, and the same table once more."""
    known = score_of(1, PAIRS[0])
    conclude(ledger, tmp_path, 1, replace(known, woman=None))
    verdict = Verdict(name(1), "malignant", "biopsy", score_seen=False)
    assert ledger.verdicts.record([verdict]) == 1
    assert ledger.verdicts.record([verdict]) == 0
    ledger.images.archived(name(1), tmp_path / "f-1")
    ledger.submissions.retry([name(1)])
    again(ledger, 1, known, "r2")
    assert ledger.verdicts.record([verdict]) == 1
    assert [pair.woman for pair in ledger.verdicts.pairs()] == [known.woman]
    assert ledger.verdicts.record([verdict]) == 0


def test_a_verdict_keeps_the_score_that_the_image_had_by_then(
    ledger: Ledger, tmp_path: Path
) -> None:
    first, second = score_of(1, PAIRS[0]), replace(score_of(1, PAIRS[1]), malignant=0.125)
    conclude(ledger, tmp_path, 1, first)
    verdict = Verdict(name(1), "malignant", "biopsy", score_seen=False)
    assert ledger.verdicts.record([verdict]) == 1
    ledger.images.archived(name(1), tmp_path / "f-1")
    ledger.submissions.retry([name(1)])
    again(ledger, 1, second, "r1-again")
    assert ledger.verdicts.record([verdict]) == 0
    assert [pair.malignant for pair in ledger.verdicts.pairs()] == [first.malignant]
    assert ledger.verdicts.record([replace(verdict, truth="benign")]) == 1
    (pair,) = ledger.verdicts.pairs()
    assert (pair.truth, pair.malignant) == ("benign", 0.125)


def test_a_verdict_without_a_score_stores_nothing(ledger: Ledger) -> None:
    assert ledger.verdicts.record([Verdict(name(9), "benign", "reader", score_seen=True)]) == 0
    assert ledger.verdicts.pairs() == []


def test_scores_go_by_their_age_unless_their_image_is_there_and_verdicts_stay(
    ledger: Ledger, tmp_path: Path
) -> None:
    conclude(ledger, tmp_path, 1, score_of(1, PAIRS[0]))
    with ledger._database.transaction() as db:
        for number in (2, 3, 4):
            note_score(db, score_of(number, PAIRS[number]))
    ledger.verdicts.record([Verdict(name(2), "benign", "reader", score_seen=True)])
    before = 1.79e9 + 3.5
    assert ledger.pruning.forget_scores(before=before, limit=1) == 1
    assert ledger.pruning.forget_scores(before=before, limit=9) == 1
    assert ledger.pruning.forget_scores(before=before, limit=9) == 0
    assert ledger.verdicts.unknown([name(number) for number in range(1, 5)]) == [name(2), name(3)]
    assert len(ledger.verdicts.pairs()) == 1


def test_what_is_erased_leaves_neither_score_nor_verdict(ledger: Ledger, tmp_path: Path) -> None:
    for number in (1, 2):
        conclude(ledger, tmp_path, number, score_of(number, PAIRS[number]))
        ledger.verdicts.record([Verdict(name(number), "benign", "reader", score_seen=True)])
    ledger.images.archived(name(1), tmp_path / "f-1")
    ledger.erasure.erase([name(1)], lambda _: None)
    ledger.erasure.scrub()
    for table in ("scores", "verdicts"):
        assert [row[0] for row in rows(tmp_path, table)] == [name(2)]
    left = [file for file in tmp_path.iterdir() if name(1).encode() in file.read_bytes()]
    assert left == []


def test_scores_of_an_earlier_ledger_are_taken_over_without_woman_and_machine(
    tmp_path: Path,
) -> None:
    with sqlite3.connect(tmp_path / FILE) as db:
        db.executescript((ROOT / "tests/data/ledger/v3.sql").read_text())
        payload = json.dumps(MESSAGE).encode()
        image_id = db.execute("SELECT image_id FROM outcomes WHERE scored = 1").fetchone()[0]
        query = "UPDATE results SET payload = ?, crc32 = ? WHERE seq = (SELECT seq FROM outcomes "
        db.execute(f"{query} WHERE image_id = ?)", (payload, schema.crc32(payload), image_id))
    db.close()
    Ledger(tmp_path, [], lambda payload, _: payload).close()
    ((found, *rest),) = rows(tmp_path, "scores")
    assert found == image_id
    assert rest[2:12] == ["m" * 64, "p", 0.875, 0.75, 0.5, "film", "MLO", None, None, None]


def test_a_ledger_filled_from_the_archive_has_the_scores_of_its_results(
    ledger: Ledger, tmp_path: Path
) -> None:
    payload = json.dumps(MESSAGE).encode()
    item = Archived(
        name(1),
        "r1",
        "b",
        generation=0,
        scored=True,
        path=tmp_path / "f",
        name=b"film.dcm",
        source="folder",
        received_at=1.79e9,
        payload=payload,
    )
    ledger.restore.take_up([item])
    assert ledger.verdicts.unknown([name(1)]) == []
    assert ledger.verdicts.record([Verdict(name(1), "benign", "biopsy", score_seen=False)]) == 1
    (pair,) = ledger.verdicts.pairs()
    assert (pair.raw, pair.woman) == (0.875, None)


def test_pairs_are_read_beside_a_running_daemon_and_since_a_time(tmp_path: Path) -> None:
    fill(tmp_path, PAIRS)
    running = Ledger(tmp_path, [], lambda payload, _: payload)
    with open_readonly(tmp_path) as db:
        assert read_pairs(db) == PAIRS
        since = 1.79e9 + len(PAIRS) - 3
        assert read_pairs(db, since) == PAIRS[-3:]
        calls = calls_of(read_scored(db), PAIRS[0].bundle_id)
    running.close()
    called = sum(pair.called for pair in PAIRS)
    left = len(PAIRS) - called
    assert calls == {True: Calls(called, called), False: Calls(left, left)}


def test_no_ledger_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="there is no ledger yet"), open_readonly(tmp_path):
        pass


def test_an_image_is_found_by_its_score_and_verdict_when_all_else_of_it_is_gone(
    tmp_path: Path,
) -> None:
    fill(tmp_path, PAIRS[:2])
    opened = Ledger(tmp_path, [], lambda payload, _: payload)
    try:
        assert opened.queries.image_ids(name(1)[:8]) == opened.queries.image_ids("r1") == [name(1)]
        with opened._database.transaction() as db:
            db.execute("DELETE FROM scores")
        assert opened.queries.image_ids(name(1)[:8]) == opened.queries.image_ids("r1") == [name(1)]
    finally:
        opened.close()
