"""
A ledger that was lost is filled from the archive: the same result ids, every result sent once more,
told loudly.
"""

import json
import logging
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.contract import result as message
from edge.contract.render import name_result, readdress
from edge.errors import Unavailable
from edge.health import Health
from edge.storage.ledger import Ledger
from edge.storage.ledger.database import FILE
from edge.storage.ledger.records import Conclusion, Submission
from edge.storage.ledger.states import State
from edge.storage.ledger.witness import NAME as WITNESS
from edge.storage.ledger.witness import last_noted
from edge.storage.rebuild import demand_spool, prove, rebuild
from edge.storage.spool import Spool
from edge.system import files

BUNDLE, PREPROCESS = "b" * 64, "c" * 64


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", tmp_path / "done", tmp_path / "failed")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "state", ["mqtt"], readdress)
    yield opened
    opened.close()


def result(image_id: str, seq: int, ledger_id: str = "", generation: int = 0) -> bytes:
    return json.dumps(
        {
            "schema": message.SCHEMA,
            "result_id": name_result(image_id, BUNDLE, PREPROCESS, generation),
            "image_id": image_id,
            "seq": seq,
            "ledger_id": ledger_id,
            "duplicate_of": None,
            "source": {"kind": "mqtt", "received_at": "2026-11-22T16:29:07.912116Z"},
            "model": {"bundle": BUNDLE, "preprocess": PREPROCESS},
        }
    ).encode()


def file_away(
    spool: Spool,
    number: int,
    name: bytes = b"film.dcm",
    *,
    scored: bool = True,
    payload: bytes | None = None,
) -> Path:
    image_id = f"{number:064x}"[::-1]
    claimed = spool.claimed / f"f-{number}"
    claimed.write_bytes(b"film")
    spool._looks.note(claimed, files.looks(claimed), alone=True)  # as if hashed to this id
    return spool.archive(
        claimed, image_id, name, payload or result(image_id, 40 + number), scored=scored
    )


