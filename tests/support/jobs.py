"""Run in the workers of the tests of the pool, which name this module by its dotted path."""

import os
import resource
import signal
import time
from pathlib import Path

from edge.domain import Outcome, Rejection, Runtime
from edge.errors import AcceleratorError, InferenceError, ModelError, Reason, UnreadableError

_runtime: Runtime | None = None


def start(backend: str, without: str | None = None) -> Runtime:
    global _runtime  # noqa: PLW0603 - one worker, one model
    if backend == "broken":
        msg = "known answer 1: raw is 0.9, expected 0.1 within 0.001"
        raise ModelError(msg)
    if backend == "dead":
        os._exit(3)
    _runtime = Runtime(backend, "model.tflite", 1, fallback=without is not None, without=without)
    return _runtime


def run(path: str) -> Outcome:  # noqa: C901, PLR0912 - one case each
    match Path(path).name:
        case "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "busy":
            while True:
                pass
        case "hang":
            signal.pause()
        case "exit":
            os._exit(7)
        case "raise":
            raise ZeroDivisionError
        case "nan":
            msg = "the model's output is nan, expected a number from 0 to 1"
            raise InferenceError(msg)
        case "gone":
            msg = "the image file cannot be read: No such file or directory"
            raise UnreadableError(msg)
        case "memory":
            return Rejection(
                Reason.TOO_LARGE, str(resource.getrlimit(resource.RLIMIT_AS)[0] // 2**20)
            )
        case "environment":
            return Rejection(Reason.EMPTY, " ".join(sorted(os.environ)))
        case "oom":
            return Rejection(
                Reason.EMPTY, Path("/proc/self/oom_score_adj").read_text(encoding="ascii").strip()
            )
        case "pid":
            return Rejection(Reason.EMPTY, str(os.getpid()))
        case "slow":
            time.sleep(0.5)
        case "runtime":
            return Rejection(Reason.EMPTY, "what it ran on", runtime=_runtime)
        case "lost" if _runtime and _runtime.backend == "edgetpu":
            msg = "it failed while it computed"
            raise AcceleratorError(msg)
        case _:
            pass
    return Rejection(Reason.UNREADABLE, Path(path).name)
