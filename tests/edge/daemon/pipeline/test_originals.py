"""What a sender writes after a pause is not lost, though its file was copied and answered."""

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import pytest

from edge.config.settings import Settings
from edge.daemon.control.forgetting import Forgetting
from edge.daemon.intake import CLOSED
from edge.daemon.intake.candidates import SETTLED_AFTER
from edge.daemon.pipeline.originals import GONE_S, REJECTED_AFTER, SCORED_AFTER
from edge.daemon.pipeline.reception import Reception
from edge.daemon.workers.serving import Serving
from edge.errors import Unavailable
from edge.health import Cause
from edge.storage.archiver import Archiver
from edge.storage.inbox_place import InboxPlace
from edge.storage.ledger import Ledger
from edge.storage.ledger.records import Conclusion
from edge.storage.ledger.states import Move, State
from edge.storage.spool import Spool
from edge.system import files
from edge.system.files import NotReadyError
from tests.support.pipeline import AtOnce, Line, folders_of, line_of, parts_of

HALF, WHOLE = b"half of a film, ", b"half of a film, and all the rest"
pytestmark = pytest.mark.usefixtures("another_mount")


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Desk:
    """A reception with a real ledger and spool, and an inbox on another mount without events."""

    folder: Path
    ledger: Ledger
    line: Line
    reception: Reception
    settings: Settings

    @property
    def film(self) -> Path:
        return self.folder / "inbox" / "film.dcm"

    def take(self, quiet: float) -> bool:
        return self.reception.take_file(self.film, quiet=quiet)

    def conclude(self, data: bytes, *, scored: bool) -> None:
        """Examine what was taken, and archive it."""
        image_id = sha(data)
        self.ledger.images.move(image_id, Move.DISPATCH)
        self.ledger.images.conclude(
            Conclusion(image_id, f"r-{image_id}", "b1", scored=scored, render=lambda _: b"{}")
        )
        image = self.ledger.images.find(image_id)
        assert image is not None
        parts = self.line.parts
        assert Archiver(self.ledger, parts.spool, parts.health).archive(image, b"{}", scored=scored)

    def copied(self, data: bytes = HALF, *, scored: bool = False) -> None:
        """Have a quiet file copied and answered."""
        self.film.write_bytes(data)
        assert not self.take(SETTLED_AFTER)
        self.conclude(data, scored=scored)

    def images(self) -> set[str]:
        return {
            image.image_id for state in State for image in self.ledger.images.in_state(state, 9)
        }

    def results(self) -> int:
        return len(self.ledger.queries.results())


def open_desk(folder: Path) -> Desk:
    ledger = Ledger(folder / "state", ["mqtt"], lambda payload, _: payload)
    if ledger.restore.why_empty:
        ledger.restore.finish()  # not the ledger's first start
    inbox = InboxPlace(folder / "state", folder / "inbox")
    spool = Spool(folder / "spool", folder / "done", folder / "failed", inbox=inbox)
    workers = SimpleNamespace(
        in_work=0, overdue=lambda: False, job=SimpleNamespace(count=0), close=lambda: None
    )
    bundle = SimpleNamespace(bundle_id="b1")
    serving = cast("Serving", SimpleNamespace(bundle=bundle, workers=workers))
    line = line_of(parts_of(ledger, spool, serving, tasks=AtOnce()))
    line.recovery.run()
    settings = folders_of(folder)
    return Desk(folder, ledger, line, line.reception(settings), settings)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    (tmp_path / "inbox").mkdir()
    made = open_desk(tmp_path)
    yield made
    made.ledger.close()


