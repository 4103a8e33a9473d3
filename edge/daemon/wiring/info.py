"""Gathers the message `info`: facts about this device that change seldom."""

import platform
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Final

from edge import __version__
from edge.config.settings import Device, Settings
from edge.contract.info import NONE, SCHEMA, SHIPPED, AuditPart, ClockPart, Info
from edge.daemon.pipeline.examination import Parts
from edge.daemon.telemetry.report import model_part
from edge.daemon.wiring.settings_noted import fleet_digest_of
from edge.daemon.workers.servable import open_store
from edge.daemon.workers.serving import Serving
from edge.domain import Domain
from edge.errors import StartupError
from edge.models import active
from edge.models.bundle import Bundle
from edge.models.signature import signing_key
from edge.storage.audit import Audit
from edge.system.files import Looks, looks_of
from edge.system.time_sync import synchronised
from edge.system.uptime import uptime_s

RUNTIMES: Final = ("ai-edge-litert", "tflite-runtime")
"""Distributions that run a model; one of them is installed."""
STEP: Final = timedelta(seconds=60)
"""The clock was set if the time of a start moves by more."""


class Gather:
    """
    Gathers `info`; one thread calls it.

    Args:
        device: site and name.
        settings: returns the settings that were read last.
        parts: the shared objects.
        root: of the system.
    """

    def __init__(
        self,
        device: Device,
        settings: Callable[[], Settings],
        parts: Parts,
        root: Path = Path("/"),
    ) -> None:
        self._device = device
        self._settings = settings
        self._parts = parts
        self._root = root
        self._began = uptime_s()
        self._runtime = _runtime()
        self._audit = _AuditEnds(parts.ledger.audit)
        self._seen: tuple[Bundle, Settings] | None = None
        self._signature = self._digest = ""
        self._last: Info | None = None

    def __call__(self) -> Info:
        """Return the message: the same object as last time if nothing has changed since then."""
        now, last = datetime.now(UTC).replace(microsecond=0), self._last
        serving, settings = self._parts.model.serving, self._settings()
        self._look_at(serving.bundle, settings)
        fresh = self._make(serving, now)
        if last is None or fresh != last.model_copy(update={"at": now}):
            self._last = last = fresh
        return last

    def _look_at(self, bundle: Bundle, settings: Settings) -> None:
        """Verify and hash only what is not the same as last time."""
        if self._seen is not None and self._seen[0] is bundle and self._seen[1] is settings:
            return
        self._signature, self._digest = _signature(bundle, settings), fleet_digest_of(settings)
        self._seen = (bundle, settings)

    def _make(self, serving: Serving, now: datetime) -> Info:
        return Info(
            schema=SCHEMA,
            site=self._device.site,
            device=self._device.name,
            at=now,
            version=__version__,
            python=platform.python_version(),
            runtime=self._runtime,
            model=model_part(serving),
            signature=self._signature,
            measured=_measured(serving),
            configuration=self._digest,
            audit=self._audit.look(),
            clock=self._clock(now),
        )

    def _clock(self, now: datetime) -> ClockPart:
        last = self._last.clock if self._last else None
        booted = now - timedelta(seconds=uptime_s())
        started = booted + timedelta(seconds=self._began)
        return ClockPart(
            synchronised=synchronised(self._root),
            booted_at=_steady(booted, last.booted_at if last else None),
            started_at=_steady(started, last.started_at if last else None),
        )


class _AuditEnds:
    """Both ends of the audit log, read again only when one of their files has changed."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._seen: tuple[Path, Looks | None, Looks | None] | None = None
        self._ends = AuditPart(number=0, hash="0" * 64, first=None)

    def look(self) -> AuditPart:
        """Return the head and the first number as they are now."""
        oldest = [*self._audit.closed(), self._audit.file][0]
        seen = oldest, _looks(oldest), _looks(self._audit.file)
        if None in seen or seen != self._seen:
            head, first = self._audit.head(), self._audit.first()
            self._ends = AuditPart(number=head.number, hash=head.hash, first=first)
            self._seen = seen
        return self._ends


def _looks(file: Path) -> Looks | None:
    try:
        return looks_of(file.stat())
    except OSError:
        return None


def _steady(found: datetime, before: datetime | None) -> datetime:
    """Return the time of a start as it was said before, unless the clock was set since."""
    if before is not None and abs(found - before) <= STEP:
        return before
    return found.replace(microsecond=0)


def _measured(serving: Serving) -> list[Domain] | None:
    model = serving.bundle.manifest.model_of(serving.workers.runtime.file)
    return None if model.measured is None else sorted(model.measured)


def _signature(bundle: Bundle, settings: Settings) -> str:
    """Name the key by which a bundle was verified: of one that the configuration names, none."""
    store = open_store(settings)
    if bundle.folder == store.folder(active.SHIPPED):
        return SHIPPED
    if bundle.folder.parent != store.root:
        return NONE
    try:
        return signing_key(bundle.folder, store.trust.keys) or NONE
    except StartupError:  # the key was taken away after the model was opened
        return NONE


def _runtime() -> str:
    for name in RUNTIMES:
        with suppress(metadata.PackageNotFoundError):
            return f"{name} {metadata.version(name)}"
    return "unknown"
