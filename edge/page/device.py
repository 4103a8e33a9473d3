"""The device as the page tells of it: the daemon's own report, or what lies on the disk."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

from edge.cli import remedies
from edge.cli.doctor.finding import Finding
from edge.cli.doctor.machine import temperature
from edge.cli.status import Around, Today, facts
from edge.config.settings import Settings
from edge.daemon.control.unix_socket import ask_within
from edge.errors import StartupError, Unavailable
from edge.models.active import SHIPPED, shipped_bundle
from edge.models.active import read as read_choice
from edge.models.manifest import MANIFEST, Manifest, read_manifest

PATIENCE_S: Final = 2.0
"""Seconds to wait for the daemon."""


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason for being degraded, and the advice on it."""

    sentence: str
    advice: str


@dataclass(frozen=True, slots=True)
class Report:
    """The daemon's answer, or why there is none."""

    said: Mapping[str, Any] | None
    why_not: str = ""
    reasons: tuple[Reason, ...] = ()

    @property
    def state(self) -> str:
        """`ready`, `degraded`, ... or `no answer`."""
        return str(self.said["state"]) if self.said else "no answer"


@dataclass(frozen=True, slots=True)
class Model:
    """A bundle's manifest, or why there is none."""

    bundle: str
    """The id of the bundle; empty if its manifest cannot be read."""
    manifest: Manifest | None = field(repr=False)
    why_not: str = ""


def report_of(settings: Settings) -> Report:
    """Ask the daemon how it is."""
    try:
        said = ask_within(PATIENCE_S, settings.control.socket, {"command": "status"})
    except Unavailable as error:
        return Report(None, str(error))
    codes = said.get("reason_codes", [])  # none from a daemon older than this page
    reasons = (
        Reason(sentence, remedies.about(code))
        for sentence, code in zip_longest(said["reasons"], codes)
        if sentence is not None
    )
    return Report(said, reasons=tuple(reasons))


def rows_of(report: Report, today: Today) -> list[tuple[str, str]]:
    """Return labels and texts about queue, deliveries and machine, as `mammo-edge status` does."""
    if report.said is None:
        return []
    hot: Finding = temperature(Path("/"))
    return facts(report.said, Around("", None, hot, today))


def model_of(settings: Settings) -> Model:
    """Read what is said of the model that is chosen to serve, whether or not the daemon runs."""
    try:
        folder = settings.model.bundle or _chosen(settings)
        data = (folder / MANIFEST).read_bytes()
        return Model(hashlib.sha256(data).hexdigest(), read_manifest(data))
    except OSError as error:
        return Model("", None, f"{error.filename}: {error.strerror}")
    except StartupError as error:
        return Model("", None, str(error))


def _chosen(settings: Settings) -> Path:
    root = settings.state.path / "models"
    current = read_choice(root).current
    return shipped_bundle() if current == SHIPPED else root / current
