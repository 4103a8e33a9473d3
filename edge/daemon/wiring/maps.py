"""Has the maps of results drawn for the PACS, by the worker that draws."""

import logging
import time
from typing import Final

from edge.daemon.pipeline.artist import Artist
from edge.daemon.pipeline.drawer import PATIENCE_S, PAUSE_S, Drawer
from edge.daemon.pipeline.examination import Parts
from edge.daemon.publish.dicom_map import Scored
from edge.drawn import Capture, Drawn
from edge.errors import ConfigError, MammoEdgeError, StateDamagedError
from edge.health import Cause
from edge.models.active import SHIPPED
from edge.models.bundle import Bundle
from edge.models.pointing import demand_pointing
from edge.models.store import ModelStore

log = logging.getLogger(__name__)

NOT_POINTING: Final = "not_pointing"
MODEL_GONE: Final = "model_gone"
NOT_DRAWN: Final = "not_drawn"
"""The ends of counters of results that get no map."""


class Maps:
    """
    Draws the map of a result with the bundle that gave it, if such maps may be shown.

    Args:
        parts: the shared objects.
        store: the installed models.
        artist: draws.
        drawer: keeps the page's pictures, which are drawn with a map; None if there is none.
    """

    def __init__(
        self, parts: Parts, store: ModelStore, artist: Artist, drawer: Drawer | None
    ) -> None:
        self._health, self._model = parts.health, parts.model
        self._store, self._artist, self._drawer = store, artist, drawer
        self._points(self._model.serving.bundle)

    def draw(self, wanted: Scored) -> Capture | str:
        """
        Have one map drawn, once no image is in work, or after a minute all the same.

        Returns:
            The map, or the end of a counter.

        Raises:
            ModelError: the worker failed.
            UnreadableError: the worker cannot read the image's file.
            Unavailable: there is no worker for now, or the daemon ends.
        """
        bundle = self._bundle(wanted.bundle_id)
        if bundle is None:
            return MODEL_GONE
        if not self._points(bundle):
            return NOT_POINTING
        self._await_turn()
        drawn = self._artist.draw(wanted.path, bundle, self._health.beat)
        if not isinstance(drawn, Drawn):
            return NOT_DRAWN
        if self._drawer is not None:
            self._keep(self._drawer, wanted, drawn)
        return drawn.capture or NOT_DRAWN

    def _bundle(self, bundle_id: str) -> Bundle | None:
        """Find a bundle that serves, or that is installed still."""
        serving = self._model.serving.bundle
        if serving.bundle_id == bundle_id:
            return serving
        found = (self._store.installed(name) for name in (bundle_id, SHIPPED))
        return next((one for one in found if one and one.bundle_id == bundle_id), None)

    def _points(self, bundle: Bundle) -> bool:
        """Tell if maps of a bundle may be shown, and report it if that is the one that serves."""
        serves = bundle.bundle_id == self._model.serving.bundle.bundle_id
        try:
            demand_pointing(bundle.manifest)
        except ConfigError as error:
            if serves:
                self._health.degrade(Cause.MAPS_NOT_POINTING, str(error))
            return False
        if serves:
            self._health.recover(Cause.MAPS_NOT_POINTING)
        return True

    def _await_turn(self) -> None:
        until = time.monotonic() + PATIENCE_S
        while self._model.in_work and time.monotonic() < until:
            self._health.beat()
            time.sleep(PAUSE_S)

    def _keep(self, drawer: Drawer, wanted: Scored, drawn: Drawn) -> None:
        """Keep the page's pictures; if that fails, the map goes on, and the drawer has its turn."""
        try:
            drawer.keep(wanted.image_id, wanted.result_id, drawn)
        except StateDamagedError:
            raise
        except (MammoEdgeError, OSError) as error:  # the drawer counts what it cannot draw either
            why = error.strerror if isinstance(error, OSError) else error
            log.info('event=picture_not_kept image=%s why="%s"', wanted.image_id[:16], why)
