"""`mammo-edge fleet list | drift`: a table of all devices at the broker, or JSON."""

import json
from argparse import Namespace
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from edge.cli.fleet.drift import drift_of
from edge.cli.fleet.heard import listen
from edge.cli.fleet.said import Device, SaidAudit, devices_of
from edge.cli.layout import COLUMNS, shown, wrapped
from edge.cli.output import print_table
from edge.config.load import load
from edge.config.paths import DEFAULT_CONFIG, credential_of
from edge.daemon.telemetry.drift import FEWEST

LIST_WAIT_S: Final = 10
DRIFT_WAIT_S: Final = 65
"""More than the 60 seconds between two messages on `health`."""
HEAD: Final = ("device", "state", "version", "model", "config", "audit", "last seen", "clock")
SHORT: Final = 8
"""The digits that are shown of a hash."""
CLOCK: Final = {True: "set", False: "wrong", None: "?"}
ALIKE: Final = 0.1
OTHER: Final = 0.25


def run_list(arguments: Namespace) -> int:
    """Show the devices; returns the exit status."""
    devices = _devices(arguments, LIST_WAIT_S, for_health=False)
    if arguments.json:
        print(json.dumps({"devices": [device.as_json() for device in devices]}))
        return 0
    print_table(HEAD, [_row(device) for device in devices])
    _print_malformed(devices)
    return 0


def run_drift(arguments: Namespace) -> int:
    """Show how far scores are from those of the validation images; returns the exit status."""
    devices = _devices(arguments, DRIFT_WAIT_S, for_health=True)
    found = drift_of(devices)
    if arguments.json:
        malformed = {one.name: dict(one.malformed) for one in devices if one.malformed}
        print(json.dumps(found | {"malformed": malformed}))
        return 0
    print_table(("bundle, its devices", "images", "index", "scores"), list(_drift_rows(found)))
    if found["silent"]:
        _print(f"no counts came from: {', '.join(found['silent'])}")
    _print_malformed(devices)
    return 0


def _devices(arguments: Namespace, wait_s: int, *, for_health: bool) -> list[Device]:
    stored = credential_of(arguments.config or DEFAULT_CONFIG)
    section = load(arguments.config).broker
    heard = listen(section, stored, arguments.wait or wait_s, for_health=for_health)
    return devices_of(heard.payloads)


def _row(device: Device) -> tuple[str, ...]:
    status, info = device.status, device.info
    model = info.model if info else device.health.model if device.health else None
    return (
        device.name,
        "?" if status is None else status.state or status.status,
        status.version if status else info.version if info else "?",
        f"{model.version} {model.bundle[:SHORT]}" if model else "?",
        info.configuration[:SHORT] if info else "?",
        _audit(info.audit) if info else "?",
        _last_seen(device),
        CLOCK[info.clock.synchronised] if info else "?",
    )


def _audit(said: SaidAudit) -> str:
    """Show the entries that are there, and the hash of the last one."""
    removed = said.first is not None and said.first > 1
    entries = f"{said.first}-{said.number}" if removed else f"{said.number}"
    return f"{entries}:{said.hash[:SHORT]}"


def _last_seen(device: Device) -> str:
    """Say when a device was there; of one that is gone, the broker has no time but `info`'s."""
    if device.status is not None and device.status.status == "online":
        return "now"
    return f"{_local(device.info.at):%m-%d %H:%M}" if device.info else "?"


def _local(moment: datetime) -> datetime:
    try:
        return moment.astimezone()
    except (OverflowError, ValueError, OSError):  # a year that no calendar here has
        return moment


def _drift_rows(found: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    for bundle in found["bundles"]:
        name = f"{bundle['name']} {bundle['version']} {bundle['bundle'][:SHORT]}"
        yield (name, *_numbers(bundle))
        for device in bundle["devices"]:
            yield (f"- {device['device']}", *_numbers(device))


def _numbers(row: dict[str, Any]) -> tuple[object, ...]:
    index = row["index"]
    if index is None:
        few = row["images"] < FEWEST
        return row["images"], "", f"fewer than {FEWEST}" if few else "the bundle has no reference"
    meaning = "alike" if index < ALIKE else "apart" if index <= OTHER else "another population"
    return row["images"], f"{index:.3f}", meaning


def _print_malformed(devices: Sequence[Device]) -> None:
    for device in devices:
        for kind, why in device.malformed.items():
            _print(f"malformed: {device.name}: {kind}: {why}")


def _print(line: str) -> None:
    print(*wrapped(shown(line), COLUMNS), sep="\n")
