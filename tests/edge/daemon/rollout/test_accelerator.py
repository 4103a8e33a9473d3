"""
A Coral accelerator in use: who takes it, what its loss costs (no image an attempt), and how it
comes back.
"""

import queue
import signal
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from edge.cli import classify, main
from edge.cli.bench import Bench
from edge.cli.check import findings
from edge.cli.doctor.coral import accelerator
from edge.cli.doctor.finding import Level
from edge.config.settings import Model, Settings, Worker
from edge.daemon.rollout.accelerator import Accelerator
from edge.daemon.workers import servable
from edge.daemon.workers.pool import Workers
from edge.daemon.workers.servable import access_of, job_for, lock_of
from edge.daemon.workers.serving import Serving
from edge.daemon.workers.verdict import Died, Interrupted, Verdict
from edge.domain import Rejection, Result, Runtime
from edge.errors import ModelError
from edge.health import Health, Phase
from edge.models.active import shipped_bundle
from edge.models.bundle import Bundle, verify
from edge.system import coral
from edge.system.coral import Access, Device
from tests.support.coral import (
    COMPILED,
    MODEL,
    Pretend,
    StandIn,
    bundle,
    folder,
    image,
    library,
    settings,
    stand_in,
)
from tests.support.pipeline import AtOnce, parts_of
from tests.support.processes import kill
from tests.support.rig import PATIENCE_S, until
from tests.support.trees import tree

__all__ = ["bundle", "folder", "library", "stand_in"]  # fixtures


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a worker's start take as long as it does on a busy machine."""
    monkeypatch.setattr("edge.daemon.workers.pool.ACCELERATED_START_S", PATIENCE_S)


# Who uses one.


def test_several_processes_on_one_accelerator_are_refused_with_exit_status_78(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "edge.toml"
    config.write_text('[model]\nbackend = "edgetpu"\n[worker]\ncount = 2\n')
    assert main.main(["run", "--config", str(config)]) == 78
    assert "worker.count is 2, expected 1: model.backend is edgetpu" in capsys.readouterr().err


def test_insisting_on_it_with_a_bundle_that_has_nothing_for_it_is_refused_with_what_to_do() -> None:
    with pytest.raises(
        ModelError, match=r"no model of the bundle names an edgetpu file: compile its int8 model"
    ):
        access_of(Settings(model=Model(backend="edgetpu")), verify(shipped_bundle()))


def test_it_is_chosen_by_itself_where_it_is_there_and_can_be_had(
    stand_in: StandIn, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings(stand_in, backend="auto")
    assert access_of(chosen, bundle) == stand_in.access
    assert access_of(settings(stand_in, backend="cpu"), bundle) is None
    assert access_of(settings(stand_in, backend="litert"), bundle) is None
    assert access_of(chosen.model_copy(update={"worker": Worker(count=2)}), bundle) is None
    assert access_of(chosen, verify(shipped_bundle())) is None
    monkeypatch.setattr(servable, "devices", lambda: [Device("PCIe", None)])
    assert access_of(chosen, bundle) is None
    assert access_of(settings(stand_in), bundle) == stand_in.access


# Workers that have one.


def light(**changes: object) -> Workers:
    """Workers of tests.support.jobs, which pretend."""
    job = job_for(Settings(), verify(shipped_bundle()))
    # what a job has
    spare: Callable[[str], tuple[object, ...]] = lambda why: ("litert", why)  # noqa: E731
    fields: dict[str, Any] = {
        "start": "tests.support.jobs.start",
        "run": "tests.support.jobs.run",
        "arguments": ("edgetpu",),
        "spare": spare,
    } | changes
    return Workers(replace(job, **fields))


def examined(workers: Workers, name: str | Path) -> Verdict:
    verdicts: queue.SimpleQueue[Verdict] = queue.SimpleQueue()
    workers.submit(Path(name), verdicts.put)
    return verdicts.get(timeout=PATIENCE_S)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("lost", "it failed while it computed"),
        ("segfault", "worker ended by SIGSEGV"),
        ("hang", "took longer than 0.5 s"),
    ],
)
def test_a_worker_that_is_lost_with_it_costs_no_image_an_attempt_and_the_next_goes_without(
    name: str, why: str
) -> None:
    limit_s = 0.5 if name == "hang" else PATIENCE_S
    workers = light(timeout_s=limit_s)
    try:
        assert workers.runtime == Runtime("edgetpu", "model.tflite", 1)
        assert examined(workers, name) == Interrupted(f"the accelerator was given up: {why}")
        workers.job = replace(workers.job, timeout_s=PATIENCE_S)
        assert isinstance(examined(workers, "runtime"), Rejection)
        assert workers.runtime == Runtime("litert", "model.tflite", 1, fallback=True, without=why)
        workers.job = replace(workers.job, timeout_s=limit_s)
        if name != "lost":
            assert examined(workers, name) == Died(why)  # without it, it is the image's own fault
    finally:
        workers.close()


