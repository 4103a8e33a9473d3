"""A real daemon, a real model and a real mosquitto make exams of studies."""

import json
import sqlite3
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from deploy.demo.brokers import Mosquitto, free_port
from deploy.demo.subscriber import Subscriber
from edge.contract.exam import ExamMessage
from edge.daemon.control.unix_socket import ask
from edge.models.breasts import View, breasts_of
from edge.models.manifest import MANIFEST, read_manifest
from tests.support.exams import FOUR, MARKER, PERSONAL, Study, bundle_with_breasts
from tests.support.rig import TOPICS, Rig, run_command, sha256, until
from tests.support.tools import need

WAITS = "[exam]\nquiet_s = 1.0\n"


@contextmanager
def running(
    folder: Path, mosquitto: Mosquitto, subscriber: Subscriber, more: str = ""
) -> Iterator[Rig]:
    """Run a daemon whose model calibrates breasts."""
    bundle = bundle_with_breasts(folder)
    config = f'[model]\nbundle = "{bundle}"\n{more}'
    with Rig(folder / "edge", mosquitto.port, subscriber, config) as rig:
        yield rig


def exams(rig: Rig, count: int) -> list[dict[str, Any]]:
    """Wait for a number of messages on `exam`, each of which is valid."""
    assert rig.subscriber is not None
    found = rig.subscriber.wait_under("exam", count)
    for message in found:
        ExamMessage.model_validate(message)
    return found


def revisions(rig: Rig) -> list[dict[str, Any]]:
    """List what came on `exam`, in the order of its numbers, without repetitions after a kill."""
    assert rig.subscriber is not None
    found = {one["seq"]: one for one in rig.subscriber.under("exam")}
    return [found[seq] for seq in sorted(found)]


def _views_of_last(rig: Rig) -> list[dict[str, Any]]:
    found = revisions(rig)
    views: list[dict[str, Any]] = found[-1]["views"] if found else []
    return views


def drop(rig: Rig, films: list[bytes]) -> list[str]:
    return [rig.drop(f"{MARKER}-{place}.dcm", film) for place, film in enumerate(films)]


def test_a_study_gives_four_results_and_one_exam_and_no_patient_s_tag_comes_out(
    tmp_path: Path, mosquitto: Mosquitto, subscriber: Subscriber
) -> None:
    key = tmp_path / "subject.key"
    key.write_text("0123456789abcdef0123")
    lines, port = tmp_path / "results.jsonl", free_port()
    more = f'[publish]\nsubject_key_file = "{key}"\njsonl = "{lines}"\n[metrics]\nport = {port}\n'
    with running(tmp_path, mosquitto, subscriber, more) as rig:
        image_ids = drop(rig, Study("one").four())
        (exam,) = exams(rig, 1)
        results = {one["image_id"]: one for one in rig.results(4)}
        assert set(results) == set(image_ids)
        assert (exam["complete"], exam["revision"], exam["seq"]) == (True, 1, 1)
        assert {one["image_id"]: one["result_id"] for one in exam["views"]} == {
            image_id: result["result_id"] for image_id, result in results.items()
        }
        assert exam["exam_id"] == results[image_ids[0]]["subject"]["exam"]
        _are_evaluate_s_numbers(exam, list(results.values()), tmp_path / "bundle-with-breasts")
        rig.await_introduction()
        until(rig.settled, "settled", rig.words)
        asked = [run_command(command, "--config", rig.config) for command in ("status", "results")]
        asked += _judged(rig, exam["exam_id"])
        asked += [run_command("results", "--exams", "--json", "--config", rig.config)]
        assert json.loads(asked[-1].stdout) == exam
        said = [told.topic.encode() + told.payload for told in subscriber.messages]
        said += [one.stdout.encode() + one.stderr.encode() for one in asked]
        said += [json.dumps(rig.status()).encode(), _metrics(port), rig.log.read_bytes()]
        said += [lines.read_bytes(), (rig.folder / "state/audit.jsonl").read_bytes()]
        said += [_ledger_without_names(rig)]
        assert b'mammo_edge_exams_total{outcome="' in said[-5]
        assert all(len(one) > 10 for one in said)
        forbidden = [MARKER[:16].encode(), Study("one").uid.encode()]
        assert [one[:200] for one in said for word in forbidden if word in one] == []


def _judged(rig: Rig, exam_id: str) -> list[CompletedProcess[str]]:
    """Give a verdict on an exam, which counts once and for no image."""
    table = rig.folder / "verdicts.csv"
    table.write_text(f"exam_id,truth,basis,score_seen\n{exam_id},malignant,biopsy,no\n")
    taken = run_command("feedback", "import", table, "--config", rig.config)
    assert taken.stdout == "1 verdicts taken, 0 were there as they are\n", taken.stderr
    asked = run_command("performance", "--json", "--config", rig.config)
    found = json.loads(asked.stdout)
    assert found["exams"]["malignant"] == {"exams": 1, "women": 1}
    assert found["malignant"] == {"images": 0, "women": 0}
    return [taken, asked]


def _are_evaluate_s_numbers(
    exam: dict[str, Any], results: list[dict[str, Any]], bundle: Path
) -> None:
    model = read_manifest((bundle / MANIFEST).read_bytes()).model_of(exam["model"]["file"])
    views = [
        View(
            one["score"]["raw"],
            one["domain"]["kind"],
            one["image"]["laterality"],
            one["image"]["view"],
        )
        for one in results
    ]
    expected = [(one.laterality, one.malignant) for one in breasts_of(views, model)]
    assert [(one["laterality"], one["malignant"]) for one in exam["breasts"]] == expected


def _metrics(port: int) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text: bytes = answer.read()
    return text


