"""Nothing lost, nothing twice: the ledger under any order of events, kills included."""

import contextlib
import errno
import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge.domain import Numbering
from edge.errors import StartupError, Unavailable
from edge.storage.ledger import Ledger
from edge.storage.ledger.database import FILE
from edge.storage.ledger.queries import open_queries
from edge.storage.ledger.records import ALONE_AFTER, POISON_AFTER, Conclusion, Submission
from edge.storage.ledger.schema import VERSION
from edge.storage.ledger.states import IllegalMoveError, Move, State
from tests.support.tools import need


def readdress(payload: bytes, numbering: Numbering) -> bytes:
    return json.dumps(
        {**json.loads(payload), "seq": numbering.seq, "duplicate_of": numbering.duplicate_of}
    ).encode()


def open_at(folder: Path) -> Ledger:
    return Ledger(folder, ["mqtt", "jsonl"], readdress)


def submission(
    image_id: str, folder: Path, number: int, response_topic: str | None = None
) -> Submission:
    path = folder / f"f-{number}"
    path.touch()
    return Submission(
        image_id, path, b"film.dcm", "folder", time.time(), response_topic=response_topic
    )


def conclusion(image_id: str, bundle: str, generation: int, *, scored: bool = True) -> Conclusion:
    result_id = f"{image_id}/{bundle}/{generation}"

    def render(numbering: Numbering) -> bytes:
        return json.dumps(
            {
                "result_id": result_id,
                "seq": numbering.seq,
                "duplicate_of": None,
                "supersedes": numbering.supersedes,
            }
        ).encode()

    return Conclusion(image_id, result_id, bundle, scored, render)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_at(tmp_path)
    yield opened
    opened.close()


def conclude(ledger: Ledger, image_id: str, bundle: str = "b1") -> dict[str, object]:
    image = ledger.images.find(image_id)
    assert image is not None
    payload: dict[str, object] = json.loads(
        ledger.images.conclude(conclusion(image_id, bundle, image.generation))
    )
    return payload


def published(ledger: Ledger) -> list[dict[str, object]]:
    return [json.loads(payload) for payload in ledger.queries.results()]


def test_the_same_bytes_again_get_the_same_result_id_and_a_seq_of_their_own(
    ledger: Ledger, tmp_path: Path
) -> None:
    ledger.submissions.accept(submission("i", tmp_path, 1), "b1")
    conclude(ledger, "i")
    kept = ledger.submissions.accept(submission("i", tmp_path, 2), "b1")
    assert kept == tmp_path / "f-1"
    first, second = published(ledger)
    assert (first["result_id"], first["seq"], first["duplicate_of"]) == (
        second["result_id"],
        1,
        None,
    )
    assert (second["seq"], second["duplicate_of"]) == (2, 1)


def test_a_duplicate_that_comes_before_the_outcome_waits_for_it(
    ledger: Ledger, tmp_path: Path
) -> None:
    ledger.submissions.accept(submission("i", tmp_path, 1, "mammo/a"), "b1")
    ledger.submissions.accept(submission("i", tmp_path, 2, "mammo/b"), "b1")
    assert published(ledger) == []
    conclude(ledger, "i")
    replies = ledger.outbox.pending(["reply"])
    assert [(reply.seq, reply.response_topic) for reply in replies] == [
        (1, "mammo/a"),
        (2, "mammo/b"),
    ]
    assert ledger.outbox.pending(["mqtt"]) == []  # returned there only


def test_another_bundle_examines_known_bytes_again_and_supersedes(
    ledger: Ledger, tmp_path: Path
) -> None:
    ledger.submissions.accept(submission("i", tmp_path, 1), "b1")
    first = conclude(ledger, "i")
    ledger.submissions.accept(submission("i", tmp_path, 2), "b2")
    assert conclude(ledger, "i", "b2")["supersedes"] == first["result_id"]


