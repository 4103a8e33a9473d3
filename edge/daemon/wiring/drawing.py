"""Opens what draws, for the page and the PACS, if pictures are wanted."""

import logging
from contextlib import ExitStack
from dataclasses import dataclass

from edge.config.settings import Settings
from edge.daemon.pipeline.artist import Artist
from edge.daemon.pipeline.drawer import Drawer
from edge.daemon.pipeline.examination import Parts
from edge.daemon.publish.dicom_map import Draw
from edge.daemon.wiring.maps import Maps
from edge.daemon.wiring.opener import Opener

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Drawing:
    """The artist, and whom pictures are drawn for."""

    artist: Artist
    drawer: Drawer | None
    """Has pictures drawn for the page; None if it wants none."""
    maps: Draw | None
    """Has maps drawn for the PACS; None if it gets none."""


def open_drawing(settings: Settings, parts: Parts, opener: Opener, stack: ExitStack) -> Drawing:
    """
    Make what draws; no worker is begun before the first picture is wanted.

    Args:
        settings: the configuration.
        parts: the shared objects.
        opener: opens bundles.
        stack: ends the worker.
    """
    artist = Artist(opener.drawing)
    stack.callback(artist.close)
    drawer = open_drawer(settings, parts, artist)
    maps = Maps(parts, opener.store, artist, drawer) if settings.pacs.map else None
    return Drawing(artist, drawer, maps.draw if maps else None)


def open_drawer(settings: Settings, parts: Parts, artist: Artist) -> Drawer | None:
    """
    Make the drawer; None if no pictures are wanted, in which case earlier ones are removed.

    Args:
        settings: the configuration.
        parts: the shared objects.
        artist: draws.
    """
    ledger, wanted = parts.ledger, settings.page.pictures
    try:
        ledger.pictures.sweep(ledger.pruning.kept() if wanted else ())
    except OSError as error:
        log.warning('event=pictures_not_swept why="%s"', error.strerror)
    return Drawer(settings, parts, artist) if wanted else None
