"""The bytes that are hashed are those that are scored and archived, whoever else writes them."""

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edge.daemon.intake import CLOSED
from edge.daemon.intake.candidates import SETTLED_AFTER
from edge.daemon.pipeline import second_look
from edge.daemon.pipeline.examination import Examination
from edge.daemon.pipeline.reception import Reception
from edge.daemon.workers.verdict import Verdict
from edge.domain import Outcome, Rejection, Result
from edge.errors import NOT_WHOLE, Reason, Unavailable
from edge.health import Cause
from edge.storage.known_looks import KnownLooks
from edge.storage.ledger import Ledger
from edge.storage.ledger.records import Conclusion, Image, Request
from edge.storage.ledger.states import State
from edge.storage.names import RENAMED, claim_name
from edge.storage.spool import Spool
from edge.system import files
from tests.support.pipeline import Line, folders_of, line_of, parts_of
from tests.support.pools import Pool, serving
from tests.support.verdicts import DECIDED

A, B = b"the film of one patient", b"the film of another patient"
SENDER = 4242
"""A user of no name that is not ours."""


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Reader(Pool):
    """A pool whose worker reads its file when it is given one."""

    read: list[bytes] = field(default_factory=list)

    def submit(self, path: Path, done: Callable[[Verdict], None]) -> None:
        self.read.append(path.read_bytes())
        super().submit(path, done)


@dataclass
class Desk:
    """A pipeline whose turns and workers the test drives."""

    folder: Path
    ledger: Ledger
    spool: Spool
    line: Line
    pool: Reader
    reception: Reception
    published: dict[str, bytes]
    """The bytes that were scored, by the id under which that was recorded."""

    def turn(self) -> None:
        self.line.dispatcher._pause_until = 0.0
        self.line.dispatcher._turn()

    def take(self, path: Path, *, settled: bool = True) -> None:
        self.reception.take_file(path, quiet=CLOSED if settled else SETTLED_AFTER)

    def drop(self, data: bytes, name: str = "film.dcm") -> Path:
        path = self.folder / "inbox" / name
        path.write_bytes(data)
        return path

    def answer(self, verdict: Verdict = DECIDED) -> None:
        self.pool.answer(verdict)
        self.turn()

    def all_examined(self) -> None:
        """Let the worker answer whatever it is given until nothing waits any more."""
        for _ in range(5):
            self.due()
            self.turn()
            while self.pool.asked:
                self.answer()

    def due(self) -> None:
        """Let the time pass for which images wait."""
        with self.ledger.images._database.transaction() as db:
            db.execute("UPDATE images SET not_before = 1 WHERE not_before > 0")

    def image(self, data: bytes) -> Image:
        found = self.ledger.images.find(sha(data))
        assert found is not None
        return found

    def archived(self) -> dict[str, bytes]:
        files = [*self.spool.done.iterdir(), *self.spool.failed.iterdir()]
        return {path.name: path.read_bytes() for path in files if path.suffix != ".json"}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    (tmp_path / "inbox").mkdir()
    ledger = Ledger(tmp_path / "state", ["mqtt"], lambda payload, _: payload)
    ledger.restore.finish()
    spool = Spool(tmp_path / "spool", tmp_path / "done", tmp_path / "failed")
    pool, published = Reader(), {}
    line = line_of(parts_of(ledger, spool, serving(pool)))

    def conclusion(examination: Examination, outcome: Outcome) -> Conclusion:
        image = examination.image
        published[image.image_id] = pool.read[-1] if pool.read else b""
        name = f"{image.image_id}-{image.generation}"
        payload = b'{"gate": {"reasons": ["%s"]}}' % getattr(outcome, "text", "").encode()
        scored = isinstance(outcome, Result)
        return Conclusion(image.image_id, name, "b", scored=scored, render=lambda _: payload)

    monkeypatch.setattr(line.recorder, "_conclusion", conclusion)
    made = Desk(
        tmp_path, ledger, spool, line, pool, line.reception(folders_of(tmp_path)), published
    )
    made.turn()
    yield made
    ledger.close()


