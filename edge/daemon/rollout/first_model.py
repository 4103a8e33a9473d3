"""The model that serves at start."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from edge.daemon.workers.serving import Serving
from edge.errors import ModelError, StartupError
from edge.health import Cause, Health
from edge.models.active import SHIPPED
from edge.models.store import ModelStore

log = logging.getLogger(__name__)


Open: TypeAlias = Callable[[Path], Serving]


def first_serving(
    open_: Open, configured: Path | None, store: ModelStore, health: Health, stand_in: Open
) -> Serving:
    """
    Open the model that serves at start.

    An installed model that is no longer usable gives way to the one before it, then to the shipped
    one, which degrades the daemon.

    Args:
        open_: opens a bundle as the configuration has it.
        configured: the bundle that the configuration names; None for the activated one.
        store: the installed models.
        health: is told of a model that gave way.
        stand_in: opens the shipped bundle in place of another one, for which the configuration's
            operating point and runtime were chosen.

    Raises:
        ModelError: none is usable, or the one that the configuration names is not.
        Unavailable: no worker came up.
    """
    if configured is not None:
        return open_(configured)
    refused: StartupError | None = None
    choices: tuple[tuple[Callable[[], str], Open], ...] = (
        (lambda: store.active().current, open_),
        (lambda: store.active().previous or SHIPPED, open_),
        (lambda: SHIPPED, open_ if _shipped_is_active(store) else stand_in),
    )
    for choose, open_one in choices:
        try:
            serving = open_one(store.trusted(choose()))
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


def _shipped_is_active(store: ModelStore) -> bool:
    try:
        return store.active().current == SHIPPED
    except StartupError:
        return False
