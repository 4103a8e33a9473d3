"""
A worker that is idle begins with a file while it is hashed, and nothing that it says counts before
the ledger has the image.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edge.daemon.intake import CLOSED
from edge.daemon.pipeline.dispatcher import Dispatcher
from edge.daemon.pipeline.reception import Reception
from edge.daemon.workers.verdict import Died
from edge.storage.ledger import Ledger
from edge.storage.ledger.records import Image
from edge.storage.ledger.states import State
from edge.storage.spool import Spool
from edge.system.files import NotReadyError
from tests.support.pipeline import Line, folders_of, line_of, parts_of
from tests.support.pools import Pool, serving

DIED = Died("worker ended by SIGSEGV")


@dataclass
class Desk:
    """The way in and the loop; their threads are the test's."""

    inbox: Path
    ledger: Ledger
    spool: Spool
    reception: Reception
    line: Line
    pool: Pool

    @property
    def dispatcher(self) -> Dispatcher:
        return self.line.dispatcher

    def take(self, name: str, *, settled: bool = True) -> None:
        path = self.inbox / name
        path.write_bytes(name.encode())
        self.reception.take_file(path, quiet=CLOSED if settled else 1.0)

    def image(self) -> Image | None:
        """The only one that the ledger has."""
        found = [image for state in State for image in self.ledger.images.in_state(state, limit=9)]
        assert len(found) < 2
        return found[0] if found else None


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """In which the loop has a turn while a file is being hashed."""
    (tmp_path / "inbox").mkdir()
    ledger = Ledger(tmp_path / "state", ["mqtt"], lambda payload, _: payload)
    spool, pool = Spool(tmp_path / "spool", tmp_path / "done", tmp_path / "failed"), Pool()
    line = line_of(parts_of(ledger, spool, serving(pool)))
    reception = line.reception(folders_of(tmp_path))
    made = Desk(tmp_path / "inbox", ledger, spool, reception, line, pool)
    line.dispatcher._turn()
    hashed = spool._hashed

    def hash_slowly(*arguments: Any) -> Any:  # noqa: ANN401 - as it is
        line.dispatcher._turn()
        return hashed(*arguments)

    monkeypatch.setattr(spool, "_hashed", hash_slowly)
    yield made
    ledger.close()


def attempts(desk: Desk) -> int:
    image = desk.image()
    assert image is not None
    return image.attempts


def test_what_a_worker_said_before_the_ledger_had_the_image_counts_from_then_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept = desk.ledger.submissions.accept

    def accept_late(*arguments: Any) -> Path:  # noqa: ANN401 - as it is
        desk.pool.answer(DIED)
        desk.dispatcher._turn()
        assert desk.image() is None
        return accept(*arguments)

    monkeypatch.setattr(desk.ledger.submissions, "accept", accept_late)
    desk.take("ahead.dcm")
    desk.dispatcher._dispatch()
    assert desk.pool.asked == []
    desk.dispatcher._record_finished()
    assert attempts(desk) == 1


def test_a_file_with_which_a_worker_has_begun_is_given_to_no_other(desk: Desk) -> None:
    desk.pool.job.count = 2
    desk.take("ahead.dcm")
    desk.dispatcher._turn()
    image = desk.image()
    assert image is not None
    assert (len(desk.pool.asked), image.state) == (1, State.EXAMINING)
    desk.pool.answer(DIED)
    desk.dispatcher._record_finished()
    assert attempts(desk) == 1


def test_an_image_that_is_known_already_is_not_answered_from_a_head_start(desk: Desk) -> None:
    desk.take("ahead.dcm")
    desk.dispatcher._turn()
    desk.pool.job.count = 2
    (desk.inbox / "again.dcm").write_bytes(b"ahead.dcm")
    desk.reception.take_file(desk.inbox / "again.dcm", quiet=CLOSED)
    desk.dispatcher._turn()
    assert len(desk.pool.asked) == 2
    desk.pool.answer(DIED)  # the second, of which nobody will ask
    desk.dispatcher._record_finished()
    assert attempts(desk) == 0


