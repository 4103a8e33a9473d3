"""Pictures are drawn after the result has left; whatever happens to them costs a counter alone."""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from edge.config.settings import Page, Retention, Settings, State
from edge.contract.render import result_id
from edge.daemon.pipeline import drawer
from edge.daemon.pipeline.artist import Artist
from edge.daemon.pipeline.drawer import Drawer
from edge.daemon.pipeline.examination import Examination
from edge.daemon.wiring.drawing import open_drawer
from edge.daemon.workers.serving import Serving
from edge.daemon.workers.verdict import Died
from edge.domain import Rejection, Result
from edge.drawn import Drawn
from edge.errors import ModelError, Reason, Unavailable
from edge.storage.ledger import Ledger
from edge.storage.ledger.records import Conclusion, Submission
from edge.storage.ledger.states import Move
from edge.storage.pictures import SMALL, find
from edge.storage.spool import Spool
from tests.support.pipeline import parts_of

SCORED = object.__new__(Result)
BUNDLE = cast("Any", SimpleNamespace(bundle_id="b" * 64, preprocess_id="p", folder=Path("bundle")))


def name(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


@dataclass
class Pool:
    """A worker that draws at once."""

    verdict: object = field(default_factory=lambda: Drawn(b"large", b"small"))
    seen: list[Path] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None
    closed: int = 0
    in_work: int = 0

    def examine(self, path: Path, beat: Callable[[], None]) -> object:
        beat()
        self.seen.append(path)
        self.meanwhile()
        return self.verdict

    def close(self) -> None:
        self.closed += 1


@dataclass
class Line:
    """A ledger with its archive, and a drawer whose turns are the test's."""

    settings: Settings
    ledger: Ledger
    spool: Spool
    pool: Pool
    drawer: Drawer
    opened: list[Path]

    def conclude(self, number: int, *, archived: bool = True) -> Examination:
        image_id = name(number)
        claimed = self.spool.claimed / f"f-{number}"
        claimed.write_bytes(str(number).encode())
        came = Submission(image_id, claimed, b"film.dcm", "folder", 1e9)
        self.ledger.submissions.accept(came, "b")
        self.ledger.images.move(image_id, Move.DISPATCH)
        image = self.ledger.images.find(image_id)
        assert image is not None
        named = result_id(image_id, BUNDLE, image.generation)
        done = Conclusion(image_id, named, "b", scored=True, render=lambda _: b"{}")
        payload = self.ledger.images.conclude(done)
        if archived:
            path = self.spool.archive(claimed, image_id, b"film.dcm", payload, scored=True)
            self.ledger.images.archived(image_id, path)
        serving = Serving(BUNDLE, cast("Any", self.pool))
        return Examination(image, serving, 0.0, 1.0, SCORED)

    def deliver(self) -> None:
        for delivery in self.ledger.outbox.pending(["mqtt"]):
            self.ledger.outbox.delivered(delivery)

    def picture(self, number: int) -> Path | None:
        return find(
            self.settings.state.path, name(number), result_id(name(number), BUNDLE, 0), SMALL
        )

    @property
    def counters(self) -> dict[str, int]:
        return dict(self.drawer._health.counters)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    settings = Settings(
        state=State(path=tmp_path / "state"),
        page=Page(pictures=True),
        retention=Retention(min_free_mb=0),
    )
    ledger = Ledger(tmp_path / "state", ["mqtt"], lambda payload, _: payload)
    spool = Spool(tmp_path / "spool", tmp_path / "done", tmp_path / "failed")
    pool, opened = Pool(), list[Path]()
    parts = parts_of(ledger, spool, Serving(BUNDLE, cast("Any", pool)))

    def open_(folder: Path) -> "Future[Serving]":
        opened.append(folder)
        future: Future[Serving] = Future()
        bundle = cast("Any", SimpleNamespace(bundle_id=folder.name[0] * 64))
        future.set_result(Serving(bundle, cast("Any", pool)))
        return future

    yield Line(settings, ledger, spool, pool, Drawer(settings, parts, Artist(open_)), opened)
    ledger.close()


def test_a_delivered_image_gets_its_pictures(line: Line) -> None:
    for number in (1, 2):
        line.drawer.observe(line.conclude(number))
        line.deliver()
        line.drawer.turn()
        found = line.picture(number)
        assert found is not None
        assert found.read_bytes() == b"small"
    assert line.opened == [BUNDLE.folder]
    assert line.counters == {"pictures_drawn": 2}


def test_nothing_is_drawn_before_the_result_is_delivered(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.drawer.observe(line.conclude(1))
    waits: list[int] = []

    def wait(_: float) -> bool:
        waits.append(len(line.pool.seen))
        if len(waits) == 3:
            line.deliver()
        return False

    monkeypatch.setattr(line.drawer._stop, "wait", wait)
    line.drawer.turn()
    assert waits == [0, 0, 0]
    assert line.picture(1) is not None


def test_nothing_is_drawn_while_an_image_is_in_work(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.drawer.observe(line.conclude(1))
    line.deliver()
    line.pool.in_work = 1

    def wait(_: float) -> bool:
        assert line.pool.seen == []
        line.pool.in_work = 0
        return False

    monkeypatch.setattr(line.drawer._stop, "wait", wait)
    line.drawer.turn()
    assert line.pool.in_work == 0
    assert line.picture(1) is not None


def test_a_broker_that_is_away_does_not_keep_pictures_from_being_drawn(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawer, "PATIENCE_S", -1.0)
    line.drawer.observe(line.conclude(1))
    line.drawer.turn()
    assert line.picture(1) is not None


@pytest.mark.parametrize("verdict", [Died("worker ended by SIGSEGV"), Rejection(Reason.POISON, "")])
def test_a_picture_that_cannot_be_drawn_is_counted(line: Line, verdict: object) -> None:
    line.pool.verdict = verdict
    line.drawer.observe(line.conclude(1))
    line.deliver()
    line.drawer.turn()
    assert line.picture(1) is None
    assert line.counters == {"pictures_failed": 1}


def test_a_picture_of_an_image_that_could_not_be_archived_is_counted(line: Line) -> None:
    line.drawer.observe(line.conclude(1, archived=False))
    line.deliver()
    line.drawer.turn()
    assert line.pool.seen == []
    assert line.counters == {"pictures_failed": 1}


def test_a_picture_that_was_drawn_for_the_pacs_of_such_an_image_is_refused(line: Line) -> None:
    line.conclude(1, archived=False)
    drawn = Drawn(b"large", b"small")
    with pytest.raises(Unavailable, match="not archived yet"):
        line.drawer.keep(name(1), result_id(name(1), BUNDLE, 0), drawn)
    assert line.picture(1) is None
    assert line.counters == {}


@pytest.mark.parametrize("error", [ModelError("x"), Unavailable("x"), OSError(28, "No space")])
def test_neither_a_model_nor_a_disk_that_fails_costs_more(
    line: Line, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> bool:
        raise error

    if isinstance(error, ModelError):
        monkeypatch.setattr(line.drawer._artist, "_opened", failing)
    else:
        monkeypatch.setattr(line.ledger.pictures, "keep", failing)
    line.drawer.observe(line.conclude(1))
    line.deliver()
    line.drawer.turn()
    assert line.counters == {"pictures_failed": 1}


def test_where_room_is_short_nothing_is_drawn(line: Line) -> None:
    line.drawer._least_free = 2**60
    line.drawer.observe(line.conclude(1))
    line.deliver()
    line.drawer.turn()
    assert line.pool.seen == []
    assert line.counters == {"pictures_failed": 1}


def test_more_than_can_wait_are_counted_and_told(
    line: Line, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(line.drawer._queue, "maxsize", 1)
    seen = line.conclude(1)
    line.drawer.observe(seen)
    line.drawer.observe(seen)
    line.drawer.observe(replace(seen, verdict=Died("")))
    assert line.counters == {"pictures_failed": 1}
    assert 'event=picture_failed why="4096 images wait to be drawn already"' in caplog.text


def test_an_image_that_is_erased_while_it_is_drawn_gets_no_picture(line: Line) -> None:
    line.drawer.observe(line.conclude(1))
    line.deliver()
    line.pool.meanwhile = lambda: cast(
        "None", line.ledger.erasure.erase([name(1)], lambda path: path.unlink())
    )
    line.drawer.turn()
    assert line.picture(1) is None
    assert list((line.settings.state.path).rglob("*.jpg")) == []
    assert line.counters == {}


def test_an_image_whose_file_is_pruned_is_not_drawn(line: Line) -> None:
    line.drawer.observe(line.conclude(1))
    line.deliver()
    line.ledger.pruning.remove_file(name(1), lambda path: path.unlink())
    line.drawer.turn()
    assert line.pool.seen == []
    assert line.counters == {}


def test_without_the_setting_there_is_no_drawer_and_earlier_pictures_go(line: Line) -> None:
    line.drawer.observe(line.conclude(1))
    line.deliver()
    line.drawer.turn()
    parts = parts_of(line.ledger, line.spool, Serving(BUNDLE, cast("Any", line.pool)))
    artist = line.drawer._artist
    assert open_drawer(line.settings, parts, artist) is not None
    assert line.picture(1) is not None
    assert open_drawer(Settings(state=line.settings.state), parts, artist) is None
    assert line.picture(1) is None
