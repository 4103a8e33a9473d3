"""
Worker processes: a pool that runs one function, named by its dotted path so that this process never
imports it.

A decoder that segfaults, a hung accelerator or a decompression bomb costs one attempt of one image,
not the daemon.
"""

import contextlib
import logging
import multiprocessing
import os
import queue
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

from pebble import ProcessExpired, ProcessPool

from edge.daemon.workers import process
from edge.domain import Outcome, Rejection, Result, Runtime
from edge.errors import AcceleratorError, InferenceError, MammoEdgeError, Unavailable

log = logging.getLogger(__name__)

START_S: Final = 60.0
"""How long a worker may take to load and prove its model, in seconds."""
ACCELERATED_START_S: Final = 20.0
"""
The same with an accelerator, which may hang: less, since there is another way, and a daemon that
shall stop waits for it.
"""
UNTAKEN_S: Final = 10.0
"""
No worker takes so long to begin with a file, in seconds, beside what its own start takes. One that
is killed while it holds the lock of the pool's pipe lets every other wait for a minute.
"""
UNTAKEN_STARTS: Final = 5


@dataclass(frozen=True, slots=True)
class Job:
    """What the workers run and what they may use. No settings, no secrets."""

    start: str
    """Dotted path of a function(*arguments) -> Runtime, called once in each worker."""
    run: str
    """Dotted path of a function(path) -> Outcome."""
    arguments: tuple[object, ...]
    count: int
    timeout_s: float
    memory_mb: int
    oom_score_adj: int = 500
    """The kernel ends these before the supervisor when memory is short; 1000 before all others."""
    cpu_s: float | None = None
    """Processor time of one file, all threads together."""
    spare: Callable[[str], tuple[object, ...]] | None = None
    """
    For workers with an accelerator: the arguments to go on with, without it, once one of them was
    lost, and why. So whatever the accelerator does to its process costs no image an attempt.
    """


