"""The facts of `info` stay the same object until one of them changes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from edge.config.settings import Device, Settings
from edge.daemon.wiring import info
from edge.daemon.wiring.info import Gather
from edge.models.active import shipped_bundle
from edge.models.bundle import verify
from edge.storage.audit import Audit
from edge.system.time_sync import SET


class Site:
    """A device that serves the shipped bundle, with a file system of its own."""

    def __init__(self, root: Path) -> None:
        self.root, self.audit = root, Audit(root)
        bundle = verify(shipped_bundle())
        runtime = SimpleNamespace(file=bundle.manifest.default_model)
        serving = SimpleNamespace(bundle=bundle, workers=SimpleNamespace(runtime=runtime))
        parts = SimpleNamespace(
            model=SimpleNamespace(serving=serving), ledger=SimpleNamespace(audit=self.audit)
        )
        self.settings = Settings.model_validate({"state": {"path": root}})
        device = Device(site="north", name="edge-1")
        self.gather = Gather(device, lambda: self.settings, cast("Any", parts), root)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_nothing_changes_by_asking(site: Site) -> None:
    first = site.gather()
    assert site.gather() is first
    assert (first.site, first.device, first.signature) == ("north", "edge-1", "shipped")


def test_an_audit_entry_and_other_settings_change_it(site: Site) -> None:
    first = site.gather()
    head = site.audit.add("retry")
    second = site.gather()
    assert (second.audit.number, second.audit.hash) == (head.number, head.hash) == (1, head.hash)
    assert (first.audit.first, second.audit.first) == (None, 1)
    assert second.model_copy(update={"audit": first.audit, "at": first.at}) == first
    site.settings = Settings.model_validate(
        {"state": {"path": site.root}, "log": {"level": "debug"}}
    )
    assert site.gather().configuration != first.configuration


@pytest.mark.parametrize("whole_file", [True, False])
def test_a_beginning_that_is_cut_changes_it_though_the_end_stays(
    site: Site, monkeypatch: pytest.MonkeyPatch, *, whole_file: bool
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("edge.storage.audit.MAX_BYTES", 500)  # two entries a file
        for _ in range(5):
            site.audit.add("retry")
    before, oldest = site.gather().audit, site.audit.closed()[0]
    if whole_file:
        oldest.unlink()
    else:
        oldest.write_bytes(oldest.read_bytes().partition(b"\n")[2])
    after = site.gather().audit
    assert (before.first, before.number) == (1, 5)
    assert after == before.model_copy(update={"first": 3 if whole_file else 2})


def test_a_password_does_not_change_the_digest_of_the_configuration(site: Site) -> None:
    digests = set()
    for password in ("one", "two"):
        fields = {"state": {"path": site.root}, "broker": {"password": password}}
        site.settings = Settings.model_validate(fields)
        digests.add(site.gather().configuration)
    assert len(digests) == 1


def test_devices_of_one_fleet_have_one_digest(site: Site) -> None:
    digests = set()
    for name in ("edge-1", "edge-2"):
        tls = {"enabled": True, "cert": site.root / f"{name}.crt", "key": site.root / f"{name}.key"}
        broker = {"client_id": name, "username": name, "tls": tls}
        fields = {"state": {"path": site.root}, "broker": broker, "device": {"name": name}}
        site.settings = Settings.model_validate(fields)
        digests.add(site.gather().configuration)
    assert len(digests) == 1


def test_a_clock_that_is_set_moves_the_starts_and_a_few_seconds_do_not(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime(2026, 11, 29, 12, tzinfo=UTC)
    monkeypatch.setattr(info, "datetime", SimpleNamespace(now=lambda _: now))
    monkeypatch.setattr(info, "uptime_s", lambda: 600.0)
    first = site.gather()
    assert (first.at, first.clock.booted_at) == (now, now - timedelta(minutes=10))
    assert first.clock.synchronised is None
    now += timedelta(seconds=30)
    assert site.gather() is first
    now += timedelta(days=1)
    assert site.gather().clock.booted_at == now - timedelta(minutes=10)
    (site.root / SET).parent.mkdir(parents=True)
    (site.root / SET).touch()
    assert site.gather().clock.synchronised is True
