"""
The way of a bundle from the broker to the disk: chunk by chunk, hashed whole, and then unpacked.

Nothing in it is believed before its hash is the announced one.
"""

import contextlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, TypeAlias

from edge.errors import ConfigError, ModelError, Unavailable
from edge.models.bundle import sha256_of
from edge.models.manifest import MANIFEST
from edge.models.transfer.announcement import Announcement, read_announcement
from edge.system.files import CHUNK, sync_folder

Get: TypeAlias = Callable[[str], bytes]
"""Returns the payload that is retained on `model/available` followed by the argument, or raises."""

FETCHING: Final = ".fetching-"
"""
Files of chunks that have come so far; a restart goes on behind them. Names that begin with a dot do
not count as bundles.
"""
UNPACKED: Final = ".unpacked-"
SHORTEST: Final = 4
"""The least digits of an id that must be named."""


def read_wanted(get: Get, wanted: str, max_bytes: int) -> Announcement:
    """
    Return the announcement, if it is of the bundle that is wanted.

    Args:
        get: asks the broker.
        wanted: a version, or an id or its beginning.
        max_bytes: the most bytes that a bundle may have.

    Raises:
        ModelError: the announcement is damaged.
        ConfigError: another bundle is announced, or one that is too large.
        Unavailable: nothing is announced.
    """
    announced = read_announcement(get(""))
    is_id = len(wanted) >= SHORTEST and announced.bundle.startswith(wanted)
    if wanted != announced.version and not is_id:
        msg = (
            f"model/available announces version {announced.version}, bundle "
            f"{announced.bundle[:16]}; the command wants {wanted}"
        )
        raise ConfigError(msg)
    if announced.size > max_bytes:
        msg = (
            f"model/available announces {announced.size} bytes, "
            f"[model] max_fetch_mb allows {max_bytes}"
        )
        raise ConfigError(msg)
    return announced


@contextmanager
def fetched(announced: Announcement, get: Get, root: Path) -> Iterator[Path]:
    """
    Fetch a bundle, or its missing chunks, and unpack it into a folder that is gone after the block.

    Args:
        announced: the announcement.
        get: asks the broker.
        root: the folder of bundles, in which the chunks are gathered.

    Raises:
        ModelError: a chunk has another size, or the whole another hash.
        Unavailable: a chunk did not come, or the disk is full.
    """
    part = root / f"{FETCHING}{announced.sha256}"
    unpacked = root / f"{UNPACKED}{uuid.uuid4().hex}"
    with _disk(root):
        root.mkdir(parents=True, exist_ok=True)
        tidy(root, part)
        part.touch(mode=0o640)
        _complete(part, announced, get)
    try:
        with _disk(root):
            _unpack(part, unpacked, announced)
        yield unpacked
    finally:
        part.unlink(missing_ok=True)
        shutil.rmtree(unpacked, ignore_errors=True)


def tidy(root: Path, but: Path | None = None) -> None:
    """Remove downloads of other bundles than `but`, and folders that a power cut left."""
    for begun in root.glob(f"{FETCHING}*"):
        if begun != but:
            begun.unlink(missing_ok=True)
    for left_over in root.glob(f"{UNPACKED}*"):
        shutil.rmtree(left_over, ignore_errors=True)


def _complete(part: Path, announced: Announcement, get: Get) -> None:
    """Append chunk after chunk, each on the disk before the next is asked for."""
    with part.open("r+b") as file:
        have = min(os.fstat(file.fileno()).st_size // announced.chunk_bytes, announced.chunks)
        file.truncate(have * announced.chunk_bytes)
        file.seek(0, os.SEEK_END)
        for number in range(have, announced.chunks):
            chunk = get(announced.topic(number))
            if len(chunk) != announced.chunk_size(number):
                part.unlink()
                msg = (
                    f"model/available{announced.topic(number)}: {len(chunk)} bytes, "
                    f"expected {announced.chunk_size(number)}"
                )
                raise ModelError(msg)
            file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
    sync_folder(part.parent)


def _unpack(part: Path, folder: Path, announced: Announcement) -> None:
    if (digest := sha256_of(part)) != announced.sha256:
        msg = (
            f"what came through model/available has the sha256 {digest}, "
            f"it was announced with {announced.sha256}"
        )
        raise ModelError(msg)
    with part.open("rb") as whole:
        for piece in announced.files:
            target = folder / piece.name
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as file:
                    _copy(whole, file, piece.size)
            except (FileExistsError, NotADirectoryError):
                msg = (
                    f"model/available: {piece.name} is there twice, as "
                    "two files or as file and folder"
                )
                raise ModelError(msg) from None
    found = sha256_of(folder / MANIFEST) if (folder / MANIFEST).is_file() else "missing"
    if found != announced.bundle:
        msg = f"model/available: {MANIFEST} is {found}, bundle {announced.bundle} was announced"
        raise ModelError(msg)


def _copy(source: IO[bytes], target: IO[bytes], size: int) -> None:
    while size > 0 and (data := source.read(min(size, CHUNK))):
        target.write(data)
        size -= len(data)


@contextmanager
def _disk(root: Path) -> Iterator[None]:
    """Turn a disk error into Unavailable, and keep nothing of the download: images go first."""
    try:
        yield
    except OSError as error:
        with contextlib.suppress(OSError):
            tidy(root)
        msg = f"{root}: {error.strerror}"
        raise Unavailable(msg) from None
