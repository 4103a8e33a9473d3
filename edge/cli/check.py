"""`mammo-edge check`: the checks of a start, without starting."""

import json
import os
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

from edge.cli import exits
from edge.cli.output import print_table
from edge.cli.unserved import ADVICE, about
from edge.cli.workers import verify_bundle
from edge.config.credentials import read_secret
from edge.config.load import load
from edge.config.paths import DEFAULT_CONFIG, credential_of
from edge.config.settings import Pacs, Settings
from edge.daemon.rollout.shadow import NOBODY_TO_TELL
from edge.daemon.wiring.delivery import check_peer
from edge.daemon.workers.servable import open_store
from edge.errors import MammoEdgeError, StartupError
from edge.models.bundle import verify
from edge.models.pointing import demand_pointing
from edge.mqtt.tls import refuse_cleartext, tls_context
from edge.storage.ledger.database import FILE
from edge.storage.ledger.integrity import FOLDER
from edge.storage.ledger.queries import open_queries
from edge.storage.ledger.schema import OlderSchemaError
from edge.system.patience import PATIENCE_S, within

SIX_MONTHS: Final = 183
"""Days for which deployers keep logs of high-risk systems (EU AI Act, article 26, 6)."""
Finding: TypeAlias = tuple[str, bool, str]
"""The thing checked, True if it is right, and a sentence on what was found."""


def run(arguments: Namespace) -> int:
    """Print the findings; returns the exit status, 78 if one is wrong."""
    stored = credential_of(arguments.config or DEFAULT_CONFIG)
    found = list(findings(load(arguments.config), stored))
    if arguments.json:
        print(
            json.dumps([{"what": what, "ok": ok, "detail": detail} for what, ok, detail in found])
        )
    else:
        rows = [("ok" if ok else "FAILED", what, detail) for what, ok, detail in found]
        print_table(("", "what", "detail"), rows)
    return 0 if all(ok for _, ok, _ in found) else exits.CONFIG


def findings(settings: Settings, stored: Path | None = None) -> Iterator[Finding]:
    """
    Check one thing after the other.

    Args:
        settings: the configuration.
        stored: the file of the broker's password that `mammo-edge setup` writes.
    """
    yield "configuration", True, f"site {settings.device.site}, device {settings.device.name}"
    if settings.intake.folder:
        yield _inbox(settings.inbox.path)
    for key in ("path", "done", "failed"):
        yield _folder(f"spool.{key}", getattr(settings.spool, key))
    yield _folder("state.path", settings.state.path)
    yield _try("broker password", lambda: _password(settings, stored))
    if settings.broker.tls.enabled:
        yield _try(
            "broker.tls",
            lambda: (
                f"TLS 1.2 or later, {len(tls_context(settings.broker).get_ca_certs())} authorities"
            ),
        )
    if settings.pacs.peer is not None:
        yield _try("pacs", lambda: _pacs(settings.pacs))
    if settings.pacs.map:
        yield _try("pacs.map", lambda: _map(settings))
    yield _try("model", lambda: _model(settings))
    if settings.model.shadow is not None:
        yield _try("model.shadow", lambda: _shadow(settings, settings.model.shadow or ""))
    yield _try("ledger", lambda: _ledger(settings))
    yield "retention", True, _retention(settings.retention.results_days)


def _retention(days: float) -> str:
    if days == 0:
        return "results are kept while there is room"
    kept = f"results are kept for {days:g} days"
    if days >= SIX_MONTHS:
        return kept
    return f"warning: {kept}, less than the {SIX_MONTHS} that law may ask of logs: see privacy.md"


def _try(what: str, look: Callable[[], str]) -> Finding:
    try:
        return what, True, look()
    except MammoEdgeError as error:
        return what, False, str(error)


def _inbox(folder: Path) -> Finding:
    """
    Check the inbox, which must exist.

    The daemon never makes it: a missing mount must not be taken for an empty inbox.
    """
    try:
        if not within(PATIENCE_S, folder.is_dir):
            advice = "mount it, or make it for the group `mammo-inbox`, mode 3770"
            return "inbox.path", False, f"{folder}: there is no such folder: {advice}"
        return within(PATIENCE_S, lambda: _folder("inbox.path", folder))
    except TimeoutError:
        return "inbox.path", False, f"{folder}: its file system does not answer: is its server up?"


def _folder(key: str, folder: Path) -> Finding:
    existing = folder
    try:
        while not existing.exists() and existing != existing.parent:
            existing = existing.parent
    except PermissionError as error:
        return key, False, f"{folder}: {error.strerror}"
    if not os.access(existing, os.R_OK | os.W_OK | os.X_OK) or not existing.is_dir():
        return key, False, f"{folder}: no right to read and write {existing}"
    return key, True, str(folder) if existing == folder else f"{folder}: will be made"


def _password(settings: Settings, stored: Path | None) -> str:
    password = read_secret(settings.broker, stored=stored)
    refuse_cleartext(settings.broker, password)
    if password is None and stored is not None and stored.exists():
        return f"{stored}: for root and the service alone, so not looked at"
    return "found" if password else "none"


def _pacs(pacs: Pacs) -> str:
    check_peer(pacs)
    way = "over TLS" if pacs.tls else "without TLS: everyone on the way can read patients' names"
    return f"a report of each {pacs.results} to {pacs.peer}, {way}"


def _map(settings: Settings) -> str:
    bundle = verify(settings.model.bundle or open_store(settings).current())
    found = demand_pointing(bundle.manifest)
    return f"a picture of each DICOM image's map, whose highest point lay {found.words}"


def _model(settings: Settings) -> str:
    report = verify_bundle(settings, None)
    without = report.get("without_accelerator")
    told = f"; not on the Coral accelerator: {without}" if without else ""
    return (
        f"{report['name']} {report['version']} on {report['backend']}, "
        f"known answers {report['known_answers']}{told}"
    )


def _shadow(settings: Settings, typed: str) -> str:
    if not settings.uses_broker:
        raise StartupError(NOBODY_TO_TELL)
    store = open_store(settings)
    manifest = verify(store.trusted(store.find(typed))).manifest
    return f"{manifest.name} {manifest.version}"


def _ledger(settings: Settings) -> str:
    if not (settings.state.path / FILE).exists():
        return "none yet"
    try:
        with open_queries(settings.state.path) as queries:
            summary = queries.summary()
            left = queries.unserved(settings.served, settings.exam_sinks)
    except OlderSchemaError as error:
        return str(error)
    if left:
        return f"warning: results wait for sinks that nobody serves: {about(left)}: {ADVICE}"
    aside = len(list((settings.state.path / FOLDER).glob("*")))
    told = f"; {aside} damaged ones set aside in {settings.state.path / FOLDER}" if aside else ""
    return (
        f"{summary['waiting']} waiting, {summary['scored']} scored, "
        f"{summary['rejected']} rejected{told}"
    )
