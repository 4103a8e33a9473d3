"""A process that reads nothing, or dies at once, delays nobody and raises nothing."""

import os
import resource
import subprocess
import sys
import time

import pytest

from edge.contract.report_job import Job, Picture, Sent
from edge.daemon.publish import report_process
from edge.daemon.publish.report_process import Reporter
from tests.support.reports import job_of

LARGE = 2_000_000
"""More than a pipe holds."""
LIMIT_S, SLEEP_S = 1.2, 60


def job(size: int) -> Job:
    drawn = Picture(rows=1, columns=1, pixels="x" * size)
    return job_of(1, {}).model_copy(update={"picture": drawn})


def started_as(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Have another program started in place of the one that sends."""
    command = [sys.executable, "-c", program]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    monkeypatch.setattr(report_process, "_start", start)


@pytest.mark.parametrize("size", [1, LARGE])
def test_a_process_that_reads_nothing_is_ended_at_the_limit_and_the_loop_beats_until_then(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    started_as(monkeypatch, f"import time; time.sleep({SLEEP_S})")
    monkeypatch.setattr(report_process, "LIMIT_S", LIMIT_S)
    beats: list[float] = []
    began = time.monotonic()
    answer = Reporter(lambda: beats.append(time.monotonic())).ask(job(size))
    assert time.monotonic() - began < SLEEP_S  # it was not waited for
    assert (answer.sent, answer.why) == (Sent.FAILED, "a report took more than 1.2 s")
    assert len(beats) > 1


@pytest.mark.parametrize("size", [1, LARGE])
def test_a_process_that_dies_before_it_has_read_its_job_has_refused_it(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    started_as(monkeypatch, program)
    start = report_process._start

    def dead() -> subprocess.Popen[bytes]:
        process = start()
        process.wait()
        return process

    monkeypatch.setattr(report_process, "_start", dead)
    answer = Reporter(lambda: None).ask(job(size))
    told = "the process that makes reports died, status -9"
    assert (answer.sent, answer.why) == (Sent.REFUSED, told)


def test_a_process_that_cannot_be_begun_is_no_fault_of_the_job() -> None:
    """As where the daemon has no file descriptors left."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        answer = Reporter(lambda: None).ask(job(1))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    told = "no process begins: Too many open files"
    assert (answer.sent, answer.why) == (Sent.UNAVAILABLE, told)
