"""The commands of the control socket, by name; those that are allowed come over MQTT too."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from edge.contract import messages
from edge.daemon.configuration import Configuration
from edge.daemon.control.audited import Handler
from edge.daemon.control.handlers import Commands, changes
from edge.daemon.pipeline.examination import Parts
from edge.daemon.rollout.activation import MODEL_CAUSES, Activation
from edge.daemon.wiring.opener import Opener
from edge.daemon.wiring.settings_noted import note_settings
from edge.errors import ConfigError
from edge.health import Cause
from edge.models.transfer.installer import Installer

log = logging.getLogger(__name__)


class Reload:
    """
    The command `reload`: reads the configuration and opens the model that it names.

    Args:
        configuration: as the daemon was started with it; read anew by each reload.
        parts: the shared objects.
        opener: opens the model, and keeps the new settings.
        activation: keeps other changes of the model away meanwhile.
    """

    def __init__(
        self,
        configuration: Configuration,
        parts: Parts,
        opener: Opener,
        activation: Activation,
    ) -> None:
        self._configuration = configuration
        self._parts = parts
        self._opener = opener
        self._activation = activation

    def __call__(self) -> dict[str, Any]:
        """Verify first; what cannot be had leaves everything as it was."""
        settings, parts = self._configuration.load(), self._parts
        with self._activation.changing:
            fresh = self._opener.with_settings(settings)
            parts.tasks.call(lambda: parts.model.swap(fresh)).result()
            self._opener.settings = settings
            parts.health.recover(*MODEL_CAUSES, Cause.CONFIG_REFUSED)
            self._configuration.keep(settings)
        note_settings(settings, parts.ledger.audit)
        logging.getLogger().setLevel(settings.log.level.upper())
        changed, needs_restart = changes(self._configuration.settings, settings)
        bundle_id, waits = fresh.bundle.bundle_id, ",".join(needs_restart)
        log.info("event=reloaded bundle=%s needs_restart=%s", bundle_id[:16], waits)
        return {"bundle": bundle_id, "changed": changed, "needs_restart": needs_restart}


def handlers(
    asked: Commands,
    report: Callable[[], messages.Health],
    reload: Callable[[], dict[str, Any]],
    activation: Activation,
    installer: Installer,
) -> dict[str, Handler]:
    """Name the function that obeys each command: a request's fields in, the answer's out."""
    return {
        "status": lambda _: messages.fields(report()),
        "replay": asked.replay,
        "retry": asked.retry,
        "reload": lambda _: reload(),
        "model-list": lambda _: {"models": activation.listing()},
        "model-install": installer.install,
        "model-activate": lambda request: activation.activate(
            str(request.get("bundle", "")), force=_forced(request)
        ),
        "model-rollback": lambda _: activation.rollback(),
    }


def _forced(request: Mapping[str, Any]) -> bool:
    force = request.get("force", False)
    if not isinstance(force, bool):
        msg = f"force: found {force!r}, expected true or false"
        raise ConfigError(msg)
    return force
