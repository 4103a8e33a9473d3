"""
What is old or in the way goes, the oldest first; what is not delivered stays, whatever happens.
"""

import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from errno import ENAMETOOLONG, EROFS
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge.config.settings import Settings
from edge.errors import Unavailable
from edge.health import STAMP_S, Health
from edge.storage import erased_files, old_files, retention
from edge.storage.ledger import Ledger, clock
from edge.storage.ledger.clock import Clock
from edge.storage.ledger.integrity import FOLDER
from edge.storage.ledger.records import Conclusion, Submission
from edge.storage.ledger.states import Move
from edge.storage.pictures import PICTURE, SMALL, find
from edge.storage.retention import DAY_S, Retention
from edge.storage.spool import Spool
from edge.system import uptime

DAYS = {
    "done_days": 30,
    "failed_days": 90,
    "results_days": 365,
    "audit_days": 50,
    "min_free_mb": 100,
}


def name(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


@dataclass
class Archive:
    """A ledger and its archive, and a clock to turn."""

    folder: Path
    ledger: Ledger
    spool: Spool
    health: Health
    retention: Retention
    clock: dict[str, float]
    free_mb: int = 1000

    def add(self, number: int, *, scored: bool = True, delivered: bool = True) -> Path:
        image_id = name(number)
        claimed = self.spool.claimed / f"f-{uuid.uuid4()}"
        claimed.write_bytes(str(number).encode())
        self.ledger.submissions.accept(
            Submission(image_id, claimed, b"film.dcm", "folder", time.time()), "b"
        )
        self.ledger.images.move(image_id, Move.DISPATCH)
        self.ledger.images.conclude(
            Conclusion(image_id, f"r{number}", "b", scored=scored, render=lambda _: b"{}")
        )
        path = self.spool.archive(claimed, image_id, b"film.dcm", b"{}", scored=scored)
        self.ledger.images.archived(image_id, path)
        if delivered:
            self.deliver()
        return path

    def deliver(self) -> None:
        for delivery in self.ledger.outbox.pending(["mqtt"]):
            self.ledger.outbox.delivered(delivery)

    def after(self, days: float) -> None:
        self.clock["days"] = days
        for _ in range(3):
            self.retention._next_pass = 0.0
            self.retention._tidy()

    def left(self) -> list[Path]:
        return sorted(
            path
            for folder in (self.spool.done, self.spool.failed)
            for path in folder.iterdir()
            if path.suffix != ".json"
        )


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    ledger, health = Ledger(tmp_path / "state", ["mqtt"], lambda payload, _: payload), Health()
    folders = {"path": tmp_path / "spool", "done": tmp_path / "done", "failed": tmp_path / "failed"}
    spool = Spool(folders["path"], folders["done"], folders["failed"])
    settings = Settings(
        inbox={"path": tmp_path / "inbox"},
        spool=folders,
        state={"path": tmp_path / "state"},
        retention=DAYS,
    )
    clock = {"days": 0.0, "jumped": 0.0}
    keeper = Retention(
        settings,
        ledger,
        health,
        now=lambda: time.time() + (clock["days"] + clock["jumped"]) * DAY_S,
        uptime=lambda: time.monotonic() + clock["days"] * DAY_S,
        calm_s=0.0,
    )
    made = Archive(tmp_path, ledger, spool, health, keeper, clock)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=made.free_mb * 2**20))
    keeper._tidy()
    yield made
    ledger.close()


def test_files_go_after_their_days_and_are_counted_and_results_stay(archive: Archive) -> None:
    done, failed = archive.add(1), archive.add(2, scored=False)
    archive.after(29)
    assert archive.left() == [done, failed]
    archive.after(31)
    assert archive.left() == [failed]
    assert not done.with_name(done.name + ".json").exists()
    archive.after(91)
    assert archive.left() == []
    assert archive.health.counters == {"pruned_done": 1, "pruned_failed": 1}
    assert len(archive.ledger.queries.results()) == 2


def drawn(archive: Archive, number: int) -> Path | None:
    return find(archive.folder / "state", name(number), f"r{number}")