def test_bytes_that_come_again_after_a_new_bundle_were_received_when_they_came_again(
    ledger: Ledger, tmp_path: Path
) -> None:
    ledger.submissions.accept(replace(submission("i", tmp_path, 1), received_at=1.0), "b1")
    conclude(ledger, "i")
    ledger.submissions.accept(replace(submission("i", tmp_path, 2), received_at=2.0), "b2")
    image = ledger.turns.next_waiting()
    assert image is not None
    assert image.received_at == 2.0


def test_bytes_whose_archived_file_was_removed_are_archived_again_and_answered_as_known(
    ledger: Ledger, tmp_path: Path
) -> None:
    ledger.submissions.accept(submission("i", tmp_path, 1), "b1")
    conclude(ledger, "i")
    ledger.images.archived("i", tmp_path / "removed")
    assert ledger.submissions.accept(submission("i", tmp_path, 2), "b1") == tmp_path / "f-2"
    conclude(ledger, "i")
    assert [image.path for image in ledger.images.in_state(State.CONCLUDED)] == [tmp_path / "f-2"]
    first, second = published(ledger)
    assert (second["result_id"], second["duplicate_of"]) == (first["result_id"], first["seq"])


def test_retry_gives_a_new_result_id_that_supersedes_the_old(
    ledger: Ledger, tmp_path: Path
) -> None:
    ledger.submissions.accept(submission("i", tmp_path, 1), "b1")
    first = conclude(ledger, "i")
    ledger.submissions.retry(["i"])
    again = conclude(ledger, "i")
    assert again["supersedes"] == first["result_id"] != again["result_id"]


def test_retry_of_a_waiting_image_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    ledger.submissions.accept(submission("i", tmp_path, 1), "b1")
    with pytest.raises(
        IllegalMoveError, match="image i is received, expected archived or concluded"
    ):
        ledger.submissions.retry(["i"])


def test_a_claim_that_was_recorded_before_a_kill_is_not_recorded_again(
    ledger: Ledger, tmp_path: Path
) -> None:
    once = submission("i", tmp_path, 1)
    ledger.submissions.accept(once, "b1")
    ledger.submissions.accept(once, "b1")
    conclude(ledger, "i")
    assert len(published(ledger)) == 1


def test_a_claim_whose_name_another_image_had_is_recorded_all_the_same(
    ledger: Ledger, tmp_path: Path
) -> None:
    first = submission("i", tmp_path, 1)
    ledger.submissions.accept(first, "b1")
    assert ledger.submissions.accept(replace(first, image_id="j"), "b1") == first.path
    conclude(ledger, "i")
    conclude(ledger, "j")
    assert len(published(ledger)) == 2


def test_two_dead_workers_make_poison(ledger: Ledger, tmp_path: Path) -> None:
    ledger.submissions.accept(submission("i", tmp_path, 1), "b1")
    for _ in range(2):
        ledger.images.move("i", Move.DISPATCH)
        ledger.images.move("i", Move.BLAME)
    image = ledger.turns.next_waiting()
    assert image is not None
    assert image.poison


def test_an_image_interrupted_by_kills_goes_behind_the_others_then_alone_and_only_then_is_given_up(
    ledger: Ledger, tmp_path: Path
) -> None:
    ledger.submissions.accept(submission("old", tmp_path, 1), "b1")
    ledger.submissions.accept(submission("new", tmp_path, 2), "b1")
    seen = []
    for _ in range(POISON_AFTER):
        ledger.images.move("old", Move.DISPATCH)
        assert ledger.images.recover() == 1
        image = ledger.images.find("old")
        assert image is not None
        seen.append((image.alone, image.poison))
    waiting = ledger.turns.next_waiting()
    assert waiting is not None
    assert waiting.image_id == "new"
    assert [alone for alone, _ in seen].index(True) == ALONE_AFTER - 1
    assert [poison for _, poison in seen].index(True) == POISON_AFTER - 1


