"""Opens the second model that sees what the first one sees, if one is configured."""

import functools
import logging
from collections.abc import Callable
from pathlib import Path

from edge.config.settings import Settings
from edge.daemon.pipeline.examination import Parts
from edge.daemon.rollout.shadow import NOBODY_TO_TELL, Shadow
from edge.daemon.workers.serving import Serving
from edge.errors import StartupError, Unavailable
from edge.health import Cause
from edge.models.store import ModelStore
from edge.mqtt.client import MqttClient
from edge.mqtt.topics import Topics

log = logging.getLogger(__name__)


def open_shadow(
    settings: Settings,
    parts: Parts,
    store: ModelStore,
    open_: Callable[[Path], Serving],
    client: MqttClient | None,
) -> Shadow | None:
    """
    Open the shadow model; if it is not usable, the first model goes on without it.

    Args:
        settings: name the model.
        parts: the shared objects.
        store: the installed models.
        open_: opens a bundle in a worker beside those that serve.
        client: the connection to the broker, if there is one.
    """
    if settings.model.shadow is None:
        return None
    if client is None:
        log.warning('event=shadow_ignored why="%s"', NOBODY_TO_TELL)
        parts.health.degrade(Cause.SHADOW_WITHOUT_BROKER, f"shadow model: {NOBODY_TO_TELL}")
        return None
    try:
        serving = open_(store.trusted(store.find(settings.model.shadow)))
    except (StartupError, Unavailable) as error:
        parts.health.degrade(Cause.SHADOW_UNUSABLE, f"shadow model: {error}")
        return None
    publish = functools.partial(client.publish, Topics.of(settings.device).shadow_result)
    return Shadow(serving, parts.ledger.images.path_of, publish, parts.health)
