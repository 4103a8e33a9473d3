"""Images become exams in the ledger: in any order, once, whole, and with nobody's name."""

import json
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from edge.daemon.wiring.exam_maker import Maker
from edge.models.breasts import View, breasts_of
from edge.models.manifest import OperatingPoint
from edge.storage.ledger import Ledger
from edge.storage.ledger.exam_rows import MOST_IMAGES, SEVERAL_PATIENTS, TOO_MANY, ExamRules
from edge.storage.ledger.exams import COUNTED, FAILED
from tests.support.exam_ledger import (
    B1,
    B2,
    BOOT,
    DEVICE,
    FOUR,
    MODEL,
    PLAIN,
    STUDY,
    Site,
    add_all,
    make_old,
    member_of,
    readdress,
)


@pytest.fixture(autouse=True)
def _this_boot(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    monkeypatch.setattr("edge.storage.ledger.exam_rows.boot_id", lambda: BOOT)
    monkeypatch.setattr("edge.storage.ledger.exam_rows.uptime_s", lambda: site.now)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "state")
    yield made
    made.ledger.close()


def test_24_orders_of_arrival_give_one_exam_each_with_the_same_numbers(tmp_path: Path) -> None:
    bodies = set()
    for number, order in enumerate(permutations(FOUR)):
        site = Site(tmp_path / f"state-{number}")
        add_all(site, order)
        (exam,) = site.published
        assert (exam["revision"], exam["seq"], exam["complete"]) == (1, 1, True)
        drawn = ("exam_id", "result_id", "ledger_id", "completed_at")
        bodies.add(json.dumps({key: exam[key] for key in exam if key not in drawn}))
        site.ledger.close()
    assert len(bodies) == 1


def test_its_numbers_are_those_of_evaluate_s_code(site: Site) -> None:
    add_all(site)
    (exam,) = site.published
    expected = breasts_of([View(raw, "film", side, view) for side, view, raw in FOUR], MODEL)  # type: ignore[arg-type]
    assert [(one["laterality"], one["malignant"], one["logit"]) for one in exam["breasts"]] == [
        (one.laterality, one.malignant, one.mean.logit) for one in expected
    ]
    higher = max(exam["breasts"], key=lambda one: one["malignant"])
    assert exam["score"] == {"malignant": higher["malignant"], "laterality": "L"}
    assert exam["outcome"] == higher["outcome"]
    assert [(one["laterality"], one["counts_as"]) for one in exam["views"]] == [
        (side, view) for side, view, _ in FOUR
    ]


def test_an_exam_has_the_worse_outcome_of_its_breasts_and_the_higher_score(site: Site) -> None:
    # One view of the left breast, by the threshold of single images; both of the right.
    model = MODEL.model_copy(
        update={
            "operating_points": {
                "default": OperatingPoint(
                    threshold=0.95, band_low=0.95, band_high=0.95, chosen_on="x"
                )
            }
        }
    )
    site.add("L", "CC", 0.85, model=model)
    for view in ("CC", "MLO"):
        site.add("R", view, 0.7, model=model)
    site.later(600.0)
    (exam,) = site.published
    assert [one["outcome"] for one in exam["breasts"]] == ["benign", "malignant"]
    assert (exam["outcome"], exam["score"]["laterality"]) == ("malignant", "L")


def test_an_exam_of_three_views_waits_for_quiet_and_is_published_once(site: Site) -> None:
    for number, three in enumerate(FOUR[:3]):
        site.later(500.0 if number else 0.0)
        site.add(*three)
    site.later(599.0)
    assert site.published == []
    assert site.ledger.exams.counts() == {"waiting": 1, "last_seq": 0}
    site.later(1.0)
    site.later(10_000.0)
    (exam,) = site.published
    assert (exam["complete"], exam["revision"]) == (False, 1)
    assert [one["views"] for one in exam["breasts"]] == [["CC", "MLO"], ["CC"]]
    assert site.ledger.exams.counts() == {"waiting": 0, "last_seq": 1}


def test_images_that_keep_coming_put_an_exam_off_for_90_minutes_at_most(site: Site) -> None:
    for number in range(12):
        site.add("L", "CC", 0.3 + number / 100)
        site.later(500.0)
    (exam,) = site.published
    assert len(exam["views"]) == 11


