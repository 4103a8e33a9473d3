"""Whoever follows an image or an exam hears of all that is new of it, and of nothing else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.storage.ledger.followed import Subject, exam_of, standing_of, version_of
from edge.storage.ledger.readonly import open_readonly
from edge.storage.ledger.verdicts import Kind, Verdict
from tests.support.exam_ledger import FOUR, Site, add_all
from tests.support.results import Writer, scored


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    made = Writer(tmp_path)
    yield made
    made.ledger.close()


def version(state: Path, kind: Kind, id_: str) -> str:
    with open_readonly(state) as db:
        return version_of(db, Subject(kind, id_))[0]


def test_a_result_a_verdict_and_the_removal_of_an_image_are_its_news_and_no_other_image_s(
    writer: Writer,
) -> None:
    one, other = (writer.publish(scored())["image_id"] for _ in range(2))
    state = writer.folder / "state"
    seen, others = [version(state, "image", one)], version(state, "image", other)
    writer.publish(scored())
    assert version(state, "image", one) == seen[0]
    writer.publish_again(one, scored())
    seen.append(version(state, "image", one))
    writer.judge(Verdict(one, "benign", "biopsy", score_seen=False))
    seen.append(version(state, "image", one))
    writer.ledger.verdicts.record([Verdict(one, "malignant", "biopsy", score_seen=False)])
    seen.append(version(state, "image", one))
    writer.archive(one)
    writer.ledger.erasure.erase([one], Path.unlink)
    seen.append(version(state, "image", one))
    assert len(set(seen)) == 5
    assert version(state, "image", other) == others


def test_the_standing_result_of_an_image_is_the_last_and_none_before_the_first(
    writer: Writer,
) -> None:
    waits = writer.arrive()
    first = writer.publish(scored())
    last = writer.publish_again(first["image_id"], scored())
    with open_readonly(writer.folder / "state") as db:
        assert standing_of(db, waits) is None
        assert standing_of(db, first["image_id"]) == last["result_id"] != first["result_id"]


def test_a_revision_and_a_verdict_are_news_of_an_exam_and_its_images_are_known(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path)
    images = add_all(site)
    (exam,) = site.published
    with open_readonly(tmp_path) as db:
        assert exam_of(db, images[0]) == exam["exam_id"]
        assert version_of(db, Subject("exam", exam["exam_id"]))[1] == sorted(images)
        assert version_of(db, Subject("exam", "none")) == ("None None", [])
    seen = [version(tmp_path, "exam", exam["exam_id"])]
    site.add("L", "CC", 0.9, tail="again")
    site.later(1e6)
    assert [one["revision"] for one in site.published] == [1, 2]
    seen.append(version(tmp_path, "exam", exam["exam_id"]))
    site.ledger.verdicts.record(
        [Verdict(exam["exam_id"], "benign", "reader", score_seen=True, kind="exam")]
    )
    seen.append(version(tmp_path, "exam", exam["exam_id"]))
    assert len(set(seen)) == 3
    site.ledger.close()


def test_the_removal_of_an_image_that_left_an_exam_is_news_of_that_exam(tmp_path: Path) -> None:
    site = Site(tmp_path)
    more: dict[str, Any] = {"study": None, "sent_as": "8" * 32}
    left, stays, *others = (site.add(*view, **more) for view in FOUR)
    (exam,) = site.published
    site.arrive(left, "9" * 64)
    with open_readonly(tmp_path) as db:
        assert exam_of(db, stays) == exam["exam_id"]
        assert exam_of(db, left) is None
        assert version_of(db, Subject("exam", exam["exam_id"]))[1] == sorted([left, stays, *others])
    before = version(tmp_path, "exam", exam["exam_id"])
    site.ledger.erasure.erase([left], Path.unlink)
    assert version(tmp_path, "exam", exam["exam_id"]) != before
    with open_readonly(tmp_path) as db:
        assert exam_of(db, stays) is None
    site.ledger.close()


def test_an_exam_without_its_results_has_none_of_them_in_its_version(tmp_path: Path) -> None:
    site = Site(tmp_path)
    images = add_all(site)
    (exam,) = site.published
    assert exam["result_id"] in version(tmp_path, "exam", exam["exam_id"])
    site.ledger.erasure.erase(images[:1], Path.unlink)
    assert exam["result_id"] not in version(tmp_path, "exam", exam["exam_id"])
    site.ledger.close()


@pytest.mark.parametrize("id_", ["\0", "..", "none"])
def test_what_the_ledger_does_not_have_has_no_images(writer: Writer, id_: str) -> None:
    waits = writer.arrive()
    with open_readonly(writer.folder / "state") as db:
        assert version_of(db, Subject("image", waits))[1] == [waits]
        assert version_of(db, Subject("image", id_))[1] == []