def wait_for_a_tick() -> None:
    """Wait until the kernel gives the next write another time."""
    coarse = 5  # CLOCK_REALTIME_COARSE
    before = time.clock_gettime_ns(coarse)
    while time.clock_gettime_ns(coarse) == before:
        continue


def linked(desk: Desk) -> Path:
    """A film that its sender can still write through another name."""
    other = desk.folder / "elsewhere"
    other.write_bytes(A)
    (desk.folder / "inbox" / "film.dcm").hardlink_to(other)
    return other


def test_a_film_rewritten_through_a_hard_link_while_it_waits_is_never_scored_as_the_first(
    desk: Desk,
) -> None:
    other = linked(desk)
    desk.take(desk.folder / "inbox" / "film.dcm")
    other.write_bytes(B)
    desk.all_examined()
    assert desk.published == {sha(B): B}
    desk.take(desk.drop(A))  # an honest film A comes later
    desk.all_examined()
    assert desk.published == {sha(A): A, sha(B): B}


@pytest.mark.parametrize("back", [False, True], ids=["rewritten", "rewritten and put back"])
def test_a_film_rewritten_while_a_worker_has_it_is_examined_again(desk: Desk, back: bool) -> None:  # noqa: FBT001
    other = linked(desk)
    desk.take(desk.folder / "inbox" / "film.dcm")
    desk.turn()
    assert desk.pool.asked
    wait_for_a_tick()
    other.write_bytes(B)
    if back:
        other.write_bytes(A)
    desk.answer()
    assert desk.published == {}
    desk.all_examined()
    assert desk.published == ({sha(A): A} if back else {sha(B): B})


def test_a_film_rewritten_with_its_old_size_and_time_is_noticed(desk: Desk) -> None:
    other = linked(desk)
    times = other.stat()
    desk.take(desk.folder / "inbox" / "film.dcm")
    desk.turn()
    other.write_bytes(A[::-1])
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    desk.all_examined()
    assert desk.published == {sha(A[::-1]): A[::-1]}