def test_a_drained_image_is_not_counted_as_interrupted(ledger: Ledger, tmp_path: Path) -> None:
    ledger.submissions.accept(submission("i", tmp_path, 1), "b1")
    ledger.images.move("i", Move.DISPATCH)
    ledger.images.recover()
    ledger.images.move("i", Move.DISPATCH)
    ledger.images.move("i", Move.RELEASE)
    image = ledger.turns.next_waiting()
    assert image is not None
    assert image.interrupted == 0


def test_a_held_delivery_lets_the_next_one_go_and_comes_back_on_a_new_connection(
    ledger: Ledger, tmp_path: Path
) -> None:
    for number in (1, 2):
        ledger.submissions.accept(submission(f"i{number}", tmp_path, number), "b1")
        conclude(ledger, f"i{number}")
    ledger.outbox.hold(ledger.outbox.pending(["mqtt"])[0], "not authorized")
    assert [delivery.seq for delivery in ledger.outbox.pending(["mqtt"])] == [2]
    assert ledger.outbox.counts()["mqtt"] == {"waiting": 1, "held": 1}
    ledger.outbox.release_held(["mqtt"], but="not authorized")
    assert ledger.outbox.held(["mqtt"]) == 1
    ledger.outbox.release_held(["mqtt"])
    assert [delivery.seq for delivery in ledger.outbox.pending(["mqtt"])] == [1, 2]


def test_bytes_come_again_although_nobody_can_look_where_the_ledger_has_them(
    ledger: Ledger, tmp_path: Path
) -> None:
    """Or every request behind them would wait, for as long as the archive's server is away."""
    ledger.submissions.accept(submission("i", tmp_path, 1), "b1")
    conclude(ledger, "i")
    away = tmp_path / ("n" * 300)  # at which the kernel fails, and says not that nothing is there
    ledger.images.archived("i", away)
    again = submission("i", tmp_path, 2)
    assert ledger.submissions.accept(again, "b2") == again.path
    image = ledger.images.find("i")
    assert image is not None
    assert (image.state, image.path) == (State.RECEIVED, again.path)
    conclude(ledger, "i", "b2")
    ledger.images.archived("i", away)
    assert not ledger.submissions.request_again("i", submission("i", tmp_path, 3), "b3")
    assert ledger.submissions.adopt(again.path)


def test_a_second_daemon_on_the_same_folder_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    assert ledger.queries.waiting() == 0
    with pytest.raises(StartupError, match="another mammo-edge has it open"):
        open_at(tmp_path)


def test_a_ledger_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    open_at(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(
        StartupError,
        match=f"its schema version is 99, this release reads up to {VERSION}: install the release",
    ):
        open_at(tmp_path)


def test_a_folder_that_cannot_be_made_is_a_startup_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartupError, match=r"state\.path"):
        open_at(tmp_path / "file" / "state")


def test_queries_work_beside_the_daemon(ledger: Ledger, tmp_path: Path) -> None:
    ledger.submissions.accept(submission("abc", tmp_path, 1), "b1")
    conclude(ledger, "abc")
    with open_queries(tmp_path) as queries:
        assert queries.image_ids("ab") == ["abc"]
        assert len(queries.results()) == 1
        assert queries.results(after=1) == []
        assert queries.results(since=time.time() + 60) == []
        assert queries.summary()["scored"] == 1
        assert queries.unserved([], []) == {"mqtt": 1, "jsonl": 1}


def test_a_failing_transaction_changes_nothing(ledger: Ledger, tmp_path: Path) -> None:
    ledger.submissions.accept(submission("i", tmp_path, 1), "b1")

    def fail(numbering: Numbering) -> bytes:
        msg = f"disk full at {numbering.seq}"
        raise sqlite3.OperationalError(msg)

    with pytest.raises(Unavailable, match="disk full"):
        ledger.images.conclude(Conclusion("i", "r", "b1", scored=True, render=fail))
    assert ledger.images.in_state(State.RECEIVED)
    assert conclude(ledger, "i")["seq"] == 1


