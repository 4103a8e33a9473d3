"""
Coral accelerators (Edge TPU), USB and PCIe: which are plugged in, and who has them. Loads no
runtime and opens no device.
"""

import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Literal

from edge.errors import AcceleratorError

USB: Final = frozenset({("1a6e", "089a"), ("18d1", "9302")})
"""
Vendor and product: the first before its firmware is loaded, which its first user does, the second
from then on.
"""
PCI: Final = ("0x1ac1", "0x089a")
BUSY: Final = "another process has it"
CUSTOM_OP: Final = b"edgetpu-custom-op"
"""
What edgetpu_compiler puts in the place of the operators that the accelerator runs: a model file
without it was not compiled.
"""


@dataclass(frozen=True, slots=True)
class Access:
    """How a worker gets at the accelerator. Crosses a process border."""

    library: str
    """libedgetpu, by name or path."""
    device: str
    """`usb`, `pci:1`, ...; empty for any."""
    lock: str
    """A file; who has it locked has the accelerator."""


@dataclass(frozen=True, slots=True)
class Device:
    """One that is plugged in."""

    bus: Literal["USB", "PCIe"]
    node: Path | None
    """What must be opened; None where the kernel has no driver for it."""
    mbit: int | None = None
    """Speed of the USB link, in Mbit/s."""

    @property
    def usable(self) -> bool:
        """Whether this process may open it."""
        return self.node is not None and os.access(self.node, os.R_OK | os.W_OK)


def devices(root: Path = Path("/")) -> list[Device]:
    """
    What the kernel sees.

    Args:
        root: where `dev` and `sys` are.
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
    """Through the driver gasket / apex; without it the card is on the bus and has no node."""
    nodes = sorted((root / "dev").glob("apex_*"))
    yield from (Device("PCIe", node) for node in nodes)
    if not nodes:
        for card in sorted((root / "sys/bus/pci/devices").glob("*")):
            if (read(card / "vendor"), read(card / "device")) == PCI:
                yield Device("PCIe", None)


def claim(lock: Path) -> BinaryIO | None:
    """
    Have the accelerator for oneself, until the file is closed or the process ends, however it ends.

    Returns:
        The locked file, or None where its folder does not exist: there is no daemon to be kept out
            of the way of.

    Raises:
        AcceleratorError: another process has it, or the file may not be opened.
    """
    try:
        # kept open; flock(2) needs no right to write
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
    Readable by whoever gets into the folder, whoever came first: root's `mammo-edge classify` must
    not lock the daemon out.
    """
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return os.open(path, flags)
    os.fchmod(descriptor, 0o644)
    return descriptor


def busy(lock: Path) -> bool:
    """Whether a process has it now, as far as we may know."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def read(path: Path) -> str:
    """A file of the kernel's, without white space around; empty where it cannot be read."""
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