def test_an_accelerator_that_takes_the_worker_with_it_at_once_is_gone_without() -> None:
    workers = light(arguments=("dead",))
    try:
        assert (workers.runtime.backend, workers.runtime.fallback) == ("litert", True)
        assert (workers.runtime.without or "").startswith(
            "it ended its worker, or hung, as it was opened: "
        )
    finally:
        workers.close()


def pulled_out(workers: Workers) -> None:
    """libedgetpu ends the process then, also while it has nothing to do."""
    pid = examined(workers, "pid")
    assert isinstance(pid, Rejection)
    kill(int(pid.detail), signal.SIGABRT)


def test_one_that_is_pulled_out_while_nothing_is_computed_is_noticed_by_the_next_image() -> None:
    workers = light()
    try:
        pulled_out(workers)
        until(lambda: not isinstance(examined(workers, "runtime"), Interrupted), "examined")
        assert workers.runtime.without == "its worker ended or hung"
    finally:
        workers.close()


def test_one_that_is_pulled_out_while_nothing_is_computed_is_noticed_before_the_next_image() -> (
    None
):
    workers = light()
    try:
        assert not workers.lost
        workers.mend()
        assert workers.job.spare is not None
        pulled_out(workers)

        def is_mended() -> bool:
            workers.mend()
            return workers.runtime.backend == "litert"  # proved on the processor

        until(is_mended, "mended")
        assert (workers.lost, workers.runtime.without) == (False, "its worker ended or hung")
    finally:
        workers.close()


def test_workers_that_were_closed_are_neither_lost_nor_mended_nor_opened_for_a_file() -> None:
    workers = light()
    workers.close()
    pool = workers._pool
    assert not workers.lost
    workers.mend()
    assert examined(workers, "late") == Interrupted("pool stopped")
    assert (workers._pool, workers._pool.active) == (pool, False)


def test_workers_that_are_closed_while_they_are_mended_stay_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workers = light()
    try:
        pulled_out(workers)
        until(lambda: workers.lost, "lost")
        reopen = workers.reopen

        def close_then() -> None:
            reopen()
            workers.close()

        monkeypatch.setattr(workers, "reopen", close_then)
        workers.mend()
        assert not workers._pool.active
    finally:
        workers.close()


def test_real_workers_finish_on_the_processor_what_the_accelerator_broke(
    stand_in: StandIn, bundle: Bundle, tmp_path: Path
) -> None:
    path = image(tmp_path)
    workers = Workers(job_for(settings(stand_in), bundle))
    try:
        before = examined(workers, path)
        assert (isinstance(before, Result), workers.runtime.backend) == (True, "edgetpu")
        stand_in.does("abort")
        assert examined(workers, path) == Interrupted(
            "the accelerator was given up: worker ended by SIGABRT"
        )
        after = examined(workers, path)
        assert isinstance(before, Result)
        assert isinstance(after, Result)
        assert after.prediction.raw == pytest.approx(before.prediction.raw, abs=1e-5)
        assert after.runtime.without == "worker ended by SIGABRT"
    finally:
        workers.close()


# Beside a daemon that has it.


