"""Whatever fails, and whenever, a file that came is in exactly one safe place."""

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from edge.daemon.intake import CLOSED
from edge.daemon.intake.candidates import SETTLED_AFTER
from edge.daemon.pipeline.dispatcher import Dispatcher
from edge.daemon.pipeline.examination import Examination
from edge.daemon.pipeline.reception import Reception
from edge.daemon.workers.serving import Serving
from edge.daemon.workers.verdict import Died
from edge.domain import Rejection
from edge.errors import FileTooLargeError, Reason, Unavailable
from edge.health import Health
from edge.storage.archiver import Archiver
from edge.storage.ledger import Ledger
from edge.storage.ledger.records import MAX_ATTEMPTS, Conclusion, Request
from edge.storage.ledger.states import Move, State
from edge.storage.names import COPIED
from edge.storage.spool import Spool
from edge.system import files
from edge.system.files import NotReadyError
from tests.support.pipeline import AtOnce, Line, folders_of, line_of, parts_of

FILM = b"a precious film"
IMAGE_ID = hashlib.sha256(FILM).hexdigest()


@dataclass
class Desk:
    """A reception with a real ledger and a real spool; what it hands on is noted."""

    folder: Path
    ledger: Ledger
    spool: Spool
    reception: Reception
    line: Line
    refused: list[str]

    @property
    def dispatcher(self) -> Dispatcher:
        return self.line.dispatcher

    def drop(self, name: str = "film.dcm", data: bytes = FILM) -> Path:
        path = self.folder / "inbox" / name
        path.write_bytes(data)
        return path

    def everywhere(self) -> list[str]:
        """Where the film lies."""
        found = [
            path for path in self.folder.rglob("*") if path.is_file() and path.read_bytes() == FILM
        ]
        return sorted(path.parent.name for path in found)

    def restart(self) -> None:
        self.line.recovery.done = False
        self.line.recovery.run()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    (tmp_path / "inbox").mkdir()
    ledger = Ledger(tmp_path / "state", ["mqtt"], lambda payload, _: payload)
    ledger.restore.finish()  # not the ledger's first start
    spool = Spool(tmp_path / "spool", tmp_path / "done", tmp_path / "failed")
    workers = SimpleNamespace(
        in_work=0, overdue=lambda: False, job=SimpleNamespace(count=0), close=lambda: None
    )
    serving = cast(
        "Serving", SimpleNamespace(bundle=SimpleNamespace(bundle_id="b1"), workers=workers)
    )
    refused: list[str] = []
    line = line_of(parts_of(ledger, spool, serving, tasks=AtOnce()), refused=refused)
    reception = line.reception(folders_of(tmp_path))
    yield Desk(tmp_path, ledger, spool, reception, line, refused)
    ledger.close()


def failing(*_: object) -> Any:  # noqa: ANN401 - stands in for anything
    msg = "ledger: database or disk is full"
    raise Unavailable(msg)


def conclude(desk: Desk, bundle: str = "b1") -> None:
    desk.ledger.images.move(IMAGE_ID, Move.DISPATCH)
    desk.ledger.images.conclude(
        Conclusion(IMAGE_ID, f"result-{bundle}", bundle, scored=True, render=lambda _: b"{}")
    )


def archive(desk: Desk) -> None:
    image = desk.ledger.images.find(IMAGE_ID)
    assert image is not None
    desk.ledger.images.archived(
        IMAGE_ID, desk.spool.archive(image.path, IMAGE_ID, image.name, b"{}", scored=True)
    )


def sparse(path: Path) -> None:
    """Make a file that takes no room and minutes to hash."""
    with path.open("wb") as file:
        file.truncate(2**42)


def test_a_file_that_would_take_minutes_to_hash_stays_in_the_inbox(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "sha256", lambda *_: pytest.fail("it was hashed"))
    path = desk.folder / "inbox" / "film.dcm"
    sparse(path)
    with pytest.raises(FileTooLargeError, match="more than 4096 MiB"):
        desk.reception.take_file(path, quiet=CLOSED)
    assert path.exists()


