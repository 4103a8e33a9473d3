"""Sizes of files that nobody has to wait for: a file may have any, and take no room itself."""

from pathlib import Path

from edge.errors import FileTooLargeError, Unavailable
from edge.system.files import fingerprint, free_bytes


def demand_size(path: Path, most_mb: int) -> None:
    """
    Demand that a file can be hashed soon.

    Raises:
        FileTooLargeError: it has more than `most_mb` MiB.
        NotReadyError: there is no such file.
    """
    if fingerprint(path)[2] > most_mb * 2**20:
        msg = f"a file has more than {most_mb} MiB"
        raise FileTooLargeError(msg)


def demand_room(folder: Path, size: int) -> None:
    """
    Demand room for a copy, which would else fill the disk for all others before it fails.

    Raises:
        Unavailable: there is none.
        OSError: nobody can tell.
    """
    if free_bytes(folder) < size:
        msg = f"spool: no room for a file of {size >> 20} MiB"
        raise Unavailable(msg)
