"""References wait in the ledger for their file, and hold up nobody."""

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from edge.daemon.intake.references import LOOP, ReferenceIntake
from edge.daemon.intake.suspects import Suspects, key_of
from edge.daemon.pipeline.admission import Sender
from edge.daemon.pipeline.reception import Reception
from edge.daemon.workers.serving import Serving
from edge.errors import Unavailable
from edge.health import Health
from edge.storage.claim import Claim
from edge.storage.ledger import Ledger
from edge.storage.ledger.records import Conclusion, Request
from edge.storage.ledger.states import Move
from edge.storage.presence import unavailable
from edge.storage.spool import Spool
from edge.system import files
from tests.support.pipeline import AtOnce, Line, folders_of, line_of, parts_of

FILM = b"a precious film"
IMAGE_ID = hashlib.sha256(FILM).hexdigest()


def unavailable_by(number: int) -> Unavailable:
    """Make the error that a file or disk has for an error of the system."""
    cause = OSError(number, os.strerror(number))
    error = unavailable(cause)
    error.__cause__ = cause
    return error


@dataclass
class Desk:
    """A reception with a real ledger; what it refuses is noted."""

    folder: Path
    ledger: Ledger
    reception: Reception
    line: Line
    refused: list[str]
    health: Health

    def intake(self) -> ReferenceIntake:
        return ReferenceIntake(self.reception, self.health, Suspects(self.folder / "state"))

    def ask(self, name: str, sha256: str = IMAGE_ID, *, again: bool = False) -> None:
        request = json.dumps({"name": name, "sha256": sha256}).encode()
        self.reception.take_reference(Request(request, "mammo/r", b"order", again))

    def look(self, intake: ReferenceIntake) -> None:
        intake.wake()
        intake.turn()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    (tmp_path / "inbox").mkdir()
    ledger = Ledger(tmp_path / "state", ["mqtt"], lambda payload, _: payload)
    ledger.restore.finish()
    spool = Spool(tmp_path / "spool", tmp_path / "done", tmp_path / "failed")
    serving = cast("Serving", SimpleNamespace(bundle=SimpleNamespace(bundle_id="b1")))
    refused: list[str] = []
    health = Health()
    parts = parts_of(ledger, spool, serving, tasks=AtOnce(), health=health)
    line = line_of(parts, refused=refused)
    line.recovery.run()
    reception = line.reception(folders_of(tmp_path))
    yield Desk(tmp_path, ledger, reception, line, refused, health)
    ledger.close()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("\ud83d.png", "the request's name is no text"),
        ("a/" * 1_000_000, "2000000 bytes and 1000001 levels"),
        ("x" * 5000, "5000 bytes and 1 levels"),
        ("a/" * 70 + "b", "141 bytes and 71 levels"),
        ("x" * 300, "no such file in the inbox"),
        ("circle/film.dcm", "no such file in the inbox"),
        ("film.dcm/below", "no such file in the inbox"),
        ("folder", "no such file in the inbox"),
        (".", "no such file in the inbox"),
    ],
    ids=["half a surrogate pair", "deep", "long", "too deep", *map(str, range(5))],
)
def test_a_name_that_no_file_can_have_is_refused_once_and_ends_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str, why: str
) -> None:
    monkeypatch.setattr("edge.daemon.intake.references.WAIT_S", 0.0)
    (desk.folder / "inbox" / "circle").symlink_to("circle")
    (desk.folder / "inbox" / "folder").mkdir()
    (desk.folder / "inbox" / "film.dcm").write_bytes(b"other")
    desk.ask(name)
    desk.look(desk.intake())
    assert len(desk.refused) == 1
    assert why in desk.refused[0]
    assert desk.ledger.references.count() == 0


def test_a_reference_waits_in_the_ledger_over_a_restart_until_its_file_is_there(
    desk: Desk,
) -> None:
    for number in range(6):
        desk.ask("never.dcm", f"{number:064x}")
    desk.ask("film.dcm")
    desk.look(desk.intake())
    assert desk.ledger.references.count() == 7
    (desk.folder / "inbox" / "film.dcm").write_bytes(FILM)
    desk.look(desk.intake())  # of the next daemon
    assert desk.ledger.references.count() == 6
    assert desk.ledger.images.find(IMAGE_ID) is not None
    assert desk.refused == []


