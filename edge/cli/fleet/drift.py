"""Adds up the drift counts of devices that have the same model and reference."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from edge.cli.fleet.said import Device, SaidDrift, SaidModel
from edge.daemon.telemetry.drift import index_of


def drift_of(devices: Iterable[Device]) -> dict[str, Any]:
    """
    Return `bundles`, each with its sum and its devices, and `silent`, devices without counts.

    Devices of one bundle whose references differ stand apart: they run another file of it.
    """
    groups: dict[tuple[str, tuple[int, ...]], list[Device]] = defaultdict(list)
    silent = []
    for device in devices:
        drift = None if device.health is None else device.health.drift
        if device.health is None or drift is None or drift.reference is None:
            silent.append(device.name)
        else:
            groups[device.health.model.bundle, tuple(drift.reference)].append(device)
    return {"bundles": [_bundle(group) for _, group in sorted(groups.items())], "silent": silent}


def _bundle(devices: Sequence[Device]) -> dict[str, Any]:
    said = [
        (device.name, device.health.model, device.health.drift)
        for device in devices
        if device.health is not None and device.health.drift is not None
    ]
    _, model, drift = said[0]
    summed = [sum(bin_) for bin_ in zip(*(_counts(one) for _, _, one in said), strict=True)]
    reference = list(drift.reference or ())
    rows = [{"device": name, **_row(_counts(one), reference)} for name, _, one in said]
    return {**_named(model), "reference": reference, **_row(summed, reference), "devices": rows}


def _named(model: SaidModel) -> dict[str, str]:
    return {"bundle": model.bundle, "name": model.name, "version": model.version}


def _counts(drift: SaidDrift) -> list[int]:
    return drift.counts or []


def _row(counts: list[int], reference: list[int]) -> dict[str, Any]:
    return {"images": sum(counts), "index": index_of(counts, reference), "counts": counts}