def _ledger_without_names(rig: Rig) -> bytes:
    """Read the ledger, but for the sender's file names, which the contract says are there."""
    with sqlite3.connect(f"file:{rig.folder}/state/ledger.sqlite3?mode=ro", uri=True) as db:
        said = "\n".join(
            line for line in db.iterdump() if not line.startswith('INSERT INTO "images"')
        )
    db.close()
    return said.encode()


def test_a_missing_view_is_waited_for_and_then_gives_a_second_revision(
    tmp_path: Path, mosquitto: Mosquitto, subscriber: Subscriber
) -> None:
    with running(tmp_path, mosquitto, subscriber, WAITS) as rig:
        *three, fourth = Study("two").four()
        drop(rig, three)
        until(lambda: len(_views_of_last(rig)) == 3, "an exam of three views", rig.words)
        rig.kill()
        rig.ready()
        rig.drop("fourth.dcm", fourth)
        until(lambda: len(_views_of_last(rig)) == 4, "an exam of four views", rig.words)
        *former, last = found = revisions(rig)  # on a slow machine a view may come late, too
        assert [one["complete"] for one in found] == [False] * len(former) + [True]
        assert [one["seq"] for one in found] == [one["revision"] for one in found]
        assert last["revision"] == len(found) > 1
        assert [one["supersedes"] for one in found] == [None, *(one["result_id"] for one in former)]
        assert {one["exam_id"] for one in found} == {last["exam_id"]}
        until(rig.settled, "settled", rig.words)
        heard = len(subscriber.under("exam"))
        answer = ask(rig.folder / "control.sock", "replay", since=0, topic="exam")
        assert answer == {"results": len(found), "last_seq": len(found)}
        assert exams(rig, heard + len(found))[heard:] == found


@pytest.fixture(scope="module")
def shared_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """One daemon for the tests below, which may tell its exams apart by their images."""
    need("mosquitto", "mosquitto")
    folder = tmp_path_factory.mktemp("exams")
    with (
        Mosquitto(folder / "mosquitto") as broker,
        Subscriber(broker.port) as subscriber,
        running(folder, broker, subscriber, "[exam]\nfolders = true\n") as rig,
    ):
        rig.await_introduction()
        yield rig


def exam_of(rig: Rig, films: list[bytes]) -> dict[str, Any]:
    """Wait for an exam with just these images."""
    assert rig.subscriber is not None
    wanted = sorted(map(sha256, films))

    def found() -> list[dict[str, Any]]:
        return [
            one for one in revisions(rig) if sorted(v["image_id"] for v in one["views"]) == wanted
        ]

    until(found, "an exam of these images", rig.words)
    return found()[-1]


def test_a_sender_s_reference_makes_an_exam_of_films_without_a_study(shared_rig: Rig) -> None:
    rig, subscriber, study = shared_rig, shared_rig.subscriber, Study("three")
    assert subscriber is not None
    films = [study.film(*view, StudyInstanceUID=None) for view in FOUR]
    for film in films[:3]:
        subscriber.publish(f"{TOPICS}/request/image", film, exam="order 17")
    (rig.inbox / "last.dcm.part").write_bytes(films[3])
    asked = {"name": "last.dcm.part", "sha256": sha256(films[3]), "exam": "order 17"}
    subscriber.publish(f"{TOPICS}/request/ref", json.dumps(asked).encode())
    assert exam_of(rig, films)["complete"]
    assert b"order 17" not in rig.log.read_bytes()


def test_a_reference_that_is_too_long_is_counted_and_costs_no_film_its_score(
    shared_rig: Rig,
) -> None:
    film = Study("seven").film(*FOUR[0], StudyInstanceUID=None)
    assert shared_rig.subscriber is not None
    shared_rig.subscriber.publish(f"{TOPICS}/request/image", film, exam="7" * 65)
    assert shared_rig.result_of(sha256(film))["score"]
    assert shared_rig.status()["counters"]["exam_references_refused"] == 1


def test_a_folder_of_its_own_makes_an_exam_if_the_configuration_says_so(shared_rig: Rig) -> None:
    for name in ("four", "five"):
        (shared_rig.inbox / name).mkdir()
        films = [Study(name).film(*view, StudyInstanceUID=None, PatientID=name) for view in FOUR]
        for number, film in enumerate(films):
            shared_rig.drop(f"{name}/{number}.dcm", film)
        assert exam_of(shared_rig, films)["complete"]


def test_two_patients_in_one_study_give_no_exam_and_a_reason(shared_rig: Rig) -> None:
    films = Study("six").four()
    films[3] = Study("six", patient="another").film(*FOUR[3])
    image_ids = drop(shared_rig, films)
    results = [shared_rig.result_of(image_id) for image_id in image_ids]
    assert all(one["score"] for one in results)
    status = shared_rig.status
    until(lambda: "exam_several_patients" in status()["reason_codes"], "told", shared_rig.words)
    assert status()["counters"]["exams_several_patients"] == 1
    named = [view["image_id"] for one in revisions(shared_rig) for view in one["views"]]
    assert set(named).isdisjoint(image_ids)


def test_exams_and_shared_requests_exclude_each_other(tmp_path: Path) -> None:
    config = tmp_path / "edge.toml"
    config.write_text('[intake]\nshared_group = "g"\n[exam]\nenabled = true\n')
    refused = run_command("check", "--config", config)
    assert refused.returncode == 78
    assert "each of which would see a part of an exam" in refused.stdout + refused.stderr


def test_a_study_is_planted_with_every_tag() -> None:
    assert len(PERSONAL) > 20
    assert MARKER[:16].encode() in Study("one").film("L", "CC")
