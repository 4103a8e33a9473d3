"""
Has pictures drawn for the page, by a worker of its own, once an image's result is delivered.

The straight line waits for none of it: an image is drawn while no other is in work and after its
result has left, or a minute later all the same. A picture that cannot be drawn is counted.
"""

import logging
import queue
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from edge.config.settings import Settings
from edge.contract.render import result_id
from edge.daemon.pipeline.examination import Examination, Parts
from edge.daemon.workers.serving import Serving
from edge.daemon.workers.verdict import Interrupted
from edge.domain import Drawn, Result
from edge.errors import MammoEdgeError, StateDamagedError, Unavailable
from edge.models.bundle import Bundle
from edge.storage.pictures import PICTURE, SMALL
from edge.system import files
from edge.system.threads import Loop

log = logging.getLogger(__name__)

LOOP: Final = "drawer"
MOST_WAITING: Final = 4096
"""Images that may wait to be drawn; more are counted as failed."""
PATIENCE_S: Final = 60.0
"""Seconds after which an image is drawn although others are in work, or the broker is away."""
PAUSE_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Wanted:
    """A result of which a picture is wanted."""

    image_id: str
    result_id: str
    bundle: Bundle
    since: float
    """Monotonic time, in seconds."""


class Drawer(Loop):
    """
    Has images drawn one by one, in a thread and a worker of its own.

    Args:
        settings: say where pictures lie, and how much room must be free.
        parts: the shared objects.
        open_: begins to open a bundle in a worker that draws.
    """

    def __init__(
        self, settings: Settings, parts: Parts, open_: "Callable[[Path], Future[Serving]]"
    ) -> None:
        super().__init__(LOOP, parts.health)
        self._state = settings.state.path
        self._least_free = settings.retention.min_free_mb * 2**20
        self._ledger, self._model = parts.ledger, parts.model
        self._open = open_
        self._serving: Serving | None = None
        self._queue: queue.Queue[Wanted] = queue.Queue(MOST_WAITING)

    def observe(self, examination: Examination) -> None:
        """Note an image that was scored; in the dispatcher's thread."""
        if not isinstance(examination.verdict, Result):
            return
        image, bundle = examination.image, examination.serving.bundle
        named = result_id(image.image_id, bundle, image.generation)
        try:
            self._queue.put_nowait(Wanted(image.image_id, named, bundle, time.monotonic()))
        except queue.Full:
            self._health.count("pictures_failed")

    def wake(self) -> None:
        """End the drawing that runs; `stop` calls it, and forgets what waits."""
        if self._stop.is_set() and self._serving is not None:
            self._serving.workers.close()

    def turn(self) -> None:
        """Draw the next image, if there is one."""
        try:
            wanted = self._queue.get(timeout=1.0)
        except queue.Empty:
            return
        try:
            done = self._await_turn(wanted) and self._draw(wanted)
        except StateDamagedError:
            raise
        except (MammoEdgeError, OSError) as error:
            self._failed(error.strerror if isinstance(error, OSError) else str(error))
        else:
            if done:
                self._health.count("pictures_drawn")

    def last_turn(self) -> None:
        """Let the worker go."""
        if self._serving is not None:
            self._serving.workers.close()

    def _failed(self, why: object) -> None:
        if not self._stop.is_set():
            self._health.count("pictures_failed")
            log.warning('event=picture_failed why="%s"', why)

    def _await_turn(self, wanted: Wanted) -> bool:
        """Wait until the straight line is done with an image; False if the daemon ends."""
        while not self._stop.is_set():
            late = time.monotonic() - wanted.since > PATIENCE_S
            if late or not (self._model.in_work or self._ledger.outbox.has(wanted.image_id)):
                return True
            self._health.beat()
            self._stop.wait(PAUSE_S)
        return False

    def _draw(self, wanted: Wanted) -> bool:
        """
        Draw one image, and keep the picture if the image is kept still.

        Raises:
            MammoEdgeError: it cannot be drawn.
            OSError: the picture cannot be written.
        """
        path = self._ledger.images.path_of(wanted.image_id)
        if path is None or not self._is_kept(wanted):
            return False
        if files.free_bytes(self._state) < self._least_free:
            msg = "less room than [retention] min_free_mb"
            raise Unavailable(msg)
        # A worker that draws gives back another kind of outcome.
        workers = self._opened(wanted.bundle).workers
        verdict = cast("object", workers.examine(path, self._health.beat))
        if isinstance(verdict, Drawn):
            made = {SMALL: verdict.small, PICTURE: verdict.picture}
            names = wanted.image_id, wanted.result_id
            return self._ledger.pictures.keep(*names, made, lambda: self._is_kept(wanted))
        if not (isinstance(verdict, Interrupted) and self._stop.is_set()):
            self._failed(getattr(verdict, "why", "the image was rejected"))
        return False

    def _is_kept(self, wanted: Wanted) -> bool:
        return self._ledger.pruning.is_kept(wanted.image_id, wanted.result_id)

    def _opened(self, bundle: Bundle) -> Serving:
        """
        Open the bundle that gave the result, if it is not open yet.

        Raises:
            MammoEdgeError: it cannot be opened, or the daemon ends.
        """
        serving = self._serving
        if serving is not None:
            if serving.bundle.bundle_id == bundle.bundle_id:
                return serving
            self._serving = None
            serving.workers.close()
        opening = self._open(bundle.folder)
        while not self._stop.is_set():
            with suppress(FutureTimeoutError):
                self._serving = opening.result(timeout=1.0)
                return self._serving
            self._health.beat()
        opening.add_done_callback(_close)
        msg = "the daemon ends"
        raise Unavailable(msg)


def _close(opening: "Future[Serving]") -> None:
    """Let workers go that came up when nobody wanted them any more."""
    if opening.exception() is None:
        opening.result().workers.close()