@dataclass
class Expected:
    """What must hold of one image, kept beside the ledger."""

    submissions: int = 0
    result_ids: set[str] = field(default_factory=set)


class LedgerMachine(RuleBasedStateMachine):
    """Any order of arrivals, work, deaths, kills, retries, bundles and deliveries."""

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mammo-ledger-"))
        self.ledger = open_at(self.folder)
        self.expected: dict[str, Expected] = {}
        self.delivered: Counter[tuple[int, str]] = Counter()
        self.serving = "b1"
        self.claims = 0

    def teardown(self) -> None:
        self.ledger.close()
        shutil.rmtree(self.folder)

    def pick(self, state: State, index: int) -> str | None:
        images = self.ledger.images.in_state(state)
        return images[index % len(images)].image_id if images else None

    @rule(name=st.sampled_from("abcde"), reply=st.booleans())
    def arrive(self, name: str, reply: bool) -> None:  # noqa: FBT001 - hypothesis passes by name
        self.claims += 1
        self.ledger.submissions.accept(
            submission(name, self.folder, self.claims, f"mammo/{self.claims}" if reply else None),
            self.serving,
        )
        self.expected.setdefault(name, Expected()).submissions += 1

    @rule()
    def dispatch(self) -> None:
        image = self.ledger.turns.next_waiting()
        if image is not None:
            self.ledger.images.move(image.image_id, Move.DISPATCH)

    @rule(index=st.integers(0, 4), what=st.sampled_from([Move.RELEASE, Move.BLAME]))
    def give_up(self, index: int, what: Move) -> None:
        image_id = self.pick(State.EXAMINING, index)
        if image_id is not None:
            self.ledger.images.move(image_id, what)

    @rule(index=st.integers(0, 4), scored=st.booleans())
    def finish(self, index: int, scored: bool) -> None:  # noqa: FBT001
        image_id = self.pick(State.EXAMINING, index)
        if image_id is not None:
            image = self.ledger.images.find(image_id)
            assert image is not None
            outcome = conclusion(image_id, self.serving, image.generation, scored=scored)
            self.ledger.images.conclude(outcome)
            self.expected[image_id].result_ids.add(outcome.result_id)

    @rule(index=st.integers(0, 4))
    def archive(self, index: int) -> None:
        image_id = self.pick(State.CONCLUDED, index)
        if image_id is not None:
            done = self.folder / f"done-{image_id}"
            done.touch()
            self.ledger.images.archived(image_id, done)

    @rule(name=st.sampled_from("abcde"))
    def clean_up(self, name: str) -> None:
        (self.folder / f"done-{name}").unlink(missing_ok=True)

    @rule(index=st.integers(0, 4))
    def retry(self, index: int) -> None:
        image_id = self.pick(State.ARCHIVED, index)
        if image_id is not None:
            self.ledger.submissions.retry([image_id])
            self.expected[image_id].submissions += 1

    @rule(bundle=st.sampled_from(["b1", "b2"]))
    def activate(self, bundle: str) -> None:
        if not self.ledger.images.in_state(
            State.EXAMINING
        ):  # the old bundle's workers finish what they have
            self.serving = bundle

    @rule(sink=st.sampled_from(["mqtt", "jsonl", "reply"]), confirmed=st.booleans())
    def deliver(self, sink: str, confirmed: bool) -> None:  # noqa: FBT001
        for delivery in self.ledger.outbox.pending([sink], limit=1):
            self.delivered[delivery.seq, sink] += 1
            if (
                confirmed
            ):  # else a kill between the PUBACK and the commit: it goes out again, byte for byte
                self.ledger.outbox.delivered(delivery)

    @precondition(lambda self: self.claims > 0)
    @rule()
    def kill(self) -> None:
        self.ledger.close()
        self.ledger = open_at(self.folder)
        self.ledger.images.recover()

    @invariant()
    def nothing_is_lost_and_nothing_has_two_ids(self) -> None:
        results = published(self.ledger)
        assert [result["seq"] for result in results] == list(range(1, len(results) + 1))
        waiting = {
            image.image_id
            for state in (State.RECEIVED, State.EXAMINING)
            for image in self.ledger.images.in_state(state)
        }
        answered = Counter(str(result["result_id"]).partition("/")[0] for result in results)
        for image_id, expected in self.expected.items():
            ids = {
                str(result["result_id"])
                for result in results
                if str(result["result_id"]).startswith(f"{image_id}/")
            }
            assert ids == expected.result_ids
            assert answered[image_id] == expected.submissions or image_id in waiting
            assert answered[image_id] <= expected.submissions

    @invariant()
    def every_result_is_delivered_or_in_the_outbox(self) -> None:
        pending = {
            (delivery.seq, delivery.sink)
            for delivery in self.ledger.outbox.pending(["mqtt", "jsonl", "reply"], limit=10_000)
        }
        for seq in range(1, len(published(self.ledger)) + 1):
            assert (seq, "jsonl") in pending or self.delivered[seq, "jsonl"]
            assert (
                {(seq, "mqtt"), (seq, "reply")} & pending
                or self.delivered[seq, "mqtt"]
                or self.delivered[seq, "reply"]
            )


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(
    max_examples=30, stateful_step_count=40, suppress_health_check=[HealthCheck.too_slow]
)