@pytest.mark.parametrize(
    ("why", "answer"),
    [
        (errno.EPERM, "inbox: a folder does not let its files be removed"),
        (errno.EXDEV, "spool: no room for a file of 1 MiB"),
        (errno.EBUSY, None),
    ],
    ids=["locked", "no room", "busy"],
)
def test_a_reference_whose_file_cannot_be_taken_keeps_no_later_one_waiting(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, why: int, answer: str | None
) -> None:
    rename, held = Path.rename, desk.folder / "inbox" / "held.dcm"

    def refuse(self: Path, target: Path) -> Path:
        if self.name == held.name:
            raise OSError(why, os.strerror(why))
        return rename(self, target)

    held.write_bytes(bytes(2**20))
    (desk.folder / "inbox" / "film.dcm").write_bytes(FILM)
    monkeypatch.setattr(Path, "rename", refuse)
    monkeypatch.setattr(Spool, "free_mb", lambda _: 1000)
    monkeypatch.setattr(files, "free_bytes", lambda _: 2**20 - 1)
    desk.ask("held.dcm", hashlib.sha256(held.read_bytes()).hexdigest())
    desk.ask("film.dcm")
    intake = desk.intake()
    desk.look(intake)
    assert desk.ledger.images.find(IMAGE_ID) is not None
    assert (desk.ledger.references.count(), desk.refused) == (1, [])
    monkeypatch.setattr("edge.daemon.intake.references.WAIT_S", 0.0)
    desk.look(intake)
    assert [refused.split("missing: ")[1] for refused in desk.refused] == ([answer] * bool(answer))
    assert desk.ledger.references.count() == (answer is None)
    assert held.exists()


def refuse(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, names: set[bytes], error: Exception
) -> None:
    """Have the ledger, or the disk, refuse to record files of these names."""
    record = desk.line.admission.record

    def fail(claim: Claim, sender: Sender) -> None:
        if claim.name in names:
            raise error from error.__cause__
        record(claim, sender)

    monkeypatch.setattr(desk.line.admission, "record", fail)


