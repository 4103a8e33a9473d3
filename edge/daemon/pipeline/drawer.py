"""
Has pictures drawn for the page, by a worker of its own, once an image's result is delivered.

The straight line waits for none of it: an image is drawn while no other is in work and after its
result has left, or a minute later all the same. A picture that cannot be drawn is counted.
"""

import logging
import queue
import time
from dataclasses import dataclass
from typing import Final

from edge.config.settings import Settings
from edge.contract.render import result_id
from edge.daemon.pipeline.artist import Artist
from edge.daemon.pipeline.examination import Examination, Parts
from edge.domain import Result
from edge.drawn import Drawn
from edge.errors import MammoEdgeError, StateDamagedError, Unavailable
from edge.models.bundle import Bundle
from edge.storage.pictures import PICTURE, SMALL, find
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
    Has images drawn one by one, in a thread of its own.

    Args:
        settings: say where pictures lie, and how much room must be free.
        parts: the shared objects.
        artist: draws.
    """

    def __init__(self, settings: Settings, parts: Parts, artist: Artist) -> None:
        super().__init__(LOOP, parts.health)
        self._state = settings.state.path
        self._least_free = settings.retention.min_free_mb * 2**20
        self._ledger, self._model = parts.ledger, parts.model
        self._artist = artist
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
            self._failed(f"{MOST_WAITING} images wait to be drawn already")

    def wake(self) -> None:
        """End the drawing that runs; `stop` calls it, and forgets what waits."""
        if self._stop.is_set():
            self._artist.close()

    def turn(self) -> None:
        """Draw the next image, if there is one."""
        try:
            wanted = self._queue.get(timeout=1.0)
        except queue.Empty:
            return
        try:
            if self._await_turn(wanted):
                self._draw(wanted)
        except StateDamagedError:
            raise
        except (MammoEdgeError, OSError) as error:
            self._failed(error.strerror if isinstance(error, OSError) else str(error))

    def keep(self, image_id: str, result_id: str, drawn: Drawn) -> None:
        """
        Keep the pictures of a result if its image is kept still; from any thread.

        Raises:
            OSError: they cannot be written.
            Unavailable: there is too little room, or the archive is away.
        """
        self._demand_room()
        is_kept = self._ledger.pruning.is_kept
        made = {SMALL: drawn.small, PICTURE: drawn.picture}
        if self._ledger.pictures.keep(
            image_id, result_id, made, lambda: is_kept(image_id, result_id)
        ):
            self._health.count("pictures_drawn")
        else:
            self._demand_archive(image_id, result_id)

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

    def _draw(self, wanted: Wanted) -> None:
        """
        Draw one image, and keep the picture if the image is kept still.

        Raises:
            MammoEdgeError: it cannot be drawn.
            OSError: the picture cannot be written.
        """
        self._demand_archive(wanted.image_id, wanted.result_id)
        path = self._ledger.images.path_of(wanted.image_id)
        if path is None or not self._is_kept(wanted) or self._is_drawn(wanted):
            return
        self._demand_room()
        verdict = self._artist.draw(path, wanted.bundle, self._health.beat)
        if isinstance(verdict, Drawn):
            self.keep(wanted.image_id, wanted.result_id, verdict)
        else:
            self._failed("the image was rejected")

    def _demand_archive(self, image_id: str, result_id: str) -> None:
        """Refuse an image whose file could not be archived: a picture lives as long as that."""
        if self._ledger.pruning.awaits_archive(image_id, result_id):
            msg = "its file is not archived yet: the archive is away, or full"
            raise Unavailable(msg)

    def _demand_room(self) -> None:
        if files.free_bytes(self._state) < self._least_free:
            msg = "less room than [retention] min_free_mb"
            raise Unavailable(msg)

    def _is_drawn(self, wanted: Wanted) -> bool:
        """Tell if the PACS's map was drawn before, whose worker draws all pictures."""
        return find(self._state, wanted.image_id, wanted.result_id) is not None

    def _is_kept(self, wanted: Wanted) -> bool:
        return self._ledger.pruning.is_kept(wanted.image_id, wanted.result_id)
