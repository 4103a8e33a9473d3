"""One image, or one file, that anything goes wrong with keeps none of the others waiting."""

import hashlib
import io
import math
import os
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from errno import (
    EACCES,
    EDQUOT,
    EIO,
    EMFILE,
    ENOMEM,
    ENOSPC,
    EROFS,
    ESTALE,
    ETIMEDOUT,
    errorcode,
)
from pathlib import Path
from typing import Any, cast

import pytest

from edge.daemon.pipeline import put_off, second_look
from edge.daemon.workers.serving import Serving
from edge.daemon.workers.verdict import Interrupted
from edge.errors import Reason, StateDamagedError, Unavailable
from edge.health import Cause
from edge.models.active import shipped_bundle
from edge.models.bundle import verify
from edge.storage import known_looks
from edge.storage.ledger import Ledger
from edge.storage.ledger.records import ALONE_AFTER, Image, Submission
from edge.storage.ledger.states import State
from edge.storage.names import archive_name, result_path
from edge.storage.presence import unavailable
from edge.storage.sizes import FileChangedError
from edge.storage.spool import Spool
from edge.system import files, moving
from tests.support.folders import deep
from tests.support.pipeline import Line, line_of, parts_of
from tests.support.pools import Pool

BAD, GOOD = b"bad", b"good"
MANY = 1002
"""Images that fail, more than were remembered once."""
MANY_AGAIN = MANY // 50
"""Those that are tried again meanwhile, one a minute, where a turn takes a second."""


