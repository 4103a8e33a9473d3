"""
`mammo-edge model`: list, verify, install, activate, roll back and remove installed bundles.

The running daemon does it if there is one; otherwise it is done here, on the folder of installed
models itself.
"""

import json
import os
from argparse import Namespace
from pathlib import Path
from typing import Any, Final

from edge.cli import standing
from edge.cli.output import print_report, print_table
from edge.cli.workers import verify_bundle
from edge.config.load import load
from edge.config.settings import Settings
from edge.daemon.control.unix_socket import ask
from edge.daemon.workers.servable import open_store
from edge.errors import ConfigError
from edge.models import bundle as bundles
from edge.models.catalogue import listing
from edge.models.comparison import refuse_chance, side_by_side, worth
from edge.models.signature import signer
from edge.storage.audit import Audit, Caller
from edge.system.privileges import as_owner_of, make_folder

LISTED: Final = ("bundle", "name", "version", "signed_by", "serves")
"""The columns of `model list`."""


def run_list(arguments: Namespace) -> int:
    """List the installed bundles; returns the exit status."""
    rows = listed(_settings(arguments))
    if arguments.json:
        print(json.dumps(rows))
    else:
        shortened = (row | {"bundle": row["bundle"][:16]} for row in rows)
        print_table(LISTED, [[row[key] or "" for key in LISTED] for row in shortened])
    return 0


def run_verify(arguments: Namespace) -> int:
    """Check a bundle; returns the exit status."""
    return print_report(arguments, verify(load(arguments.config), arguments.bundle))


def run_install(arguments: Namespace) -> int:
    """Install a bundle; returns the exit status."""
    settings = _settings(arguments)
    report = install(settings, arguments.bundle, activate=arguments.activate, force=arguments.force)
    return _print_change(arguments, report)


def run_activate(arguments: Namespace) -> int:
    """Have a bundle serve; returns the exit status."""
    report = activate(_settings(arguments), arguments.bundle, force=arguments.force)
    return _print_change(arguments, report)


def run_rollback(arguments: Namespace) -> int:
    """Go back to the previous bundle; returns the exit status."""
    return _print_change(arguments, rollback(_settings(arguments)))


def _settings(arguments: Namespace) -> Settings:
    """Read the configuration as the running daemon has it, and say so if it is refused by now."""
    try:
        return load(arguments.config)
    except ConfigError as refused:
        settings = standing.settings_of(arguments.config)
        standing.tell(refused)
        return settings


def _print_change(arguments: Namespace, report: dict[str, Any]) -> int:
    """Print what was done, and the old and the new model side by side; returns exit status 0."""
    sides = ("before", "after")
    if arguments.json or "after" not in report:
        return print_report(arguments, report)
    print_report(arguments, {key: value for key, value in report.items() if key not in sides})
    print()
    print_table(("", *sides), side_by_side(*(report[side] for side in sides)))
    return 0


def run_remove(arguments: Namespace) -> int:
    """Forget an installed bundle; returns the exit status."""
    return print_report(arguments, remove(_settings(arguments), arguments.bundle))


def verify(settings: Settings, folder: Path | None) -> dict[str, Any]:
    """
    Check a bundle as the daemon would before it serves it, and say who signed it.

    Raises:
        ModelError: the bundle is not usable; found versus expected.
    """
    report = verify_bundle(settings, folder)
    return report | {"signed_by": signer(Path(report["folder"]), settings.model.keys)}


def listed(settings: Settings) -> list[dict[str, Any]]:
    """
    Return a row for each installed bundle: id, name, version, `signed_by` and `serves`.

    `serves` tells if the bundle serves now or served before, or why it cannot.
    """
    rows = listing(open_store(settings))
    return rows if settings.model.bundle is None else [row | {"serves": None} for row in rows]


def install(
    settings: Settings, folder: Path, *, activate: bool, force: bool = False
) -> dict[str, Any]:
    """
    Copy a bundle beside the others once hashes, signature, shapes and known answers are right.

    Raises:
        ModelError: one of these is wrong; found versus expected.
        Unavailable: the disk does not take the copy.
    """
    store = open_store(settings)
    bundle = store.install(folder, lambda staged: verify_bundle(settings, staged))
    report = {
        "bundle": bundle.bundle_id,
        "name": bundle.manifest.name,
        "version": bundle.manifest.version,
    }
    return report | (_activate(settings, bundle.bundle_id, force=force) if activate else {})


def activate(settings: Settings, typed: str, *, force: bool = False) -> dict[str, Any]:
    """
    Have an installed bundle serve.

    Raises:
        ConfigError: there is no such bundle, or it is no better than chance and not forced.
        ModelError: the bundle is not usable.
        Unavailable: the daemon refuses the bundle, and why.
    """
    return _activate(settings, open_store(settings).find(typed), force=force)


def rollback(settings: Settings) -> dict[str, Any]:
    """Go back to the bundle that served before; raises as `activate`."""
    if _daemon_answers(settings):
        return ask(settings.control.socket, "model-rollback")
    return _activate_alone(
        settings, open_store(settings).rollback_target(), trial=False, force=True
    )


def remove(settings: Settings, typed: str) -> dict[str, Any]:
    """
    Forget an installed bundle.

    Raises:
        ConfigError: the bundle serves, served last or is the shadow.
        Unavailable: the bundle's folder cannot be removed.
    """
    store = open_store(settings)
    bundle_id = store.find(typed)
    if settings.model.shadow is not None and store.find(settings.model.shadow) == bundle_id:
        msg = (
            f"{bundle_id[:16]}: it is the shadow model: "
            "remove [model] shadow from the configuration first"
        )
        raise ConfigError(msg)
    store.remove(bundle_id)
    return {"removed": bundle_id}


def _activate(settings: Settings, bundle_id: str, *, force: bool) -> dict[str, Any]:
    if _daemon_answers(settings):
        return ask(settings.control.socket, "model-activate", bundle=bundle_id, force=force)
    return _activate_alone(settings, bundle_id, trial=True, force=force)


def _activate_alone(
    settings: Settings, bundle_id: str, *, trial: bool, force: bool
) -> dict[str, Any]:
    """Prove a bundle without a daemon, for the next start; if `trial`, it serves on trial then."""
    if settings.model.bundle is not None:
        msg = "model.bundle: the configuration names the model that serves: remove the key first"
        raise ConfigError(msg)
    store = open_store(settings)
    folder = store.trusted(bundle_id)
    manifest = bundles.verify(folder).manifest
    if not force:
        refuse_chance(manifest)
    before = store.bundles().get(store.active().current)
    report = verify_bundle(settings, folder)
    event, caller = "model-activate" if trial else "model-rollback", Caller(uid=os.getuid())
    make_folder(settings.state.path)
    with as_owner_of(settings.state.path):
        Audit(settings.state.path).add(event, caller, bundle=bundle_id, step="without-daemon")
    active = store.activate(bundle_id, trial=trial)
    return {
        "bundle": report["bundle"],
        "name": report["name"],
        "version": report["version"],
        "previous": active.previous,
        "before": worth(before.manifest) if isinstance(before, bundles.Bundle) else None,
        "after": worth(manifest),
    }


def _daemon_answers(settings: Settings) -> bool:
    """
    Say if a daemon answers on the socket.

    A daemon that is there and silent is an error, not a licence to go behind its back.
    """
    try:
        if not settings.control.socket.exists():
            return False
    except PermissionError:
        pass  # asking says so
    ask(settings.control.socket, "status")
    return True
