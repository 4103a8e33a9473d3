"""A worker may die, hang or lie; the supervisor goes on and says what happened."""

import os
import queue
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pebble.pool.base_pool import PoolStatus

from edge.daemon.workers.job import Job
from edge.daemon.workers.pool import Workers
from edge.daemon.workers.verdict import Died, Interrupted, Unread, Verdict
from edge.domain import Rejection, Runtime
from edge.errors import ModelError, Unavailable
from tests.support.processes import is_gone, kill
from tests.support.rig import PATIENCE_S, until
from tests.support.tools import ROOT


def job(backend: str = "litert", timeout_s: float = PATIENCE_S, count: int = 1) -> Job:
    return Job(
        "tests.support.jobs.start",
        "tests.support.jobs.run",
        (backend,),
        count=count,
        timeout_s=timeout_s,
        memory_mb=2048,
    )


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    opened = Workers(job())
    yield opened
    opened.close()


def examine(workers: Workers, name: str) -> Verdict:
    verdicts: queue.SimpleQueue[Verdict] = queue.SimpleQueue()
    workers.submit(Path(name), verdicts.put)
    return verdicts.get(timeout=PATIENCE_S)


def detail(verdict: Verdict) -> str:
    assert isinstance(verdict, Rejection)
    return verdict.detail


def test_a_worker_that_computes_too_long_is_ended_by_the_kernel() -> None:
    opened = Workers(replace(job(), cpu_s=0.2))
    try:
        assert examine(opened, "busy") == Died("worker ended by SIGXCPU")
        assert isinstance(examine(opened, "next"), Rejection)
    finally:
        opened.close()


def test_a_pool_that_opened_has_proved_its_model(workers: Workers) -> None:
    assert workers.runtime == Runtime("litert", "model.tflite", 1)


def test_a_wrong_known_answer_is_told_as_it_was_found() -> None:
    with pytest.raises(ModelError, match=r"known answer 1: raw is 0\.9, expected 0\.1"):
        Workers(job("broken"))


def test_a_worker_that_cannot_start_is_not_waited_for_for_ever() -> None:
    with pytest.raises(Unavailable, match="no worker came up"):
        Workers(job("dead"))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("segfault", "worker ended by SIGSEGV"),
        ("exit", "worker ended with exit status 7"),
        ("raise", "worker raised ZeroDivisionError"),
        ("nan", "the model's output is nan, expected a number from 0 to 1"),
    ],
)
def test_a_worker_that_dies_of_an_image_is_blamed_on_it_and_the_next_image_is_examined(
    workers: Workers, name: str, why: str
) -> None:
    assert examine(workers, name) == Died(why)
    assert detail(examine(workers, "next")) == "next"


def test_an_image_that_takes_too_long_costs_its_worker() -> None:
    opened = Workers(job(timeout_s=0.5))
    try:
        assert examine(opened, "hang") == Died("took longer than 0.5 s")
        opened.job = replace(opened.job, timeout_s=PATIENCE_S)
        assert detail(examine(opened, "next")) == "next"
    finally:
        opened.close()


def test_a_file_that_its_worker_cannot_read_comes_back_unread(workers: Workers) -> None:
    why = "the image file cannot be read: No such file or directory"
    assert examine(workers, "gone") == Unread(why)


def test_closing_interrupts_what_is_in_work_and_blames_nobody() -> None:
    opened = Workers(job())
    verdicts: queue.SimpleQueue[Verdict] = queue.SimpleQueue()
    opened.submit(Path("hang"), verdicts.put)
    opened.close()
    assert type(verdicts.get(timeout=PATIENCE_S)) is Interrupted
    assert opened.in_work == 0


def test_an_idle_worker_that_is_killed_is_replaced(workers: Workers) -> None:
    kill(int(detail(examine(workers, "pid"))))
    verdicts: list[Verdict] = []

    def examined() -> bool:
        """Interrupted as long as the pool is found broken and opened again."""
        verdicts.append(examine(workers, "next"))
        return not isinstance(verdicts[-1], Interrupted)

    until(examined, "replaced")
    assert detail(verdicts[-1]) == "next"


def test_a_file_that_no_worker_begins_with_is_overdue_and_the_pool_is_opened_again() -> None:
    """As after a worker was killed that held the lock of the pool's pipe."""
    opened = Workers(job())
    verdicts: queue.SimpleQueue[Verdict] = queue.SimpleQueue()
    try:
        stopped = int(detail(examine(opened, "pid")))
        os.kill(stopped, signal.SIGSTOP)
        opened.submit(Path("film"), verdicts.put)
        assert not opened.overdue()
        opened._untaken_s = 0.0
        assert opened.overdue()
        opened.reopen()
        assert isinstance(verdicts.get(timeout=PATIENCE_S), Interrupted)
        os.kill(stopped, signal.SIGKILL)
        assert detail(examine(opened, "next")) == "next"
    finally:
        opened.close()


def test_who_waits_for_a_file_that_no_worker_begins_with_does_not_wait_for_ever() -> None:
    opened = Workers(job())
    try:
        stopped = int(detail(examine(opened, "pid")))
        os.kill(stopped, signal.SIGSTOP)
        opened._untaken_s = 0.0
        assert isinstance(opened.examine(Path("film")), Interrupted)
        os.kill(stopped, signal.SIGKILL)
        opened._untaken_s = opened._patience_s  # a machine may be busy
        assert detail(opened.examine(Path("next"))) == "next"
    finally:
        opened.close()


def test_a_file_that_the_pool_forgot_as_it_broke_is_overdue_at_once() -> None:
    opened = Workers(job())
    verdicts: queue.SimpleQueue[Verdict] = queue.SimpleQueue()
    try:
        opened._pool._context.status = (
            PoolStatus.ERROR
        )  # as when its workers died with nothing to do
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                opened._pool, "_check_pool_status", lambda: None
            )  # it was asked a moment before
            opened.submit(Path("film"), verdicts.put)
        assert opened.overdue()
        opened.reopen()
        assert isinstance(verdicts.get(timeout=PATIENCE_S), Interrupted)
        assert detail(examine(opened, "next")) == "next"
        assert not opened.overdue()
    finally:
        opened.close()


def test_patience_with_slow_starts_comes_back_with_each_file_that_is_done() -> None:
    opened = Workers(job())
    try:
        first = opened._patience_s = opened._untaken_s = 10.0  # however slow this start was
        for _ in range(3):
            opened.reopen()
        assert opened._untaken_s > 2 * first
        for _ in range(4):
            assert detail(examine(opened, "next")) == "next"
        assert opened._untaken_s == first
    finally:
        opened.close()


def test_workers_run_with_limits_and_are_the_first_to_be_killed(workers: Workers) -> None:
    assert detail(examine(workers, "memory")) == "2048"
    assert detail(examine(workers, "oom")) == "500"


SUPERVISOR = """
import sys
from pathlib import Path
from edge.daemon.workers.job import Job
from edge.daemon.workers.pool import Workers
jobs = "tests.support.jobs"
workers = Workers(Job(f"{jobs}.start", f"{jobs}.run", ("litert",), 1, 60.0, 2048))
workers.submit(Path("pid"), lambda verdict: print(verdict.detail, flush=True))
workers.submit(Path("hang"), lambda verdict: None)
sys.stdin.read()
"""


def test_workers_end_after_their_supervisor_s_death() -> None:
    root = ROOT
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as supervisor:
        assert supervisor.stdout is not None
        worker = int(supervisor.stdout.readline())
        supervisor.kill()
        until(lambda: is_gone(worker), "the worker ends")
