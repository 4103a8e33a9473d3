"""The process that makes and sends one report: started for a job, and never longer than it."""

import contextlib
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection
from typing import Final

from pydantic import ValidationError

from edge.contract.report_job import Answer, Job, Sent

log = logging.getLogger(__name__)

PROGRAM: Final = "edge.dicom.send.process"
LIMIT_S: Final = 180.0
"""Seconds for one report; the process itself gives up at an unresponsive peer long before."""
LOOK_S: Final = 0.5


class Reporter:
    """
    Has jobs done, one after the other, each by a process of its own.

    Args:
        beat: called now and then while a job lasts.
    """

    def __init__(self, beat: Callable[[], None]) -> None:
        self._beat = beat
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._images: Collection[str] = ()
        self._ended = False

    def ask(self, job: Job) -> Answer:
        """
        Have a job done.

        Returns:
            How it ended; a process that dies has refused, and what `end` ended has nothing to send.
        """
        with self._lock:
            try:
                process = self._process = _start()
            except OSError as error:  # no memory, or no descriptors: none of this job's doing
                return Answer(sent=Sent.UNAVAILABLE, why=f"no process begins: {error.strerror}")
            self._images, self._ended = job.originals.keys(), False
        with process:
            giving = threading.Thread(target=_give, args=(process, job))
            giving.start()  # a child that does not read may keep nobody waiting
            try:
                answer = _talk(process, self._beat)
            finally:
                process.kill()  # it has answered, or takes too long
                giving.join()  # whose pipe is broken by now
                _close(process)
                with self._lock:
                    self._process = None
        if answer is None and self._ended:
            return Answer(sent=Sent.GONE)
        return answer or _refusal_of(process.returncode)

    def end(self, image_ids: Collection[str]) -> bool:
        """
        End the job on its way if it is of one of these images, whose files are gone already.

        Returns:
            True if there was one: the peer may or may not have its report.
        """
        with self._lock:
            if self._process is None or not set(image_ids) & set(self._images):
                return False
            self._ended = True
            self._process.kill()
            self._process.wait()
            return True


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-P", "-m", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # a traceback may name a patient
    )


def _give(process: subprocess.Popen[bytes], job: Job) -> None:
    """Write a job to a process, for as long as that takes."""
    if process.stdin is None:
        raise AssertionError
    with contextlib.suppress(BrokenPipeError):  # it died, as its status will say
        process.stdin.write(job.model_dump_json().encode() + b"\n")
        process.stdin.flush()  # and it stays open: its end would be ours


def _close(process: subprocess.Popen[bytes]) -> None:
    """Close a process's input, also if it died before it had all of it."""
    if process.stdin is None:
        raise AssertionError
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()


def _talk(process: subprocess.Popen[bytes], beat: Callable[[], None]) -> Answer | None:
    """Wait for a process's answer; None if it died."""
    if process.stdout is None:
        raise AssertionError
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
        return None


def _refusal_of(status: int) -> Answer:
    log.warning("event=report_process_died status=%d", status)
    why = f"the process that makes reports died, status {status}"
    return Answer(sent=Sent.REFUSED, why=why)
