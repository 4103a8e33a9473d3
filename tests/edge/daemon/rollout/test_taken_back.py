"""
A model that proves bad in use is taken back by a real service and ledger, and no image is lost by
it: only the workers are scripted.
"""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from edge.contract.render import Sender, readdress
from edge.daemon.pipeline.recorder import Recorder
from edge.daemon.rollout.activation import Activation
from edge.daemon.workers.pool import Workers
from edge.daemon.workers.serving import Serving
from edge.daemon.workers.verdict import Died, Verdict
from edge.domain import Rejection
from edge.errors import Reason
from edge.health import Health, Phase
from edge.models.active import SHIPPED
from edge.models.bundle import verify
from edge.models.store import ModelStore, Trust
from edge.storage.ledger import open_ledger
from edge.storage.ledger.records import Submission
from edge.storage.spool import Spool
from tests.support.bundles import tiny
from tests.support.keys import key_pair
from tests.support.pipeline import line_of, parts_of
from tests.support.rig import PATIENCE_S, sha256, until
from tests.support.verdicts import DECIDED, REFUSED, UNDECIDED, scored


class Scripted:
    """Workers that say of each file what their model would."""

    runtime = DECIDED.runtime

    def __init__(
        self, models: dict[str, Callable[[bytes], Verdict]], version: str, count: int
    ) -> None:
        self._models, self._version = models, version
        self._pool = ThreadPoolExecutor(count)
        self._lock = threading.Lock()
        self.job = SimpleNamespace(count=count)
        self.in_work = 0

    def submit(self, path: Path, done: Callable[[Verdict], None]) -> None:
        with self._lock:
            self.in_work += 1
        self._pool.submit(self._work, path, done)

    def _work(self, path: Path, done: Callable[[Verdict], None]) -> None:
        verdict = self._models[self._version](path.read_bytes())
        with self._lock:
            self.in_work -= 1
        done(verdict)

    def overdue(self) -> bool:
        return False

    def close(self) -> None:
        self._pool.shutdown(wait=False)


@dataclass
class Clinic:
    """A pipeline that runs, and what its models say."""

    parts: Any = None
    workers: int = 1
    models: dict[str, Callable[[bytes], Verdict]] = field(
        default_factory=lambda: {"1.0": lambda _: scored(0.1)}
    )
    activation: Any = None
    store: Any = None

    def open(self, folder: Path) -> Serving:
        bundle = verify(folder)
        return Serving(
            bundle, cast(Workers, Scripted(self.models, bundle.manifest.version, self.workers))
        )

    def give(self, number: int) -> str:
        """An image that waits."""
        data = f"image {number}".encode()
        path = self.parts.spool.claimed / f"f-{number}"
        path.write_bytes(data)
        submission = Submission(sha256(data), path, b"film.png", "folder", float(number + 1))
        self.parts.ledger.submissions.accept(submission, self.parts.model.serving.bundle.bundle_id)
        self.parts.tasks.wake()
        return sha256(data)

    def said(self) -> list[tuple[str, str, str]]:
        """Outcome, version of the model and image of every result, in order."""
        messages = [json.loads(payload) for payload in self.parts.ledger.queries.results()]
        return [
            (message["outcome"], message["model"]["version"], message["image_id"])
            for message in messages
        ]

    def standing(self) -> dict[str, dict[str, Any]]:
        """The result of each image that no other supersedes."""
        messages = [json.loads(payload) for payload in self.parts.ledger.queries.results()]
        gone = {message["supersedes"] for message in messages}
        standing = [message for message in messages if message["result_id"] not in gone]
        assert len({message["image_id"] for message in standing}) == len(standing)
        return {message["image_id"]: message for message in standing}


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    """Version 1.0 serves, 2.0 is installed."""
    key, health = key_pair(tmp_path, "clinic"), Health()
    health.enter(Phase.READY)
    (tmp_path / "state").mkdir()
    store = ModelStore(
        tmp_path / "state/models",
        tiny(tmp_path / "shipped", "1.0"),
        Trust(tmp_path / "keys", allow_unsigned=False),
    )
    store.install(tiny(tmp_path / "bundle", "2.0", key), lambda _: None)
    with open_ledger(tmp_path / "state", [], readdress) as ledger:
        spool = Spool(tmp_path / "spool", tmp_path / "done", tmp_path / "failed")
        made = Clinic(store=store)
        served = made.open(store.current())
        made.parts = parts = parts_of(
            ledger, spool, served, health=health, sender=Sender(), look_again_s=0.0
        )
        reject = Recorder(parts, lambda: None).reject
        made.activation = Activation(store, parts, reject, made.open, trial_images=20)
        line = line_of(parts, [made.activation.observe])
        dispatcher = line.dispatcher
        thread = threading.Thread(target=dispatcher.run, args=(5.0, lambda: None), daemon=True)
        thread.start()
        until(lambda: line.recovery.done, "recovered")  # which would take a fresh file for an old
        yield made
        dispatcher.stop()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def taken_back(clinic: Clinic, versions: dict[str, str]) -> dict[str, dict[str, Any]]:
    """
    Wait until the former model serves and each image has a standing result by the version that is
    expected; gives these.
    """
    until(
        lambda: "serves again" in str(clinic.parts.health.reasons),
        "rolled back",
        lambda: str(clinic.said()),
    )
    assert clinic.parts.health.counters["model_rollbacks"] == 1

    def found() -> dict[str, str]:
        return {
            image_id: message["model"]["version"] for image_id, message in clinic.standing().items()
        }

    until(lambda: found() == versions, "all examined", lambda: str(clinic.said()))
    return clinic.standing()


