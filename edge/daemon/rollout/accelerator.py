"""The watch over a Coral accelerator: its loss is told, and it is tried again after a while."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Final

from edge.daemon.pipeline.examination import Parts
from edge.daemon.workers.servable import BACKEND
from edge.daemon.workers.serving import Serving
from edge.errors import MammoEdgeError, ModelError
from edge.health import Cause
from edge.models.bundle import Bundle
from edge.system.coral import BUSY, Access, busy
from edge.system.threads import Loop

log = logging.getLogger(__name__)

LOOP: Final = "coral"
CAUSES: Final = (Cause.CORAL_BUSY, Cause.CORAL_UNAVAILABLE)
TURN_S: Final = 0.5
AGAIN_S: Final = 5.0
"""
Seconds after which one that is plugged in again is tried: a loose plug shall not keep us busy.
"""


class Accelerator(Loop):
    """
    Looks at what the workers run on, in a thread of its own.

    Workers that a try opens end with the process.

    Args:
        parts: `model` has the workers, which are replaced once the accelerator is back.
        access: whether workers with a bundle are to use an accelerator now.
        open_: starts to open a bundle in new workers; those that have the accelerator go on with
            theirs meanwhile.
        retry_s: how long after a failure it is tried again, as the configuration says now.
    """

    def __init__(
        self,
        parts: Parts,
        access: Callable[[Bundle], Access | None],
        open_: Callable[[Path], "Future[Serving]"],
        retry_s: Callable[[], float],
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(LOOP, parts.health)
        self._model = parts.model
        self._tasks = parts.tasks
        self._access = access
        self._open = open_
        self._retry_s = retry_s
        self._now = now
        self._next_try = 0.0
        self._seen: str | None = None
        self._try: tuple[Serving, Future[Serving]] | None = None

    def start(self) -> None:
        """Look, and go on looking."""
        self.turn()
        super().start()

    def _rest_s(self) -> float:
        return TURN_S if self._try is None else TURN_S / 10

    def turn(self) -> None:
        """
        Report the state of the accelerator; begin a try that is due, or take the result of one.
        """
        if self._try is not None:
            self._finish_try(*self._try)
            return
        serving = self._model.serving
        runtime = serving.workers.runtime
        if runtime.without != self._seen:
            self._tell(runtime.without)
        if runtime.backend == BACKEND:
            if serving.workers.lost:
                self._tasks.call(serving.workers.mend)
            return
        access = self._wanted(serving)
        if access is not None and self._is_due(runtime.without, access):
            self._try = (serving, self._open(serving.bundle.folder))
        elif access is None:
            self._next_try = min(self._next_try, self._now() + AGAIN_S)
            if runtime.without is None:
                self._health.recover(*CAUSES)  # it was plugged in, did not work, and is gone again

    def _wanted(self, serving: Serving) -> Access | None:
        try:
            return self._access(serving.bundle)
        except ModelError:  # a reload will say so
            return None

    def _is_due(self, without: str | None, access: Access) -> bool:
        """
        Tell if a try is due: once the other process releases the device, after plug-in, or in time.
        """
        if without == BUSY:
            return not busy(Path(access.lock))
        return self._now() >= self._next_try

    def _tell(self, why: str | None) -> None:
        """Note that the workers lost it, came up without it, or have it again."""
        self._seen = why
        if why is None:
            self._health.recover(*CAUSES)
        else:
            self._next_try = self._now() + self._retry_s()
            self._health.count("accelerator_lost")
            self._degrade(why)

    def _degrade(self, why: str) -> None:
        cause, other = CAUSES if why == BUSY else reversed(CAUSES)
        self._health.degrade(cause, f"coral: {why}; the processor does its work")
        self._health.recover(other)

    def _finish_try(self, before: Serving, trying: "Future[Serving]") -> None:
        if not trying.done():
            return
        self._try, self._next_try = None, self._now() + self._retry_s()
        try:
            fresh = trying.result()
        # OSError: too many files open, or no room for a pool's locks.
        except (MammoEdgeError, OSError) as error:
            log.warning('event=accelerator_not_tried why="%s"', error)
            return
        runtime = fresh.workers.runtime
        log.info("event=accelerator_tried backend=%s", runtime.backend)
        if not self._tasks.call(lambda: self._swap(before, fresh)).result():
            fresh.workers.close()
            if runtime.without is not None:
                self._degrade(runtime.without)

    def _swap(self, before: Serving, fresh: Serving) -> bool:
        """
        Make new workers the current ones; in the dispatcher's thread.

        Returns:
            False if another model was activated meanwhile, or the accelerator is still not there.
        """
        if self._model.serving is not before or fresh.workers.runtime.backend != BACKEND:
            return False
        self._model.swap(fresh)
        return True
