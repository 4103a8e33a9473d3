"""A copy of somebody else's file that is ours: the blocks are shared, or copied by the kernel."""

import fcntl
import os
import uuid
from errno import EINVAL, ENOSYS, EOPNOTSUPP, EXDEV
from pathlib import Path
from typing import Final

from edge.system import files

FICLONE: Final = 0x40049409
"""The request of ioctl that makes a file share all blocks of another."""


def own_copy(source: Path, target: Path, sha256: str, beat: files.Beat) -> bool:
    """
    Copy a file of somebody else, sharing its blocks if the file system can, and hash the copy.

    Args:
        source: a regular file.
        target: in a folder that exists; there whole or not at all.
        sha256: the hash that the copy must have.
        beat: called between chunks.

    Returns:
        False if the bytes are others; then nothing is left of the copy.

    Raises:
        OSError: the disk or the permissions do not let us.
    """
    part = target.with_name(f".{uuid.uuid4()}{files.PART}")
    try:
        with files.open_regular(source) as reader, part.open("xb") as writer:
            size = os.fstat(reader.fileno()).st_size
            _clone(reader.fileno(), writer.fileno(), size, beat)
            # It may grow without end: what came since belongs to another image.
            grown = {os.fstat(one.fileno()).st_size for one in (reader, writer)} != {size}
        same = not grown and files.sha256_and_sync(part, beat) == sha256
        if same:
            part.rename(target)
    finally:
        part.unlink(missing_ok=True)
    return same


def _clone(source: int, target: int, size: int, beat: files.Beat) -> None:
    try:
        fcntl.ioctl(target, FICLONE, source)
    except OSError:  # not this file system, or two of them
        left = size
        while copied := _copy_some(source, target, min(left, files.CHUNK)):
            left -= copied
            beat()


def _copy_some(source: int, target: int, most: int) -> int:
    if most == 0:
        return 0
    try:
        return os.copy_file_range(source, target, most)
    except OSError as error:
        if error.errno not in (EXDEV, EINVAL, EOPNOTSUPP, ENOSYS):
            raise
    return os.sendfile(target, source, None, most)