def draw(archive: Archive, *numbers: int) -> None:
    for number in numbers:
        files = {SMALL: b"small", PICTURE: b"large"}
        assert archive.ledger.pictures.keep(name(number), f"r{number}", files, lambda: True)
        folder = archive.folder / "state/pictures" / name(number)
        os.utime(folder, (number, number))


def test_a_picture_goes_with_its_image_s_file(archive: Archive) -> None:
    archive.add(1)
    archive.add(2, delivered=False)
    draw(archive, 1, 2)
    archive.after(29)
    assert drawn(archive, 1)
    archive.after(31)
    assert archive.left() != []
    assert (drawn(archive, 1), bool(drawn(archive, 2))) == (None, True)
    assert archive.health.counters == {"pruned_done": 1}


def test_where_the_state_folder_is_short_of_room_pictures_go_before_results(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.add(1)
    archive.add(2)
    draw(archive, 1, 2)
    archive.after(31)
    archive.add(3)
    draw(archive, 3)
    monkeypatch.setattr(retention, "BATCH", 1)

    def usage(folder: Path) -> SimpleNamespace:
        short = folder == archive.folder / "state" and archive.free_mb == 0
        return SimpleNamespace(free=0 if short else 2**40)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    archive.free_mb = 0
    archive.retention._tidy()
    assert drawn(archive, 3) is None
    assert archive.health.counters["pruned_pictures"] == 1
    assert archive.health.counters["pruned_results"] == 0
    archive.retention._tidy()
    assert archive.health.counters["pruned_results"] == 1


def test_pictures_that_cannot_be_removed_keep_no_results_where_the_state_folder_is_short_of_room(
    archive: Archive,
) -> None:
    archive.add(1)
    archive.after(31)
    stuck = archive.folder / "state/pictures" / name(2)
    stuck.parent.mkdir(exist_ok=True)
    stuck.symlink_to(archive.folder)  # which is not followed, and not removed either
    archive.free_mb = 0
    archive.retention.turn()
    assert archive.health.counters["pruned_results"] == 1
    assert archive.health.reasons == ["retention: Cannot call rmtree on a symbolic link"]


def test_no_result_goes_for_room_while_pictures_could_go_beside_what_cannot_be_looked_at(
    archive: Archive,
) -> None:
    archive.add(1)
    archive.after(31)
    archive.add(2, delivered=False)
    draw(archive, 2)
    (archive.folder / "state/pictures" / name(3)).symlink_to("x" * 300)  # which is no name
    archive.free_mb = 0
    archive.retention.turn()
    assert drawn(archive, 2) is None
    assert archive.health.counters["pruned_pictures"] == 1
    assert archive.health.counters["pruned_results"] == 0


def test_no_result_goes_for_room_while_the_pictures_cannot_be_listed(archive: Archive) -> None:
    archive.add(1)
    archive.after(31)
    archive.add(2, delivered=False)
    draw(archive, 2)
    pictures, away = archive.folder / "state/pictures", archive.folder / "away"
    pictures.rename(away)
    pictures.symlink_to("x" * 300)  # which is no name
    archive.free_mb = 0
    archive.retention.turn()
    assert archive.health.counters["pruned_results"] == 0
    assert archive.health.reasons == [f"retention: {os.strerror(ENAMETOOLONG)}"]
    pictures.unlink()
    away.rename(pictures)
    archive.retention.turn()
    assert drawn(archive, 2) is None
    assert archive.health.counters["pruned_results"] == 0


def test_results_go_after_their_files_and_numbers_are_not_given_again(archive: Archive) -> None:
    archive.add(1)
    archive.after(366)
    assert archive.ledger.queries.results() == []
    assert archive.ledger.images.find(name(1)) is None
    assert archive.health.counters["pruned_results"] == 1
    archive.add(2)
    assert archive.ledger.restore.numbering()[1] == 2
    assert archive.ledger.queries.summary()["last_seq"] == 2


def test_what_is_not_delivered_stays_whatever_its_age_and_however_short_the_room(
    archive: Archive,
) -> None:
    path = archive.add(1, delivered=False)
    archive.free_mb = 0
    archive.after(4000)
    assert archive.left() == [path]
    archive.deliver()
    archive.after(4000)
    assert archive.left() == []
    assert archive.ledger.queries.results() == []


def test_what_a_sink_refused_is_not_delivered(archive: Archive) -> None:
    path = archive.add(1, delivered=False)
    archive.ledger.outbox.hold(archive.ledger.outbox.pending(["mqtt"])[0], "not authorized")
    archive.after(4000)
    assert archive.left() == [path]


def test_an_image_that_is_to_be_examined_again_keeps_its_file(archive: Archive) -> None:
    path = archive.add(1)
    archive.ledger.submissions.retry([name(1)])
    archive.after(4000)
    assert archive.left() == [path]


def test_short_of_room_the_oldest_done_go_first_then_failed_and_only_as_many_as_must(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = archive.add(1, scored=False)
    done = [archive.add(number) for number in (2, 3, 4)]
    removed: list[Path] = []

    def remove(path: Path) -> bool:
        removed.append(path)
        path.unlink()
        archive.free_mb = 99 if len(removed) < 2 else 100
        return True

    monkeypatch.setattr(old_files, "remove_file", remove)
    archive.free_mb = 99
    archive.after(0)
    assert removed == done[:2]
    archive.free_mb = 0
    monkeypatch.undo()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    archive.after(0)
    assert archive.left() == []
    assert not failed.exists()


def test_zero_days_keep_things_for_ever(archive: Archive) -> None:
    path = archive.add(1)
    keep = archive.retention._keep
    archive.retention._keep = keep.model_copy(
        update={"done_days": 0, "failed_days": 0, "results_days": 0}
    )
    archive.after(40000)
    assert archive.left() == [path]


def test_a_clock_that_jumps_ages_nothing_until_it_has_run_smoothly_for_a_while(
    archive: Archive,
) -> None:
    path = archive.add(1)
    archive.retention._calm_s = 3600.0
    archive.after(800)
    assert archive.left() == [path]
    archive.retention._calm_since -= 3601
    archive.after(800)
    assert archive.left() == []


@pytest.mark.parametrize("behind", [20_780, 120], ids=["1970", "120 days behind"])
@pytest.mark.parametrize("restarted", [False, True])
def test_what_a_wrong_clock_dated_is_as_old_as_it_is_once_the_clock_is_set(
    archive: Archive, behind: float, *, restarted: bool
) -> None:
    """Over the times as shipped: not an hour later, not a day, but after their days."""
    paths = [archive.add(1), archive.add(2, scored=False)]
    damaged = archive.folder / "state" / FOLDER / "ledger"
    damaged.mkdir(parents=True)
    if restarted:
        archive.ledger.clock = Clock(archive.ledger.images._database)
        archive.retention._calm_s = 3600.0
    archive.clock["jumped"] = behind
    archive.after(0.001)
    archive.retention._calm_s = 0.0
    archive.after(29)
    assert archive.left() == sorted(paths)
    assert damaged.exists()
    (answered,) = {row["oldest_waiting_s"] for row in [archive.ledger.queries.summary()]}
    assert answered is None
    archive.after(31)
    assert archive.left() == paths[1:]
    archive.after(91)
    assert archive.left() == []
    assert not damaged.exists()


def boot_anew(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    boot = archive.folder / "boot_id"
    boot.write_text("another")
    monkeypatch.setattr(uptime, "BOOT_ID", boot)


def begin_in_the_past(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, behind_days: float
) -> None:
    """Look at the clock, and once more in another boot whose clock is behind."""
    archive.after(0.0)
    boot_anew(archive, monkeypatch)
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() - behind_days * DAY_S)
    archive.after(0.0)


def closed_audit(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the one file of the audit log that is closed."""
    with monkeypatch.context() as patch:
        patch.setattr("edge.storage.audit.MAX_BYTES", 1)
        archive.ledger.audit.add("retry")
    (closed,) = archive.ledger.audit.closed()
    return closed


def full(*_: object) -> None:
    """Refuse to write, as the ledger does on a full disk."""
    msg = "ledger: database or disk is full"
    raise Unavailable(msg)


def test_films_of_a_boot_in_the_past_still_go_before_failed_ones_and_in_their_order(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    archive.add(1)
    failed = archive.add(2, scored=False)
    begin_in_the_past(archive, monkeypatch, 120)
    newer = [archive.add(number) for number in (3, 4, 5, 6)]
    for least in (5, 4, 3, 2):
        short = lambda *_, least=least: len(archive.left()) > least  # noqa: E731
        monkeypatch.setattr(old_files, "is_short", short)
        monkeypatch.setattr(retention, "is_short", short)
        archive.retention._make_room()
        assert archive.left() == sorted([failed, *newer[5 - least :]])


def test_films_of_a_boot_in_the_past_are_not_all_listed_for_each_batch_that_makes_room(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that begins a little late and never sets its clock has no others."""
    begin_in_the_past(archive, monkeypatch, 120)
    for number in range(9):
        archive.add(number)
    pages, files = iter(range(1, 100)), archive.ledger.pruning.files
    monkeypatch.setattr(
        archive.ledger.pruning, "files", lambda **how: files(**how) if next(pages) else []
    )
    archive.retention._files.remove(scored=True, before=old_files.ANY_AGE, limit=1)
    assert next(pages) == 3


def test_nothing_goes_by_its_age_while_the_disk_takes_no_dates_of_a_clock_that_was_set(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = archive.add(1)
    archive.after(0.001)
    archive.clock["jumped"] = 120
    with monkeypatch.context() as patch:
        patch.setattr(clock, "redate", full)
        archive.after(1)
        assert archive.left() == [path]
    archive.after(29)
    assert archive.left() == [path]
    archive.after(31)
    assert archive.left() == []


@pytest.mark.parametrize("behind", [20_780, 120], ids=["1970", "120 days behind"])
def test_films_of_a_boot_in_the_past_go_last_where_room_is_made(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, behind: float
) -> None:
    older = [archive.add(number) for number in (1, 2)]
    begin_in_the_past(archive, monkeypatch, behind)
    newer = [archive.add(number) for number in (3, 4)]
    least = 2
    short = lambda *_: len(archive.left()) > least  # noqa: E731
    monkeypatch.setattr(old_files, "is_short", short)
    monkeypatch.setattr(retention, "is_short", short)
    archive.retention._make_room()
    assert archive.left() == sorted(newer)
    least = 1
    archive.retention._make_room()
    archive.retention._make_room()
    assert archive.left() == newer[1:]
    assert not any(path.exists() for path in older)


def test_what_is_old_goes_where_the_disk_is_too_full_for_a_note_of_the_clock(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `min_free_mb` nothing else makes room on it."""
    path = archive.add(1)
    archive.after(0.001)
    monkeypatch.setattr(clock, "_write", full)
    archive.after(29)
    assert archive.left() == [path]
    archive.after(31)
    assert archive.left() == []


def test_closed_files_of_the_audit_log_go_after_their_days_whatever_the_clock_was(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = closed_audit(archive, monkeypatch)
    archive.clock["jumped"] = 20_780
    archive.after(49)
    assert closed.exists()
    archive.after(51)
    assert archive.ledger.audit.closed() == []
    assert archive.ledger.audit.problems() == []


def test_files_that_were_dated_in_1970_before_any_look_at_the_clock_go_after_their_days(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if a start set a damaged ledger aside and failed, and the clock was set meanwhile."""
    closed = closed_audit(archive, monkeypatch)
    damaged = archive.folder / "state" / FOLDER / "19700101T000010"
    damaged.mkdir(parents=True)
    for path in (closed, damaged):
        os.utime(path, (10, 10))
    archive.after(0.1)
    assert closed.exists()
    assert damaged.exists()
    archive.after(91.2)
    assert not closed.exists()
    assert not damaged.exists()


def test_a_file_of_the_audit_log_that_cannot_be_removed_is_told_and_keeps_nothing_else(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = closed_audit(archive, monkeypatch)
    closed.write_bytes(b"damage\n")
    damaged = archive.folder / "state" / FOLDER / "20260101T000000"
    damaged.mkdir(parents=True)
    archive.after(91)
    archive.retention.turn()
    assert not damaged.exists()
    (why,) = archive.health.reasons
    assert f"audit log: {closed.name}: its last line is no entry" in why


def test_a_clock_that_is_set_back_makes_nothing_stay_for_ever(archive: Archive) -> None:
    archive.clock["jumped"] = 0.0
    archive.add(1)
    archive.clock["jumped"] = -700.0
    archive.after(31)
    assert archive.left() == []


@pytest.mark.parametrize(
    ("away_days", "left"), [(6.0, 1), (400.0, 1)], ids=["a week off", "a year off"]
)
def test_the_time_between_two_boots_makes_nothing_much_older(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, away_days: float, left: int
) -> None:
    archive.add(1)
    archive.after(20)
    boot_anew(archive, monkeypatch)
    archive.ledger.clock = clock.Clock(archive.ledger.images._database)
    archive.clock["jumped"] = away_days
    archive.after(20)
    assert len(archive.left()) == left
    archive.after(31)
    assert archive.left() == []


def test_a_file_that_someone_removed_before_is_no_trouble_and_what_is_not_ours_stays(
    archive: Archive,
) -> None:
    archive.add(1).unlink()
    foreign = archive.spool.done / "notes.txt"
    foreign.write_text("keep me")
    archive.after(400)
    assert archive.left() == [foreign]
    assert archive.ledger.queries.results() == []


def test_bytes_that_come_again_after_they_were_pruned_are_filed_again(archive: Archive) -> None:
    archive.add(1)
    archive.after(31)
    path = archive.add(1)
    assert archive.left() == [path]
    assert len(archive.ledger.queries.results()) == 2


def test_a_link_among_ledgers_that_were_set_aside_stops_no_turn_of_retention(
    archive: Archive,
) -> None:
    path, damaged = archive.add(1), archive.folder / "state" / FOLDER
    (damaged / "20260101T000000").mkdir(parents=True)
    (damaged / "0").symlink_to("nowhere")
    archive.clock["jumped"] = 1
    archive.retention.turn()
    assert archive.health.reasons == []
    archive.after(91)
    archive.retention.turn()
    assert archive.health.reasons == []
    assert (path.exists(), list(damaged.iterdir())) == (False, [])


def test_ledgers_that_were_set_aside_go_too(archive: Archive) -> None:
    (archive.folder / "state" / FOLDER / "20260101T000000").mkdir(parents=True)
    archive.after(89)
    assert archive.health.counters["pruned_damaged"] == 0
    archive.after(91)
    assert list((archive.folder / "state" / FOLDER).iterdir()) == []
    assert archive.health.counters["pruned_damaged"] == 1


def test_a_kill_between_the_file_and_its_row_is_made_good_at_the_next_turn(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.add(1)

    def kill(path: Path) -> None:
        path.unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(old_files, "remove_file", kill)
    with pytest.raises(KeyboardInterrupt):
        archive.after(31)
    monkeypatch.undo()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**40))
    archive.after(31)
    assert archive.health.counters["pruned_done"] == 1


def test_a_file_that_cannot_be_removed_is_told_and_keeps_none_of_the_others(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, other = archive.add(1), archive.add(2)
    remove = erased_files.remove_file

    def refuse(path: Path) -> None:
        if path == stuck:
            raise PermissionError(1, "Operation not permitted")
        remove(path)

    monkeypatch.setattr(old_files, "remove_file", refuse)
    archive.after(31)
    assert archive.left() == [stuck]
    assert not other.exists()
    archive.retention.turn()
    assert archive.health.reasons == [
        "retention: 1 files cannot be removed: Operation not permitted"
    ]
    monkeypatch.undo()
    archive.after(31)
    archive.retention.turn()
    assert archive.left() == []
    assert archive.health.reasons == []


def test_an_image_whose_file_cannot_be_removed_keeps_its_picture(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on an archive that was mounted anew, read-only, after an error."""

    def refuse(_: Path) -> None:
        raise OSError(EROFS, os.strerror(EROFS))

    archive.add(1)
    draw(archive, 1)
    with monkeypatch.context() as patched:
        patched.setattr(old_files, "remove_file", refuse)
        archive.after(31)
        assert drawn(archive, 1)
    archive.after(31)
    assert (archive.left(), drawn(archive, 1)) == ([], None)


def test_a_picture_that_cannot_be_removed_keeps_neither_its_image_s_file_nor_the_result(
    archive: Archive,
) -> None:
    """It is told, and the next start tries again."""
    archive.add(1)
    stuck = archive.folder / "state/pictures" / name(1)
    stuck.parent.mkdir(exist_ok=True)
    stuck.symlink_to(archive.folder)  # which is not followed, and not removed either
    archive.clock["days"] = 31
    archive.retention._next_pass = 0.0
    archive.retention.turn()
    assert archive.left() == []
    assert not archive.ledger.pruning.has_file(name(1))
    assert archive.health.counters["pruned_done"] == 1
    assert archive.health.reasons == [
        "retention: 1 files cannot be removed: Cannot call rmtree on a symbolic link"
    ]
    archive.after(400)
    assert archive.health.counters["pruned_done"] == 1
    assert archive.ledger.queries.results() == []
    with pytest.raises(OSError, match="symbolic link"):
        archive.ledger.pictures.sweep(archive.ledger.pruning.kept())


def test_however_many_old_files_cannot_be_removed_the_younger_ones_go(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as are looked at in a turn, and one more."""
    monkeypatch.setattr(retention, "BATCH", 2)
    stuck = [archive.add(number) for number in range(3)]
    other = archive.add(3)
    for path in stuck:  # as if somebody had made folders of them
        path.unlink()
        (path / "notes").mkdir(parents=True)
    archive.clock["days"] = 31
    archive.retention._next_pass = 0.0
    for _ in range(3):
        archive.retention.turn()
    assert not other.exists()
    (why,) = archive.health.reasons
    assert why.startswith("retention: 3 files cannot be removed: ")
    assert archive.retention._next_pass > time.monotonic()  # they rest until the next pass


def test_files_that_cannot_be_removed_are_not_listed_anew_for_each_batch(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file system that became read-only, 4,000 of them took a turn of twelve seconds."""

    def refuse(_: Path) -> None:
        raise OSError(EROFS, os.strerror(EROFS))

    def count(**which: Any) -> Any:  # noqa: ANN401
        found = files(**which)
        listed.extend(found)
        return found

    files, listed = archive.ledger.pruning.files, list[Any]()
    monkeypatch.setattr(archive.ledger.pruning, "files", count)
    monkeypatch.setattr(retention, "BATCH", 2)
    stuck = [archive.add(number, scored=number % 2 == 0) for number in range(20)]
    archive.free_mb = 0
    with monkeypatch.context() as patched:
        patched.setattr(old_files, "remove_file", refuse)
        archive.retention._make_room()
    assert len(archive.retention._stuck) == len(stuck)
    assert len(listed) <= 2 * len(stuck)  # once to be tried, and once to be passed over
    younger = archive.add(20)
    archive.retention._make_room()
    assert not younger.exists()
    assert archive.left() == sorted(stuck)
    archive.after(0)  # a pass, in which all are tried again
    assert archive.left() == []


def test_retention_is_not_called_stuck_while_it_lists_many_files_that_cannot_be_removed(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a slow disk, on which each page of the ledger takes longer than half of `STAMP_S`."""

    def slow(**which: Any) -> Any:  # noqa: ANN401
        archive.health._stamps[retention.LOOP] -= 0.6 * STAMP_S
        silent.extend(archive.health.stuck())
        return files(**which)

    files, silent = archive.ledger.pruning.files, list[str]()
    for number in range(8):
        archive.retention._stuck[name(number)] = os.strerror(EROFS)
        archive.add(number)
    monkeypatch.setattr(archive.ledger.pruning, "files", slow)
    monkeypatch.setattr(retention, "BATCH", 2)
    archive.free_mb = 0
    archive.health.stamp(retention.LOOP)
    archive.retention._make_room()
    assert silent == []
    assert len(archive.left()) == 8


def test_what_is_delivered_late_goes_although_younger_files_cannot_be_removed(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, stuck = archive.add(1, delivered=False), archive.add(2, delivered=False)
    archive.ledger.outbox.delivered(archive.ledger.outbox.pending(["mqtt"])[1])
    remove = erased_files.remove_file

    def refuse(path: Path) -> None:
        if path == stuck:
            raise OSError(EROFS, os.strerror(EROFS))
        remove(path)

    monkeypatch.setattr(old_files, "remove_file", refuse)
    archive.free_mb = 0
    archive.retention._make_room()
    archive.deliver()
    archive.retention._make_room()
    assert archive.left() == [stuck]
    assert not late.exists()


def test_an_archive_that_does_not_answer_keeps_nothing_else_from_going(archive: Archive) -> None:
    """Its room cannot be measured then."""
    archive.add(1)
    failed = archive.add(2, scored=False)
    draw(archive, 1)
    archive.spool.done.rename(archive.folder / "away")
    archive.clock["days"] = 91
    usage = shutil.disk_usage

    def of_what_is_there(folder: Path) -> Any:  # noqa: ANN401
        return usage(folder) if folder.is_dir() else os.statvfs(folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "disk_usage", of_what_is_there)
        archive.retention._next_pass = 0.0
        archive.retention.turn()
    assert not failed.exists()
    (why,) = archive.health.reasons
    assert why.startswith("retention: No such file or directory; 1 files cannot be removed: ")


@pytest.mark.parametrize("restarted", [False, True])
def test_files_on_a_mount_that_is_away_are_not_taken_for_removed(
    archive: Archive, *, restarted: bool
) -> None:
    path, by_hand = archive.add(1), archive.add(2)
    away = archive.folder / "away"
    archive.spool.done.rename(away)
    archive.spool.done.mkdir()
    if restarted:
        settings = Settings(
            inbox={"path": archive.folder / "inbox"},
            spool={"path": archive.folder / "spool", "done": path.parent},
            state={"path": archive.folder / "state"},
        )
        again = Retention(settings, archive.ledger, Health())
        archive.retention._files._remove = again._files._remove
    archive.after(31)
    archive.retention.turn()
    assert len(archive.ledger.erasure.files([name(1), name(2)])) == 2
    (why,) = archive.health.reasons
    assert why == (
        f"retention: 2 files cannot be removed: {path.parent} is not the folder that it was: "
        "mount it, or remove archives.json and restart"
    )
    archive.spool.done.rmdir()
    away.rename(archive.spool.done)
    for file in (by_hand, by_hand.with_name(by_hand.name + ".json")):
        file.unlink()
    archive.after(31)
    archive.retention.turn()
    assert archive.left() == []
    assert archive.ledger.erasure.files([name(1), name(2)]) == []
    assert archive.health.reasons == []


def test_a_disk_without_inodes_is_short_of_room(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [archive.add(1), archive.add(2)]
    found = SimpleNamespace(f_favail=1023, f_files=100_000)
    monkeypatch.setattr("edge.system.files.os.statvfs", lambda _: found)
    remove = erased_files.remove_file

    def frees_two(path: Path) -> None:
        remove(path)
        found.f_favail += 2

    monkeypatch.setattr(old_files, "remove_file", frees_two)
    archive.after(0)
    assert archive.left() == paths[1:]
    assert archive.spool.free_mb() > 0
    found.f_favail = 0
    assert archive.spool.free_mb() == 0


def test_what_was_pruned_is_in_the_audit_log_once_it_stops(archive: Archive) -> None:
    for number in range(2):
        archive.add(number)
    archive.add(2, scored=False)
    archive.after(days=100)
    archive.retention.stop()
    entry = archive.ledger.audit.newest("pruned")
    assert entry is not None
    assert entry["details"] == {"pruned_done": 2, "pruned_failed": 1}
    assert entry["by"] == {"daemon": "self"}
