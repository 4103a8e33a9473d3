"""
Coral accelerators (Edge TPU) over USB and PCIe: those plugged in, and who has them.

This module loads no runtime and opens no device.
"""

import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Literal

from edge.errors import AcceleratorError

USB: Final = frozenset({("1a6e", "089a"), ("18d1", "9302")})
"""Vendor and product: before its firmware is loaded, which its first user does, and after."""
PCI: Final = ("0x1ac1", "0x089a")
BUSY: Final = "another process has it"
CUSTOM_OP: Final = b"edgetpu-custom-op"
"""
The operator that edgetpu_compiler puts in the place of those that the accelerator runs.

A model file without it was not compiled.
"""


@dataclass(frozen=True, slots=True)
class Access:
    """The way of a worker to the accelerator; it crosses a process border."""

    library: str
    """libedgetpu, by name or path."""
    device: str
    """`usb`, `pci:1`, ...; empty for any."""
    lock: str
    """A file; whoever has it locked has the accelerator."""


@dataclass(frozen=True, slots=True)
class Device:
    """One that is plugged in."""

    bus: Literal["USB", "PCIe"]
    node: Path | None
    """The file to open; None if the kernel has no driver for it."""
    mbit: int | None = None
    """Speed of the USB link, in Mbit/s."""

    @property
    def usable(self) -> bool:
        """True if this process may open it."""
        return self.node is not None and os.access(self.node, os.R_OK | os.W_OK)


def devices(root: Path = Path("/")) -> list[Device]:
    """
    List the accelerators that the kernel sees.

    Args:
        root: the folder that has `dev` and `sys`.
    """
    return [*_usb(root), *_pci(root)]


def _usb(root: Path) -> Iterator[Device]:
    for device in sorted((root / "sys/bus/usb/devices").glob("*")):
        if (read(device / "idVendor"), read(device / "idProduct")) in USB:
            bus, number, speed = (read(device / name) for name in ("busnum", "devnum", "speed"))
            node = (
                root / f"dev/bus/usb/{int(bus):03}/{int(number):03}"
                if bus.isdigit() and number.isdigit()
                else None
            )
            yield Device("USB", node, int(speed) if speed.isdigit() else None)


def _pci(root: Path) -> Iterator[Device]:
    """List PCIe cards with a driver (gasket, apex), or, if there are none, those without a node."""
    nodes = sorted((root / "dev").glob("apex_*"))
    yield from (Device("PCIe", node) for node in nodes)
    if not nodes:
        for card in sorted((root / "sys/bus/pci/devices").glob("*")):
            if (read(card / "vendor"), read(card / "device")) == PCI:
                yield Device("PCIe", None)


def claim(lock: Path) -> BinaryIO | None:
    """
    Lock the accelerator until the file is closed or the process ends, however it ends.

    Returns:
        The locked file; None if its folder does not exist, so that no daemon can have it.

    Raises:
        AcceleratorError: another process has it, or the file may not be opened.
    """
    try:
        # kept open; flock(2) needs no right to write
        file = open(lock, "rb", opener=_create)  # noqa: SIM115
    except FileNotFoundError:
        return None
    except OSError as error:
        msg = f"its lock: {error.strerror}"
        raise AcceleratorError(msg) from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise AcceleratorError(BUSY) from None
    return file


def _create(path: str, flags: int) -> int:
    """
    Create the lock readable for all who get into its folder.

    So that root's `mammo-edge classify`, if it comes first, does not lock the daemon out.
    """
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return os.open(path, flags)
    os.fchmod(descriptor, 0o644)
    return descriptor


def busy(lock: Path) -> bool:
    """Tell if a process has it now, as far as we may know."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def read(path: Path) -> str:
    """Read a file of the kernel's, stripped; empty if it cannot be read."""
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
