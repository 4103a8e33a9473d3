"""Files, written so that a power cut leaves the old or the new, never half of one."""

import hashlib
import io
import os
import shutil
import stat
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from errno import (
    EAGAIN,
    EDQUOT,
    EHOSTDOWN,
    EINVAL,
    EIO,
    EMFILE,
    ENFILE,
    ENOMEM,
    ENOSPC,
    ENOTCONN,
    ESTALE,
    ETIMEDOUT,
)
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

PART: Final = ".part"
CHUNK: Final = 2**20
HASHED: Final = 2**18
"""Bytes that are read and hashed at a time: they stay in the processor's cache between the two."""

Fingerprint: TypeAlias = tuple[int, int, int, int]
"""Device, inode, size and mtime in nanoseconds, as signed numbers of 64 bits."""
Looks: TypeAlias = tuple[int, int, int, int]
"""Inode, size, mtime and ctime, times in nanoseconds: no write leaves all of them as they were."""
Beat: TypeAlias = Callable[[], None]
"""Called while something takes long, to show that it is alive."""

# One for all, begun once: a thread a file would hang for ever if memory ends while it begins.
_SYNCING: Final = 2
_DISK: Final = ThreadPoolExecutor(_SYNCING, "sync")

FEW_INODES: Final = 1024
"""Free inodes below which a file system is short of them, unless it has less than 20 times that."""
PASSING: Final = frozenset(
    {ENOSPC, EDQUOT, EIO, ENOMEM, EMFILE, ENFILE, EAGAIN, ESTALE, ETIMEDOUT, ENOTCONN, EHOSTDOWN}
)
"""Errors that pass without anybody changing the configuration: no room, no memory, no server."""
OF_ALL: Final = PASSING - {EIO}
"""Those of them that no single file is to blame for: a disk may fail at one place alone."""


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
    device, inode = _signed(found.st_dev), _signed(found.st_ino)
    return device, inode, found.st_size, _signed(found.st_mtime_ns)


def is_seen(path: Path) -> bool:
    """Tell if a file can be seen: on a mount that does not answer, none is."""
    try:
        path.stat()
    except OSError:
        return False
    return True


def device_at(path: Path) -> int:
    """
    Return the device of a path, as in a fingerprint, or of the nearest folder that exists.

    Raises:
        OSError: the file system does not say.
    """
    try:
        return _signed(path.stat().st_dev)
    except (FileNotFoundError, NotADirectoryError):
        return device_at(path.parent)


def _signed(number: int) -> int:
    """Fold a number into 64 bits with a sign: a date after 2262, or an inode of FUSE, is larger."""
    return (number + 2**63) % 2**64 - 2**63


def looks(path: Path) -> Looks:
    """
    Tell one state of a file from another, by all that a writer cannot leave as it was.

    Raises:
        OSError: there is no such file.
    """
    return looks_of(path.lstat())


def looks_of(found: os.stat_result) -> Looks:
    """Return the looks of a file from its status."""
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def sha256_and_sync(path: Path, beat: Beat) -> str:
    """
    Hash a regular file (SHA-256, hex), which is on the disk when this returns.

    The disk works while the processor does.
    """
    with open_regular(path) as file:
        synced = _DISK.submit(os.fsync, file.fileno())
        try:
            digest = sha256(file, beat)
        finally:
            while not wait([synced], timeout=1.0).done:
                beat()
        synced.result()
    return digest


def sha256(file: io.FileIO, beat: Beat) -> str:
    """Hash the rest of an open file (SHA-256, hex); `beat` is called between chunks."""
    digest, buffer = hashlib.sha256(), memoryview(bytearray(HASHED))
    while size := file.readinto(buffer):
        digest.update(buffer[:size])
        beat()
    return digest.hexdigest()


def begin_syncing() -> None:
    """Begin the threads that bring files onto the disk, while there is memory for them."""
    # So that none does the work of two; a thread that never begins keeps the others for a moment.
    all_there = threading.Barrier(_SYNCING, timeout=10.0)
    wait([_DISK.submit(all_there.wait) for _ in range(_SYNCING)])


def copy(
    source: Path, target: Path, beat: Beat, writing: AbstractContextManager[None] | None = None
) -> None:
    """
    Copy a regular file; `target` is there whole or not at all.

    If it fails, there is no copy that was not there before: each further try would leave one.

    Args:
        source: the file.
        target: in a folder that exists.
        beat: called between chunks.
        writing: entered to write the target, with other rights, say.
    """
    with open_regular(source) as reader, writing or nullcontext():
        there = os.path.lexists(target)
        put(target, _chunks(reader, beat))
        try:
            sync_folder(target.parent)
        except OSError:
            if not there:
                with suppress(OSError):
                    target.unlink(missing_ok=True)
            raise


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
        with suppress(OSError):  # no file of ours, and no reason not to start
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


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of some bytes, however few the system takes at once."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


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


def free_bytes(folder: Path) -> int:
    """Measure the free space of a file system for us, in bytes."""
    return shutil.disk_usage(folder).free


def short_of_inodes(folder: Path) -> bool:
    """
    Tell if a file system has room for few more files, whatever their size.

    One that makes inodes as it needs them, such as btrfs, is never short of them.
    """
    found = os.statvfs(folder)
    return found.f_favail < min(FEW_INODES, found.f_files // 20)
