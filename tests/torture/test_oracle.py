"""
The oracle catches planted bugs, each in a real daemon that is killed, and passes the same runs
without them.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.rig import until
from tests.support.tools import need
from tests.torture import oracle
from tests.torture.bench import Bench
from tests.torture.bugs import BUGS
from tests.torture.oracle import Evidence
from tests.torture.site import PATIENCE_S, Site

RUNS = {
    "ack_before_commit": (("request written, not recorded",), "lost"),
    "forget_before_sending": (("result to be sent",), "lost"),
    "drop_orphans": (("hashed and synced, not recorded",), "lost"),
    "examine_again_after_a_kill": (("outcome recorded",), "two ids"),
    # The first kill may come in a head start, before the ledger has the image. If it does not, the
    # third start finds the image given up and never comes to the step.
    "blame_for_kills": (("worker has the image",) * 3, "rejected"),
    "copy_into_the_archive": ((), "misplaced"),
    "score_other_bytes": ((), "other bytes"),
    "forget_a_failed_undo": ((), "lost"),
    "answer_the_wrong_requester": ((), "misdirected"),
    "send_the_newest_first": ((), "disordered"),
}
"""
The bugs: the steps at which a daemon with that bug is killed, and the fault that the oracle must
find.
"""


@pytest.mark.parametrize(
    ("seqs", "replayed", "refused", "found"),
    [
        ((1, 3, 1, 2, 3), 0, (), {"seq 2"}),
        ((1, 3, 1, 2, 3), 2, (), set()),
        ((3, 1, 1, 2, 3), 2, (), {"seq 1"}),
        ((1, 3, 2, 1), 2, (), {"seq 1"}),
        ((1, 4, 5, 2, 3), 0, (2, 3), set()),
        ((1, 4, 5, 2, 3), 0, (3,), {"seq 2"}),
        ((1, 4, 5, 3, 2), 0, (2, 3), {"seq 2"}),
    ],
)
def test_what_the_broker_lost_may_come_late_by_replay_or_after_a_refusal_and_nothing_else(
    tmp_path: Path,
    seqs: tuple[int, ...],
    replayed: int,
    refused: tuple[int, ...],
    found: set[str],
) -> None:
    for folder in ("spool/claimed", "done", "failed", "inbox"):
        (tmp_path / folder).mkdir(parents=True)
    results = [{"ledger_id": "a", "seq": seq} for seq in seqs]
    inbox, spool, done, failed = (tmp_path / name for name in ("inbox", "spool", "done", "failed"))
    evidence = Evidence(
        inbox, spool, done, failed, [], [], results=results, replayed=replayed, refused=refused
    )
    assert oracle.judge({}, evidence).disordered == found


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    need("mosquitto", "mosquitto")
    with Bench() as made:
        yield made


FAULTS = {"forget_a_failed_undo": {"no_way_back": True}}
"""Faults without which a bug does not show; a sound build passes them too."""


def judge(
    bench: Bench, points: tuple[str, ...], bug: str | None, fault: dict[str, bool] | None = None
) -> list[str]:
    """
    Kill a daemon at each step, let the next one clear up as long as it works, and ask the oracle.
    """
    fault = fault if fault is not None else FAULTS.get(bug or "", {})
    with bench.site() as site:
        if any(point.startswith("request") for point in points):
            site.introduced().stop()
        for number, point in enumerate(points):
            site.start(crash=point, bug=bug)
            if point != points[number - 1] or number == 0:
                site.give_some(1, ("mqtt",) if point.startswith("request") else ("folder",))
            if not came_to(site, point, bug):
                site.stop()
                break
        site.ready(bug=bug, **fault)
        if not points:
            site.give_some(2, ("reply",) if bug == "answer_the_wrong_requester" else ("folder",))
            with contextlib.suppress(*([AssertionError] if bug in FAULTS else [])):
                site.recovered(5.0 if bug in FAULTS else PATIENCE_S)
        elif bug is None:
            site.give_some(2, ("reply",))
            site.recovered()
        site.come_to_rest()
        return site.judged().faults


def came_to(site: Site, point: str, bug: str | None) -> bool:
    """
    Wait for the death at a step; False if a bug answers the image before, a sound build never does.
    """

    def answered() -> bool:
        return bug is not None and site.accepted.keys() <= {
            message["image_id"] for message in site.heard()
        }

    until(lambda: not site.running or answered(), f"it came to: {point}", site.words)
    return not site.running


def test_every_planted_bug_is_tried() -> None:
    assert RUNS.keys() == BUGS.keys()
    assert len(BUGS) >= 5


@pytest.mark.parametrize("bug", RUNS)
def test_a_planted_bug_is_caught(bench: Bench, bug: str) -> None:
    points, what = RUNS[bug]
    assert [
        fault.partition(":")[0] for fault in judge(bench, points, bug) if fault.startswith(what)
    ] == [what]


def test_a_sound_build_passes_all_of_these_runs(bench: Bench) -> None:
    assert judge(bench, tuple(point for points, _ in RUNS.values() for point in points), None) == []


def test_a_sound_build_passes_the_faults_too(bench: Bench) -> None:
    for fault in FAULTS.values():
        assert judge(bench, (), None, fault) == []
