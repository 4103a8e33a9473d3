"""A request that is refused has one answer and no worker, and a kill alone refuses none."""

import hashlib
import itertools
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, cast

import pytest

from edge.daemon.intake import CLOSED
from edge.daemon.intake.references import WAIT_S, ReferenceIntake
from edge.daemon.intake.suspects import Suspects
from edge.daemon.pipeline import reception
from edge.daemon.pipeline.reception import Reception
from edge.daemon.workers.serving import Serving
from edge.errors import Unavailable
from edge.health import Health
from edge.models.active import shipped_bundle
from edge.models.bundle import verify
from edge.storage.ledger import Ledger
from edge.storage.ledger.records import Conclusion, Reference, Request, Submission
from edge.storage.ledger.results import Results
from edge.storage.spool import Spool
from edge.system import files
from tests.support.pipeline import AtOnce, Line, folders_of, line_of, parts_of
from tests.support.pools import Pool

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of os.fork
FILM = b"a precious film"
TEXT = b'{"name": "../state/lock", "sha256": "%s"}' % (b"0" * 64)
IMAGE_ID = hashlib.sha256(TEXT).hexdigest()
R1 = "00000000-0000-5000-8000-000000000000"
FILM_ID = hashlib.sha256(FILM).hexdigest()
VALID = json.dumps({"name": "film.dcm", "sha256": FILM_ID}).encode()
"""A request that is right, though its film may not be there."""
BUNDLE = verify(shipped_bundle())
OURS = str(Path(reception.__file__).parents[2])


@dataclass
class Desk:
    """A daemon whose loops the test turns."""

    ledger: Ledger
    line: Line
    pool: Pool
    reception: Reception
    intake: ReferenceIntake

    def ask(self, text: bytes = TEXT, *, again: bool = False) -> None:
        self.reception.take_reference(Request(text, "mammo/r", b"order", again))

    def look(self) -> None:
        self.intake.wake()
        self.intake.turn()

    def turn(self) -> None:
        for _ in range(3):
            self.line.dispatcher._pause_until = 0.0
            self.line.dispatcher._turn()

    def tell(self) -> None:
        for delivery in self.ledger.outbox.pending(["reply"]):
            self.ledger.outbox.delivered(delivery)

    def result_ids(self) -> list[str]:
        """List the result ids that were given out, one for each answer."""
        with self.ledger._database.reading() as db:
            return [row[0] for row in db.execute("SELECT result_id FROM results ORDER BY seq")]


@contextmanager
def daemon(folder: Path) -> Iterator[Desk]:
    (folder / "inbox").mkdir(parents=True, exist_ok=True)
    ledger = Ledger(folder / "state", ["mqtt"], lambda payload, _: payload)
    ledger.restore.finish()
    spool = Spool(folder / "spool", folder / "done", folder / "failed")
    pool = Pool()
    serving = Serving(BUNDLE, cast("Any", pool))
    line = line_of(parts_of(ledger, spool, serving, tasks=AtOnce()))
    line.recovery.run()
    reception = line.reception(folders_of(folder))
    intake = ReferenceIntake(reception, Health(), Suspects(folder / "state"))
    yield Desk(ledger, line, pool, reception, intake)
    ledger.close()


