"""
`mammo-edge model ...`: through the running daemon where there is one, else on the folder of
installed models itself.
"""

from pathlib import Path
from typing import Any

from edge.cli.classify import verify_bundle
from edge.config.settings import Settings
from edge.daemon.control.unix_socket import ask
from edge.daemon.workers.servable import open_store
from edge.errors import ConfigError
from edge.models.signature import signer


def verify(settings: Settings, folder: Path | None) -> dict[str, Any]:
    """
    Check a bundle as the daemon would before it serves it, and say who signed it.

    Raises:
        ModelError: what is wrong, found versus expected.
    """
    report = verify_bundle(settings, folder)
    return report | {"signed_by": signer(Path(report["folder"]), settings.model.keys)}


def listed(settings: Settings) -> list[dict[str, Any]]:
    """
    Every installed bundle: id, name, version, who signed it, and whether it serves now, served
    before, or why it cannot.
    """
    rows = open_store(settings).listing()
    return rows if settings.model.bundle is None else [row | {"serves": None} for row in rows]


def install(settings: Settings, folder: Path, *, activate: bool) -> dict[str, Any]:
    """
    Copy a bundle beside the others once hashes, signature, shapes and known answers are right.

    Raises:
        ModelError: something of it is not. Unavailable: the disk does not take it.
    """
    store = open_store(settings)
    bundle = store.install(folder, lambda staged: verify_bundle(settings, staged))
    report = {
        "bundle": bundle.bundle_id,
        "name": bundle.manifest.name,
        "version": bundle.manifest.version,
    }
    return report | (_activate(settings, bundle.bundle_id) if activate else {})


def activate(settings: Settings, typed: str) -> dict[str, Any]:
    """
    Have an installed bundle serve.

    Raises:
        ConfigError: there is no such bundle. ModelError: it is not usable. Unavailable: the daemon
            refuses it, and why.
    """
    return _activate(settings, open_store(settings).find(typed))


def rollback(settings: Settings) -> dict[str, Any]:
    """Go back to what served before. Raises as `activate`."""
    if _daemon_answers(settings):
        return ask(settings.control.socket, "model-rollback")
    return _activate_alone(settings, open_store(settings).rollback_target(), trial=False)


def remove(settings: Settings, typed: str) -> dict[str, Any]:
    """
    Forget an installed bundle. Raises ConfigError where it serves, served last or is the shadow;
    Unavailable.
    """
    store = open_store(settings)
    bundle_id = store.find(typed)
    if settings.model.shadow is not None and store.find(settings.model.shadow) == bundle_id:
        msg = (
            f"{bundle_id[:16]}: it is the shadow model: remove [model] "
            "shadow from the configuration first"
        )
        raise ConfigError(msg)
    store.remove(bundle_id)
    return {"removed": bundle_id}


def _activate(settings: Settings, bundle_id: str) -> dict[str, Any]:
    if _daemon_answers(settings):
        return ask(settings.control.socket, "model-activate", bundle=bundle_id)
    return _activate_alone(settings, bundle_id, trial=True)


def _activate_alone(settings: Settings, bundle_id: str, *, trial: bool) -> dict[str, Any]:
    """Without a daemon: prove it here, for the next start, where a new one is on trial."""
    if settings.model.bundle is not None:
        msg = "model.bundle: the configuration names the model that serves: remove the key first"
        raise ConfigError(msg)
    store = open_store(settings)
    report = verify_bundle(settings, store.trusted(bundle_id))
    active = store.activate(bundle_id, trial=trial)
    return {
        "bundle": report["bundle"],
        "name": report["name"],
        "version": report["version"],
        "previous": active.previous,
    }


def _daemon_answers(settings: Settings) -> bool:
    """
    Whether a daemon has the socket; one that is there and silent is an error, not a licence to go
    behind its back.
    """
    try:
        if not settings.control.socket.exists():
            return False
    except PermissionError:
        pass  # asking says so
    ask(settings.control.socket, "status")
    return True