def test_commands_beside_a_daemon_find_it_busy_say_so_and_use_the_processor(
    stand_in: StandIn,
    folder: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = settings(stand_in)
    held = coral.claim(lock_of(chosen))
    assert held is not None
    ((message, unreadable),) = classify.classify([image(tmp_path)], chosen, folder)
    assert (message["runtime"]["fallback"], message["model"]["file"], unreadable) == (
        True,
        MODEL,
        False,
    )
    assert "another process has it; the processor does its work" in caplog.text
    bench = Bench(chosen, folder)
    assert (bench.examiner.runtime.file, bench.machine["without_accelerator"]) == (
        MODEL,
        "Coral: another process has it",
    )
    monkeypatch.setattr(classify, "Workers", lambda _: Pretend(bench.examiner.runtime))
    with_bundle = chosen.model_copy(
        update={"model": chosen.model.model_copy(update={"bundle": folder})}
    )
    (model,) = [detail for what, _, detail in findings(with_bundle) if what == "model"]
    assert model.endswith("not on the Coral accelerator: another process has it")
    assert (
        accelerator(tree(tmp_path, {"dev/apex_0": ""}), with_bundle).detail
        == "PCIe; another process has it, the daemon for one"
    )
    held.close()


# The daemon's watch over it.


class Watched:
    """A daemon whose workers are pretended, and a clock that stands still."""

    ON = Runtime("edgetpu", COMPILED, 1)

    def __init__(self, bundle: Bundle, stand_in: StandIn) -> None:
        self.now, self.access, self.bundle, self.stand_in = (
            0.0,
            cast("Access | None", stand_in.access),
            bundle,
            stand_in,
        )
        self.health = Health()
        self.health.enter(Phase.READY)
        nothing = cast("Any", None)
        self.parts = parts_of(
            nothing, nothing, self.serving(self.ON), health=self.health, tasks=AtOnce()
        )
        self.model = self.parts.model
        self.tries: list[Future[Serving]] = []
        self.watch = Accelerator(
            self.parts,
            lambda _: self.access,
            self.open,
            lambda: 300.0,
            now=lambda: self.now,
        )

    @property
    def state(self) -> str:
        return str(self.health.phase)

    def serves(self, workers: Pretend) -> bool:
        return cast(Pretend, self.model.serving.workers) is workers

    def serving(self, runtime: Runtime) -> Serving:
        return Serving(self.bundle, cast(Workers, Pretend(runtime)))

    def open(self, folder: Path) -> "Future[Serving]":
        assert folder == self.bundle.folder
        self.tries.append(Future())
        return self.tries[-1]

    def runs_without(self, why: str | None) -> None:
        self.model.serving.workers.runtime = Runtime(
            "litert", MODEL, 1, fallback=why is not None, without=why
        )
        self.watch.turn()

    def after(self, seconds: float) -> int:
        """How many tries there have been so many seconds later."""
        self.now += seconds
        self.watch.turn()
        return len(self.tries)

    def opens(self, runtime: Runtime) -> Pretend:
        """What the last try was waiting for."""
        fresh = self.serving(runtime)
        self.tries[-1].set_result(fresh)
        self.watch.turn()
        return cast(Pretend, fresh.workers)


@pytest.fixture
def watched(bundle: Bundle, stand_in: StandIn) -> Watched:
    return Watched(bundle, stand_in)


def test_a_loss_is_told_and_after_a_while_the_accelerator_is_tried_and_taken_again(
    watched: Watched,
) -> None:
    assert watched.after(1) == 0
    assert watched.state == "ready"
    watched.runs_without("worker ended by SIGABRT")
    assert watched.state == "degraded"
    assert watched.health.reasons == ["coral: worker ended by SIGABRT; the processor does its work"]
    assert (watched.after(299), watched.after(1)) == (0, 1)
    assert watched.after(1000) == 1  # it is still being opened
    fresh = watched.opens(Watched.ON)
    assert watched.serves(fresh)
    watched.watch.turn()
    assert (watched.state, watched.health.counters["accelerator_lost"]) == ("ready", 1)


def test_a_busy_accelerator_and_a_lost_one_have_codes_of_their_own(watched: Watched) -> None:
    for why, code in (("worker ended by SIGABRT", "coral_unavailable"), (coral.BUSY, "coral_busy")):
        watched.runs_without(why)
        assert [cause for _, cause in watched.health.reasons_and_causes()] == [code]


def test_workers_that_ended_with_nothing_to_do_are_mended(watched: Watched) -> None:
    workers = cast(Pretend, watched.model.serving.workers)
    watched.after(1)
    assert not workers.mended
    workers.lost = True
    watched.after(1)
    assert workers.mended


def test_a_try_that_fails_says_the_newer_reason_and_is_repeated(watched: Watched) -> None:
    watched.runs_without("worker ended by SIGABRT")
    assert watched.after(300) == 1
    fresh = watched.opens(Runtime("litert", MODEL, 1, fallback=True, without="none found"))
    assert fresh.closed
    assert not watched.serves(fresh)
    assert (watched.after(299), watched.health.reasons) == (
        1,
        ["coral: none found; the processor does its work"],
    )
    assert watched.after(1) == 2
    watched.tries[-1].set_exception(ModelError("bit rot"))
    assert (watched.after(0), watched.after(300)) == (2, 3)


def test_what_another_process_had_is_tried_as_soon_as_it_is_given_back(
    watched: Watched, stand_in: StandIn
) -> None:
    held = coral.claim(stand_in.lock)
    assert held is not None
    watched.runs_without(coral.BUSY)
    assert watched.after(1000) == 0
    held.close()
    assert watched.after(0) == 1


def test_what_is_plugged_in_later_is_taken_at_once_and_told_where_it_does_not_work(
    watched: Watched, stand_in: StandIn
) -> None:
    watched.access = None
    watched.runs_without(None)
    assert (watched.after(1000), watched.state) == (0, "ready")
    watched.access = stand_in.access
    assert watched.after(0) == 1
    watched.opens(Runtime("litert", MODEL, 1, fallback=True, without="none found"))
    assert watched.state == "degraded"
    watched.access = None
    watched.after(0)
    assert watched.state == "ready"


def test_one_that_was_pulled_out_and_is_plugged_in_again_does_not_wait_as_long_as_one_that_failed(
    watched: Watched, stand_in: StandIn
) -> None:
    watched.runs_without("worker ended by SIGABRT")
    watched.access = None
    assert watched.after(1) == 0
    watched.access = stand_in.access
    assert (watched.after(4), watched.after(1)) == (0, 1)
    watched.opens(Runtime("litert", MODEL, 1, fallback=True, without="none found"))
    assert (watched.after(299), watched.after(1)) == (1, 2)


def test_a_model_that_was_activated_during_a_try_stays(watched: Watched) -> None:
    watched.runs_without("worker ended by SIGABRT")
    assert watched.after(300) == 1
    watched.model.serving = activated = watched.serving(Watched.ON)
    assert watched.opens(Watched.ON).closed
    assert watched.model.serving is activated


# What the doctor says.


def device(tmp_path: Path, **files: str) -> Path:
    return tree(tmp_path, {"dev/apex_0": "", **files})


@pytest.mark.parametrize(
    ("model", "count", "said"),
    [
        (
            {"backend": "auto"},
            2,
            "not used: worker.count is 2, and one process has it: set it to 1",
        ),
        (
            {"edgetpu_library": "libnone.so.1"},
            1,
            "not used: no libnone.so.1: install libedgetpu1-std",
        ),
    ],
)
def test_the_doctor_says_why_an_accelerator_is_not_used(
    watched: Watched, model: dict[str, object], count: int, said: str
) -> None:
    chosen = settings(watched.stand_in, bundle=watched.bundle.folder, **model).model_copy(
        update={"worker": Worker(count=count)}
    )
    line = accelerator(device(watched.stand_in.lock.parent), chosen)
    assert (line.level, line.detail) == (Level.WARNING, f"PCIe; {said}")


def test_the_doctor_knows_the_bundle_the_sandbox_and_the_driver(
    stand_in: StandIn, folder: Path, tmp_path: Path
) -> None:
    chosen, root = settings(stand_in, bundle=folder), device(tmp_path)
    assert accelerator(root, chosen).detail == "PCIe"
    left_alone = accelerator(root, settings(stand_in, bundle=folder, backend="cpu"))
    assert (left_alone.level, left_alone.detail) == (
        Level.OK,
        "PCIe; not used: model.backend is cpu",
    )
    assert accelerator(root, settings(stand_in, bundle=tmp_path / "no bundle")).level is Level.OK
    assert (
        "docs/guides/coral.md"
        in accelerator(root, settings(stand_in, bundle=shipped_bundle())).detail
    )
    drop_in = "etc/systemd/system/mammo-edge.service.d/mammo-edge.conf"
    tree(root, {drop_in: "[Service]\nPrivateDevices=yes\n"})
    assert "mammo-edge setup --coral" in accelerator(root, chosen).detail
    left = "mammo-edge@left.service"
    assert accelerator(root, chosen, left).detail == "PCIe"
    tree(
        root, {f"etc/systemd/system/{left}.d/50-setup.conf": "# /data/Ärzte\nPrivateDevices=yes\n"}
    )
    assert (
        accelerator(root, chosen, left).detail
        == "PCIe; not used: mammo-edge@left.service may open no device: "
        "mammo-edge setup --coral --instance left"
    )
    tree(root, {"etc/systemd/system/mammo-edge@.service.d/60-ours.conf": "PrivateDevices=no\n"})
    assert accelerator(root, chosen, left).detail == "PCIe"
    none = accelerator(tmp_path / "none", chosen)
    assert (none.level, none.detail) == (
        Level.WARNING,
        "none; model.backend is edgetpu: plug one in",
    )
    bare = tree(
        tmp_path / "bare",
        {
            f"sys/bus/pci/devices/1/{name}": text
            for name, text in (("vendor", "0x1ac1"), ("device", "0x089a"))
        },
    )
    assert "install gasket-dkms" in accelerator(bare, chosen).detail