def test_a_reference_to_a_file_that_would_take_minutes_to_hash_is_refused(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "sha256", lambda *_: pytest.fail("it was hashed"))
    sparse(desk.folder / "inbox" / "film.dcm")
    desk.reception.take_reference(
        Request(json.dumps({"name": "film.dcm", "sha256": IMAGE_ID}).encode())
    )
    (reference,) = desk.reception.references()
    desk.reception.settle_reference(reference, patient=True)
    assert "more than 4096 MiB" in desk.refused[0]


@pytest.mark.parametrize("gone", [False, True], ids=["moved", "removed by somebody"])
def test_the_same_bytes_that_come_while_the_file_is_on_its_way_to_the_archive_lie_in_one_place(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, *, gone: bool
) -> None:
    desk.reception.take_bytes(Request(FILM))
    conclude(desk)
    image = desk.ledger.images.find(IMAGE_ID)
    assert image is not None
    archive_at = desk.spool.archive

    def slowly(path: Path, *args: Any, **how: Any) -> Path:  # noqa: ANN401
        if gone:
            path.unlink(missing_ok=True)
        target = archive_at(path, *args, **how)
        monkeypatch.setattr(desk.spool, "archive", archive_at)
        desk.reception.take_bytes(Request(FILM))
        assert desk.everywhere() == (["claimed"] if gone else ["claimed", "done"])
        return target

    monkeypatch.setattr(desk.spool, "archive", slowly)
    assert Archiver(desk.ledger, desk.spool, Health()).archive(image, b"{}", scored=True)
    assert desk.everywhere() == ["done"]
    assert [path.name for path in desk.spool.claimed.iterdir()] == []


@pytest.mark.parametrize("prefix", ["f-", "c-", "m-"])
def test_without_the_ledger_that_knew_it_everything_in_the_spool_is_taken_up_under_its_name(
    tmp_path: Path, desk: Desk, prefix: str
) -> None:
    name = b"" if prefix == "m-" else b"-caf%E9.dcm"
    (desk.spool.claimed / f"{prefix}{uuid.uuid4()}{name.decode()}").write_bytes(FILM)
    desk.ledger.restore.give_up("its write-ahead log is missing")
    desk.restart()
    image = desk.ledger.images.find(IMAGE_ID)
    assert image is not None
    assert image.name == (b"request" if prefix == "m-" else b"caf\xe9.dcm")
    assert desk.everywhere() == ["claimed"]
    assert desk.ledger.restore.why_empty is None
    assert (tmp_path / "state" / "damaged").is_dir()


def test_a_ledger_that_fails_leaves_the_file_in_the_inbox(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk.ledger.submissions, "accept", failing)
    with pytest.raises(Unavailable):
        desk.reception.take_file(desk.drop(), quiet=CLOSED)
    assert desk.everywhere() == ["inbox"]


@pytest.mark.usefixtures("another_mount")
def test_a_ledger_that_fails_after_a_copy_was_recorded_keeps_the_copy(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk.ledger.origins, "removed", failing)
    desk.reception.take_file(desk.drop(), quiet=CLOSED)
    assert desk.everywhere() == ["claimed"]
    assert desk.ledger.queries.waiting() == 1