def test_images_that_the_new_model_gave_no_score_are_scored_by_the_former_one(
    clinic: Clinic,
) -> None:
    clinic.models["2.0"] = lambda _: Died(
        "the model's output is nan, expected a number from 0 to 1"
    )
    clinic.activation.activate("2.0")
    ids = [clinic.give(number) for number in range(6)]
    standing = taken_back(clinic, dict.fromkeys(ids, "1.0"))
    assert {message["outcome"] for message in standing.values()} == {"benign"}
    by_the_new_one = [said for said in clinic.said() if said[1] == "2.0"]
    assert by_the_new_one in (
        [],
        [("rejected", "2.0", ids[0])],
    )  # the image that died first may have died twice before the second did
    assert len(clinic.said()) == 6 + len(by_the_new_one)
    assert (clinic.store.active().current, clinic.store.active().previous) == (SHIPPED, None)
    (reason,) = clinic.parts.health.reasons
    assert reason == (
        "model: 2 of its first images got no score (the model's output is nan, "
        "expected a number from 0 to 1); version 1.0 serves again"
    )


@pytest.mark.parametrize("verdict", [REFUSED, UNDECIDED])
def test_images_that_the_new_model_would_not_decide_are_decided_by_the_former_one(
    clinic: Clinic, verdict: Verdict
) -> None:
    clinic.models["2.0"] = lambda _: verdict
    before = [clinic.give(number) for number in range(20)]
    until(lambda: len(clinic.said()) == 20, "the past")
    clinic.activation.activate("2.0")
    after = [clinic.give(number) for number in range(20, 40)]
    standing = taken_back(clinic, dict.fromkeys([*before, *after], "1.0"))
    assert {message["outcome"] for message in standing.values()} == {"benign"}
    by_the_new_one = sum(version == "2.0" for _, version, _ in clinic.said())
    assert by_the_new_one >= 16  # more if some were in work while the last was counted


def test_what_the_new_model_decided_stands_and_so_does_what_no_model_could_read(
    clinic: Clinic,
) -> None:
    verdicts: dict[bytes, Verdict] = {
        b"image 0": scored(0.9),
        b"image 1": Rejection(Reason.EMPTY, "no bytes"),
    }
    clinic.models["2.0"] = lambda data: verdicts.get(data, Died("x"))
    clinic.activation.activate("2.0")
    ids = [clinic.give(number) for number in range(4)]
    taken_back(clinic, dict(zip(ids, ["2.0", "2.0", "1.0", "1.0"], strict=True)))


def test_an_image_that_is_poison_to_both_is_rejected_by_both(clinic: Clinic) -> None:
    def former(data: bytes) -> Verdict:
        return Died("x") if data == b"image 0" else scored(0.1)

    clinic.models["1.0"] = former
    clinic.models["2.0"] = lambda _: Died("x")
    clinic.activation.activate("2.0")
    ids = [clinic.give(number) for number in range(2)]
    standing = taken_back(clinic, dict.fromkeys(ids, "1.0"))
    assert [standing[image_id]["outcome"] for image_id in ids] == ["rejected", "benign"]
    assert standing[ids[0]]["gate"]["reasons"][0].startswith("poison: ")


def test_an_image_that_another_worker_still_had_is_decided_by_the_former_model_too(
    clinic: Clinic,
) -> None:
    let_go = threading.Event()

    def slow(data: bytes) -> Verdict:
        return REFUSED if data == b"image 0" and let_go.wait(PATIENCE_S) else Died("x")

    clinic.workers, clinic.models["2.0"] = 2, slow
    clinic.activation.activate("2.0")
    ids = [clinic.give(number) for number in range(4)]
    until(
        lambda: clinic.parts.model.serving.bundle.manifest.version == "1.0",
        "taken back",
        lambda: str(clinic.said()),
    )
    let_go.set()
    standing = taken_back(clinic, dict.fromkeys(ids, "1.0"))
    assert ("rejected", "2.0", ids[0]) in clinic.said()
    assert standing[ids[0]]["outcome"] == "benign"
