"""
The worker process: it keeps to its limits and dies with its supervisor.

It runs one function, named by its dotted path, so that the supervisor never imports it.
"""

import contextlib
import ctypes
import functools
import importlib
import logging
import math
import os
import resource
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from edge.domain import Outcome, Runtime
from edge.errors import MammoEdgeError, ModelError

log = logging.getLogger(__name__)

PR_SET_PDEATHSIG: Final = 1

_start: Callable[[], Runtime] | None = None
_runtime: Runtime | None = None


def initialise(
    supervisor: int, memory_mb: int, oom_score_adj: int, start: str, arguments: tuple[object, ...]
) -> None:
    """
    Set the limits, then load and prove the model, if that can be.

    Args:
        supervisor: process id of whoever started us.
        memory_mb: address space, in MiB.
        oom_score_adj: how soon the kernel ends this process when memory is short, up to 1000.
        start: dotted path of a function(*arguments) -> Runtime.
        arguments: for it.
    """
    global _start  # noqa: PLW0603 - one worker, one model
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the supervisor, which drains
    _die_with(supervisor)
    _let_the_kernel_end_it(oom_score_adj)
    _limit(resource.RLIMIT_AS, memory_mb * 2**20)
    _limit(resource.RLIMIT_CORE, 0)  # a core file would hold pixels
    _start = functools.partial(_named(start), *arguments)
    # Told to whoever asks; a worker that exits here would only be started again.
    with contextlib.suppress(MammoEdgeError):
        proved()


def _limit(what: int, size: int) -> None:
    _, hard = resource.getrlimit(what)
    resource.setrlimit(what, (size if hard == resource.RLIM_INFINITY else min(size, hard), hard))


def proved() -> Runtime:
    """
    Return the loaded model, after another try if it could not be loaded before.

    Its bundle may have been away.

    Raises:
        MammoEdgeError: it cannot be loaded, or does not give its known answers.
    """
    global _runtime  # noqa: PLW0603 - one worker, one model
    if _runtime is None:
        if _start is None:
            msg = "worker was not started"
            raise ModelError(msg)
        _runtime = _start()
    return _runtime


def run(function: str, path: str, cpu_s: float | None) -> Outcome:
    """
    Examine one file.

    Args:
        function: dotted path of a function(path) -> Outcome.
        path: of the file.
        cpu_s: processor time that it may take, all threads together, in seconds; None: any.

    Raises:
        ModelError: the model cannot be loaded or proved. Whatever else the function raises.
    """
    proved()
    if cpu_s is not None:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        used_s = usage.ru_utime + usage.ru_stime
        _limit(resource.RLIMIT_CPU, math.ceil(used_s + cpu_s))  # past it the kernel sends SIGXCPU
    outcome: Outcome = _named(function)(path)
    return outcome


def _named(dotted: str) -> Callable[..., Any]:
    module, _, name = dotted.rpartition(".")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function


def _die_with(supervisor: int) -> None:
    """
    End within a second of the supervisor's death, even if a decoder holds the interpreter lock.
    """
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    # The signal comes when the thread that started us ends, and not if it ended before prctl.
    def watch() -> None:
        while os.getppid() == supervisor:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, name="supervisor-watch", daemon=True).start()


def _let_the_kernel_end_it(oom_score_adj: int) -> None:
    try:
        Path("/proc/self/oom_score_adj").write_text(str(oom_score_adj), encoding="ascii")
    except OSError:
        log.debug("event=oom_score_adj_not_set")