@pytest.mark.usefixtures("another_mount")
def test_a_ledger_that_cannot_be_read_after_a_copy_was_recorded_keeps_the_copy(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    origins = desk.ledger.origins
    removed = origins.removed

    def the_last_that_works(claim: str) -> None:
        removed(claim)
        monkeypatch.setattr(origins, "all", failing)

    monkeypatch.setattr(origins, "removed", the_last_that_works)
    desk.reception.take_file(desk.drop(), quiet=CLOSED)
    assert desk.everywhere() == ["claimed"]
    assert desk.ledger.queries.waiting() == 1


@pytest.mark.usefixtures("another_mount")
def test_a_copy_that_was_not_recorded_before_a_kill_is_taken_from_the_inbox_once(
    desk: Desk,
) -> None:
    path = desk.drop()
    with desk.spool.claiming(path, may_copy=True) as claim:
        assert claim.path.name.startswith(COPIED)  # killed here
    desk.restart()
    assert desk.everywhere() == ["inbox"]
    desk.reception.take_file(path, quiet=CLOSED)
    assert desk.everywhere() == ["claimed"]


def test_a_renamed_file_that_was_not_recorded_before_a_kill_is_taken_up(desk: Desk) -> None:
    with desk.spool.claiming(desk.drop(), may_copy=True):
        pass  # killed here
    desk.restart()
    image = desk.ledger.images.find(IMAGE_ID)
    assert image is not None
    assert (image.state, image.name, desk.everywhere()) == (
        State.RECEIVED,
        b"film.dcm",
        ["claimed"],
    )


def test_nothing_is_taken_before_the_leftovers_of_a_kill_are_sorted(desk: Desk) -> None:
    """Else a file that was copied a moment ago would be taken for one that was never recorded."""
    assert not desk.reception.has_room()
    desk.restart()
    assert desk.reception.has_room()


def test_images_that_wait_in_the_archive_keep_no_new_film_out(desk: Desk) -> None:
    """Its mount may be away, and they wait until it is back."""
    desk.restart()
    spool = desk.reception._settings.spool.model_copy(update={"max_waiting": 1})
    desk.reception._settings = desk.reception._settings.model_copy(update={"spool": spool})
    desk.reception.take_file(desk.drop(), quiet=CLOSED)
    assert not desk.reception.has_room()
    desk.ledger.images.relocate(IMAGE_ID, desk.spool.failed / "film.dcm")
    assert desk.reception.has_room()
    desk.reception.take_file(desk.drop("new.dcm", b"a new film"), quiet=CLOSED)
    assert not desk.reception.has_room()


def test_a_file_the_ledger_looks_for_elsewhere_is_never_removed_as_a_spare(desk: Desk) -> None:
    desk.reception.take_file(desk.drop(), quiet=CLOSED)
    conclude(desk)
    desk.ledger.images.archived(IMAGE_ID, desk.folder / "done" / "it-never-came-here")
    desk.restart()
    image = desk.ledger.images.find(IMAGE_ID)
    assert image is not None
    assert image.path.exists()
    assert image.state is State.RECEIVED


def test_a_spool_that_is_away_rejects_nothing(desk: Desk) -> None:
    desk.reception.take_file(desk.drop(), quiet=CLOSED)
    (desk.folder / "spool").rename(desk.folder / "away")
    image = desk.ledger.turns.next_waiting()
    assert image is not None
    with pytest.raises(Unavailable, match="spool: it is away"):
        desk.dispatcher._settle_unexamined(image)
    assert not desk.reception.has_room()
    assert desk.refused == []


def test_a_file_that_a_kill_left_in_the_archive_is_found_there(desk: Desk) -> None:
    desk.reception.take_file(desk.drop(), quiet=CLOSED)
    image = desk.ledger.turns.next_waiting()
    assert image is not None
    path = desk.spool.archive(
        image.path, IMAGE_ID, image.name, b"{}", scored=True
    )  # and killed before the ledger knew
    assert desk.dispatcher._settle_unexamined(image)
    found = desk.ledger.images.find(IMAGE_ID)
    assert found is not None
    assert found.path == path


def test_an_image_renewed_before_it_was_archived_is_examined_where_it_lies(desk: Desk) -> None:
    desk.reception.take_file(desk.drop(), quiet=CLOSED)
    conclude(desk, "b0")
    desk.reception.take_file(desk.drop("again.dcm"), quiet=CLOSED)  # under b1 now
    archive(desk)
    image = desk.ledger.images.find(IMAGE_ID)
    assert image is not None
    assert (image.state, image.path.parent.name) == (State.RECEIVED, "done")


def test_a_worker_that_a_stop_killed_is_no_attempt(desk: Desk) -> None:
    desk.reception.take_file(desk.drop(), quiet=CLOSED)
    desk.ledger.images.move(IMAGE_ID, Move.DISPATCH)
    image = desk.ledger.images.find(IMAGE_ID)
    assert image is not None
    desk.dispatcher.stop()
    died = Died("worker ended by SIGTERM")
    desk.dispatcher._given_back.add(Examination(image, desk.line.parts.model.serving, 0, 0, died))
    desk.dispatcher._record_finished()
    after = desk.ledger.images.find(IMAGE_ID)
    assert after is not None
    assert (after.state, after.attempts) == (State.RECEIVED, 0)


def ask(desk: Desk, name: str, sha256: str = IMAGE_ID, *, patient: bool = False) -> None:
    request = json.dumps({"name": name, "sha256": sha256}).encode()
    settle_reference(desk, request, patient=patient)


def settle_reference(desk: Desk, request: bytes, *, patient: bool = False) -> None:
    """Have a reference recorded and looked at."""
    desk.reception.take_reference(Request(request))
    for reference in desk.reception.references():
        desk.reception.settle_reference(reference, patient=patient)


@pytest.mark.parametrize("name", ["film.dcm/below", "n" * 300, "../state/lock", "nothing.dcm", "."])
def test_a_reference_to_no_file_is_refused_whatever_its_name(desk: Desk, name: str) -> None:
    desk.drop()
    ask(desk, name)
    assert desk.refused[0].endswith("no such file in the inbox")
    assert desk.everywhere() == ["inbox"]


@pytest.mark.parametrize(
    "request_", [b"{", b"\xff", b"[" * 200_000], ids=["cut off", "not UTF-8", "deep"]
)
def test_a_reference_that_is_no_json_is_refused_and_ends_nothing(
    desk: Desk, request_: bytes
) -> None:
    settle_reference(desk, request_)
    assert "the request is not JSON" in desk.refused[0]


def test_a_reference_to_a_file_still_being_written_waits_and_leaves_it(desk: Desk) -> None:
    path = desk.drop(data=FILM[:5])
    with pytest.raises(NotReadyError):
        ask(desk, "film.dcm", patient=True)
    path.write_bytes(FILM)
    ask(desk, "film.dcm", patient=True)
    assert desk.everywhere() == ["claimed"]


def test_a_referenced_file_goes_back_when_the_ledger_fails(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.drop()
    monkeypatch.setattr(desk.ledger.submissions, "accept", failing)
    with pytest.raises(Unavailable):
        ask(desk, "film.dcm")
    assert desk.everywhere() == ["inbox"]


def test_a_postponed_image_is_not_lost_to_a_clock_that_is_set_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.reception.take_file(desk.drop(), quiet=SETTLED_AFTER)
    desk.ledger.images.move(IMAGE_ID, Move.DISPATCH)
    assert desk.ledger.images.postpone(IMAGE_ID, 1_000_000.0)
    clock: Callable[[], float] = lambda: 1_000_000.0 - 86_400.0  # noqa: E731
    monkeypatch.setattr("edge.storage.ledger.images.time.time", clock)
    assert desk.ledger.turns.next_waiting() is not None


def twice_blamed(desk: Desk) -> None:
    for _ in range(MAX_ATTEMPTS):
        desk.ledger.images.move(IMAGE_ID, Move.DISPATCH)
        desk.ledger.images.move(IMAGE_ID, Move.BLAME)


def settle(desk: Desk) -> None:
    image = desk.ledger.turns.next_waiting()
    assert image is not None
    assert desk.dispatcher._settle_unexamined(image)


def test_what_changed_under_the_workers_that_died_of_it_is_no_poison_but_another_image(
    desk: Desk,
) -> None:
    desk.reception.take_file(desk.drop(), quiet=CLOSED)
    twice_blamed(desk)
    claimed = desk.ledger.turns.next_waiting()
    assert claimed is not None
    claimed.path.write_bytes(FILM[:5])  # its writer had it open still, and cut it
    settle(desk)
    desk.line.recovery.run()
    assert desk.ledger.images.find(IMAGE_ID) is None
    assert desk.ledger.images.find(hashlib.sha256(FILM[:5]).hexdigest()) is not None
    assert desk.refused == []


def test_poison_that_cannot_be_read_is_rejected_and_does_not_hold_up_the_others(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.reception.take_file(desk.drop(), quiet=CLOSED)
    twice_blamed(desk)
    monkeypatch.setattr(desk.spool, "rehash", failing)
    settle(desk)
    assert [reason.split(":")[1] for reason in desk.refused] == [" poison"]


def test_what_came_twice_as_the_same_bytes_is_never_forgotten(desk: Desk) -> None:
    desk.reception.take_file(desk.drop(), quiet=CLOSED)
    desk.reception.take_file(desk.drop("twin.dcm"), quiet=CLOSED)
    assert not desk.ledger.submissions.forget(IMAGE_ID)


def changed_while_it_was_postponed(desk: Desk) -> str:
    """What someone asked for meanwhile; returns the id of what the file is now."""
    desk.reception.take_file(desk.drop(), quiet=SETTLED_AFTER)
    desk.ledger.images.move(IMAGE_ID, Move.DISPATCH)
    assert desk.ledger.images.postpone(IMAGE_ID, 1.0)
    desk.reception.take_bytes(Request(FILM, "mammo/v1/replies/1"))
    waiting = desk.ledger.turns.next_waiting()
    assert waiting is not None
    waiting.path.write_bytes(FILM + b" in full")
    return hashlib.sha256(FILM + b" in full").hexdigest()


def test_a_postponed_file_that_changed_is_another_image_and_the_request_for_it_is_answered(
    desk: Desk,
) -> None:
    now = changed_while_it_was_postponed(desk)
    settle(desk)
    desk.line.recovery.run()
    assert desk.refused == [
        f"{IMAGE_ID}: missing: its file was changed before it could be examined"
    ]
    before, after = (desk.ledger.images.find(image_id) for image_id in (IMAGE_ID, now))
    assert before is not None
    assert after is not None
    assert (before.path.exists(), after.path.read_bytes(), after.name) == (
        False,
        FILM + b" in full",
        b"film.dcm",
    )


def test_a_kill_before_the_other_image_is_recorded_loses_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = changed_while_it_was_postponed(desk)
    with monkeypatch.context() as patch:
        patch.setattr(desk.ledger.submissions, "accept", failing)
        settle(desk)
    desk.restart()
    assert desk.ledger.images.find(now) is not None


def test_a_changed_file_is_recorded_however_often_the_ledger_fails_and_as_one_that_may_change_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.reception.take_file(desk.drop(), quiet=CLOSED)
    twice_blamed(desk)
    claimed = desk.ledger.turns.next_waiting()
    assert claimed is not None
    claimed.path.write_bytes(FILM[:5])
    with monkeypatch.context() as patch:
        patch.setattr(desk.ledger.submissions, "accept", failing)
        assert desk.dispatcher._settle_unexamined(claimed)
        for _ in range(2):
            with pytest.raises(Unavailable):
                desk.dispatcher._hooks.recover()
    desk.dispatcher._hooks.recover()
    changed = hashlib.sha256(FILM[:5]).hexdigest()
    assert desk.ledger.images.find(changed) is not None
    desk.ledger.images.move(changed, Move.DISPATCH)
    assert desk.ledger.images.postpone(changed, 1.0)


def test_what_was_answered_before_and_then_changed_and_killed_workers_is_poison(desk: Desk) -> None:
    desk.reception.take_file(desk.drop(), quiet=CLOSED)
    conclude(desk)
    desk.ledger.submissions.retry([IMAGE_ID])
    twice_blamed(desk)
    claimed = desk.ledger.turns.next_waiting()
    assert claimed is not None
    claimed.path.write_bytes(FILM[:5])
    settle(desk)
    assert [reason.split(":")[1] for reason in desk.refused] == [" poison"]


def test_an_image_that_was_answered_before_is_never_postponed(desk: Desk) -> None:
    desk.reception.take_file(desk.drop(), quiet=SETTLED_AFTER)
    conclude(desk)
    desk.ledger.submissions.retry([IMAGE_ID])
    desk.ledger.images.move(IMAGE_ID, Move.DISPATCH)
    assert not desk.ledger.images.postpone(IMAGE_ID, 1.0)


@pytest.mark.parametrize("retried", [False, True], ids=["another bundle serves", "a retry waits"])
def test_who_asks_for_known_bytes_that_are_examined_again_is_answered_on_its_own_topic(
    desk: Desk,
    retried: bool,  # noqa: FBT001 - pytest passes by name
) -> None:
    desk.reception.take_file(desk.drop(), quiet=CLOSED)
    conclude(desk, "b0")
    archive(desk)
    if retried:
        desk.ledger.submissions.retry([IMAGE_ID])
    desk.reception.take_bytes(Request(FILM, "mammo/v1/replies/1", b"order"))
    assert desk.ledger.outbox.pending(["reply"]) == []
    conclude(desk, "b1")
    (reply,) = desk.ledger.outbox.pending(["reply"])
    assert (reply.response_topic, reply.correlation) == ("mammo/v1/replies/1", b"order")


def test_a_rejection_says_its_reason_first() -> None:
    assert Rejection(Reason.MISSING, "gone").text == "missing: gone"
