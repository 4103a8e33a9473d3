"""Steps that several tests of the package take on the machine."""

import os
from pathlib import Path
from typing import Final

from tests.support.rig import film, sha256
from tests.system.clinic import Clinic
from tests.system.machine import SUITE, Machine, until

PACKAGES: Final = [Path(path) for path in os.environ.get("MAMMO_DEBS", "").split(":")]
"""The package, and a later one of the same version."""
INBOX: Final = "srv/mammo-edge/inbox"
TLS: Final = (
    "--ca /etc/mammo-edge/ca.crt --cert /etc/mammo-edge/device.crt --key /etc/mammo-edge/device.key"
)
"""Further arguments of `setup` that the broker of these tests needs."""


def beside(package: Path, extra: str) -> Path:
    """Find the package of an extra that was built with a package of mammo-edge."""
    (found,) = package.parent.glob(f"mammo-edge-{extra}_*~{SUITE}_all.deb")
    return found


def install(machine: Machine, *packages: Path) -> str:
    """Install or upgrade packages, all at once."""
    for package in packages:
        machine.copy_in(package, f"/root/{package.name}")
    return machine.run("dpkg", "-i", *(f"/root/{package.name}" for package in packages))


def enrol(machine: Machine, clinic: Clinic) -> None:
    """Give the device the certificates that the clinic's broker wants."""
    for source, target in (
        ("ca.crt", "ca.crt"),
        ("north.edge-1.crt", "device.crt"),
        ("north.edge-1.key", "device.key"),
    ):
        machine.copy_in(clinic.certificates / source, f"/etc/mammo-edge/{target}")


def drop(machine: Machine, number: int) -> str:
    """Drop a film as a sending device does; returns its id."""
    data = film(number)
    part = machine.root / INBOX / f"{number}.png.part"
    part.write_bytes(data)
    part.chmod(0o644)
    # Only the owner of a file may rename it there.
    machine.run("chown", "scanner", f"/{INBOX}/{number}.png.part")
    whole = f"/{INBOX}/{number}.png"
    machine.run("runuser", "-u", "scanner", "--", "mv", f"{whole}.part", whole)
    return sha256(data)


def ready(machine: Machine) -> None:
    """Wait for the service to be there."""
    until(lambda: machine.shown("ActiveState") == "active", "active", machine.journal)
