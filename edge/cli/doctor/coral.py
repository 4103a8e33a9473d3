"""The check of a Coral accelerator: plugged in, fast enough and used by the daemon."""

import contextlib
import ctypes
import os
import re
from pathlib import Path
from typing import Final

from edge.cli.doctor.finding import Finding, ok, warning
from edge.config.settings import Settings
from edge.daemon.workers.servable import BACKEND, lock_of, open_store
from edge.errors import MammoEdgeError
from edge.models.manifest import MANIFEST, read_manifest
from edge.system.coral import BUSY, Device, busy, devices

SERVICE: Final = "mammo-edge.service"
USB3_MBIT: Final = 5000


def accelerator(root: Path, settings: Settings | None = None, unit: str = SERVICE) -> Finding:
    """
    Check that a plugged-in accelerator is on a fast link and in use.

    Args:
        root: the folder of `dev`, `etc` and `sys`.
        settings: the configuration; without it only the device is checked.
        unit: the service with this configuration.
    """
    found = devices(root)
    if not found:
        return _none(settings)
    told, wrong = _link(found[0])
    if wrong:
        return warning("Coral", f"{told}: {wrong}")
    return ok("Coral", told) if settings is None else _use(root, settings, unit, told)


def _none(settings: Settings | None) -> Finding:
    if settings is not None and settings.model.backend == BACKEND:
        return warning("Coral", "none; model.backend is edgetpu: plug one in")
    return ok("Coral", "none")


def _link(device: Device) -> tuple[str, str | None]:
    """Describe a device's link, and the remedy if something is wrong with the link."""
    if device.bus == "PCIe":
        return "PCIe", None if device.node else "its driver is not loaded: install gasket-dkms"
    slow = device.mbit is not None and device.mbit < USB3_MBIT
    return f"USB, {device.mbit or 'unknown'} Mbit/s", "use a USB 3 port" if slow else None


def _use(root: Path, settings: Settings, unit: str, told: str) -> Finding:
    backend = settings.model.backend
    if backend not in {"auto", BACKEND}:
        return ok("Coral", f"{told}; not used: model.backend is {backend}")
    if busy(lock_of(settings)):
        return ok("Coral", f"{told}; {BUSY}, the daemon for one")
    hindrance = _hindrance(root, settings, unit)
    return warning("Coral", f"{told}; not used: {hindrance}") if hindrance else ok("Coral", told)


def _hindrance(root: Path, settings: Settings, unit: str) -> str | None:
    """Name the reason why the daemon cannot use the accelerator, and the remedy."""
    model, count = settings.model, settings.worker.count
    if count > 1:
        return f"worker.count is {count}, and one process has it: set it to 1"
    with contextlib.suppress(MammoEdgeError, OSError):  # the line about the model says so
        folder = model.bundle or open_store(settings).folder(open_store(settings).active().current)
        if read_manifest((folder / MANIFEST).read_bytes()).compiled is None:
            return "the bundle has no model compiled for it: docs/guides/coral.md"
    try:
        ctypes.CDLL(model.edgetpu_library)
    except OSError:
        return f"no {model.edgetpu_library}: install libedgetpu1-std"
    if _opens_no_device(root, unit):
        instance = unit.partition("@")[2].removesuffix(".service")
        option = f" --instance {instance}" if instance else ""
        return f"{unit} may open no device: mammo-edge setup --coral{option}"
    return None


def _opens_no_device(root: Path, unit: str) -> bool:
    """
    Say if the unit's drop-ins take its devices away.

    Drop-ins of mammo-edge@.service hold for its instances too, unless an instance has one of the
    same name. In the order of their names, the last one counts.
    """
    found: dict[str, Path] = {}
    for folder in dict.fromkeys((re.sub("@.*", "@.service", unit), unit)):
        found |= {
            path.name: path for path in (root / f"etc/systemd/system/{folder}.d").glob("*.conf")
        }
    texts = [
        found[name].read_text(encoding="utf-8", errors="replace")
        for name in sorted(found)
        if os.access(found[name], os.R_OK)
    ]
    return re.findall(r"^PrivateDevices=(\S+)$", "\n".join(texts), re.MULTILINE)[-1:] == ["yes"]
