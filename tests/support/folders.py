"""Folders on odd file systems, and folders so deep that names in them must be short."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.support.tools import need, need_root

LONGEST_PATH: Final = 4095


def deep(folder: Path, room: int) -> Path:
    """Name a folder below another in which the kernel takes names of fewer bytes than `room`."""
    while (left := LONGEST_PATH - room - len(bytes(folder))) > 1:
        folder /= "d" * min(200, left)
    return folder


@contextmanager
def windows_disk(folder: Path) -> Iterator[Path]:
    """Mount an NTFS of 8 MB that takes only names that Windows takes; skip where that fails."""
    need("mkntfs", "ntfs-3g")
    mount = need("ntfs-3g", "ntfs-3g")
    need_root()
    image, disk = folder / "disk.img", folder / "disk"
    with image.open("wb") as file:
        file.truncate(2**23)
    disk.mkdir()
    subprocess.run(["mkntfs", "-F", "-Q", "-q", image], check=True, capture_output=True)
    if subprocess.run([mount, "-o", "windows_names", image, disk], check=False).returncode:
        pytest.skip("no FUSE here: it needs /dev/fuse, and the right to mount")
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)
