"""Opens what draws pictures for the page, if they are wanted, and clears up after the last run."""

import logging

from edge.config.settings import Settings
from edge.daemon.pipeline.drawer import Drawer
from edge.daemon.pipeline.examination import Parts
from edge.daemon.wiring.opener import Opener

log = logging.getLogger(__name__)


def open_drawer(settings: Settings, parts: Parts, opener: Opener) -> Drawer | None:
    """
    Make the drawer; None if no pictures are wanted, in which case earlier ones are removed.

    Args:
        settings: the configuration.
        parts: the shared objects.
        opener: opens bundles.
    """
    ledger, wanted = parts.ledger, settings.page.pictures
    try:
        ledger.pictures.sweep(ledger.pruning.kept() if wanted else ())
    except OSError as error:
        log.warning('event=pictures_not_swept why="%s"', error.strerror)
    return Drawer(settings, parts, opener.drawing) if wanted else None