def move(old: Path, new: Path) -> None:
    new.parent.mkdir(exist_ok=True)
    os.rename(old, new)  # noqa: PTH104 - Path.rename fails as between two mounts


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Move the monotonic clock on, in seconds."""
    now, ahead = time.monotonic, [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now() + ahead[0])

    def move_on(seconds: float) -> None:
        ahead[0] += seconds

    return move_on


@pytest.mark.parametrize(("scored", "after"), [(True, SCORED_AFTER), (False, REJECTED_AFTER)])
def test_the_original_of_a_copy_goes_after_its_result_and_its_time(
    desk: Desk, after: int, *, scored: bool
) -> None:
    desk.film.write_bytes(HALF)
    assert not desk.take(SETTLED_AFTER)
    assert not desk.take(10 * after)  # it has no result yet
    desk.conclude(HALF, scored=scored)
    assert not desk.take(after - 1)
    assert desk.film.exists()
    assert desk.take(after)
    assert not desk.film.exists()
    assert desk.ledger.origins.all() == []
    assert desk.results() == 1


def test_the_original_of_a_sender_that_was_seen_to_close_it_goes_at_once_and_is_not_read_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Spool, "hash_in_place", lambda *_: pytest.fail("it was read again"))
    desk.film.write_bytes(WHOLE)
    assert desk.take(CLOSED)
    assert not desk.film.exists()
    assert desk.ledger.origins.all() == []


def go_on(path: Path) -> None:
    with path.open("ab") as writer:
        writer.write(WHOLE.removeprefix(HALF))


def write_anew(path: Path) -> None:
    path.write_bytes(WHOLE)


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(WHOLE)
    other.replace(path)


@pytest.mark.parametrize("sender", [go_on, write_anew, replace])
@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("scored", [False, True])
def test_what_a_sender_writes_after_the_result_is_taken_and_answered_too(
    desk: Desk,
    sender: Callable[[Path], None],
    *,
    restarted: bool,
    scored: bool,
    later: Callable[[float], None],
) -> None:
    desk.copied(scored=scored)
    sender(desk.film)
    if restarted:
        desk.ledger.close()
        desk.ledger, desk.reception = (again := open_desk(desk.folder)).ledger, again.reception
        desk.line = again.line
        desk.reception.finish_taking()
    assert not desk.take(SETTLED_AFTER)
    assert desk.images() == {sha(HALF), sha(WHOLE)}
    desk.conclude(WHOLE, scored=True)
    assert desk.take(SCORED_AFTER)
    assert not desk.film.exists()
    for _ in range(2):
        desk.reception.forget_gone(idle=True)
        later(GONE_S)
    assert desk.ledger.origins.all() == []
    assert desk.results() == 2


@pytest.mark.parametrize(("scored", "after"), [(True, SCORED_AFTER), (False, REJECTED_AFTER)])
def test_a_sender_that_pauses_longer_than_its_file_stays_is_answered_when_it_sends_again(
    desk: Desk, after: int, *, scored: bool
) -> None:
    with desk.film.open("wb", buffering=0) as sender:
        sender.write(HALF)
        assert not desk.take(SETTLED_AFTER)
        desk.conclude(HALF, scored=scored)
        assert desk.take(after)
        sender.write(WHOLE.removeprefix(HALF))
    assert list(desk.film.parent.iterdir()) == []
    desk.film.write_bytes(WHOLE)
    assert not desk.take(SETTLED_AFTER)
    desk.conclude(WHOLE, scored=True)
    assert desk.images() == {sha(HALF), sha(WHOLE)}
    assert desk.results() == 2


def test_bytes_that_came_under_the_same_size_and_time_are_taken_before_the_original_goes(
    desk: Desk,
) -> None:
    """Size and time of writing are set first by some servers, and kept whatever is written."""
    desk.copied(HALF.ljust(len(WHOLE), b"\0"), scored=True)
    written = desk.film.stat().st_mtime_ns
    desk.film.write_bytes(WHOLE)
    os.utime(desk.film, ns=(written, written))
    assert not desk.take(SCORED_AFTER)
    assert sha(WHOLE) in desk.images()
    desk.conclude(WHOLE, scored=True)
    assert desk.take(SCORED_AFTER)


@pytest.mark.parametrize("moved", ["touched", "timed late", "started again", "mounted again"])
def test_an_original_with_the_same_bytes_is_answered_once_whatever_else_changed(
    desk: Desk, moved: str
) -> None:
    desk.copied(scored=True)
    if moved == "touched":
        desk.film.chmod(0o600)
    elif moved == "timed late":
        os.utime(desk.film, (1e9, 1e9))
    else:
        desk.line.parts.spool._looks._known.clear()
    if moved == "mounted again":
        with desk.ledger.submissions._database.transaction() as db:
            db.execute("UPDATE origins SET device = device + 1, inode = inode + 1")
    desk.reception.finish_taking()
    assert not desk.take(SETTLED_AFTER)
    assert desk.take(SCORED_AFTER)
    assert not desk.film.exists()
    assert desk.results() == 1


def test_an_original_that_cannot_be_read_is_neither_taken_again_nor_forgotten(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.copied(scored=True)
    desk.line.parts.spool._looks._known.clear()

    def broken(*_: object) -> NoReturn:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    forget: Any = Forgetting(desk.settings, desk.line.parts)
    film, lstat = desk.film, Path.lstat

    def away(path: Path) -> os.stat_result:
        return broken() if path == film else lstat(path)

    for where, what, how in ((files, "open_regular", broken), (Path, "lstat", away)):
        with monkeypatch.context() as patch:
            patch.setattr(files, "open_regular", broken)
            patch.setattr(where, what, how)
            with pytest.raises(NotReadyError):
                desk.take(SCORED_AFTER)
            with pytest.raises(Unavailable, match="a file there cannot be read"):
                forget({"id": sha(HALF)})
            desk.reception.finish_taking()
            assert not desk.line.parts.spool.remove_origin(film, (0, 0, 0, 0)) or what != "lstat"
    assert len(desk.ledger.origins.all()) == 1
    assert (desk.results(), desk.film.exists()) == (1, True)
    assert desk.take(SCORED_AFTER)


def test_what_is_no_file_any_more_is_no_original_and_keeps_no_erasure_waiting(
    desk: Desk,
) -> None:
    desk.copied(scored=True)
    desk.film.unlink()
    desk.film.mkdir()
    forget: Any = Forgetting(desk.settings, desk.line.parts)
    assert forget({"id": sha(HALF)})["files"] == 1
    assert desk.film.is_dir()


def test_an_original_that_could_not_be_removed_is_not_read_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.copied(scored=True)
    desk.line.parts.spool._looks._known.clear()
    monkeypatch.setattr(Spool, "remove_origin", lambda *_: False)
    assert not desk.take(SCORED_AFTER)
    monkeypatch.setattr(Spool, "is_original", lambda *_: pytest.fail("it was read"))
    assert not desk.take(SCORED_AFTER)


def test_an_original_that_cannot_be_removed_is_told_when_its_time_has_come(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.copied(scored=True)
    desk.reception.finish_taking()
    health = desk.line.parts.health
    assert health.reasons_and_causes() == []
    with monkeypatch.context() as patch:
        patch.setattr(Spool, "remove_origin", lambda *_: False)
        assert not desk.take(SCORED_AFTER)
    assert [cause for _, cause in health.reasons_and_causes()] == [Cause.INBOX_UNDELETABLE]
    assert desk.take(SCORED_AFTER)
    assert health.reasons_and_causes() == []


@pytest.mark.parametrize("name", ["IM1.dcm", "sent/IM1.dcm"])
@pytest.mark.parametrize("reused", [False, True])
def test_an_original_that_was_renamed_is_answered_once(
    desk: Desk, name: str, *, reused: bool, later: Callable[[float], None]
) -> None:
    desk.copied(scored=True)
    renamed = desk.film.parent / name
    move(desk.film, renamed)
    if reused:
        desk.film.write_bytes(WHOLE)
        assert not desk.take(SETTLED_AFTER)
    for _ in range(3):
        later(GONE_S)
        desk.reception.forget_gone(idle=False)
    assert not desk.reception.take_file(renamed, quiet=SETTLED_AFTER)
    for _ in range(3):
        later(GONE_S)
        desk.reception.forget_gone(idle=True)
    assert renamed in [origin.path for origin in desk.ledger.origins.all()]
    assert desk.reception.take_file(renamed, quiet=SCORED_AFTER)
    assert not renamed.exists()
    assert desk.results() == 1


def test_an_original_that_was_renamed_while_no_daemon_ran_is_answered_once(desk: Desk) -> None:
    desk.copied(scored=True)
    (origin,) = desk.ledger.origins.all()
    with desk.ledger._database.transaction() as db:
        db.execute("UPDATE submissions SET settled = 1")
    renamed = desk.film.with_name("IM1.dcm")
    move(desk.film, renamed)
    desk.reception.finish_taking()
    assert desk.reception.take_file(renamed, quiet=SETTLED_AFTER)
    assert (renamed.exists(), desk.results()) == (False, 1)
    assert origin.claim not in [left.claim for left in desk.ledger.origins.all()]


def test_an_original_that_was_moved_onto_another_one_is_answered_once(desk: Desk) -> None:
    desk.copied(scored=True)
    other = desk.film.with_name("other.dcm")
    other.write_bytes(WHOLE)
    assert not desk.reception.take_file(other, quiet=SETTLED_AFTER)
    desk.conclude(WHOLE, scored=True)
    move(desk.film, other)
    assert not desk.reception.take_file(other, quiet=SETTLED_AFTER)
    assert desk.results() == 2


def test_a_renamed_file_with_other_bytes_under_the_same_looks_is_taken(desk: Desk) -> None:
    desk.copied(scored=True)
    looks = desk.film.stat()
    renamed = desk.film.with_name("IM1.dcm")
    move(desk.film, renamed)
    renamed.write_bytes(HALF[::-1])
    os.utime(renamed, ns=(looks.st_atime_ns, looks.st_mtime_ns))
    desk.reception.take_file(renamed, quiet=SETTLED_AFTER)
    assert desk.images() == {sha(HALF), sha(HALF[::-1])}


def test_a_second_file_with_the_bytes_of_an_original_is_answered_too(desk: Desk) -> None:
    desk.copied(scored=True)
    second = desk.film.with_name("IM1.dcm")
    shutil.copy2(desk.film, second)
    desk.reception.take_file(second, quiet=SETTLED_AFTER)
    assert len(desk.ledger.origins.all()) == 2


def test_an_original_that_somebody_removed_is_told_no_more_and_forgotten_in_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, later: Callable[[float], None]
) -> None:
    desk.copied(scored=True)
    health = desk.line.parts.health
    with monkeypatch.context() as patch:
        patch.setattr(Spool, "remove_origin", lambda *_: False)
        assert not desk.take(SCORED_AFTER)
    assert [cause for _, cause in health.reasons_and_causes()] == [Cause.INBOX_UNDELETABLE]
    desk.film.unlink()
    desk.reception.forget_gone(idle=False)
    assert health.reasons_and_causes() == []
    later(GONE_S - 60)
    desk.reception.forget_gone(idle=True)
    assert len(desk.ledger.origins.all()) == 1
    later(60)
    desk.reception.forget_gone(idle=True)
    assert desk.ledger.origins.all() == []


def test_originals_of_a_share_that_was_away_are_not_answered_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, later: Callable[[float], None]
) -> None:
    desk.copied(scored=True)
    away = desk.folder / "away"
    move(desk.film, away)  # the share looks empty
    desk.reception.forget_gone(idle=True)
    later(GONE_S - 60)
    desk.reception.forget_gone(idle=True)

    def no_answer(_: Path) -> NoReturn:
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "lstat", no_answer)
        later(GONE_S)
        desk.reception.forget_gone(idle=True)
    move(away, desk.film)
    assert not desk.take(SETTLED_AFTER)
    assert desk.results() == 1


@pytest.mark.parametrize("reused", [False, True])
def test_an_erased_image_does_not_come_in_again_under_another_name(
    desk: Desk, *, reused: bool
) -> None:
    desk.copied(scored=True)
    move(desk.film, desk.film.parent / "sent/IM1.dcm")
    if reused:
        desk.film.write_bytes(HALF[::-1])
    forget: Any = Forgetting(desk.settings, desk.line.parts)
    assert forget({"id": sha(HALF)})["files"] == 2
    left = [path for path in desk.film.parent.rglob("*") if path.is_file()]
    assert left == ([desk.film] if reused else [])


@pytest.mark.parametrize("deletable", [True, False])
def test_an_erased_image_does_not_come_in_again_from_its_original(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, *, deletable: bool
) -> None:
    desk.copied(scored=True)
    forget: Any = Forgetting(desk.settings, desk.line.parts)
    if deletable:
        assert forget({"id": sha(HALF)})["files"] == 2
        assert not desk.film.exists()
        return
    monkeypatch.setattr(Spool, "remove_origin", lambda *_: False)
    with pytest.raises(Unavailable, match="the file cannot be removed there"):
        forget({"id": sha(HALF)})
    assert desk.images() == {sha(HALF)}


def of_another_mount(desk: Desk) -> None:
    """Have the originals come from another device than the one that lies at the inbox now."""
    with desk.ledger._database.transaction() as db:
        db.execute("UPDATE origins SET device = device + 1")


def test_an_image_is_not_erased_while_the_mount_with_its_original_is_away(desk: Desk) -> None:
    desk.copied(scored=True)
    away = desk.folder / "away"
    move(desk.film, away)  # what is left is an empty folder of another file system
    of_another_mount(desk)
    forget: Any = Forgetting(desk.settings, desk.line.parts)
    with pytest.raises(Unavailable, match=f"original .* not found.*forget {sha(HALF)}` again"):
        forget({"id": sha(HALF)})
    assert desk.images() == {sha(HALF)}
    move(away, desk.film)
    assert forget({"id": sha(HALF)})["files"] == 2
    assert not desk.film.exists()


def test_an_original_that_was_said_to_be_gone_is_erased_by_the_same_words_once_it_is_back(
    desk: Desk,
) -> None:
    desk.copied(scored=True)
    away, other = desk.folder / "away", desk.film.with_name("other.dcm")
    move(desk.film, away)
    of_another_mount(desk)
    forget: Any = Forgetting(desk.settings, desk.line.parts)
    said = forget({"id": sha(HALF), "gone": True})
    assert (said["files"], desk.images()) == (1, set())
    assert "would come in as a new image: once it is back" in said["out_of_reach"][-1]
    assert f"forget {sha(HALF)}` again" in said["out_of_reach"][-1]
    move(away, desk.film)
    other.write_bytes(b"another film")
    assert forget({"id": sha(HALF)})["files"] == 1
    assert (desk.film.exists(), other.exists()) == (False, True)


def test_originals_of_a_mount_that_was_away_for_long_are_not_answered_again(
    desk: Desk, later: Callable[[float], None]
) -> None:
    desk.copied(scored=True)
    away = desk.folder / "away"
    move(desk.film, away)
    of_another_mount(desk)
    for _ in range(3):
        desk.reception.forget_gone(idle=True)
        later(GONE_S)
    move(away, desk.film)
    assert not desk.take(SETTLED_AFTER)
    assert desk.results() == 1


@pytest.fixture
def unmounted(desk: Desk) -> Callable[[], None]:
    """Have the inbox away as a bind mount of its file system is; returns what brings it back."""
    inbox, real = desk.film.parent, desk.folder / "real"

    def mount_again() -> None:
        inbox.rmdir()
        move(real, inbox)

    desk.copied(scored=False)
    move(inbox, real)
    inbox.mkdir()
    return mount_again


@pytest.mark.parametrize("restarted", [False, True])
def test_originals_of_a_bind_mount_that_was_away_for_long_are_not_answered_again(
    desk: Desk,
    unmounted: Callable[[], None],
    later: Callable[[float], None],
    *,
    restarted: bool,
) -> None:
    if restarted:
        desk.ledger.close()
        desk.ledger, desk.reception = (again := open_desk(desk.folder)).ledger, again.reception
    for _ in range(3):
        desk.reception.forget_gone(idle=True)
        later(GONE_S)
    unmounted()
    assert not desk.take(SETTLED_AFTER)
    assert desk.results() == 1


def test_the_original_of_a_bind_mount_that_goes_while_it_is_recorded_is_not_answered_again(
    desk: Desk, later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    accept = desk.ledger.submissions.accept
    inbox, real = desk.film.parent, desk.folder / "real"

    def unmount(*submission: Any) -> Path:  # noqa: ANN401
        move(inbox, real)
        inbox.mkdir()
        return accept(*submission)

    with monkeypatch.context() as patch:
        patch.setattr(desk.ledger.submissions, "accept", unmount)
        desk.copied()
    for _ in range(3):
        desk.reception.forget_gone(idle=True)
        later(GONE_S)
    inbox.rmdir()
    move(real, inbox)
    assert not desk.take(SETTLED_AFTER)
    assert desk.results() == 1


def test_an_image_is_not_erased_while_the_bind_mount_with_its_original_is_away(
    desk: Desk, unmounted: Callable[[], None]
) -> None:
    forget: Any = Forgetting(desk.settings, desk.line.parts)
    with pytest.raises(Unavailable, match="original"):
        forget({"id": sha(HALF)})
    assert desk.images() == {sha(HALF)}
    unmounted()
    assert forget({"id": sha(HALF)})["files"] == 2
    assert not desk.film.exists()


@pytest.mark.usefixtures("another_mount", "unmounted")
def test_an_inbox_in_another_place_is_believed_once_a_file_was_copied_from_there(
    desk: Desk, later: Callable[[float], None]
) -> None:
    desk.film.write_bytes(WHOLE)
    assert not desk.take(SETTLED_AFTER)
    for _ in range(3):
        desk.reception.forget_gone(idle=True)
        later(GONE_S)
    assert [origin.image_id for origin in desk.ledger.origins.all()] == [sha(WHOLE)]


def test_originals_on_a_mount_that_never_comes_back_are_forgotten_with_their_images(
    desk: Desk, later: Callable[[float], None]
) -> None:
    desk.copied(scored=True)
    desk.film.unlink()
    of_another_mount(desk)
    with desk.ledger._database.transaction() as db:
        db.execute("UPDATE submissions SET claim = NULL")  # as pruning leaves them
    for _ in range(2):
        desk.reception.forget_gone(idle=True)
        later(GONE_S)
    assert desk.ledger.origins.all() == []