def in_process(folder: Path, do: Callable[[Desk], None]) -> bool:
    """Do something in a process with a daemon; True if it is killed by that."""
    pid = os.fork()
    if pid == 0:
        files._DISK = ThreadPoolExecutor(2)  # type: ignore[misc]
        with daemon(folder) as desk:
            do(desk)
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def kill(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at(line: int) -> Callable[[int], None]:
    return lambda number: kill() if number == line else None


def refused_line_by_line(folder: Path, before: Callable[[int], None]) -> bool:
    """Look at a reference in a process, and do something before each line; True if it is killed."""

    def look(desk: Desk) -> None:
        numbers = itertools.count(1)

        def trace(frame: FrameType, event: str, _: object) -> Any:  # noqa: ANN401
            if not frame.f_code.co_filename.startswith(OURS):
                return None
            if event == "line":
                before(next(numbers))
            return trace

        sys.settrace(trace)
        desk.look()
        sys.settrace(None)

    return in_process(folder, look)


def lines_that_find_a_change(folder: Path, notes: Path) -> list[int]:
    """Number the lines of a refusal before which the disk is another one than at the last line."""
    last: dict[Path, bytes] = {}

    def note(number: int) -> None:
        files_now = [path for path in folder.rglob("*") if path.is_file()]
        # SQLite makes its index of the log anew after a kill.
        now = {path: path.read_bytes() for path in files_now if not path.name.endswith("-shm")}
        if now != last:
            with notes.open("a") as file:
                file.write(f"{number}\n")
            last.clear()
            last.update(now)

    assert not refused_line_by_line(folder, note)
    return [int(number) for number in notes.read_text().split()]


def test_a_refusal_that_is_killed_at_any_line_is_told_once_and_no_worker_has_its_text(
    tmp_path: Path,
) -> None:
    """A kill at a line that finds the disk as the line before did leaves no other one."""
    asked, watched = tmp_path / "asked", tmp_path / "watched"
    with daemon(asked) as desk:
        desk.ask()
    shutil.copytree(asked, watched)
    lines = lines_that_find_a_change(watched, tmp_path / "lines")
    assert len(lines) > 5, lines
    for line in lines:
        folder = shutil.copytree(asked, tmp_path / str(line))
        assert refused_line_by_line(folder, kill_at(line))
        with daemon(folder) as desk:
            desk.turn()
            desk.look()
            desk.turn()
            assert (desk.pool.asked, len(desk.result_ids())) == ([], 1), line
            assert desk.ledger.references.count() == 0


def test_a_refusal_whose_outcome_the_ledger_does_not_take_leaves_nothing_for_a_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        msg = "ledger: database or disk is full"
        raise Unavailable(msg)

    with daemon(tmp_path) as desk:
        desk.ask()
        with monkeypatch.context() as patched:
            patched.setattr(Results, "record", fail)
            desk.look()
            desk.turn()
        assert (desk.pool.asked, desk.result_ids()) == ([], [])
        assert desk.ledger.images.find(IMAGE_ID) is None
        desk.look()
        desk.turn()
        assert (desk.pool.asked, len(desk.result_ids())) == ([], 1)


@pytest.mark.parametrize("told", [False, True], ids=["its answer is on its way", "it was told"])
@pytest.mark.parametrize("way", ["looked at", "refused on arrival"])
def test_a_refused_request_that_is_delivered_again_gets_no_other_answer(
    tmp_path: Path, way: str, *, told: bool
) -> None:
    with daemon(tmp_path) as desk:
        for again in (False, True, True):
            if way == "looked at":
                desk.ask(again=again)
                desk.look()
            else:
                desk.reception.refuse_reference(Request(TEXT, "mammo/r", b"order", again), "bad")
            desk.turn()
            if told:
                desk.tell()
        ids = desk.result_ids()
        assert (len(ids), len(set(ids)), desk.pool.asked) == (3 if told else 1, 1, [])


@pytest.mark.parametrize("step", ["hash_in_place", "claiming"])
def test_a_reference_that_waits_for_its_file_when_the_daemon_is_killed_is_taken_by_the_next_one(
    tmp_path: Path, step: str
) -> None:
    """As its mount hangs."""
    image_id = hashlib.sha256(FILM).hexdigest()
    with daemon(tmp_path) as desk:
        desk.ask(json.dumps({"name": "film.dcm", "sha256": image_id}).encode())
    (tmp_path / "inbox" / "film.dcm").write_bytes(FILM)

    def look(desk: Desk) -> None:
        setattr(desk.line.parts.spool, step, kill)
        desk.look()

    for _ in range(3):
        assert in_process(tmp_path, look)
    with daemon(tmp_path) as desk:
        desk.look()
        assert desk.result_ids() == []
        assert desk.ledger.images.find(image_id) is not None
        assert desk.ledger.references.count() == 0


def test_a_reference_whose_text_ends_a_daemon_ends_no_other_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with daemon(tmp_path) as desk:
        desk.ask()
    monkeypatch.setattr(reception, "parse_reference", kill)
    assert in_process(tmp_path, Desk.look)
    assert not in_process(tmp_path, lambda desk: desk.ask(again=True))
    assert not in_process(tmp_path, Desk.look)
    assert not in_process(tmp_path, Desk.tell)
    assert not in_process(tmp_path, lambda desk: desk.ask(again=True))
    assert not in_process(tmp_path, Desk.look)
    with daemon(tmp_path) as desk:
        assert (len(desk.result_ids()), len(set(desk.result_ids()))) == (2, 1)
        assert desk.ledger.references.count() == 0


def test_a_request_that_comes_while_another_is_refused_is_not_forgotten_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even the same one, which its sender sends once more when it hears of the refusal."""
    with daemon(tmp_path) as desk:
        refuse = desk.line.recorder.refuse
        asked = [TEXT, b"{"]

        def late(submission: Submission, why: str, waiting: Reference | None) -> Path | None:
            path = refuse(submission, why, waiting)
            if asked:
                desk.ask(asked.pop(0))  # it has the number that is free now
            return path

        monkeypatch.setattr(desk.reception, "_refuse", late)
        desk.ask()
        for waiting in (TEXT, b"{"):
            desk.look()
            assert [one.request.payload for one in desk.reception.references()] == [waiting]


def test_a_request_waits_for_its_file_from_when_it_came_though_its_number_was_another_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("edge.daemon.intake.references.time.monotonic", lambda: now[0])
    with daemon(tmp_path) as desk:
        for _ in range(2):
            desk.ask(VALID)
            desk.look()
            assert desk.ledger.references.count() == 1
            now[0] += WAIT_S
            desk.look()
            assert desk.ledger.references.count() == 0
        assert len(desk.result_ids()) == 2


def test_a_request_that_was_erased_while_it_was_looked_at_is_not_refused_in_anothers_place(
    tmp_path: Path,
) -> None:
    with daemon(tmp_path) as desk:
        desk.ask(VALID)
        (reference,) = desk.reception.references()
        desk.ledger.erasure.erase([FILM_ID], lambda _: None)
        desk.ask(b"{")
        desk.reception.refuse_reference(reference.request, "late", reference)
        assert [one.request.payload for one in desk.reception.references()] == [b"{"]
        assert desk.result_ids() == []
        assert list((tmp_path / "spool" / "claimed").iterdir()) == []


def test_a_refusal_after_which_memory_ends_is_no_second_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: object) -> None:
        raise MemoryError

    with daemon(tmp_path) as desk:
        monkeypatch.setattr(desk.line.recorder, "_file", no_memory)
        desk.ask()
        desk.look()
        assert len(desk.result_ids()) == 1
        assert desk.ledger.references.count() == 0


@pytest.mark.parametrize("scored", [False, True], ids=["it waits", "another model scored it"])
def test_a_film_that_is_sent_to_the_topic_of_references_too_is_examined_as_ever(
    tmp_path: Path, *, scored: bool
) -> None:
    with daemon(tmp_path) as desk:
        film = tmp_path / "inbox" / "film.dcm"
        film.write_bytes(FILM)
        desk.reception.take_file(film, quiet=CLOSED)
        if scored:
            of_another = Conclusion(FILM_ID, R1, "another", scored=True, render=lambda _: b"{}")
            desk.ledger.images.conclude(of_another)
        desk.reception.refuse_reference(Request(FILM, "mammo/r", b"order"), "it is too large")
        assert desk.result_ids() == ([R1] if scored else [])
        desk.turn()
        assert len(desk.pool.asked) == 1


def test_a_request_whose_film_has_come_since_it_was_refused_is_taken_though_it_is_delivered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the daemon was killed before it had the second request, which is the same text."""
    monkeypatch.setattr("edge.daemon.intake.references.WAIT_S", 0.0)
    with daemon(tmp_path) as desk:
        desk.ask(VALID)
        desk.look()
        desk.tell()
        (tmp_path / "inbox" / "film.dcm").write_bytes(FILM)
        desk.ask(VALID, again=True)
        desk.look()
        assert desk.ledger.images.find(FILM_ID) is not None


def test_a_request_that_cannot_be_refused_for_want_of_memory_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: object) -> None:
        raise MemoryError

    with daemon(tmp_path) as desk:
        desk.ask()
        with monkeypatch.context() as patched:
            patched.setattr(Results, "record", no_memory)
            desk.look()
        assert (desk.result_ids(), desk.ledger.references.count()) == ([], 1)
        desk.look()
        assert (len(desk.result_ids()), desk.ledger.references.count()) == (1, 0)
