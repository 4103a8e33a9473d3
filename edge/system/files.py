"""Files, written so that a power cut leaves the old or the new, never half of one."""

import hashlib
import io
import os
import stat
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext
from errno import EINVAL, EXDEV
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

PART: Final = ".part"
CHUNK: Final = 2**20
HASHED: Final = 2**18
"""Bytes that are read and hashed at a time: they stay in the processor's cache between the two."""

Fingerprint: TypeAlias = tuple[int, int, int, int]
"""Device, inode, size and mtime in nanoseconds."""
Beat: TypeAlias = Callable[[], None]
"""Called while something takes long, to show that it is alive."""


class NotReadyError(Exception):
    """The file is gone, still being written, or no regular file: look at it again later."""


def fingerprint(path: Path) -> Fingerprint:
    """
    Tell one state of a file from another.

    Raises:
        NotReadyError: there is no regular file of that name.
    """
    try:
        found = path.lstat()
    except OSError:
        raise NotReadyError from None
    if not stat.S_ISREG(found.st_mode):
        raise NotReadyError
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def sha256_and_sync(path: Path, beat: Beat) -> str:
    """
    Hash a regular file (SHA-256, hex), which is on the disk when this returns.

    The disk works while the processor does.
    """
    digest, buffer = hashlib.sha256(), memoryview(bytearray(HASHED))
    with open_regular(path) as file, ThreadPoolExecutor(1, "sync") as disk:
        synced = disk.submit(os.fsync, file.fileno())
        while size := file.readinto(buffer):
            digest.update(buffer[:size])
            beat()
        while not wait([synced], timeout=1.0).done:
            beat()
        synced.result()
    return digest.hexdigest()


def move(path: Path, target: Path, beat: Beat) -> None:
    """Rename a file, or copy and remove it if that crosses a mount."""
    try:
        path.rename(target)
    except OSError as error:
        if error.errno != EXDEV:
            raise
        copy(path, target, beat)
        path.unlink()
    sync_folder(target.parent)


def copy(
    source: Path, target: Path, beat: Beat, writing: AbstractContextManager[None] | None = None
) -> None:
    """
    Copy a regular file; `target` is there whole or not at all.

    Args:
        source: the file.
        target: in a folder that exists.
        beat: called between chunks.
        writing: entered to write the target, with other rights, say.
    """
    with open_regular(source) as reader, writing or nullcontext():
        put(target, _chunks(reader, beat))
        sync_folder(target.parent)


@contextmanager
def whole(target: Path, mode: int = 0o666) -> Iterator[BinaryIO]:
    """
    Open a file for writing that takes the place of `target` when the block ends.

    A reader, and a power cut, find the old file or the new one, never half of one. The folder is
    not synced: the caller does so before it relies on the new one.

    Args:
        target: the file; its folder exists.
        mode: of the file, less the umask, from the moment on when it is made.

    Raises:
        OSError: the disk or the permissions do not let us; `target` is as it was.
    """
    part = target.with_name(f".{uuid.uuid4()}{PART}")
    try:
        with open(part, "xb", opener=lambda path, flags: os.open(path, flags, mode)) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.rename(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def remove_parts(folder: Path) -> None:
    """Remove what a kill left of writes into this folder, while nobody writes there."""
    for part in folder.glob(f".*{PART}"):
        part.unlink(missing_ok=True)


def put(target: Path, chunks: Iterable[bytes]) -> None:
    """Write a file whole or not at all, without syncing its folder; see `whole`."""
    with whole(target) as file:
        for chunk in chunks:
            file.write(chunk)


def write(target: Path, data: bytes) -> None:
    """Write a file whole or not at all, and sync its folder."""
    put(target, (data,))
    sync_folder(target.parent)


def _chunks(reader: io.FileIO, beat: Beat) -> Iterator[bytes]:
    while chunk := reader.read(CHUNK):
        yield chunk
        beat()


def sync_folder(folder: Path) -> None:
    """Bring the folder's entries onto the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_regular(path: Path, *, follow: bool = False) -> io.FileIO:
    """
    Open for reading without waiting at a FIFO, and without following a link unless told to.

    Raises:
        OSError: it cannot be opened, or is no regular file: a device may have no end.
    """
    descriptor = os.open(
        path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    )
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(EINVAL, "it is not a regular file")
    return io.FileIO(descriptor, "rb")


def read_regular(path: Path) -> bytes:
    """Read a file that a person named, be it through a link; raises as `open_regular`."""
    with open_regular(path, follow=True) as file:
        return file.readall()


def regular_below(path: Path) -> list[Path]:
    """
    List what a person means by a path: the file, or all files below a folder, sorted.

    Dot files in a folder are left out.
    """
    if not path.is_dir():
        return [path]
    return sorted(
        file for file in path.rglob("*") if file.is_file() and not file.name.startswith(".")
    )
