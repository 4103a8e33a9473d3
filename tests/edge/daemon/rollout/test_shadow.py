"""
A shadow model sees and decides nothing; whatever happens to it, the first model's results do not
notice.
"""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from edge.cli.check import findings
from edge.config.settings import Intake, Model, Publish, Settings, State
from edge.daemon.pipeline.examination import Examination
from edge.daemon.rollout.shadow import NOBODY_TO_TELL, Shadow
from edge.daemon.wiring.shadow import open_shadow
from edge.daemon.workers.job import Job
from edge.daemon.workers.servable import open_serving
from edge.daemon.workers.serving import Serving
from edge.daemon.workers.verdict import Interrupted, Verdict
from edge.domain import Rejection
from edge.errors import Reason, Unavailable
from edge.health import Health, Phase
from edge.models.active import shipped_bundle
from edge.models.bundle import verify
from edge.mqtt.errors import HungUpError
from tests.support.pipeline import parts_of

FINISHED = Rejection(Reason.UNREADABLE, "x")
BUNDLE = SimpleNamespace(bundle_id="b", manifest=SimpleNamespace(name="m", version="2"))


class Pool:
    """Workers that answer at once."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.submitted = 0
        self.on_submit: Callable[[], None] = lambda: None

    def examine(self, _path: Path, beat: Callable[[], None]) -> Verdict:
        self.submitted += 1
        self.on_submit()
        beat()
        return self.verdict

    def close(self) -> None:
        """Nothing runs."""


@pytest.fixture
def health() -> Health:
    made = Health()
    made.enter(Phase.READY)
    return made


def shadow(health: Health, pool: Pool, publish: Callable[[bytes], None] = lambda _: None) -> Shadow:
    return Shadow(
        Serving(cast("Any", BUNDLE), cast("Any", pool)), lambda _: Path("film"), publish, health
    )


def see(shadow: Shadow) -> None:
    """Let it look at one image, in this thread."""
    shadow.observe(
        Examination(
            cast("Any", SimpleNamespace(image_id="i")),
            cast("Any", SimpleNamespace(bundle=BUNDLE)),
            0.0,
            1.0,
            FINISHED,
        )
    )
    seen = shadow._queue.get_nowait()
    shadow._tell(seen, shadow._examine(seen.image_id))


def test_a_disk_that_fails_costs_the_shadow_its_image_and_not_the_daemon_its_thread(
    health: Health,
) -> None:
    made = shadow(health, Pool(FINISHED))

    def failing(_: str) -> Path:
        msg = "ledger: disk I/O error"
        raise Unavailable(msg)

    made._locate = failing
    see(made)
    assert health.counters == {"shadow_failed": 1}


def test_a_stop_while_it_looks_does_not_open_its_workers_again(health: Health) -> None:
    pool = Pool(Interrupted("pool stopped"))
    made = shadow(health, pool)
    pool.on_submit = made.stop
    see(made)
    assert pool.submitted == 1


def test_a_broker_that_hangs_up_on_what_it_says_is_told_no_more(health: Health) -> None:
    told: list[bytes] = []

    def hang_up(message: bytes) -> None:
        told.append(message)
        msg = "broker: hung up instead of a PUBACK"
        raise HungUpError(msg)

    made = shadow(health, Pool(FINISHED), hang_up)
    for _ in range(3):
        see(made)
    assert len(told) == 2
    assert health.counters == {"shadow_agree": 3}
    assert health.reasons[0].startswith("shadow model: the broker hangs up on shadow/result")


def test_where_memory_is_short_its_worker_is_the_first_to_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    jobs: list[Job] = []
    monkeypatch.setattr("edge.daemon.workers.servable.Workers", jobs.append)
    open_serving(Settings(), shipped_bundle(), expendable=True)
    open_serving(Settings(), shipped_bundle())
    assert [job.oom_score_adj for job in jobs] == [1000, 500]


@pytest.mark.parametrize(
    ("shadow", "connected", "found"),
    [
        (
            "shipped",
            True,
            ("model.shadow", True, f"mammo-default {verify(shipped_bundle()).manifest.version}"),
        ),
        ("shipped", False, ("model.shadow", False, NOBODY_TO_TELL)),
        (
            "9.9",
            True,
            ("model.shadow", False, "9.9: none of the installed bundles, expected one of shipped"),
        ),
    ],
)
def test_check_says_whether_it_can_be_had_and_somebody_hears_of_it(
    *, shadow: str, connected: bool, found: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "edge.cli.check.verify_bundle", lambda *_: defaultdict(str)
    )  # opens workers
    publish, intake = Publish(mqtt=connected, jsonl=tmp_path / "results"), Intake(mqtt=connected)
    settings = Settings(
        model=Model(shadow=shadow), publish=publish, intake=intake, state=State(path=tmp_path)
    )
    assert found in list(findings(settings))


def test_a_start_without_a_broker_says_that_it_is_ignored(
    health: Health, caplog: pytest.LogCaptureFixture
) -> None:
    nothing = cast("Any", None)
    parts = parts_of(nothing, nothing, nothing, health=health)
    settings = Settings(model=Model(shadow="shipped"))
    assert open_shadow(settings, parts, nothing, nothing, None) is None
    assert health.reasons == [f"shadow model: {NOBODY_TO_TELL}"]
    assert "event=shadow_ignored" in caplog.text