def tmpfs(folder: Path, options: str) -> None:
    """Mount a small file system in memory, or skip."""
    folder.mkdir()
    done = subprocess.run(
        [need("mount", "mount"), "-t", "tmpfs", "-o", options, "tmpfs", folder], check=False
    )
    if done.returncode:
        pytest.skip("needs to mount a tmpfs: run as root")


@pytest.mark.parametrize("left", [0, 1, 2, 3, 4])
def test_a_start_without_free_inodes_waits_for_them_and_loses_nothing(
    tmp_path: Path, left: int
) -> None:
    tmpfs(tmp_path / "state", "size=16m,nr_inodes=30")
    state = tmp_path / "state"
    try:
        ledger = open_at(state)
        name = ledger.restore.numbering()[0]
        ledger.close()
        fillers = iter(range(100))
        with contextlib.suppress(OSError):
            while True:
                (state / f"filler-{next(fillers)}").touch()
        for number in range(left):
            (state / f"filler-{number}").unlink()
        with contextlib.suppress(Unavailable):  # never a StartupError, which is exit 78
            open_at(state).close()
        for filler in state.glob("filler-*"):
            filler.unlink()
        ledger = open_at(state)
        assert ledger.restore.numbering()[0] == name
        ledger.close()
    finally:
        subprocess.run(["umount", state], check=True)


@pytest.mark.parametrize("number", [errno.EDQUOT, errno.EIO, errno.ENFILE, errno.ESTALE])
def test_a_state_folder_that_cannot_be_opened_for_now_is_no_reason_to_give_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("edge.storage.ledger.database.os.open", refuse)
    with pytest.raises(Unavailable):
        open_at(tmp_path / "state")


def test_a_submission_that_cannot_be_answered_takes_no_other_with_it(tmp_path: Path) -> None:
    def picky(payload: bytes, numbering: Numbering) -> bytes:
        if numbering.received_at == 2.0:
            raise KeyError
        return payload

    ledger = Ledger(tmp_path, ["mqtt"], picky)
    for number in (1.0, 2.0, 3.0):
        path = tmp_path / str(number)
        ledger.submissions.accept(Submission("i", path, b"film", "mqtt", number), "b")
    ledger.images.conclude(Conclusion("i", "r", "b", scored=True, render=lambda _: b"{}"))
    with ledger._database.reading() as db:
        answered = db.execute("SELECT received_at, seq FROM submissions ORDER BY id").fetchall()
    assert answered == [(1.0, 1), (2.0, 0), (3.0, 2)]
    ledger.close()
    Ledger(tmp_path, ["mqtt"], picky).close()
    assert not (tmp_path / "damaged").exists()