def hashed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note the names of the files that are hashed in the inbox."""
    names: list[str] = []
    hash_in_place = desk.line.parts.spool.hash_in_place

    def note(path: Path) -> str | None:
        names.append(path.name)
        return hash_in_place(path)

    monkeypatch.setattr(desk.line.parts.spool, "hash_in_place", note)
    return names


def ask_for(desk: Desk, names: list[str]) -> None:
    for name in names:
        (desk.folder / "inbox" / name).write_bytes(name.encode())
        desk.ask(name, hashlib.sha256(name.encode()).hexdigest())


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("ledger: database or disk is full"),
        unavailable_by(errno.ENOSPC),
        unavailable_by(errno.EIO),
        unavailable_by(errno.EROFS),
    ],
    ids=["ledger", "full", "failing", "read-only"],
)
def test_references_read_one_file_a_look_while_nothing_can_be_recorded(
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    """Whatever is known of the others, each look begins behind the one at which the last ended."""
    names = [f"{number}.dcm" for number in range(6)]
    ask_for(desk, names)
    intake, read = desk.intake(), hashed(desk, monkeypatch)
    with monkeypatch.context() as patched:
        refuse(desk, patched, {name.encode() for name in names}, error)
        for _ in range(8):
            desk.look(intake)
    assert read == [*names, *names[:2]]
    assert len([one for one in caplog.records if "references_wait" in one.message]) == 8
    assert sorted(path.name for path in (desk.folder / "inbox").iterdir()) == names
    desk.look(intake)
    assert desk.ledger.references.count() == 0
    assert desk.refused == []


def test_a_reference_that_can_never_be_recorded_holds_up_no_other_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_for(desk, ["bad.dcm", "1.dcm", "2.dcm"])
    refuse(desk, monkeypatch, {b"bad.dcm"}, Unavailable("ledger: string or blob too big"))
    intake = desk.intake()
    for _ in range(2):
        desk.look(intake)
    assert desk.ledger.references.count() == 1
    desk.ask("film.dcm")
    (desk.folder / "inbox" / "film.dcm").write_bytes(FILM)
    desk.look(intake)
    assert desk.ledger.images.find(IMAGE_ID) is not None


def test_a_look_at_many_files_that_cannot_be_taken_warns_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ask_for(desk, ["1.dcm", "2.dcm", "3.dcm"])
    refuse(desk, monkeypatch, {b"1.dcm", b"2.dcm"}, unavailable_by(errno.EBUSY))
    desk.look(desk.intake())
    assert desk.ledger.references.count() == 2
    assert len([one for one in caplog.records if "references_wait" in one.message]) == 1


def test_a_reference_to_a_file_that_grows_without_end_is_refused_and_the_next_one_is_settled(
    desk: Desk,
) -> None:
    path, spool = desk.folder / "inbox" / "grows.dcm", desk.line.parts.spool
    path.write_bytes(bytes(2**20))
    (desk.folder / "inbox" / "film.dcm").write_bytes(FILM)

    def grow() -> None:
        assert path.stat().st_size < 2**24, "it was read without end"
        os.truncate(path, path.stat().st_size + 2**20)

    spool.most_mb, spool._beat = 4, grow
    desk.ask("grows.dcm")
    desk.ask("film.dcm")
    desk.look(desk.intake())
    assert [refused.split("missing: ")[1] for refused in desk.refused] == [
        "a file has more than 4 MiB"
    ]
    assert desk.ledger.images.find(IMAGE_ID) is not None


def test_a_reference_whose_look_raises_anything_is_refused_and_the_next_one_is_settled(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    (desk.folder / "inbox" / "film.dcm").write_bytes(FILM)
    settle = desk.reception.settle_reference

    def explode(reference: object, *, patient: bool, **_: object) -> None:
        monkeypatch.setattr(desk.reception, "settle_reference", settle)
        assert patient
        raise OverflowError(str(reference))

    monkeypatch.setattr(desk.reception, "settle_reference", explode)
    desk.ask("other.dcm", "0" * 64)
    desk.ask("film.dcm")
    desk.look(desk.intake())
    assert desk.refused[0].endswith("missing: OverflowError")
    assert desk.ledger.references.count() == 0
    assert desk.ledger.images.find(IMAGE_ID) is not None
    assert desk.health.counters["requests_given_up"] == 1


def test_a_reference_that_cannot_even_be_refused_is_dropped(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object, **__: object) -> None:
        raise KeyError

    monkeypatch.setattr(desk.reception, "settle_reference", explode)
    monkeypatch.setattr(desk.reception, "refuse_reference", explode)
    desk.ask("film.dcm")
    desk.look(desk.intake())
    assert desk.ledger.references.count() == 0


def test_a_reference_in_hand_when_a_daemon_ended_is_refused_unread_by_the_next_one(
    desk: Desk,
) -> None:
    (desk.folder / "inbox" / "film.dcm").write_bytes(FILM)
    desk.ask("film.dcm")
    (reference,) = desk.reception.references()
    key = key_of(LOOP, reference.request.payload, b"order")
    Suspects(desk.folder / "state")._note(LOOP, key)
    desk.look(desk.intake())
    assert "when the daemon ended" in desk.refused[0]
    assert desk.ledger.references.count() == 0


def test_a_reference_that_is_delivered_again_waits_once(desk: Desk) -> None:
    desk.ask("film.dcm")
    desk.ask("film.dcm", again=True)
    assert desk.ledger.references.count() == 1
    desk.ask("film.dcm")  # sent again, by its requester
    assert desk.ledger.references.count() == 2


def conclude(desk: Desk, bundle: str) -> None:
    desk.ledger.images.move(IMAGE_ID, Move.DISPATCH)
    desk.ledger.images.conclude(
        Conclusion(IMAGE_ID, f"result-{bundle}", bundle, scored=True, render=lambda _: b"{}")
    )


def results_of(desk: Desk) -> list[str]:
    with desk.ledger._database.reading() as db:
        return [row[0] for row in db.execute("SELECT result_id FROM results ORDER BY seq")]


@pytest.mark.parametrize("by_reference", [False, True])
def test_a_request_delivered_again_gets_the_answer_that_stands_whatever_model_serves_now(
    desk: Desk, *, by_reference: bool
) -> None:
    def send(*, again: bool) -> None:
        if by_reference:
            desk.ask("film.dcm", again=again)
            desk.look(desk.intake())
        else:
            desk.reception.take_bytes(Request(FILM, "mammo/r", b"order", again))

    (desk.folder / "inbox" / "film.dcm").write_bytes(FILM)
    send(again=False)
    send(again=True)  # still waits: its answer will come
    conclude(desk, "b0")  # then b1 was activated
    send(again=True)  # its answer is on its way
    assert results_of(desk) == ["result-b0"]
    (delivery,) = desk.ledger.outbox.pending(["reply"])
    desk.ledger.outbox.delivered(delivery)
    send(again=True)
    assert results_of(desk) == ["result-b0", "result-b0"]
    assert desk.ledger.queries.waiting() == 0
    send(again=False)  # sent again, by its requester
    assert desk.ledger.queries.waiting() == 1