@dataclass(frozen=True, slots=True)
class Died:
    """The worker ended or timed out with this image, or its model gave no score: one attempt."""

    why: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The work was stopped and nobody is to blame."""

    why: str


Verdict: TypeAlias = Outcome | Died | Interrupted


class Workers:
    """
    A pool of processes that have proved their model.

    Raises:
        ModelError: the model cannot be loaded or does not give its known answers.
        Unavailable: no worker came up in time.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self._lock = threading.Lock()
        self._in_work: dict[Callable[[Verdict], None], tuple[float, Future[Outcome] | None]] = {}
        self._closed = False
        self._pool = self._open()
        began = time.monotonic()
        self.runtime = self._prove_or_spare()
        """What the last file was computed on, or will be."""
        self._patience_s = self._untaken_s = UNTAKEN_S + UNTAKEN_STARTS * (time.monotonic() - began)

    def submit(self, path: Path, done: Callable[[Verdict], None]) -> None:
        """Examine one file; `done` is called exactly once, usually from another thread."""
        with self._lock:
            self._in_work[done] = (time.monotonic(), None)
        try:
            future = self._pool.schedule(
                process.run,
                args=(self.job.run, str(path), self.job.cpu_s),
                timeout=self.job.timeout_s,
            )
        except RuntimeError:  # the pool broke: its workers died with nothing to do
            self.reopen()
            return
        given = time.monotonic()
        with self._lock:
            if done in self._in_work:
                self._in_work[done] = (given, future)
        future.add_done_callback(
            lambda finished: self._finish(done, self._judge(finished, time.monotonic() - given))
        )

    def examine(self, path: Path, beat: Callable[[], None] = lambda: None) -> Verdict:
        """
        Examine one file and wait, with a beat each second; a pool that hangs is opened again, and
        what it had is interrupted.
        """
        verdicts: queue.SimpleQueue[Verdict] = queue.SimpleQueue()
        self.submit(path, verdicts.put)
        while True:
            beat()
            try:
                return verdicts.get(timeout=1.0)
            except queue.Empty:
                if self.overdue():
                    self.reopen()

    @property
    def in_work(self) -> int:
        """How many files are being examined."""
        with self._lock:
            return len(self._in_work)

    def overdue(self) -> bool:
        """
        Whether a file is past its time limit and nobody ended it, or no worker began with it: the
        pool itself hangs.
        """
        limit = (
            self.job.timeout_s + START_S
        )  # a worker started anew loads and proves its model first
        with self._lock:
            waits = [(time.monotonic() - since, future) for since, future in self._in_work.values()]
        if any(future and not future.done() for _, future in waits) and not self._pool.active:
            return True  # it broke in the moment when it was given a file, and has forgotten it
        return any(
            age
            > (self._untaken_s if future and not future.running() and not future.done() else limit)
            for age, future in waits
        )

    def reopen(self) -> None:
        """Replace a broken or hung pool by a fresh one; what was in work is interrupted."""
        log.warning("event=pool_reopened")
        self._take_spare("its worker ended or hung")
        self._untaken_s = min(
            2 * self._untaken_s, self.job.timeout_s + START_S
        )  # a machine that has become slow gets its time
        self._interrupt_all()
        self._replace_pool()

    @property
    def lost(self) -> bool:
        """
        Whether a worker that had an accelerator ended with nothing to do, as when it was pulled
        out.
        """
        return self.job.spare is not None and not self._pool.active and not self._closed

    def mend(self) -> None:
        """
        Go on without a lost accelerator before the next file comes. In the thread that submits.
        """
        if self.lost and not self.in_work:
            self.reopen()
            with contextlib.suppress(RuntimeError):  # closed meanwhile
                self._pool.schedule(process.proved).add_done_callback(self._learn)

    def _learn(self, proved: "Future[Runtime]") -> None:
        if proved.exception() is None:
            self.runtime = proved.result()

    def close(self) -> None:
        """Stop at once, for ever; what was in work is interrupted. May be called twice."""
        with self._lock:
            self._closed = True
        _stop(self._pool)
        self._interrupt_all()

    def _replace_pool(self) -> None:
        """
        Whoever submits next starts the workers, which end with the thread that started them. None
        after `close`.
        """
        with self._lock:
            if self._closed:
                return
            old, self._pool = self._pool, self._open()
        threading.Thread(target=_stop, args=(old,), name="pool-stop", daemon=True).start()

    def _judge(self, finished: "Future[Outcome]", age_s: float) -> Verdict:
        verdict = _verdict(finished, self.job.timeout_s, age_s)
        if isinstance(verdict, Died) and self._take_spare(verdict.why):
            self._replace_pool()
            return Interrupted(f"the accelerator was given up: {verdict.why}")
        if isinstance(verdict, Result | Rejection):
            self._untaken_s = max(self._patience_s, self._untaken_s / 2)
            self.runtime = verdict.runtime or self.runtime
        return verdict

    def _take_spare(self, why: str) -> bool:
        """
        Have workers started from now on go without the accelerator; False where there is none to
        give up.
        """
        if self.job.spare is None:
            return False
        log.warning('event=accelerator_given_up why="%s"', why)
        self.job = replace(self.job, arguments=self.job.spare(why), spare=None)
        return True

    def _prove_or_spare(self) -> Runtime:
        try:
            return self._prove()
        except Unavailable as error:
            if not self._take_spare(f"it ended its worker, or hung, as it was opened: {error}"):
                raise
            self._pool = self._open()
            return self._prove()

    def _interrupt_all(self) -> None:
        for done in list(self._in_work):
            self._finish(done, Interrupted("pool stopped"))

    def _finish(self, done: Callable[[Verdict], None], verdict: Verdict) -> None:
        with self._lock:
            if self._in_work.pop(done, None) is None:
                return  # told already
        done(verdict)

    def _open(self) -> ProcessPool:
        job = self.job
        return ProcessPool(
            max_workers=job.count,
            initializer=process.initialise,
            initargs=(os.getpid(), job.memory_mb, job.oom_score_adj, job.start, job.arguments),
            context=multiprocessing.get_context("spawn"),
        )

    def _prove(self) -> Runtime:
        limit = START_S if self.job.spare is None else ACCELERATED_START_S
        try:
            runtime: Runtime = self._pool.schedule(process.proved).result(timeout=limit)
        except MammoEdgeError:
            _stop(self._pool)
            raise
        except (ProcessExpired, BrokenProcessPool, FutureTimeoutError) as error:
            _stop(self._pool)
            msg = f"no worker came up within {limit:g} s: {type(error).__name__}"
            raise Unavailable(msg) from None
        return runtime


def _verdict(future: "Future[Outcome]", timeout_s: float, age_s: float) -> Verdict:
    try:
        return future.result()
    except FutureTimeoutError:
        early = age_s < timeout_s  # pebble goes by the time of day
        return (
            Interrupted("the clock was set") if early else Died(f"took longer than {timeout_s:g} s")
        )
    except ProcessExpired as error:
        code = error.exitcode
        return Died(
            f"worker ended by {_name_of(-code)}"
            if code < 0
            else f"worker ended with exit status {code}"
        )
    except (BrokenProcessPool, CancelledError) as error:
        return Interrupted(type(error).__name__)
    except (
        MammoEdgeError
    ) as error:  # the worker lost its accelerator, or could not load its model, or the file is away
        return (
            Died(str(error))
            if isinstance(error, AcceleratorError | InferenceError)
            else Interrupted(str(error))
        )
    # a defect in the worker's code is an attempt, like a crash
    # a defect in the worker's code is an attempt, like a crash
    except Exception as error:  # noqa: BLE001
        return Died(f"worker raised {type(error).__name__}")


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def _stop(pool: ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]
    pool.join()
