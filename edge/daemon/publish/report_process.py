"""The process that makes and sends one report: started for a job, and never longer than it."""

import contextlib
import logging
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Final

from pydantic import ValidationError

from edge.contract.report_job import Answer, Job, Sent

log = logging.getLogger(__name__)

PROGRAM: Final = "edge.dicom.send.process"
LIMIT_S: Final = 180.0
"""Seconds for one report; the process itself gives up at an unresponsive peer long before."""
LOOK_S: Final = 0.5


def ask(job: Job, beat: Callable[[], None]) -> Answer:
    """
    Have a job done by a process of its own.

    Args:
        job: says what to send.
        beat: called now and then while it lasts.

    Returns:
        How it ended; a process that dies has refused.
    """
    command = [sys.executable, "-P", "-m", PROGRAM]
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # a traceback may name a patient
    ) as process:
        try:
            return _talk(process, job, beat)
        finally:
            process.kill()  # it has answered, or takes too long


def _talk(process: subprocess.Popen[bytes], job: Job, beat: Callable[[], None]) -> Answer:
    if process.stdin is None or process.stdout is None:
        raise AssertionError
    with contextlib.suppress(BrokenPipeError):  # it died, as its status will say
        process.stdin.write(job.model_dump_json().encode() + b"\n")
        process.stdin.flush()  # and it stays open: its end would be ours
    until = time.monotonic() + LIMIT_S
    while time.monotonic() < until:
        beat()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(LOOK_S)
            break
    else:
        return Answer(sent=Sent.FAILED, why=f"a report took more than {LIMIT_S:g} s")
    try:
        return Answer.model_validate_json(process.stdout.read())
    except ValidationError:
        log.warning("event=report_process_died status=%d", process.returncode)
        why = f"the process that makes reports died, status {process.returncode}"
        return Answer(sent=Sent.REFUSED, why=why)
