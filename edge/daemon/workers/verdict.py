"""Verdicts: what the supervisor makes of one file that a worker process had."""

import signal
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import TypeAlias

from pebble import ProcessExpired

from edge.domain import Outcome
from edge.errors import AcceleratorError, InferenceError, MammoEdgeError, UnreadableError


@dataclass(frozen=True, slots=True)
class Died:
    """The worker ended or timed out with this image, or its model gave no score: one attempt."""

    why: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The work was stopped and nobody is to blame."""

    why: str


@dataclass(frozen=True, slots=True)
class Unread(Interrupted):
    """The worker could not read this file, and gave it back."""


Verdict: TypeAlias = Outcome | Died | Interrupted


def verdict_of(future: "Future[Outcome]", timeout_s: float, age_s: float) -> Verdict:
    """
    Read a verdict from a finished future of pebble's.

    Args:
        future: done.
        timeout_s: the limit that pebble was given, in seconds.
        age_s: seconds since the file was given to the pool.
    """
    try:
        return future.result()
    except FutureTimeoutError:
        early = age_s < timeout_s  # pebble goes by the time of day
        late = f"took longer than {timeout_s:g} s"
        return Interrupted("the clock was set") if early else Died(late)
    except ProcessExpired as error:
        return Died(_end_of(error.exitcode))
    except (BrokenProcessPool, CancelledError) as error:
        return Interrupted(type(error).__name__)
    except MammoEdgeError as error:
        return _told_by(error)
    # A defect in the worker's code is an attempt, like a crash.
    except Exception as error:  # noqa: BLE001
        return Died(f"worker raised {type(error).__name__}")


def _told_by(error: MammoEdgeError) -> Died | Interrupted:
    if isinstance(error, AcceleratorError | InferenceError):
        return Died(str(error))
    if isinstance(error, UnreadableError):
        return Unread(str(error))
    return Interrupted(str(error))  # its model could not be loaded


def _end_of(code: int) -> str:
    if code >= 0:
        return f"worker ended with exit status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # a real-time signal
        name = f"signal {-code}"
    return f"worker ended by {name}"
