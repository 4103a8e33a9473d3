"""The model that serves at start."""

import logging
from collections.abc import Callable
from pathlib import Path

from edge.daemon.workers.serving import Serving
from edge.errors import ModelError, StartupError
from edge.health import Cause, Health
from edge.models.active import SHIPPED
from edge.models.store import ModelStore

log = logging.getLogger(__name__)


def first_serving(
    open_: Callable[[Path], Serving], configured: Path | None, store: ModelStore, health: Health
) -> Serving:
    """
    Open the model that serves at start.

    An installed model that is no longer usable gives way to the one before it, then to the shipped
    one, which degrades the daemon.

    Raises:
        ModelError: none is usable, or the one that the configuration names is not.
        Unavailable: no worker came up.
    """
    if configured is not None:
        return open_(configured)
    refused: StartupError | None = None
    choices: tuple[Callable[[], str], ...] = (
        lambda: store.active().current,
        lambda: store.active().previous or SHIPPED,
        lambda: SHIPPED,
    )
    for choose in choices:
        try:
            serving = open_(store.trusted(choose()))
        except StartupError as error:  # a key that cannot be read, too
            refused = refused or error
            log.error('event=model_unusable why="%s"', error)  # noqa: TRY400 - the text says it all
        else:
            if refused:
                health.degrade(
                    Cause.MODEL_UNUSABLE,
                    f"model: what was activated is not usable, another one serves: {refused}",
                )
            return serving
    msg = f"no installed model is usable, nor the shipped one: {refused}"
    raise ModelError(msg)
