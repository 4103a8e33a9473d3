"""
A pool of worker processes that run one function, which this process names and never imports.

A decoder that segfaults, a hung accelerator or a decompression bomb costs one attempt of one image,
not the daemon.
"""

import contextlib
import logging
import multiprocessing
import os
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Final

from pebble import ProcessExpired, ProcessPool

from edge.daemon.workers import process
from edge.daemon.workers.in_work import InWork
from edge.daemon.workers.job import Job
from edge.daemon.workers.verdict import Died, Interrupted, Verdict, verdict_of
from edge.domain import Outcome, Rejection, Result, Runtime
from edge.errors import MammoEdgeError, Unavailable

log = logging.getLogger(__name__)

START_S: Final = 60.0
"""Seconds that a worker may take to load and prove its model."""
ACCELERATED_START_S: Final = 20.0
"""
Seconds for the same with an accelerator, which may hang.

Less, since there is another way, and since a daemon that shall stop waits for it.
"""
UNTAKEN_S: Final = 10.0
"""
Seconds that a worker may take to begin with a file, beside what its own start takes.

A worker that is killed while it holds the lock of the pool's pipe makes all others wait a minute.
"""
UNTAKEN_STARTS: Final = 5
"""Number of times that the measured start of the workers is added to UNTAKEN_S."""
STOPPED: Final = Interrupted("pool stopped")


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
        self._in_work = InWork[Verdict, Outcome]()
        self._closed = False
        self._pool = _open(job)
        began = time.monotonic()
        self.runtime = self._prove_or_spare()
        """The runtime that computed the last file, or will compute the next."""
        self._patience_s = self._untaken_s = UNTAKEN_S + UNTAKEN_STARTS * (time.monotonic() - began)

    def submit(self, path: Path, done: Callable[[Verdict], None]) -> None:
        """Examine one file; `done` is called exactly once, usually from another thread."""
        self._in_work.add(done)
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
        self._in_work.given(done, future)
        future.add_done_callback(
            lambda finished: self._in_work.finish(
                done, self._judge(finished, time.monotonic() - given)
            )
        )

    def examine(self, path: Path, beat: Callable[[], None] = lambda: None) -> Verdict:
        """
        Examine one file and wait; a pool that hangs is opened again, and interrupts the file.

        Args:
            path: the file.
            beat: called each second.
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
        """Number of files that are being examined."""
        return len(self._in_work)

    def overdue(self) -> bool:
        """Tell if the pool itself hangs: nobody ended a file past its limit, or took one."""
        limit_s = self.job.timeout_s + START_S  # a new worker loads and proves its model first
        waits = self._in_work.waits()
        if any(future and not future.done() for _, future in waits) and not self._pool.active:
            return True  # it broke in the moment when it was given a file, and has forgotten it

        def limit_of(future: "Future[Outcome] | None") -> float:
            untaken = future and not future.running() and not future.done()
            return self._untaken_s if untaken else limit_s

        return any(age_s > limit_of(future) for age_s, future in waits)

    def reopen(self) -> None:
        """Replace a broken or hung pool by a fresh one; what was in work is interrupted."""
        log.warning("event=pool_reopened")
        self._take_spare("its worker ended or hung")
        limit_s = self.job.timeout_s + START_S
        self._untaken_s = min(2 * self._untaken_s, limit_s)  # for a machine that has become slow
        self._in_work.finish_all(STOPPED)
        self._replace_pool()

    @property
    def lost(self) -> bool:
        """True if an idle worker with an accelerator ended, as when that was pulled out."""
        return self.job.spare is not None and not self._pool.active and not self._closed

    def mend(self) -> None:
        """Go on without a lost accelerator; in the thread that submits."""
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
        self._in_work.finish_all(STOPPED)

    def _replace_pool(self) -> None:
        """Open another pool, unless closed; whoever submits next starts its workers."""
        with self._lock:
            if self._closed:
                return
            old, self._pool = self._pool, _open(self.job)
        threading.Thread(target=_stop, args=(old,), name="pool-stop", daemon=True).start()

    def _judge(self, finished: "Future[Outcome]", age_s: float) -> Verdict:
        verdict = verdict_of(finished, self.job.timeout_s, age_s)
        if isinstance(verdict, Died) and self._take_spare(verdict.why):
            self._replace_pool()
            return Interrupted(f"the accelerator was given up: {verdict.why}")
        if isinstance(verdict, Result | Rejection):
            self._untaken_s = max(self._patience_s, self._untaken_s / 2)
            self.runtime = verdict.runtime or self.runtime
        return verdict

    def _take_spare(self, why: str) -> bool:
        """Have new workers go without the accelerator; False if there is none to give up."""
        if self.job.spare is None:
            return False
        log.warning('event=accelerator_given_up why="%s"', why)
        self.job = replace(self.job, arguments=self.job.spare(why), spare=None)
        return True

    def _prove_or_spare(self) -> Runtime:
        try:
            return _prove(self._pool, self.job)
        except Unavailable as error:
            if not self._take_spare(f"it ended its worker, or hung, as it was opened: {error}"):
                raise
            self._pool = _open(self.job)
            return _prove(self._pool, self.job)


def _open(job: Job) -> ProcessPool:
    return ProcessPool(
        max_workers=job.count,
        initializer=process.initialise,
        initargs=(os.getpid(), job.memory_mb, job.oom_score_adj, job.start, job.arguments),
        context=multiprocessing.get_context("spawn"),
    )


def _prove(pool: ProcessPool, job: Job) -> Runtime:
    limit_s = START_S if job.spare is None else ACCELERATED_START_S
    try:
        runtime: Runtime = pool.schedule(process.proved).result(timeout=limit_s)
    except MammoEdgeError:
        _stop(pool)
        raise
    except (ProcessExpired, BrokenProcessPool, FutureTimeoutError) as error:
        _stop(pool)
        msg = f"no worker came up within {limit_s:g} s: {type(error).__name__}"
        raise Unavailable(msg) from None
    return runtime


def _stop(pool: ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]
    pool.join()
