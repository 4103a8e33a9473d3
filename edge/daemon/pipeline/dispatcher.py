"""
The dispatcher gives waiting images to workers and records what became of them.

It is one loop in one thread, the main one, and nobody else moves an image from state to state. Each
turn runs the tasks that other threads left, gives an image to each idle worker, archives what was
left over and records what came back. An image counts as given only once the ledger says so, and as
examined only once its outcome is in the ledger; so a kill between two steps repeats the last one.
What cannot be recorded now is kept and tried again, and no new image is given out meanwhile. An
image that fails before a worker has it is put off, and the others go on. Three
rules bend the order: an image that was found in work at several starts is examined alone, a file
that was just claimed may begin at an idle worker before it is recorded, and a file that may have
changed since is hashed again first.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

from edge.daemon.pipeline.changed_files import ChangedFiles
from edge.daemon.pipeline.examination import Examination, Hooks, Parts
from edge.daemon.pipeline.given_back import GivenBack
from edge.daemon.pipeline.head_start import HeadStart, PendingVerdict
from edge.daemon.pipeline.put_off import PutOff
from edge.daemon.pipeline.recorder import Recorder
from edge.daemon.workers.verdict import Verdict
from edge.errors import Reason, StateDamagedError, Unavailable
from edge.health import Cause
from edge.storage.ledger.records import Image
from edge.storage.ledger.states import Move
from edge.system.threads import note_failed_turn, note_good_turn

log = logging.getLogger(__name__)

LOOP: Final = "dispatch"
TURN_S: Final = 1.0
PAUSE_S: Final = 1.0
"""Rest after something was not available, in seconds."""


class Dispatcher:
    """
    Examines, records, archives; `run` returns after `stop`.

    Args:
        parts: the shared objects.
        recorder: records what came back.
        head_start: speculative examinations.
        hooks: calls to others.
    """

    def __init__(
        self, parts: Parts, recorder: Recorder, head_start: HeadStart, hooks: Hooks
    ) -> None:
        self._ledger = parts.ledger
        self._spool = parts.spool
        self._health = parts.health
        self._model = parts.model
        self._tasks = parts.tasks
        self._recorder = recorder
        self._head_start = head_start
        self._hooks = hooks
        self._changed = ChangedFiles(parts, recorder.reject, head_start)
        self._put_off = PutOff(parts.health, parts.ledger.turns)
        self._given_back = GivenBack(parts, recorder, self._put_off, self._rest, hooks.observers)
        self._stopping = False
        self._pause_until = 0.0
        self._alone = False
        """True while an image is at a worker beside which nothing else may be in work."""
        self._to_be_alone = False
        """True while an image that must be alone has its turn and waits for the workers."""

    def stop(self) -> None:
        """Let `run` drain and return; from any thread or signal handler."""
        self._stopping = True  # no Event: its lock may be held by what a signal interrupts
        self._tasks.wake()

    def run(self, drain_s: float, on_drain: Callable[[], None]) -> None:
        """
        Work until `stop`, call `on_drain`, then let what is in work finish.

        Args:
            drain_s: seconds for that; the rest is interrupted and waits for the next start.
            on_drain: called once, before the drain.
        """
        while not self._stopping:
            self._turn()
            self._tasks.wait(TURN_S)
        on_drain()
        self._drain(time.monotonic() + drain_s)
        self._health.retire(LOOP)

    def _drain(self, deadline: float) -> None:
        while self._in_work() and time.monotonic() < deadline:
            self._health.stamp(LOOP)
            self._record_finished()
            self._tasks.wait(0.1)
        self._model.close()
        self._record_finished()

    def _in_work(self) -> int:
        """Count what a drain waits for: not a head start, as nothing is dispatched any more."""
        return self._model.in_work - self._head_start.unasked + self._given_back.arrived()

    def _turn(self) -> None:
        self._health.stamp(LOOP)
        self._tasks.run()
        try:
            self._hooks.recover()
            resting = time.monotonic() < self._pause_until
            if not (resting or self._model.held or self._given_back.stuck()):
                self._dispatch()  # first: a worker that has finished does not wait for the disk
                self._begin_ahead()
            if self._recorder.archive_left_over():
                self._tasks.wake()
        except Unavailable as error:
            self._rest(Cause.STORAGE_UNAVAILABLE, str(error))
        except StateDamagedError:
            raise
        except Exception as error:  # noqa: BLE001 - one turn must not end the daemon
            self._pause_until = time.monotonic() + PAUSE_S
            note_failed_turn(self._health, LOOP, error)
        else:
            note_good_turn(self._health, LOOP)
            if time.monotonic() >= self._pause_until:
                self._health.recover(Cause.STORAGE_UNAVAILABLE, Cause.WORKERS_UNAVAILABLE)
        if self._record_finished():
            self._tasks.wake()  # some of it may have to be dispatched again
        self._model.tidy()

    def _rest(self, cause: Cause, why: str) -> None:
        self._pause_until = time.monotonic() + PAUSE_S
        self._health.degrade(cause, why)

    def _dispatch(self) -> None:
        workers = self._model.serving.workers
        self._alone = self._alone and workers.in_work > 0
        while not self._alone and not self._stopping:
            self._health.stamp(LOOP)
            image = self._next()
            if image is None:
                return
            try:
                self._give(image)
            except StateDamagedError:
                raise
            except Exception as error:
                archived = image.path.parent != self._spool.claimed
                if not self._put_off.add(image, error, archived=archived):
                    raise  # the loop rests, and then the next image has its turn

    def _give(self, image: Image) -> None:
        """Give an image to a worker, unless it is settled without one."""
        if self._settle_unexamined(image):
            self._put_off.had_its_turn(image)
            return
        self._ledger.images.move(image.image_id, Move.DISPATCH)
        self._alone = image.alone
        self._submit(image)
        self._put_off.given(image)

    def _next(self) -> Image | None:
        """Choose the image that a worker may have now, or has begun with already."""
        workers = self._model.serving.workers
        idle = workers.in_work < workers.job.count
        if not idle and not self._head_start.begun:
            return None
        image = self._put_off.next()
        self._to_be_alone = image is not None and image.alone and workers.in_work > 0
        if image is None or self._to_be_alone:
            return None
        return image if idle or self._head_start.has(image.path, workers) else None

    def _begin_ahead(self) -> None:
        workers = self._model.serving.workers
        if self._alone or self._to_be_alone or self._stopping:
            return  # one head start after the other might have a worker at work for ever
        if workers.in_work < workers.job.count:
            self._head_start.begin(workers)

    def _settle_unexamined(self, image: Image) -> bool:
        """Settle an image that a worker need not, or cannot, see yet; False if one must see it."""
        found = self._spool.locate(image.path, image.image_id, image.name)
        if found == image.path and self._changed.take_up(image):
            return True
        if image.poison:
            why = "workers died of it twice, or the daemon did again and again"
            self._recorder.reject(image.image_id, Reason.POISON, why)
        elif found is None:
            why = "its file was removed before it could be examined"
            self._recorder.reject(image.image_id, Reason.MISSING, why)
        elif found != image.path:
            self._ledger.images.relocate(image.image_id, found)
        else:
            return False
        return True

    def _submit(self, image: Image) -> None:
        serving = self._model.serving
        begun = self._head_start.take(image.path, serving.workers)
        pending = begun or PendingVerdict()

        def done(verdict: Verdict) -> None:
            times = (pending.started, pending.ended)
            ended_at = pending.completed_at
            self._given_back.add(Examination(image, serving, *times, verdict, ended_at))

        pending.give_to(done)  # first: if no worker can be begun, the image comes back by it
        if begun is None:
            serving.workers.submit(image.path, pending)

    def _record_finished(self) -> bool:
        """Record what workers gave back; False if there is nothing, or if nothing was recorded."""
        return self._given_back.record(stopping=self._stopping)