def test_archived_images_are_known_again_and_their_results_go_out_once_more(
    spool: Spool, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    health = Health()
    paths = [
        file_away(spool, 1),
        file_away(spool, 2, os.fsencode("äöü\n.x.dcm"), scored=False),
        file_away(spool, 3, b"no-suffix"),
    ]
    rebuild(ledger, spool, health)
    known = ledger.images.in_state(State.ARCHIVED)
    assert {image.path for image in known} == set(paths)
    assert {image.name for image in known} == {
        b"film.dcm",
        os.fsencode("äöü\n.x.dcm"),
        b"no-suffix",
    }
    sent = [json.loads(delivery.payload) for delivery in ledger.outbox.pending(["mqtt"])]
    assert [item["seq"] for item in sent] == [1, 2, 3]
    assert {item["ledger_id"] for item in sent} == {ledger.restore.numbering()[0]}
    assert {item["result_id"] for item in sent} == {
        name_result(f"{n:064x}"[::-1], BUNDLE, PREPROCESS, 0) for n in (1, 2, 3)
    }
    assert "event=ledger_rebuilt" in caplog.text
    assert "a new one has 3 images of done and failed" in health.reasons[0]


def test_the_same_bytes_are_answered_without_another_examination(
    spool: Spool, ledger: Ledger, tmp_path: Path
) -> None:
    path = file_away(spool, 1)
    rebuild(ledger, spool, Health())
    spare = tmp_path / "f-9"
    image_id = f"{1:064x}"[::-1]
    assert (
        ledger.submissions.accept(Submission(image_id, spare, b"film.dcm", "folder", 1.0), BUNDLE)
        == path
    )
    assert json.loads(ledger.queries.results()[-1])["duplicate_of"] == 1


def test_a_retry_is_known_by_its_result_id_and_the_next_one_gets_another(
    spool: Spool, ledger: Ledger
) -> None:
    image_id = f"{1:064x}"[::-1]
    file_away(spool, 1, payload=result(image_id, 7, generation=2))
    rebuild(ledger, spool, Health())
    image = ledger.images.find(image_id)
    assert image is not None
    assert image.generation == 2


def test_a_rebuild_that_was_killed_goes_on_and_takes_nothing_twice(
    spool: Spool, ledger: Ledger
) -> None:
    file_away(spool, 1)
    rebuild(ledger, spool, Health())
    file_away(spool, 2)
    rebuild(ledger, spool, Health())
    assert [json.loads(payload)["seq"] for payload in ledger.queries.results()] == [1, 2]
    ledger.restore.finish()
    file_away(spool, 3)
    rebuild(ledger, spool, Health())
    assert len(ledger.queries.results()) == 2


@pytest.mark.parametrize(
    "payload",
    [
        b"{",
        b"[]",
        b'{"image_id": "x"}',
        result("0" * 64, 1),
        result("0" * 64, 1).replace(f'"{"0" * 64}"'.encode(), b"[]"),
    ],
    ids=["cut", "list", "other", "elsewhere", "id of another type"],
)
def test_what_is_not_provably_ours_is_left_alone(
    spool: Spool, ledger: Ledger, payload: bytes
) -> None:
    path = file_away(spool, 1, payload=payload)
    (spool.done / "notes.json").write_text("{}")
    rebuild(ledger, spool, Health())
    assert ledger.queries.results() == []
    assert path.exists()


@pytest.mark.parametrize("what", ["link to nothing", "link to itself", "folder", "pipe"])
def test_what_lies_in_the_archive_and_is_no_file_keeps_nobody_from_starting(
    spool: Spool, ledger: Ledger, what: str
) -> None:
    odd = spool.done / "film.dcm.json"
    match what:
        case "folder":
            odd.mkdir()
        case "pipe":
            os.mkfifo(odd)
        case _:
            odd.symlink_to(odd if what == "link to itself" else "nowhere")
    file_away(spool, 1)
    prove(ledger, spool)
    rebuild(ledger, spool, Health())
    assert len(ledger.queries.results()) == 1


def test_a_first_start_says_nothing(
    spool: Spool, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    health = Health()
    with caplog.at_level(logging.INFO):
        prove(ledger, spool)
        rebuild(ledger, spool, health)
    assert (caplog.text, health.reasons) == ("", [])


def test_a_ledger_that_has_forgotten_what_it_filed_is_set_aside(
    spool: Spool, ledger: Ledger, tmp_path: Path
) -> None:
    name, _ = ledger.restore.numbering()
    ledger.restore.finish()
    image_id = f"{1:064x}"[::-1]
    file_away(spool, 1, payload=result(image_id, 5, name))
    prove(ledger, spool)
    assert (
        ledger.restore.why_empty
        == "damaged: its last result is 0, but result 5 of it lies in the archive"
    )
    assert ledger.restore.numbering()[0] != name
    assert len(list((tmp_path / "state" / "damaged").glob(f"*/{FILE}"))) == 1
    rebuild(ledger, spool, Health())
    assert len(ledger.queries.results()) == 1


def test_a_spool_whose_disk_is_late_is_waited_for_while_images_lie_in_it(
    tmp_path: Path, ledger: Ledger
) -> None:
    root = tmp_path / "late"
    demand_spool(ledger, root)
    ledger.submissions.accept(
        Submission("a" * 64, root / "claimed" / "f-1", b"film.dcm", "folder", 0.0), BUNDLE
    )
    with pytest.raises(Unavailable, match="1 images wait in it and it is not there"):
        demand_spool(ledger, root)
    (root / "claimed").mkdir(parents=True)
    demand_spool(ledger, root)


def repeat(folder: Path, spool: Spool, times: int) -> list[tuple[str, int]]:
    """Open a ledger as a start does, have one image answered so often, and return the numbers."""
    ledger = Ledger(folder, ["mqtt"], readdress)
    prove(ledger, spool)
    ledger.restore.finish()
    ledger.restore.watch(spool.claimed.parent / WITNESS)
    given = []
    payload = result("i", 1, ledger.restore.numbering()[0])
    for _ in range(times):
        submission = Submission("i", folder / str(uuid.uuid4()), b"film", "mqtt", 1.0)
        ledger.submissions.accept(submission, "b")
        if ledger.queries.waiting():
            ledger.images.conclude(Conclusion("i", "r", "b", scored=True, render=lambda _: payload))
        given.append(ledger.restore.numbering())
    ledger.close()
    return given


@pytest.mark.parametrize("whole_folder", [False, True], ids=["ledger", "state folder"])
def test_no_number_is_given_twice_after_an_older_ledger_was_put_back_however_few_came_since(
    tmp_path: Path, spool: Spool, *, whole_folder: bool
) -> None:
    state, copy = tmp_path / "state", tmp_path / "copy"
    before = repeat(state, spool, 2)
    shutil.copytree(state, copy)
    since = repeat(state, spool, 1)  # a repetition: nothing of it lies in the archive
    if whole_folder:
        shutil.rmtree(state)
        shutil.copytree(copy, state)
    else:
        shutil.copy(copy / FILE, state / FILE)
    after = repeat(state, spool, 3)
    numbers = [*before, *since, *after]
    assert len(set(numbers)) == len(numbers) == 6
    assert after[0][0] != before[0][0]


def test_a_ledger_that_is_opened_again_as_it_was_left_keeps_its_name(
    tmp_path: Path, spool: Spool
) -> None:
    given = [pair for _ in range(3) for pair in repeat(tmp_path / "state", spool, 2)]
    assert [seq for _, seq in given] == [1, 2, 3, 4, 5, 6]
    assert last_noted(tmp_path / "spool" / WITNESS) == given[-1]


@pytest.mark.parametrize("left", [b"", b"x", b"\xff" * 80, b"name 5 00000000".ljust(80)])
def test_a_note_that_was_cut_short_or_changed_raises_no_alarm(tmp_path: Path, left: bytes) -> None:
    (tmp_path / WITNESS).write_bytes(left)
    assert last_noted(tmp_path / WITNESS) is None
