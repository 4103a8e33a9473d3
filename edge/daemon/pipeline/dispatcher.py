"""
The loop: examine what waits, record what became of it, archive the file. One thread, the main one.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge.contract.render import Occasion, Sender, encode, render, result_id
from edge.daemon.pipeline.head_start import Answer, HeadStart
from edge.daemon.workers.pool import Died, Interrupted, Verdict
from edge.daemon.workers.servable import Serving
from edge.domain import Outcome, Rejection, Result
from edge.errors import Reason, Unavailable
from edge.health import Cause, Health
from edge.storage.archiver import Archiver
from edge.storage.ledger import Ledger
from edge.storage.ledger.records import Conclusion, Image
from edge.storage.ledger.states import Move, State
from edge.storage.spool import Spool

log = logging.getLogger(__name__)

LOOP: Final = "dispatch"
TURN_S: Final = 1.0
PAUSE_S: Final = 1.0
"""Rest after something was not available, in seconds."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the way in and the loop share."""

    ledger: Ledger
    spool: Spool
    health: Health
    sender: Sender
    look_again_s: float
    """When a truncated file is looked at again whose writer may not have finished."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What came back from a worker."""

    image: Image
    serving: Serving
    started_at: float
    completed_at: float
    verdict: Verdict


class Service:
    """
    Examines, records, archives. `run` returns after `stop`; intake and couriers are not its
    business.
    """

    def __init__(self, parts: Parts, serving: Serving, wake_couriers: Callable[[], None]) -> None:
        self._ledger = parts.ledger
        self._spool = parts.spool
        self._health = parts.health
        self._sender = parts.sender
        self._look_again_s = parts.look_again_s
        self.serving = serving
        self._wake_couriers = wake_couriers
        self._finished: queue.SimpleQueue[Finished] = queue.SimpleQueue()
        self._unrecorded: list[Finished] = []
        self._tasks: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._ahead = HeadStart(self._wake.set)
        self._archiver = Archiver(parts.ledger, parts.spool, parts.health)
        self._stop = threading.Event()
        self._pause_until = 0.0
        self._alone = False
        self._held = False
        self._forgotten: tuple[Path, bytes] | None = None
        self._retired: list[Serving] = []
        self._recovered = False
        self.at_start: list[Callable[[], None]] = []
        """Called before the first image, in this thread."""
        self.take_again: Callable[[Path, bytes], None] | None = None
        """Set by whoever connects us to the way in: record a file of the spool anew."""
        self.observers: list[Callable[[Finished], None]] = []
        """Called in this thread with what came back from a worker, after it was recorded."""

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    def head_start(self, path: Path) -> None:
        """
        A file in the spool that the ledger will know in a moment: a worker that is idle may begin
        with it.
        """
        self._ahead.offer(path)
        self._wake.set()

    def stop(self) -> None:
        """Let `run` drain and return."""
        self._stop.set()
        self._wake.set()

    def call(self, task: Callable[[], Any]) -> "Future[Any]":
        """Run something in the service's own thread, between two images."""
        future: Future[Any] = Future()
        self._tasks.put((task, future))
        self._wake.set()
        return future

    def run(self, drain_s: float, on_drain: Callable[[], None]) -> None:
        """
        Work until `stop`, call `on_drain`, then let what is in work finish for at most `drain_s`
        seconds.
        """
        while not self._stop.is_set():
            self._turn()
            self._wake.wait(TURN_S)
            self._wake.clear()
        on_drain()
        self._drain(time.monotonic() + drain_s)
        self._health.retire(LOOP)

    def _drain(self, deadline: float) -> None:
        while self._in_work() and time.monotonic() < deadline:
            self._health.stamp(LOOP)
            self._record_finished()
            self._wake.wait(0.1)
            self._wake.clear()
        self.close()
        self._record_finished()

    def swap(self, serving: Serving) -> None:
        """
        Give new images to another bundle; the old workers finish what they have. In the service's
        thread only.
        """
        self._retired.append(self.serving)
        self._held = (
            self._held and serving.bundle.bundle_id == self.serving.bundle.bundle_id
        )  # other workers make it no other model
        self.serving = serving

    def hold(self) -> None:
        """
        Give no image to a worker until `swap` or `release`. In the service's thread only, as both.
        """
        self._held = True

    def release(self) -> None:
        """Go on with the bundle that serves."""
        self._held = False

    def overdue(self) -> bool:
        """
        Whether an image is past its time limit and nobody ended it, be it with a model that served
        before.
        """
        return any(serving.workers.overdue() for serving in (*self._retired, self.serving))

    def close(self) -> None:
        """End all workers at once; what they had is interrupted."""
        for serving in (*self._retired, self.serving):
            serving.workers.close()

    def reject(self, image_id: str, reason: Reason, detail: str) -> None:
        """Conclude an image that no worker need see. In the service's thread only."""
        image = self._ledger.images.find(image_id)
        if image is not None and image.state is State.RECEIVED:
            now, outcome = time.time(), Rejection(reason, detail)
            self._conclude(Finished(image, self.serving, now, now, outcome), outcome)

    def _turn(self) -> None:
        self._health.stamp(LOOP)
        self._run_tasks()
        try:
            self._recover_once()
            if time.monotonic() >= self._pause_until and not self._held and not self._unrecorded:
                self._dispatch()  # first: a worker that has finished does not wait for the disk
                self._begin_ahead()
            if self._archiver.archive_left_over():
                self._wake.set()
        except Unavailable as error:
            self._rest(Cause.STORAGE_UNAVAILABLE, str(error))
        else:
            if time.monotonic() >= self._pause_until:
                self._health.recover(Cause.STORAGE_UNAVAILABLE, Cause.WORKERS_UNAVAILABLE)
        if self._record_finished():
            self._wake.set()  # some of it may have to be dispatched again
        self._close_retired()
        for serving in (*self._retired, self.serving):
            if serving.workers.overdue():
                serving.workers.reopen()

    def _recover_once(self) -> None:
        """First of all, and again until the disk lets us: what a kill left half done."""
        if not self._recovered:
            self._ledger.images.recover()
            for finish in self.at_start:
                finish()
            self._recovered = True

    def _rest(self, cause: Cause, why: str) -> None:
        self._pause_until = time.monotonic() + PAUSE_S
        self._health.degrade(cause, why)

    def _run_tasks(self) -> None:
        while not self._tasks.empty():
            task, future = self._tasks.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(task())
            except Exception as error:  # noqa: BLE001 - told to whoever asked
                future.set_exception(error)

    def _close_retired(self) -> None:
        for serving in list(self._retired):
            if serving.workers.in_work == 0:
                serving.workers.close()
                self._retired.remove(serving)

    def _in_work(self) -> int:
        """
        What a drain waits for; an answer of which nobody has asked is not part of it, for nothing
        is dispatched any more.
        """
        at_workers = sum(serving.workers.in_work for serving in (*self._retired, self.serving))
        return at_workers - self._ahead.unasked + self._finished.qsize()

    def _dispatch(self) -> None:
        workers = self.serving.workers
        self._take_forgotten()
        self._alone = self._alone and workers.in_work > 0
        while not self._alone and not self._stop.is_set():
            self._health.stamp(LOOP)
            idle = workers.in_work < workers.job.count
            image = self._ledger.images.next_waiting() if idle or self._ahead.begun else None
            if (
                image is None
                or not (idle or self._ahead.has(image.path, workers))
                or (image.alone and workers.in_work > 0)
            ):
                return
            if self._settle_unexamined(image):
                continue
            self._ledger.images.move(image.image_id, Move.DISPATCH)
            self._alone = image.alone
            self._submit(image)

    def _begin_ahead(self) -> None:
        workers = self.serving.workers
        if workers.in_work < workers.job.count and not self._alone and not self._stop.is_set():
            self._ahead.begin(workers)

    def _settle_unexamined(self, image: Image) -> bool:
        """Settle what a worker need not, or cannot, see yet; True where that was so."""
        found = self._spool.locate(image.path, image.image_id, image.name)
        if found == image.path and (image.postponed or image.poison) and self._has_changed(image):
            log.info("event=file_had_changed")
        elif image.poison:
            self.reject(
                image.image_id,
                Reason.POISON,
                "workers died of it twice, or the daemon did again and again",
            )
        elif found is None:
            self.reject(
                image.image_id, Reason.MISSING, "its file was removed before it could be examined"
            )
        elif found != image.path:
            self._ledger.images.relocate(image.image_id, found)
        else:
            return False
        return True

    def _has_changed(self, image: Image) -> bool:
        """
        A file whose writer went on, perhaps while a worker had it mapped: take it up as what it is,
        and forget or answer what it was.
        """
        try:
            claim = self._spool.rehash(image.path, image.name)
        except Unavailable:
            if not self._spool.present():
                raise
            return (
                False  # this file alone: a worker says what is wrong with it, and the others go on
            )
        if claim.image_id == image.image_id or self.take_again is None:
            return False
        if self._ledger.submissions.forget(image.image_id):
            self._forgotten = (image.path, image.name)
        elif image.poison:
            return False
        else:  # someone else waits for it: its bytes are gone, and these get no result under its id
            self._forgotten = (self._spool.claim_anew(image.path, image.name), image.name)
            self.reject(
                image.image_id, Reason.MISSING, "its file was changed before it could be examined"
            )
        self._take_forgotten()
        return True

    def _take_forgotten(self) -> None:
        """
        Record anew what was forgotten; tried again and again, for the ledger knows nothing of it
        meanwhile.
        """
        if self._forgotten and self.take_again:
            self.take_again(*self._forgotten)
            self._forgotten = None

    def _submit(self, image: Image) -> None:
        serving = self.serving
        answer = self._ahead.take(image.path, serving.workers)
        if answer is None:
            answer = Answer()
            serving.workers.submit(image.path, answer)

        def done(verdict: Verdict) -> None:
            self._finished.put(
                Finished(image, serving, answer.started_at, answer.completed_at, verdict)
            )
            self._wake.set()

        answer.give_to(done)

    def _record_finished(self) -> bool:
        """
        Record what the workers gave back; False where there was nothing, or where it cannot be
        recorded for now.
        """
        finished, self._unrecorded = self._unrecorded, []
        while not self._finished.empty():
            finished.append(self._finished.get())
        for item in finished:
            self._health.stamp(LOOP)
            try:
                settled = self._record(item)
            except Unavailable as error:
                self._unrecorded.append(item)
                self._rest(Cause.STORAGE_UNAVAILABLE, str(error))
            else:
                for observe in self.observers if settled else ():
                    observe(item)
        return len(finished) > len(self._unrecorded)

    def _record(self, finished: Finished) -> bool:
        """False where nothing is to be said of it yet: its writer may go on."""
        image_id = finished.image.image_id
        match finished.verdict:
            case Died() if self._stop.is_set():  # a stop that reached the workers too
                self._ledger.images.move(image_id, Move.RELEASE)
            case Died(why):
                log.warning('event=worker_died image=%s why="%s"', image_id[:16], why)
                self._health.count("worker_deaths")
                self._ledger.images.move(image_id, Move.BLAME)
            case Interrupted(why):
                log.info('event=interrupted image=%s why="%s"', image_id[:16], why)
                self._ledger.images.move(image_id, Move.RELEASE)
                self._rest(Cause.WORKERS_UNAVAILABLE, f"worker: {why}")
            case Rejection(reason=Reason.TRUNCATED) if self._ledger.images.postpone(
                image_id, time.time() + self._look_again_s
            ):
                log.info("event=truncated_looked_at_again image=%s", image_id[:16])
                return False
            case Result() | Rejection() as outcome:
                self._conclude(finished, outcome)
        return True

    def _conclude(self, finished: Finished, outcome: Outcome) -> None:
        image, bundle = finished.image, finished.serving.bundle
        occasion = Occasion(
            image.image_id,
            image.generation,
            image.received_at,
            finished.started_at,
            finished.completed_at,
        )
        conclusion = Conclusion(
            image_id=image.image_id,
            result_id=result_id(image.image_id, bundle, image.generation),
            bundle_id=bundle.bundle_id,
            scored=isinstance(outcome, Result),
            render=lambda numbering: encode(
                render(outcome, occasion, bundle, self._sender, numbering)
            ),
        )
        payload = self._ledger.images.conclude(conclusion)
        self._wake_couriers()
        label = outcome.prediction.label if isinstance(outcome, Result) else "rejected"
        self._health.count(label)
        log.info(
            "event=examined image=%s outcome=%s ms=%.0f",
            image.image_id[:16],
            label,
            (finished.completed_at - finished.started_at) * 1e3,
        )
        self._archiver.archive(image, payload, scored=conclusion.scored)