def image_id(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Bench:
    """A pipeline with two images that wait, the bad one first."""

    line: Line
    pool: Pool
    bad: Path
    good: Path

    def turn(self) -> None:
        self.line.dispatcher._pause_until = 0.0
        self.line.dispatcher._turn()

    def all_due(self) -> None:
        """Have the time pass after which what was put off is tried again."""
        put = self.line.dispatcher._put_off
        put._resting.clear()
        for failed in put._failed.values():
            failed.until = 0.0

    def state(self, data: bytes) -> State:
        image = self.line.parts.ledger.images.find(image_id(data))
        assert image is not None
        return image.state

    @property
    def causes(self) -> set[Cause]:
        return {cause for _, cause in self.line.parts.health.reasons_and_causes()}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    done = deep(tmp_path / "done", 100)
    ledger = Ledger(tmp_path / "state", ["mqtt"], lambda payload, _: payload)
    spool, pool = Spool(tmp_path / "spool", done, tmp_path / "failed"), Pool()
    serving = Serving(verify(shipped_bundle()), cast("Any", pool))
    for number, data in enumerate((BAD, GOOD)):
        path = spool.claimed / f"m-{data.decode()}"
        path.write_bytes(data)
        submission = Submission(
            image_id(data), path, data * 60, "folder", float(number), settled=False
        )
        ledger.submissions.accept(submission, serving.bundle.bundle_id)
    line = line_of(parts_of(ledger, spool, serving))
    yield Bench(line, pool, spool.claimed / "m-bad", spool.claimed / "m-good")
    ledger.close()


def test_a_file_that_is_gone_and_whose_name_is_too_long_for_the_archive_is_missing(
    bench: Bench,
) -> None:
    place = bench.line.parts.spool.done / archive_name(BAD * 60, image_id(BAD))
    with pytest.raises(OSError, match="File name too long"):
        place.lstat()
    bench.bad.unlink()
    bench.turn()
    assert (bench.state(BAD), bench.state(GOOD)) == (State.ARCHIVED, State.EXAMINING)
    assert bench.causes == set()


@pytest.mark.parametrize("error", [ValueError(), unavailable(OSError(EIO, os.strerror(EIO)))])
def test_an_image_that_fails_before_a_worker_has_it_lets_the_others_go_first(
    bench: Bench, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    locate = bench.line.parts.spool.locate

    def fail(path: Path, *args: Any) -> Path | None:  # noqa: ANN401
        if path == bench.bad:
            raise error from error.__cause__ or OSError(EIO, os.strerror(EIO))
        return locate(path, *args)

    with monkeypatch.context() as patched:
        patched.setattr(bench.line.parts.spool, "locate", fail)
        for _ in range(2):
            bench.turn()
        assert (bench.state(BAD), bench.state(GOOD)) == (State.RECEIVED, State.EXAMINING)
        assert Cause.LOOP_FAILED in bench.causes
        assert put_off.PART in str(bench.line.parts.health.reasons)
    bench.all_due()
    bench.pool.job.count = 2
    bench.turn()
    assert bench.state(BAD) is State.EXAMINING
    assert bench.causes == set()


def test_an_image_that_no_worker_can_read_lets_the_others_go_first(bench: Bench) -> None:
    bench.bad.unlink()
    bench.bad.mkdir()
    for _ in range(put_off.INTERRUPTIONS):  # as a sender may do that has it open still
        bench.turn()
        assert bench.state(GOOD) is State.RECEIVED
        bench.pool.answer(Interrupted("the image file cannot be read: Permission denied"))
        bench.line.dispatcher._record_finished()
    bench.turn()
    assert (bench.state(BAD), bench.state(GOOD)) == (State.RECEIVED, State.EXAMINING)
    assert "cannot be read" in str(bench.line.parts.health.reasons)
    bench.all_due()
    bench.pool.job.count = 2
    bench.turn()
    assert bench.state(BAD) is State.EXAMINING
    assert bench.causes == set()


def test_an_image_of_which_the_disk_reads_the_beginning_alone_lets_the_others_go_first(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file system that maps nothing, as 9p and FUSE may; else the worker ends by SIGBUS."""

    class Half(io.FileIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell():
                raise OSError(EIO, os.strerror(EIO))
            return super().read(2 if size else 0) or b""

    opened = files.open_regular
    half = lambda path: Half(path) if path == bench.bad else opened(path)  # noqa: E731
    monkeypatch.setattr(files, "open_regular", half)
    for _ in range(put_off.INTERRUPTIONS):
        bench.turn()
        bench.pool.answer(Interrupted("the image file cannot be read: Input/output error"))
        bench.line.dispatcher._record_finished()
    bench.turn()
    assert (bench.state(BAD), bench.state(GOOD)) == (State.RECEIVED, State.EXAMINING)


@pytest.mark.parametrize("error", [ESTALE, ETIMEDOUT, EACCES])
def test_an_image_of_an_archive_that_is_away_keeps_none_of_the_spool_s_from_a_worker(
    bench: Bench, error: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits to be examined again, as `mammo-edge retry` has it, where it was archived."""
    parts = bench.line.parts
    bench.line.recorder.reject(image_id(BAD), Reason.POISON, "for a test")
    parts.ledger.submissions.retry([image_id(BAD)])
    with parts.ledger._database.transaction() as db:
        db.execute("UPDATE images SET received_at = 0 WHERE image_id = ?", (image_id(BAD),))
    lstat = Path.lstat

    def away(path: Path) -> os.stat_result:
        if parts.spool.failed in path.parents:
            raise OSError(error, os.strerror(error))
        return lstat(path)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "lstat", away)
        for _ in range(2):
            bench.turn()
        assert (bench.state(BAD), bench.state(GOOD)) == (State.RECEIVED, State.EXAMINING)
    bench.pool.job.count = 2
    bench.all_due()
    bench.turn()
    assert bench.state(BAD) is State.EXAMINING
    assert bench.causes == set()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds by which images are put off, which a test moves on."""
    now = [time.monotonic()]
    monkeypatch.setattr("edge.daemon.pipeline.put_off.time.monotonic", lambda: now[0])
    return now


def waiting(bench: Bench, folder: Path, number: int, first: int = 0) -> list[Path]:
    """Have images wait before all others whose files would lie in a folder."""
    found = range(first, first + number)
    rows = [(f"{one:064x}", os.fsencode(folder / f"{one}"), one - 10_000) for one in found]
    with bench.line.parts.ledger._database.transaction() as db:
        db.executemany(
            "INSERT INTO images (image_id, state, path, name, received_at) "
            "VALUES (?, 'received', ?, x'78', ?)",
            rows,
        )
        db.executemany(
            "INSERT INTO submissions (image_id, source, received_at, settled) "
            "VALUES (?, 'folder', 0, 1)",
            [row[:1] for row in rows],
        )
    return [folder / f"{one}" for one in found]


def retried(bench: Bench, images: list[bytes]) -> list[Path]:
    """Archive images in `failed`, and have them wait before all others, as `retry` does."""
    parts = bench.line.parts
    for data in images:
        path = parts.spool.claimed / f"m-{data.decode()}"
        path.write_bytes(data)
        submission = Submission(image_id(data), path, b"film.dcm", "folder", -1.0, settled=False)
        parts.ledger.submissions.accept(submission, parts.model.serving.bundle.bundle_id)
        bench.line.recorder.reject(image_id(data), Reason.POISON, "for a test")
    parts.ledger.submissions.retry([image_id(data) for data in images])
    with parts.ledger._database.transaction() as db:
        of_each = [(number - 9, image_id(data)) for number, data in enumerate(images)]
        db.executemany("UPDATE images SET received_at = ? WHERE image_id = ?", of_each)
    return [parts.spool.failed / archive_name(b"film.dcm", image_id(data)) for data in images]


def test_however_many_images_wait_in_an_archive_that_is_away_the_spool_s_are_given_out_at_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `mammo-edge retry --all` has them wait."""
    parts, old = bench.line.parts, [b"old", b"older", b"oldest"]
    retried(bench, old)
    clock, lstat = [time.monotonic()], Path.lstat

    def away(path: Path) -> os.stat_result:
        if parts.spool.failed in path.parents:
            raise OSError(ESTALE, os.strerror(ESTALE))
        return lstat(path)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "lstat", away)
        patched.setattr("edge.daemon.pipeline.put_off.time.monotonic", lambda: clock[0])
        for number, data in enumerate((BAD, GOOD)):
            bench.pool.job.count = 1 + number
            bench.turn()
            assert bench.state(data) is State.EXAMINING
            assert bench.causes == {Cause.LOOP_FAILED}
        assert parts.health.counters["put_off"] == 1
        bench.pool.job.count = 3
        for _ in old:
            clock[0] += put_off.PUT_OFF_S
            bench.turn()
        assert parts.health.counters["put_off"] == 4
    clock[0] += put_off.PUT_OFF_S
    monkeypatch.setattr("edge.daemon.pipeline.put_off.time.monotonic", lambda: clock[0])
    bench.pool.job.count = 5
    bench.turn()
    assert [bench.state(data) for data in old] == [State.EXAMINING] * 3
    assert bench.causes == set()


@pytest.mark.parametrize(
    "error",
    [FileChangedError(), *(OSError(one, os.strerror(one)) for one in (EIO, ENOSPC, EDQUOT, EROFS))],
    ids=lambda error: errorcode[error.errno],
)
def test_files_of_the_archive_that_fail_alone_put_off_no_other_one_there(
    bench: Bench, error: OSError, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has changed in the archive, out of which it cannot be taken back."""
    old = [b"one", b"two", b"three", b"four", b"five", b"sound"]
    for path in retried(bench, old)[:5]:
        path.write_bytes(b"other bytes: " + path.read_bytes())

    def fail(*_: Any) -> None:  # noqa: ANN401
        raise error

    monkeypatch.setattr(moving, "move", fail)
    bench.pool.job.count = 3
    for _ in old:
        bench.turn()
        clock[0] += put_off.REST_S
    assert bench.state(b"sound") is State.EXAMINING
    assert bench.line.parts.health.counters["put_off"] == 5


def test_an_archive_into_which_nobody_can_look_puts_off_all_its_images_whatever_the_error(
    bench: Bench,
) -> None:
    """A link to itself stands for a folder that is shut, which it is to no test that is root's."""
    retried(bench, [b"one", b"two"])
    failed = bench.line.parts.spool.failed
    failed.rename(failed.with_name("elsewhere"))
    failed.symlink_to(failed)
    bench.turn()
    assert bench.state(BAD) is State.EXAMINING
    assert bench.line.parts.health.counters["put_off"] == 1
    assert bench.causes == {Cause.LOOP_FAILED}


def test_an_image_that_was_put_off_and_needs_no_worker_in_the_end_is_put_off_no_more(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:  # noqa: ANN401
        raise ValueError

    with monkeypatch.context() as patched:
        patched.setattr(bench.line.parts.spool, "locate", fail)
        bench.turn()
    put = bench.line.dispatcher._put_off
    assert list(put._failed) == [image_id(BAD)]
    bench.bad.unlink()
    bench.pool.job.count = 2
    bench.all_due()
    bench.turn()
    assert (bench.state(BAD), len(put)) == (State.ARCHIVED, 0)
    assert bench.causes == set()


def test_images_that_fail_whenever_they_are_tried_come_after_all_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With sixty of them, each of which costs a second, the minute of the first is always over."""
    locate = bench.line.parts.spool.locate

    def fail(path: Path, *args: Any) -> Path | None:  # noqa: ANN401
        if path == bench.bad:
            raise ValueError
        return locate(path, *args)

    monkeypatch.setattr(put_off, "PUT_OFF_S", 0.0)
    with monkeypatch.context() as patched:
        patched.setattr(bench.line.parts.spool, "locate", fail)
        for _ in range(3):
            bench.turn()
        assert (bench.state(BAD), bench.state(GOOD)) == (State.RECEIVED, State.EXAMINING)
        bench.pool.job.count = 2
        for _ in range(2):
            bench.turn()
        assert bench.line.parts.health.counters["put_off"] >= 2
    bench.turn()
    assert bench.state(BAD) is State.EXAMINING
    assert bench.causes == set()


def test_workers_that_cannot_work_are_no_fault_of_the_image_that_they_give_back(
    bench: Bench,
) -> None:
    for _ in range(2 * put_off.INTERRUPTIONS):
        bench.turn()
        bench.pool.answer(Interrupted("its model could not be loaded"))
        bench.line.dispatcher._record_finished()
    bench.turn()
    assert (bench.state(BAD), bench.state(GOOD)) == (State.EXAMINING, State.RECEIVED)
    assert bench.line.parts.health.counters["put_off"] == 0


def test_an_image_for_which_no_worker_could_be_begun_waits_for_the_next_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = bench.pool.submit

    def fail(path: Path, done: Any) -> None:  # noqa: ANN401
        submit(path, done)
        raise OSError(EMFILE, os.strerror(EMFILE))

    with monkeypatch.context() as patched:
        patched.setattr(bench.pool, "submit", fail)
        bench.turn()
    assert bench.state(BAD) is State.EXAMINING
    bench.pool.answer(Interrupted("pool stopped"))
    bench.line.dispatcher._record_finished()
    assert bench.state(BAD) is State.RECEIVED


def test_an_image_that_is_interrupted_now_and_then_keeps_its_place(bench: Bench) -> None:
    put = bench.line.dispatcher._put_off
    for image in bench.line.parts.ledger.images.in_state(State.RECEIVED):
        for _ in range(put_off.INTERRUPTIONS - 1):
            put.interrupted(image, "pool stopped")
        put.had_its_turn(image)
        put.interrupted(image, "pool stopped")
    assert len(put) == 0


def test_what_is_away_for_all_puts_off_no_image(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        msg = "ledger: database or disk is full"
        raise Unavailable(msg)

    with monkeypatch.context() as patched:
        patched.setattr(bench.line.parts.ledger.images, "move", fail)
        bench.turn()
        assert bench.causes == {Cause.STORAGE_UNAVAILABLE}
    bench.turn()
    assert bench.state(BAD) is State.EXAMINING
    assert bench.causes == set()


def test_a_changed_file_that_is_gone_before_it_is_recorded_anew_stops_nobody(
    bench: Bench,
) -> None:
    bench.bad.write_bytes(b"more of it")
    bench.turn()
    (path, _), *_ = bench.line.parts.spool.stranded
    path.unlink()
    bench.turn()
    assert bench.state(GOOD) is State.EXAMINING
    assert bench.causes == set()


def test_a_changed_file_is_recorded_even_if_what_it_was_cannot_be_settled_at_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        msg = "ledger: database or disk is full"
        raise Unavailable(msg)

    bench.turn()  # recovers
    bench.pool.job.count = 0
    bench.bad.write_bytes(b"more of it")
    with monkeypatch.context() as patched:
        patched.setattr(bench.line.parts.ledger.submissions, "forget", lambda _: False)
        patched.setattr(bench.line.dispatcher._changed, "_reject", fail)
        image = bench.line.parts.ledger.images.find(image_id(BAD))
        assert image is not None
        with pytest.raises(Unavailable):
            bench.line.dispatcher._changed.take_up(image)
    bench.turn()
    assert bench.state(b"more of it") is State.RECEIVED


def test_an_orphan_that_raises_anything_is_left_and_the_others_are_taken_up(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = bench.line.admission.record

    def fail(claim: Any, sender: Any) -> None:  # noqa: ANN401
        if claim.path.name.endswith("-1"):
            raise KeyError
        record(claim, sender)

    for number in (1, 2):
        (bench.bad.parent / f"f-orphan-{number}").write_bytes(b"orphan %d" % number)
    monkeypatch.setattr(bench.line.admission, "record", fail)
    bench.turn()
    assert bench.state(b"orphan 2") is State.RECEIVED
    assert bench.causes == {Cause.ORPHANS_LEFT}
    # The ledger is new: until all is sorted, what was left is no spare copy at the next start.
    assert bench.line.parts.ledger.restore.why_empty is not None
    monkeypatch.setattr(bench.line.admission, "record", record)
    bench.line.recovery._again_at = 0.0
    bench.turn()
    assert bench.state(b"orphan 1") is State.RECEIVED
    assert bench.causes == set()
    assert bench.line.parts.ledger.restore.why_empty is None


@pytest.mark.parametrize("error", [EMFILE, EIO, ENOMEM, EACCES])
def test_a_changed_file_that_cannot_be_hashed_now_is_recorded_once_it_can(
    bench: Bench, error: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = files.open_regular

    def fail(path: Path, **how: bool) -> Any:  # noqa: ANN401
        if path == bench.bad:
            raise OSError(error, os.strerror(error))
        return opened(path, **how)

    bench.bad.write_bytes(b"more of it")
    bench.turn()
    assert bench.line.parts.spool.stranded
    with monkeypatch.context() as patched:
        patched.setattr(files, "open_regular", fail)
        for _ in range(2):
            bench.line.recovery._again_at = 0.0
            bench.turn()
            assert bench.causes == {Cause.ORPHANS_LEFT}
            assert "1 files" in str(bench.line.parts.health.reasons)
        bench.line.recovery._again_at = math.inf
    bench.turn()  # the minute is not over
    assert bench.line.parts.ledger.images.find(image_id(b"more of it")) is None
    bench.line.recovery._again_at = 0.0
    bench.turn()
    assert bench.state(b"more of it") is State.RECEIVED
    assert bench.causes == set()


def test_a_leftover_that_a_person_removed_is_no_trouble_any_more(bench: Bench) -> None:
    (bench.bad.parent / "f-a folder").mkdir()
    bench.turn()
    assert bench.causes == {Cause.ORPHANS_LEFT}
    (bench.bad.parent / "f-a folder").rmdir()
    bench.line.recovery._again_at = 0.0
    bench.turn()
    assert bench.causes == set()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away: run as root")
def test_an_archived_file_that_cannot_be_copied_keeps_no_other_from_becoming_ours(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(second_look, "OURS_AFTER_S", -1.0)
    monkeypatch.setattr(known_looks, "TICK_NS", 0)
    failed, places = bench.line.parts.spool.failed, []
    for data in (BAD, GOOD):
        bench.line.recorder.reject(image_id(data), Reason.POISON, "for a test")
        places.append(failed / archive_name(data * 60, image_id(data)))
        os.chown(places[-1], 61_002, 61_002)
    result_path(places[0]).unlink()
    result_path(places[0]).mkdir()  # in the place of its receipt
    for _ in range(3):  # recovers, hashes again, copies
        bench.line.recovery._second_look._again_at = 0.0
        bench.turn()
    assert [place.lstat().st_uid for place in places] == [61_002, 0]
    assert bench.causes == {Cause.LOOP_FAILED}
    result_path(places[0]).rmdir()
    bench.line.recovery._second_look._again_at = 0.0
    bench.turn()
    assert [place.lstat().st_uid for place in places] == [0, 0]
    assert bench.causes == set()


def fail_at(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: Exception, bad: Collection[Path]
) -> None:
    """Have each try to give one of these files to a worker fail."""
    locate = bench.line.parts.spool.locate

    def fail(path: Path, *args: Any) -> Path | None:  # noqa: ANN401
        if path in bad:
            raise error from error.__cause__
        return locate(path, *args)

    monkeypatch.setattr(bench.line.parts.spool, "locate", fail)


def unreadable() -> Unavailable:
    error = unavailable(OSError(EIO, os.strerror(EIO)))
    error.__cause__ = OSError(EIO, os.strerror(EIO))
    return error


@pytest.mark.parametrize("error", [ValueError(), unreadable()], ids=["unforeseen", "EIO"])
def test_archived_images_that_fail_alone_never_rest_the_loop_for_those_of_the_spool(
    bench: Bench, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at(bench, monkeypatch, error, retried(bench, [b"one", b"two", b"three", b"four"]))
    bench.turn()
    assert bench.state(BAD) is State.EXAMINING
    assert bench.line.dispatcher._pause_until == 0.0
    assert bench.causes == {Cause.LOOP_FAILED}


def test_archived_images_that_fail_alone_are_tried_one_a_second(
    bench: Bench, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the archive no more is asked meanwhile, be the loop woken as often as it likes."""
    old = [b"one", b"two", b"sound"]
    fail_at(bench, monkeypatch, unreadable(), retried(bench, old)[:2])
    bench.pool.job.count = 9
    tried = []
    for _ in range(4):
        for _ in range(3):
            bench.turn()
        tried.append(bench.line.parts.health.counters["put_off"])
        clock[0] += put_off.REST_S
    assert tried == [1, 2, 2, 2]
    assert bench.state(b"sound") is State.EXAMINING


def test_however_many_archived_images_fail_alone_a_sound_one_behind_them_has_its_turn(
    bench: Bench, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = bench.line.parts.spool.failed
    bad = waiting(bench, failed, MANY)
    (failed / "sound").write_bytes(b"sound")
    waiting(bench, failed, 1, first=MANY)
    fail_at(bench, monkeypatch, unreadable(), bad)
    bench.pool.job.count = 3
    for _ in range(MANY + MANY_AGAIN):
        bench.turn()
        clock[0] += put_off.REST_S
    image = bench.line.parts.ledger.images.find(f"{MANY:064x}")
    assert image is None or image.state is not State.RECEIVED


def test_however_many_films_of_the_spool_fail_alone_a_new_one_is_given_out(
    bench: Bench, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = waiting(bench, bench.line.parts.spool.claimed, MANY)
    fail_at(bench, monkeypatch, unreadable(), bad)
    for _ in range(MANY + MANY_AGAIN):
        bench.turn()
        clock[0] += put_off.REST_S
    assert bench.state(BAD) is State.EXAMINING


def test_what_was_put_off_is_tried_in_the_order_in_which_it_failed(
    bench: Bench, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed, tried = bench.line.parts.spool.claimed, []
    bad = waiting(bench, claimed, 3)
    fail_at(bench, monkeypatch, unreadable(), bad)
    put, add = bench.line.dispatcher._put_off, bench.line.dispatcher._put_off.add

    def note(image: Any, *args: Any, **named: Any) -> bool:  # noqa: ANN401
        tried.append(image.path)
        return add(image, *args, **named)

    monkeypatch.setattr(put, "add", note)
    bench.pool.job.count = 3
    for _ in range(8):
        bench.turn()
        clock[0] += put_off.PUT_OFF_S / len(bad)
    assert tried[:3] == bad
    assert tried[3:6] == bad


def test_what_was_put_off_has_its_turn_on_a_device_where_others_always_wait(
    bench: Bench, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them a minute, so that however many fail, they keep the others up but little."""
    claimed, put = bench.line.parts.spool.claimed, bench.line.dispatcher._put_off
    bad = waiting(bench, claimed, 2)
    with monkeypatch.context() as patched:
        fail_at(bench, patched, unreadable(), bad)
        for _ in bad:
            bench.turn()
    waiting(bench, claimed, 20, first=2)
    first = []
    for seconds in (0.0, put_off.PUT_OFF_S, put_off.PATIENCE_S, 1.0, put_off.PATIENCE_S, 1.0):
        clock[0] += seconds
        image = put.next()
        assert image is not None
        first.append(image.path in bad)
        bench.line.recorder.reject(image.image_id, Reason.POISON, "for a test")
        put.had_its_turn(image)
    assert first == [False, False, True, False, True, False]


@pytest.mark.parametrize("cause", [OSError(EROFS, "a disk"), None], ids=["disk", "ledger"])
def test_one_that_was_put_off_and_then_fails_as_all_might_does_not_go_first_again(
    bench: Bench, clock: list[float], monkeypatch: pytest.MonkeyPatch, cause: OSError | None
) -> None:
    """As its file has changed and cannot go back into an inbox that is read-only."""
    with monkeypatch.context() as patched:
        fail_at(bench, patched, unreadable(), [bench.bad])
        bench.turn()
    error = Unavailable("not now")
    error.__cause__ = cause
    fail_at(bench, monkeypatch, error, [bench.bad])
    clock[0] += put_off.PUT_OFF_S + put_off.PATIENCE_S
    for _ in range(2):
        bench.turn()
    assert (bench.state(BAD), bench.state(GOOD)) == (State.RECEIVED, State.EXAMINING)


def test_one_that_was_put_off_and_must_be_alone_stops_nothing_where_new_files_come_without_end(
    bench: Bench, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With two workers, of which one always had a head start: its turn, and no other, came."""
    parts, put, asked = bench.line.parts, bench.line.dispatcher._put_off, bench.pool.asked
    with monkeypatch.context() as patched:
        fail_at(bench, patched, unreadable(), [bench.bad])
        for _ in range(2):
            bench.turn()
    with parts.ledger._database.transaction() as db:
        alone = "UPDATE images SET interrupted = ? WHERE image_id = ?"
        db.execute(alone, (ALONE_AFTER, image_id(BAD)))
    bench.pool.job.count = 2
    clock[0] += put_off.PUT_OFF_S + put_off.PATIENCE_S
    given, note = [], put.given

    def noted(image: Image) -> None:
        given.append(image.path.name)
        note(image)

    monkeypatch.setattr(put, "given", noted)
    for number in range(6):
        data = f"new {number}".encode()
        path = parts.spool.claimed / f"m-{number}"
        path.write_bytes(data)
        bench.line.head_start.offer(path)
        bench.turn()
        new = Submission(image_id(data), path, b"x", "folder", 9.0 + number, settled=True)
        parts.ledger.submissions.accept(new, parts.model.serving.bundle.bundle_id)
        asked.pop(0)(Interrupted("a worker that has finished"))
        bench.turn()
        clock[0] += 1.0
    assert given[:1] == [bench.bad.name]
    assert "m-0" in given


def test_it_is_told_that_an_image_fails_until_it_is_tried_again(
    bench: Bench, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which may be long after its minute: others have their turns first."""
    with monkeypatch.context() as patched:
        fail_at(bench, patched, unreadable(), [bench.bad])
        bench.turn()
    clock[0] += put_off.PUT_OFF_S
    bench.turn()
    assert (bench.state(BAD), bench.state(GOOD)) == (State.RECEIVED, State.EXAMINING)
    assert bench.causes == {Cause.LOOP_FAILED}
    bench.pool.job.count = 2
    bench.turn()
    assert bench.state(BAD) is State.EXAMINING
    assert bench.causes == set()


def test_an_image_that_was_put_off_and_is_settled_otherwise_is_neither_told_nor_remembered(
    bench: Bench, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at(bench, monkeypatch, unreadable(), [bench.bad])
    for _ in range(2):
        bench.turn()
    assert bench.causes == {Cause.LOOP_FAILED}
    put, image = bench.line.dispatcher._put_off, bench.line.parts.ledger.images.find(image_id(BAD))
    assert image is not None
    put.interrupted(image, "pool stopped")
    bench.line.recorder.reject(image_id(BAD), Reason.POISON, "for a test")
    clock[0] += put_off.PUT_OFF_S
    bench.pool.job.count = 2  # while the good one is in work
    bench.turn()
    assert bench.causes == set()
    assert (len(put), len(put._interrupted)) == (0, 0)


def test_a_ledger_that_is_damaged_ends_the_daemon_and_blames_no_image(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at(bench, monkeypatch, StateDamagedError("ledger: damaged"), retried(bench, [b"one"]))
    with pytest.raises(StateDamagedError):
        bench.turn()
    assert bench.line.parts.health.counters["put_off"] == 0


@pytest.mark.parametrize("left", ["an empty folder", "nothing", "a file"])
def test_images_of_an_archive_that_is_not_mounted_wait_and_are_not_missing(
    bench: Bench, clock: list[float], left: str
) -> None:
    old = [b"one", b"two"]
    retried(bench, old)
    failed = bench.line.parts.spool.failed
    away = failed.rename(failed.with_name("elsewhere"))
    if left == "an empty folder":
        failed.mkdir()
    elif left == "a file":
        failed.touch()
    bench.turn()
    assert [bench.state(data) for data in (*old, BAD)] == [
        State.RECEIVED,
        State.RECEIVED,
        State.EXAMINING,
    ]
    assert bench.line.parts.health.counters["put_off"] == 1
    (why,) = bench.line.parts.health.reasons
    assert "mount it" in why
    assert not failed.is_dir() or list(failed.iterdir()) == []
    if failed.exists():
        (failed.rmdir if failed.is_dir() else failed.unlink)()
    away.rename(failed)
    clock[0] += put_off.PUT_OFF_S
    bench.pool.job.count = 4
    bench.turn()
    assert [bench.state(data) for data in old] == [State.EXAMINING] * 2
    assert bench.causes == set()


def test_an_archived_image_whose_file_alone_is_gone_is_missing(bench: Bench) -> None:
    (path,) = retried(bench, [b"one"])
    path.unlink()
    bench.turn()
    assert bench.state(b"one") is State.ARCHIVED
    _, payload = bench.line.parts.ledger.images.conclusion_of(image_id(b"one"))
    assert b"missing: its file was removed" in payload


def test_images_in_done_have_their_turn_while_failed_is_away(
    bench: Bench,
) -> None:
    parts = bench.line.parts
    retried(bench, [b"one", b"two", b"scored"])
    place = parts.spool.done / "scored.dcm"
    place.write_bytes(b"scored")
    parts.ledger.images.relocate(image_id(b"scored"), place)
    parts.spool.failed.rename(parts.spool.failed.with_name("elsewhere"))
    bench.turn()
    assert bench.state(b"scored") is State.EXAMINING


def test_a_film_that_comes_again_while_its_archive_is_away_is_examined(
    bench: Bench, clock: list[float]
) -> None:
    """Its bytes are in the spool then."""
    parts = bench.line.parts
    retried(bench, [b"one"])
    parts.spool.failed.rename(parts.spool.failed.with_name("elsewhere"))
    bench.turn()
    path = parts.spool.claimed / "m-again"
    path.write_bytes(b"one")
    submission = Submission(image_id(b"one"), path, b"film.dcm", "folder", 9.0, settled=False)
    parts.ledger.submissions.accept(submission, parts.model.serving.bundle.bundle_id)
    bench.pool.job.count = 3
    clock[0] += put_off.PUT_OFF_S
    for _ in range(2):
        bench.turn()
    assert bench.state(b"one") is State.EXAMINING


def test_archived_images_that_no_worker_can_read_never_rest_the_loop_for_those_of_the_spool(
    bench: Bench,
) -> None:
    for path in retried(bench, [b"one", b"two"]):
        path.unlink()
        path.mkdir()
    bench.turn()
    assert bench.state(b"one") is State.EXAMINING
    bench.pool.answer(Interrupted("the image file cannot be read: Permission denied"))
    bench.line.dispatcher._record_finished()
    bench.line.dispatcher._turn()
    assert bench.state(BAD) is State.EXAMINING


@pytest.mark.parametrize("error", [ESTALE, EACCES, EIO])
def test_a_film_that_is_gone_from_the_spool_holds_up_no_other_while_the_archive_is_away(
    bench: Bench, error: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can tell if a kill has left it in the archive, where it is looked for, too."""
    lstat = Path.lstat

    def away(path: Path) -> os.stat_result:
        if bench.line.parts.spool.failed in path.parents:
            raise OSError(error, os.strerror(error))
        return lstat(path)

    bench.bad.unlink()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "lstat", away)
        for _ in range(2):
            bench.turn()
        assert (bench.state(BAD), bench.state(GOOD)) == (State.RECEIVED, State.EXAMINING)
        assert Cause.LOOP_FAILED in bench.causes
    bench.all_due()
    bench.pool.job.count = 2
    bench.turn()
    assert bench.state(BAD) is State.ARCHIVED
    assert bench.causes == set()