def test_what_waits_goes_before_what_is_being_hashed(desk: Desk) -> None:
    desk.pool.job.count = 0
    desk.take("waits.dcm")
    desk.pool.job.count = 1
    waiting = desk.image()
    desk.line.head_start.offer(desk.inbox)
    desk.dispatcher._turn()
    assert waiting is not None
    assert [image.image_id for image in desk.ledger.images.in_state(State.EXAMINING, limit=9)] == [
        waiting.image_id
    ]
    assert len(desk.pool.asked) == 1


def test_a_file_whose_writer_goes_on_is_handed_back_and_its_head_start_is_nobodys(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def goes_on(path: Path, _: object) -> str:
        path.write_bytes(b"the whole file")
        return "0" * 64

    with monkeypatch.context() as patch:
        patch.setattr("edge.system.files.sha256_and_sync", goes_on)
        with pytest.raises(NotReadyError):
            desk.take("changes.dcm")
    assert [file.name for file in desk.inbox.iterdir()] == ["changes.dcm"]
    desk.pool.answer(DIED)
    (desk.inbox / "changes.dcm").unlink()
    desk.take("next.dcm")
    desk.dispatcher._turn()
    assert (len(desk.pool.asked), attempts(desk)) == (1, 0)


def test_a_head_start_with_the_model_before_is_worth_nothing(desk: Desk) -> None:
    fresh = Pool()
    desk.take("ahead.dcm")
    desk.line.parts.model.swap(serving(fresh))
    desk.dispatcher._turn()
    assert (len(desk.pool.asked), len(fresh.asked)) == (1, 1)


def test_an_image_is_not_queued_at_busy_workers_because_those_of_another_model_began_with_it(
    desk: Desk,
) -> None:
    fresh = Pool(asked=[lambda _: None])
    desk.take("ahead.dcm")
    desk.line.parts.model.swap(serving(fresh))
    desk.dispatcher._turn()
    image = desk.image()
    assert image is not None
    assert (len(fresh.asked), image.state) == (1, State.RECEIVED)


def test_waiting_images_are_given_out_once_a_worker_is_idle_after_an_unwanted_head_start(
    desk: Desk,
) -> None:
    desk.take("ahead.dcm")
    desk.line.parts.tasks.wait(0.0)
    desk.pool.answer(DIED)
    assert not desk.line.parts.tasks._bell.empty()


def test_a_disk_that_fails_as_a_worker_would_begin_does_not_end_the_loop(desk: Desk) -> None:
    desk.line.head_start.offer(desk.inbox / ("too long" * 32))
    desk.dispatcher._turn()
    assert desk.pool.asked == []


def test_known_bytes_of_which_a_worker_dies_again_cost_one_worker_however_often_they_are_sent(
    desk: Desk,
) -> None:
    desk.take("poison.dcm")
    desk.dispatcher._turn()
    desk.pool.job.count, died = 2, 0
    for _ in range(3):
        (desk.inbox / "again.dcm").write_bytes(b"poison.dcm")
        desk.reception.take_file(desk.inbox / "again.dcm", quiet=CLOSED)
        if len(desk.pool.asked) > 1:
            desk.pool.answer(DIED)
            died += 1
    assert died == 1


@pytest.mark.usefixtures("another_mount")
def test_a_copy_which_a_kill_makes_nobodys_is_examined_only_once_it_is_recorded(desk: Desk) -> None:
    desk.take("copied.dcm")
    assert desk.pool.asked == []
    desk.dispatcher._turn()
    assert len(desk.pool.asked) == 1


@pytest.mark.parametrize("why", ["held", "alone", "stopping", "not settled"])
def test_no_worker_begins_ahead_where_it_could_do_harm(desk: Desk, why: str) -> None:
    if why == "held":
        desk.line.parts.model.hold()
    if why == "alone":
        desk.pool.job.count, desk.pool.asked, desk.dispatcher._alone = 2, [lambda _: None], True
    if why == "stopping":
        desk.dispatcher.stop()
    desk.take("film.dcm", settled=why != "not settled")
    assert len(desk.pool.asked) == (why == "alone")  # the one image that is examined alone


def test_a_stop_does_not_wait_for_an_answer_of_which_nobody_has_asked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        desk.ledger.submissions, "accept", lambda submission, _: submission.path
    )  # not yet, for all that the loop sees
    desk.take("ahead.dcm")
    assert (desk.pool.in_work, desk.dispatcher._in_work()) == (1, 0)
    desk.pool.answer(DIED)
    assert desk.dispatcher._in_work() == 0