def test_the_date_of_the_clock_publishes_nothing_early(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add(*FOUR[0])
    monkeypatch.setattr("time.time", lambda: 4e9)
    site.later(10.0)
    assert site.published == []


def test_a_restart_of_the_daemon_goes_on_waiting_and_one_of_the_machine_begins_anew(
    site: Site,
) -> None:
    site.add(*FOUR[0])
    site.now += 400.0
    site.reopen()
    site.later(199.0)
    assert site.published == []
    site.ledger.exams.publish_due(lambda: 5.0, lambda: "another boot")
    site.ledger.exams.publish_due(lambda: 604.0, lambda: "another boot")
    assert site.published == []
    site.ledger.exams.publish_due(lambda: 605.0, lambda: "another boot")
    assert len(site.published) == 1


def test_a_later_image_gives_a_revision_that_names_the_one_before(site: Site) -> None:
    add_all(site)
    site.add("L", "CC", 0.9, tail="repeat")
    first, second = site.published
    assert (second["revision"], second["seq"]) == (2, 2)
    assert second["supersedes"] == first["result_id"] != second["result_id"]
    assert second["exam_id"] == first["exam_id"]
    assert len(second["views"]) == 5
    assert site.told == ["exams_benign", "exams_malignant"]


def test_an_other_view_of_a_complete_exam_is_named_and_changes_no_number(site: Site) -> None:
    add_all(site)
    site.add("L", "XCCL", 0.99)
    assert len(site.published) == 1
    site.later(600.0)
    first, second = site.published
    assert second["breasts"] == first["breasts"]
    named = [one for one in second["views"] if one["counts_as"] is None]
    assert [one["view"] for one in named] == ["XCCL"]


def test_the_same_bytes_again_give_no_revision(site: Site) -> None:
    image_id = add_all(site)[0]
    site.arrive(image_id)
    assert len(site.published) == 1
    assert len(site.ledger.queries.results()) == 5


def test_a_retry_gives_a_revision(site: Site) -> None:
    image_id = add_all(site)[0]
    site.ledger.submissions.retry([image_id])
    member = member_of(MODEL, study=STUDY)
    site.conclude(image_id, ("L", "CC", 0.4), member, generation=1)
    assert [one["revision"] for one in site.published] == [1, 2]


def test_of_one_object_the_last_image_counts_alone_and_the_former_is_named(site: Site) -> None:
    site.add(*FOUR[0], instance="7" * 64)
    for view in FOUR[1:]:
        site.add(*view)
    site.add("L", "CC", 0.95, instance="7" * 64)
    last = site.published[-1]
    expected = breasts_of([View(0.95, "film", "L", "CC"), View(0.77, "film", "L", "MLO")], MODEL)
    assert last["breasts"][0]["malignant"] == expected[0].malignant
    assert [one["counts_as"] for one in last["views"][:2]].count(None) == 1


def test_a_rejected_view_is_a_missing_one_and_named(site: Site) -> None:
    for view in FOUR[:3]:
        site.add(*view)
    site.add("R", "MLO", None)
    site.later(600.0)
    (exam,) = site.published
    assert exam["complete"] is False
    assert exam["views"][-1]["outcome"] == "rejected"
    assert exam["views"][-1]["counts_as"] is None


def test_the_model_counts_that_scored_the_most_views_and_of_equals_the_later(site: Site) -> None:
    add_all(site, FOUR[:3])
    site.add("R", "MLO", 0.6, bundle=B2)
    site.later(600.0)
    assert site.published[-1]["model"]["bundle"] == B1
    assert site.published[-1]["complete"] is False
    for side, view, raw in FOUR[:2]:
        site.add(side, view, raw, bundle=B2, tail="again")
    site.later(600.0)
    assert site.published[-1]["model"]["bundle"] == B2


def test_images_of_several_patients_make_no_exam_and_are_counted_once(site: Site) -> None:
    for number, view in enumerate(FOUR):
        site.add(*view, patient=f"{min(number, 1)}" * 64)
    site.later(600.0)
    assert site.published == []
    assert site.told == [COUNTED[SEVERAL_PATIENTS]]


def test_an_exam_that_turns_out_to_be_of_several_patients_is_taken_back(site: Site) -> None:
    add_all(site)
    site.add("L", "CC", 0.9, patient="2" * 64)
    last = site.published[-1]
    assert (last["outcome"], last["score"], last["breasts"]) == ("rejected", None, [])
    assert last["reasons"] == ["several patients: its images have several patients' IDs"]
    assert last["supersedes"] == site.published[0]["result_id"]
    assert site.told == ["exams_benign", "exams_rejected", COUNTED[SEVERAL_PATIENTS]]


def test_a_model_without_calibration_of_breasts_publishes_no_exam(site: Site) -> None:
    for view in FOUR:
        site.add(*view, model=PLAIN)
    site.later(10_000.0)
    assert site.published == []
    assert site.told == []


def test_the_reference_of_a_sender_makes_an_exam_where_no_header_does(site: Site) -> None:
    for view in FOUR:
        site.add(*view, study=None, patient=None, sent_as="9" * 64)
    (exam,) = site.published
    assert exam["complete"]


def test_the_study_goes_before_the_reference_also_when_the_bytes_come_again(site: Site) -> None:
    image_id = site.add(*FOUR[0], sent_as="9" * 64)
    site.arrive(image_id, "9" * 64)
    for view in FOUR[1:]:
        site.add(*view, study=None, sent_as="9" * 64)
    site.later(600.0)
    assert sorted(len(one["views"]) for one in site.published) == [1, 3]


def test_known_bytes_under_another_reference_stay_in_the_exam_of_the_first(site: Site) -> None:
    image_id = site.add(*FOUR[0], study=None, sent_as="8" * 64)
    site.arrive(image_id, "9" * 64)
    for view in FOUR[1:]:
        site.add(*view, study=None, sent_as="9" * 64)
    site.later(600.0)
    assert sorted(len(one["views"]) for one in site.published) == [1, 3]


def test_a_reference_goes_before_a_folder_whichever_comes_first(site: Site) -> None:
    image_id = site.add(*FOUR[0], study=None, sent_as="8" * 32)
    site.arrive(image_id, "9" * 64)
    site.add(*FOUR[1], study=None, sent_as="9" * 64)
    site.later(600.0)
    (exam,) = site.published
    assert len(exam["views"]) == 2


def test_a_file_that_lies_in_every_folder_makes_no_exam_and_takes_no_look(site: Site) -> None:
    logo = site.add("L", "CC", None, study=None, patient=None, sent_as="7" * 32)
    for number in range(9):
        site.arrive(logo, f"{number}" * 32)
    assert site.ledger.exams.counts() == {"waiting": 0, "last_seq": 0}
    with site.ledger._database.reading() as db:
        assert db.execute("SELECT count(*) FROM exam_images").fetchone() == (0,)


def test_a_film_that_was_scored_before_exams_were_made_joins_none_but_by_a_retry(
    site: Site,
) -> None:
    image_id = site.add(*FOUR[0])
    with site.ledger._database.transaction() as db:
        db.execute("DELETE FROM exam_headers")
        db.execute("DELETE FROM exam_images")
    site.arrive(image_id, "9" * 64)
    site.later(600.0)
    assert site.published == []
    site.ledger.submissions.retry([image_id])
    site.conclude(image_id, FOUR[0], member_of(MODEL, study=STUDY), generation=1)
    add_all(site, FOUR[1:])
    assert [one["complete"] for one in site.published] == [True]


def test_women_are_told_apart_also_by_images_that_came_before_their_reference(site: Site) -> None:
    more: dict[str, Any] = {"study": None}
    image_id = site.add(*FOUR[0], **more)
    site.arrive(image_id, "9" * 64)
    site.add(*FOUR[1], patient="2" * 64, sent_as="9" * 64, **more)
    site.later(600.0)
    assert site.published == []
    assert site.told == [COUNTED[SEVERAL_PATIENTS]]


def test_after_a_change_of_the_key_a_film_that_is_tried_again_leaves_its_exam(site: Site) -> None:
    image_id = add_all(site)[0]
    site.ledger.submissions.retry([image_id])
    member = member_of(MODEL, study="6" * 64, patient="3" * 64)
    site.conclude(image_id, FOUR[0], member, generation=1)
    site.later(600.0)
    last = {one["exam_id"]: [v["image_id"] for v in one["views"]] for one in site.published}
    assert sorted(map(len, last.values())) == [1, 3]
    assert [image_id] in last.values()


def test_objects_that_get_no_score_take_no_exam_back_and_are_named_after_a_while(
    site: Site,
) -> None:
    add_all(site)
    for number in range(MOST_IMAGES + 9):
        site.add("L", "CC", None, tail=f"ultrasound {number}")
    assert len(site.published) == 1
    site.later(600.0)
    first, second = site.published
    assert second["breasts"] == first["breasts"]
    assert len(second["views"]) == 4 + MOST_IMAGES
    assert site.told == ["exams_benign", "exams_benign"]


def test_an_exam_that_was_too_large_stays_so_when_an_image_is_erased(site: Site) -> None:
    came = [site.add("L", "CC", 0.3, tail=str(number)) for number in range(MOST_IMAGES + 2)]
    site.ledger.erasure.erase(came[:2], lambda path: path.unlink(missing_ok=True))
    site.add("R", "CC", 0.3)
    site.later(600.0)
    assert site.published == []


def test_an_image_that_comes_while_the_exams_that_are_due_are_published_is_waited_for(
    site: Site,
) -> None:
    site.add(*FOUR[0])
    site.now += 600.0
    site.ledger.exams.publish_due(lambda: site.now, lambda: BOOT, lambda: bool(site.add(*FOUR[1])))
    assert site.published == []
    site.later(600.0)
    assert [len(one["views"]) for one in site.published] == [2]


def test_images_whose_exam_may_not_go_keep_no_others(site: Site) -> None:
    kept = []
    for number in range(3):
        study = f"{number}" * 64
        image_ids = [site.add(*view, study=study, tail=study) for view in FOUR]
        make_old(site, image_ids)
        kept.append(image_ids[0])
    others = [site.add(*FOUR[0], study=None, tail=f"other {number}") for number in range(4)]
    make_old(site, others)
    with site.ledger._database.transaction() as db:
        db.execute("DELETE FROM exam_outbox")
        held = (
            "INSERT INTO outbox SELECT results.seq, 'mqtt', 'refused' FROM results "
            "JOIN submissions ON submissions.id = submission WHERE image_id = ?"
        )
        db.executemany(held, [(one,) for one in kept])
        young = "UPDATE images SET archived_at = 1.5 WHERE image_id = ?"
        db.executemany(young, [(one,) for one in others])
    assert site.ledger.pruning.forget(before=2.0, limit=4) == 4
    assert all(site.ledger.images.find(one) is None for one in others)


def test_groups_that_hang_together_by_a_film_that_moved_go_or_stay_as_one(site: Site) -> None:
    first = add_all(site)
    second = [site.add(*view, study="6" * 64, tail="second") for view in FOUR]
    site.ledger.submissions.retry(first[:1])
    site.conclude(first[0], FOUR[0], member_of(MODEL, study="6" * 64), generation=1)
    site.later(600.0)
    other = site.add(*FOUR[0], study=None, tail="other")
    make_old(site, [*first, *second, other])
    with site.ledger._database.transaction() as db:
        db.execute("DELETE FROM exam_outbox")
        db.execute("UPDATE images SET kept = 1 WHERE image_id = ?", (second[3],))
        db.execute("UPDATE images SET archived_at = 1.5 WHERE image_id = ?", (other,))
    assert site.ledger.pruning.forget(before=2.0, limit=1) == 1
    assert site.ledger.images.find(other) is None
    make_old(site, [*first, *second])
    assert site.ledger.pruning.forget(before=2.0, limit=1) > 9
    assert site.published == []


def test_with_a_public_key_the_hash_is_the_exam_s_id_and_else_nobody_can_make_it(
    tmp_path: Path, site: Site
) -> None:
    add_all(site)
    assert site.published[0]["exam_id"] != STUDY
    rules = ExamRules(Maker(DEVICE), random_ids=False)
    other = Site(tmp_path / "other", rules)
    add_all(other)
    assert other.published[0]["exam_id"] == STUDY
    other.ledger.close()


def test_an_exam_that_cannot_be_made_takes_no_result_with_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("edge.daemon.wiring.exam_maker.assemble", fail)
    add_all(site)
    assert len(site.ledger.queries.results()) == 4
    assert site.published == []
    assert set(site.told) == {FAILED}
    monkeypatch.undo()
    monkeypatch.setattr("edge.storage.ledger.exam_rows.boot_id", lambda: BOOT)
    site.add("L", "CC", 0.9, tail="repeat")
    assert [one["seq"] for one in site.published] == [1]


def test_a_transaction_that_fails_gives_no_number_and_leaves_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for view in FOUR[:3]:
        site.add(*view)
    entered = site.ledger.images._exams.enter

    def cut(*args: Any) -> Any:  # noqa: ANN401
        entered(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(site.ledger.images._exams, "enter", cut)
    with pytest.raises(KeyboardInterrupt):
        site.add(*FOUR[3])
    monkeypatch.undo()
    assert site.published == []
    assert len(site.ledger.queries.results()) == 3
    assert site.ledger.exams.counts()["last_seq"] == 0


def test_undelivered_exams_wait_in_their_own_outbox_and_can_be_replayed(site: Site) -> None:
    add_all(site)
    outbox = site.ledger.exam_outbox
    (delivery,) = outbox.pending(["exam"])
    assert json.loads(delivery.payload) == site.published[0]
    outbox.hold(delivery, "too large")
    assert outbox.counts() == {"exam": {"waiting": 0, "held": 1}}
    assert outbox.held_numbers(["exam"]) == [delivery.seq]
    outbox.release(delivery.seq, ["exam"])
    outbox.delivered(delivery)
    assert outbox.counts() == {}
    assert outbox.replay(0, 0.0, 10) == (1, 1)
    assert outbox.pending(["exam"]) == [delivery]
    assert outbox.replay(1, 0.0, 10) == (0, 0)


def test_an_erased_image_takes_the_exam_s_results_along_and_leaves_a_revision(site: Site) -> None:
    image_id = add_all(site)[0]
    site.ledger.erasure.erase([image_id], lambda path: path.unlink(missing_ok=True))
    assert site.published == []
    assert site.ledger.exam_outbox.counts() == {}
    site.later(600.0)
    (exam,) = site.published
    assert (exam["revision"], exam["seq"], len(exam["views"])) == (2, 2, 3)
    assert image_id not in json.dumps(exam)


def test_an_erased_exam_leaves_nothing_and_publishes_nothing(site: Site) -> None:
    image_ids = add_all(site)
    (exam_id,) = {one["exam_id"] for one in site.published}
    assert site.ledger.exams.find(exam_id[:9]) == [exam_id]
    assert sorted(site.ledger.exams.images_of(exam_id)) == sorted(image_ids)
    site.ledger.erasure.erase(image_ids, lambda path: path.unlink(missing_ok=True))
    site.later(10_000.0)
    assert site.published == []
    assert site.ledger.exams.find(exam_id) == []


def test_no_byte_of_an_erased_exam_is_left_in_the_state_folder(site: Site) -> None:
    image_ids = add_all(site)
    result_ids = [one["result_id"] for one in site.published]
    site.ledger.erasure.erase(image_ids, lambda path: path.unlink(missing_ok=True))
    site.ledger.erasure.scrub()
    files = [path for path in site.folder.iterdir() if path.is_file()]
    traces = [trace.encode() for trace in (*image_ids, *result_ids)]
    assert len(files) > 1
    assert [path for path in files for one in traces if one in path.read_bytes()] == []


def test_an_exam_is_forgotten_whole_once_all_its_images_may_go_and_it_is_delivered(
    site: Site,
) -> None:
    image_ids = add_all(site)
    make_old(site, image_ids[:3])
    assert site.ledger.pruning.forget(before=2.0, limit=9) == 0
    make_old(site, image_ids)
    assert site.ledger.pruning.forget(before=2.0, limit=9) == 0  # the broker does not have it yet
    (delivery,) = site.ledger.exam_outbox.pending(["exam"])
    site.ledger.exam_outbox.delivered(delivery)
    assert site.ledger.pruning.forget(before=2.0, limit=1) == 5
    assert site.published == []
    assert all(site.ledger.images.find(one) is None for one in image_ids)


def test_exams_that_are_switched_off_keep_no_image(site: Site) -> None:
    image_id = site.add(*FOUR[0])
    make_old(site, [image_id])
    site.ledger.close()
    site.ledger = Ledger(site.folder, ["mqtt"], readdress)
    assert site.ledger.pruning.forget(before=2.0, limit=3) == 1


def test_exams_that_are_switched_off_keep_no_image_for_a_broker_that_refused_them(
    site: Site,
) -> None:
    image_ids = add_all(site)
    (delivery,) = site.ledger.exam_outbox.pending(["exam"])
    site.ledger.exam_outbox.hold(delivery, "not allowed")
    make_old(site, image_ids)
    assert site.ledger.pruning.forget(before=2.0, limit=9) == 0
    site.ledger.close()
    site.ledger = Ledger(site.folder, ["mqtt"], readdress)
    assert site.ledger.exam_outbox.counts() == {"exam": {"waiting": 0, "held": 1}}
    assert site.ledger.pruning.forget(before=2.0, limit=9) == 5
    assert site.ledger.exam_outbox.counts() == {}


def test_an_exam_of_too_many_images_is_counted_once_and_no_more_looked_at(site: Site) -> None:
    for number in range(MOST_IMAGES + 3):
        site.add("L", "CC", 0.3, tail=str(number))
    assert site.told == [COUNTED[TOO_MANY]]
    site.later(600.0)
    assert site.published == []


def test_an_exam_without_end_keeps_no_image_that_came_when_it_was_full(site: Site) -> None:
    came = [site.add("L", "CC", 0.3, tail=str(number)) for number in range(MOST_IMAGES + 3)]
    site.arrive(came[-1], "9" * 64)
    make_old(site, came[-2:])
    assert site.ledger.pruning.forget(before=2.0, limit=3) == 3


def test_an_exam_that_was_taken_back_is_taken_back_once(site: Site) -> None:
    add_all(site)
    for number in range(3):
        site.add("L", "CC", 0.9, patient="2" * 64, tail=str(number))
    assert [one["outcome"] for one in site.published] == ["benign", "rejected"]


def test_a_patient_s_id_that_is_mended_mends_the_exam(site: Site) -> None:
    site.add(*FOUR[0], patient="2" * 64, instance="7" * 64)
    add_all(site, FOUR[1:])
    assert site.published == []
    site.add(*FOUR[0], instance="7" * 64, tail="mended")
    assert site.published[-1]["complete"]


def test_an_image_whose_header_is_read_later_leaves_the_sender_s_exam(site: Site) -> None:
    image_id = site.add("L", "CC", None, study=None, patient=None, sent_as="9" * 64)
    site.ledger.submissions.retry([image_id])
    site.conclude(image_id, ("L", "CC", 0.31), member_of(MODEL, study=STUDY), generation=1)
    add_all(site, FOUR[1:])
    site.later(600.0)
    (exam,) = site.published
    assert exam["complete"]
    site.ledger.submissions.retry([image_id])
    site.conclude(image_id, (None, None, None), member_of(MODEL), generation=2)
    assert {one["exam_id"] for one in site.published} == {exam["exam_id"]}


def test_erasure_reaches_the_exam_that_an_image_has_left(site: Site) -> None:
    more: dict[str, Any] = {"study": None, "patient": None, "sent_as": "9" * 64}
    image_id = site.add(*FOUR[0], **more)
    site.later(600.0)
    site.ledger.submissions.retry([image_id])
    site.conclude(image_id, ("L", "CC", 0.4), member_of(MODEL, study=STUDY), generation=1)
    assert [one["outcome"] for one in site.published] == ["benign", "rejected"]
    site.ledger.erasure.erase([image_id], lambda path: path.unlink(missing_ok=True))
    assert image_id not in json.dumps(site.published)


def test_an_erased_late_image_gives_the_others_their_result_again(site: Site) -> None:
    site.add(*FOUR[0])
    site.later(600.0)
    late = site.add(*FOUR[1])
    site.ledger.erasure.erase([late], lambda path: path.unlink(missing_ok=True))
    site.later(600.0)
    (exam,) = site.published
    assert (exam["revision"], len(exam["views"])) == (2, 1)


def test_an_image_is_not_forgotten_while_its_exam_waits(site: Site) -> None:
    image_id = site.add(*FOUR[0])
    make_old(site, [image_id])
    assert site.ledger.pruning.forget(before=2.0, limit=3) == 0
    site.later(600.0)
    (delivery,) = site.ledger.exam_outbox.pending(["exam"])
    site.ledger.exam_outbox.delivered(delivery)
    assert site.ledger.pruning.forget(before=2.0, limit=3) == 2