def test_a_film_rewritten_before_it_is_archived_is_filed_under_its_own_hash(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = linked(desk)
    desk.take(desk.folder / "inbox" / "film.dcm")
    conclude = desk.ledger.images.conclude

    def late(conclusion: Conclusion) -> bytes:
        payload = conclude(conclusion)
        monkeypatch.undo()
        other.write_bytes(B)
        return payload

    monkeypatch.setattr(desk.ledger.images, "conclude", late)
    desk.turn()
    desk.pool.answer(DECIDED)
    desk.line.dispatcher._record_finished()
    assert not any(sha(A)[:16] in name for name in desk.archived())
    assert desk.image(A).state is State.ARCHIVED


def filed_under_its_own_hash(desk: Desk, data: bytes) -> bool:
    return [data] == [
        found for name, found in desk.archived().items() if sha(found)[:16] in name
    ] and len(desk.archived()) == 1


def test_a_film_rewritten_while_its_result_is_written_is_filed_under_its_own_hash(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, put = linked(desk), files.put
    desk.take(desk.folder / "inbox" / "film.dcm")
    desk.turn()

    def late(target: Path, chunks: Iterable[bytes]) -> None:
        put(target, chunks)
        other.write_bytes(B)

    with monkeypatch.context() as patched:
        patched.setattr(files, "put", late)
        desk.answer()
    desk.all_examined()
    assert filed_under_its_own_hash(desk, B)


def test_a_film_rewritten_after_it_was_moved_unrecorded_is_filed_under_its_own_hash(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a kill between the two."""
    other = linked(desk)
    desk.take(desk.folder / "inbox" / "film.dcm")
    desk.turn()

    def full(*_: Any) -> Path:  # noqa: ANN401
        msg = "ledger: database or disk is full"
        raise Unavailable(msg)

    with monkeypatch.context() as patched:
        patched.setattr(desk.ledger.images, "archived", full)
        desk.answer()
    assert desk.image(A).state is State.CONCLUDED
    other.write_bytes(B)
    desk.line.recorder._archiver._again_at = 0.0
    desk.all_examined()
    assert filed_under_its_own_hash(desk, B)


@pytest.mark.parametrize("settled", [True, False])
def test_a_film_of_another_user_is_ours_once_its_sender_is_done(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, *, settled: bool
) -> None:
    path = desk.drop(A)
    inode = path.stat().st_ino
    monkeypatch.setattr(os, "geteuid", lambda: SENDER)  # whoever wrote it, it was not us
    desk.take(path, settled=settled)
    desk.all_examined()
    (filed,) = (path for path in desk.spool.done.iterdir() if path.suffix != ".json")
    assert (filed.stat().st_ino == inode) is not settled
    assert filed.read_bytes() == A
    assert list(desk.spool.claimed.iterdir()) == []
    later = time.time() + second_look.OURS_AFTER_S + 1
    monkeypatch.setattr("edge.daemon.pipeline.second_look.time.time", lambda: later)
    desk.line.recovery._second_look._again_at = 0.0
    desk.turn()
    assert filed.stat().st_ino != inode
    assert filed.read_bytes() == A


@pytest.mark.parametrize("reason", sorted(NOT_WHOLE))
def test_half_a_film_that_was_not_seen_to_be_closed_waits_and_the_whole_one_is_scored(
    desk: Desk, reason: Reason
) -> None:
    writer = desk.drop(A[:9]).open("ab")
    desk.take(desk.folder / "inbox" / "film.dcm", settled=False)
    desk.turn()
    desk.answer(Rejection(reason, "ends early"))
    assert desk.published == {}
    writer.write(A[9:])
    writer.close()
    desk.all_examined()
    assert desk.published == {sha(A): A}


@pytest.mark.parametrize("verdict", [DECIDED, Rejection(Reason.TRUNCATED, "ends early")])
def test_a_film_whose_sender_goes_on_after_it_was_archived_is_taken_up_anew(
    desk: Desk, verdict: Verdict
) -> None:
    writer = desk.drop(A[:9]).open("ab")
    desk.take(desk.folder / "inbox" / "film.dcm", settled=False)
    for _ in range(2):
        desk.turn()
        desk.answer(verdict) if desk.pool.asked else None
        desk.due()
    assert len(desk.archived()) == 1
    writer.write(A[9:])
    writer.close()
    desk.line.recovery._second_look._again_at = 0.0
    desk.all_examined()
    assert desk.published[sha(A)] == A
    assert list(desk.archived().values()) == [A]


def test_a_write_that_the_kernel_dates_a_tick_before_the_archiving_is_found_after_a_start(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = linked(desk)
    desk.take(desk.folder / "inbox" / "film.dcm", settled=False)
    desk.all_examined()
    other.write_bytes(B)
    with desk.ledger.images._database.transaction() as db:
        dated = (other.stat().st_mtime + 0.004,)
        db.execute("UPDATE images SET archived_at = ? WHERE archived_at > 0", dated)
    monkeypatch.setattr(desk.spool, "_looks", KnownLooks())
    desk.line.recovery._second_look._again_at = 0.0
    desk.all_examined()
    assert filed_under_its_own_hash(desk, B)


def test_a_start_does_not_read_the_copies_again_that_we_made_just_before_the_archiving(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.take(desk.drop(A), settled=False)
    desk.all_examined()
    (filed,) = (path for path in desk.spool.done.iterdir() if path.suffix != ".json")
    found = filed.stat()
    os.utime(filed, ns=(found.st_atime_ns, found.st_ctime_ns - 40_000_000))  # copied, then renamed
    with desk.ledger.images._database.transaction() as db:
        dated = (filed.stat().st_ctime + 0.001,)
        db.execute("UPDATE images SET archived_at = ? WHERE archived_at > 0", dated)
    monkeypatch.setattr(desk.spool, "_looks", KnownLooks())
    read: list[Path] = []

    def is_image(path: Path, _: str) -> bool:
        read.append(path)
        return True

    monkeypatch.setattr(desk.spool, "is_image", is_image)
    desk.line.recovery._second_look._again_at = 0.0
    desk.turn()
    assert desk.line.recovery._second_look._again_at > 0.0
    assert read == []


def test_a_retry_of_a_file_in_failed_that_has_become_another_answers_for_the_other(
    desk: Desk,
) -> None:
    desk.take(desk.drop(A))
    desk.turn()
    desk.answer(Rejection(Reason.UNREADABLE, "damaged"))
    (filed,) = (path for path in desk.spool.failed.iterdir() if path.suffix != ".json")
    filed.write_bytes(B)
    desk.ledger.submissions.retry([sha(A)])
    desk.all_examined()
    assert desk.published[sha(B)] == B
    assert desk.ledger.images.find(sha(B)) is not None


def test_a_claim_that_the_inbox_does_not_take_back_is_recorded_once_there_is_room(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    exam = desk.folder / "inbox" / "exam"
    exam.mkdir()
    (exam / "film.dcm").write_bytes(A)

    def full(*_: Any) -> Path:  # noqa: ANN401
        exam.rmdir()  # its sender tidies up
        msg = "ledger: database or disk is full"
        raise Unavailable(msg)

    with monkeypatch.context() as patched:
        patched.setattr(desk.ledger.submissions, "accept", full)
        with pytest.raises(Unavailable):
            desk.take(exam / "film.dcm")
    assert desk.ledger.images.find(sha(A)) is None
    desk.all_examined()
    assert desk.published == {sha(A): A}
    assert desk.image(A).name == b"film.dcm"


def test_a_leftover_that_cannot_be_read_keeps_nobody_waiting(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    (desk.spool.claimed / "a folder").mkdir()
    for number, data in enumerate((A, B)):
        path = desk.spool.claimed / f"{RENAMED}{claim_name(b'%d' % number)}"
        path.write_bytes(data)
    rehash = desk.spool.rehash

    def fail_at_one(path: Path, name: bytes | None = None) -> Any:  # noqa: ANN401
        if path.exists() and path.read_bytes() == A:
            msg = "spool: Input/output error"
            raise Unavailable(msg)
        return rehash(path, name)

    monkeypatch.setattr(desk.spool, "rehash", fail_at_one)
    desk.line.recovery.done = False
    desk.turn()
    assert desk.line.recovery.done
    assert desk.ledger.images.find(sha(B)) is not None
    told = {cause: why for why, cause in desk.line.parts.health.reasons_and_causes()}
    assert "2 files" in told[Cause.ORPHANS_LEFT]


def test_a_file_dated_2400_is_copied_from_another_mount_like_any_other(
    desk: Desk, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("another_mount")
    path = desk.drop(A)
    os.utime(path, (13569465600, 13569465600))
    desk.take(path)
    assert not path.exists()
    assert desk.ledger.origins.all() == []


def test_missing_is_no_answer_to_bytes_that_come_again(desk: Desk) -> None:
    desk.take(desk.drop(A))
    desk.image(A).path.unlink()  # somebody tidied up in the spool
    desk.all_examined()
    assert desk.image(A).state is State.ARCHIVED
    assert desk.pool.read == []
    desk.take(desk.drop(A, "again.dcm"))
    desk.all_examined()
    assert desk.published == {sha(A): A}
    assert desk.image(A).generation == 1
    assert list(desk.archived().values()) == [A]
    desk.take(desk.drop(A, "thrice.dcm"))  # now there is an answer
    desk.all_examined()
    assert len(desk.pool.read) == 1


def test_missing_is_no_answer_to_a_request_for_bytes_that_are_there(desk: Desk) -> None:
    desk.take(desk.drop(A))
    desk.image(A).path.unlink()
    desk.all_examined()
    desk.reception.take_bytes(Request(A, "mammo/v1/replies/1", b"order"))
    desk.all_examined()
    assert desk.published == {sha(A): A}


def test_rejected_images_are_found_by_the_beginning_of_their_reason_and_by_time(
    desk: Desk,
) -> None:
    for data, reason in ((A, Reason.POISON), (B, Reason.COLOUR)):
        desk.take(desk.drop(data))
        desk.turn()
        desk.answer(Rejection(reason, "as it is"))
    rejected = desk.ledger.queries.rejected
    assert rejected(0.0) == [sha(A), sha(B)]
    assert rejected(0.0, "poison") == [sha(A)]
    assert rejected(time.time() + 60) == []
