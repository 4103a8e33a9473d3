"""Bytes on disk: claimed from the inbox, received from MQTT, archived. What it says is done is on the disk."""

import hashlib
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from errno import EXDEV
from pathlib import Path
from typing import Final

from edge.errors import StartupError, Unavailable

CLAIMED: Final = "claimed"
FROM_FOLDER: Final = "f-"
FROM_MQTT: Final = "m-"
PART: Final = ".part"
NAME_BYTES: Final = 160
"""What of a sender's file name is kept in the archive, so that our suffixes fit beside it in 255 bytes."""


class NotReadyError(Exception):
    """The file is gone, still being written, or no regular file: look at it again later."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A file that is ours now."""

    path: Path
    name: bytes
    """What the sender called it."""
    image_id: str = ""
    """SHA-256 of its bytes, once hashed."""
    origin: tuple[Path, tuple[int, int, int, int]] | None = None
    """Where it still lies too, if it was copied, with device, inode, size and mtime_ns."""


class Spool:
    """
    The folders spool/claimed, done and failed.

    Raises:
        StartupError: one of them cannot be made or written.
    """

    def __init__(self, root: Path, done: Path, failed: Path) -> None:
        self.claimed = root / CLAIMED
        self.done = done
        self.failed = failed
        for key, folder in (("spool.path", self.claimed), ("spool.done", done), ("spool.failed", failed)):
            _make_writable(key, folder)

    def claim(self, path: Path, *, may_copy: bool) -> Claim:
        """
        Take a file out of the inbox and hash it; it is ours, hashed and on the disk, or still where it was.

        Args:
            path: a regular file.
            may_copy: whether it may be copied if it lies on another mount (its writer is known to have finished).

        Raises:
            NotReadyError: it is gone, changed while we hashed it, or would have to be copied.
            Unavailable: the disk or the permissions do not let us.
        """
        before = _fingerprint(path)
        target = self.claimed / f"{FROM_FOLDER}{uuid.uuid4()}"
        try:
            copied = _rename_or_copy(path, target, may_copy=may_copy)
        except FileNotFoundError:
            raise NotReadyError from None
        except OSError as error:
            raise _unavailable(error) from error
        return self._hashed(Claim(target, os.fsencode(path.name), origin=(path, before) if copied else None), path, before)

    def _hashed(self, claim: Claim, source: Path, before: tuple[int, int, int, int]) -> Claim:
        try:
            image_id = _hash_and_sync(claim.path)
            _sync(claim.path.parent)
            still = _fingerprint(source if claim.origin else claim.path)[2:] == before[2:]
        except (OSError, NotReadyError):
            still = False
        if not still:  # its writer goes on: hand it back
            self.give_back(claim, source)
            raise NotReadyError
        return Claim(claim.path, claim.name, image_id, claim.origin)

    def rehash(self, path: Path, name: bytes) -> Claim:
        """
        A file already in spool/claimed that no ledger row mentions.

        Raises:
            Unavailable: it cannot be read.
        """
        try:
            return Claim(path, name, _hash_and_sync(path))
        except OSError as error:
            raise _unavailable(error) from error

    def receive(self, data: bytes) -> Claim:
        """
        Keep the bytes of a request.

        Raises:
            Unavailable: the disk is full or failing.
        """
        target = self.claimed / f"{FROM_MQTT}{uuid.uuid4()}"
        try:
            _write(target, data)
        except OSError as error:
            target.unlink(missing_ok=True)
            raise _unavailable(error) from error
        return Claim(target, b"request", hashlib.sha256(data).hexdigest())

    def give_back(self, claim: Claim, source: Path) -> None:
        """Undo a claim."""
        if claim.origin is not None:
            claim.path.unlink(missing_ok=True)
        elif claim.path.exists() and not source.exists():
            claim.path.rename(source)

    def drop(self, path: Path) -> None:
        """Remove a spare copy."""
        path.unlink(missing_ok=True)

    def remove_origin(self, path: Path, fingerprint: tuple[int, int, int, int]) -> bool:
        """
        Remove what a copied file left in the inbox; a file that is no longer that one is left alone.

        Returns:
            False where it is still there because we may not remove it.
        """
        try:
            if _fingerprint(path) == fingerprint:
                path.unlink()
        except (FileNotFoundError, NotReadyError):
            return True
        except OSError:
            return False
        return True

    def archive(self, path: Path, image_id: str, name: bytes, payload: bytes, *, scored: bool) -> Path:
        """
        Move a file to done or failed, beside its result; may be repeated after a kill.

        Returns:
            Where it lies now.

        Raises:
            Unavailable: the disk or the permissions do not let us.
        """
        target = (self.done if scored else self.failed) / archive_name(name, image_id)
        try:
            _write(_beside(target), payload)
            if path != target and path.exists():
                _move(path, target)
                if path.parent in (self.done, self.failed):
                    _beside(path).unlink(missing_ok=True)
        except OSError as error:
            raise _unavailable(error) from error
        return target

    def orphans(self) -> Iterator[Path]:
        """Everything in spool/claimed; half-written copies are removed, their originals are still in the inbox."""
        for path in sorted(self.claimed.iterdir()):
            if path.name.endswith(PART):
                path.unlink()
            else:
                yield path

    def free_mb(self) -> int:
        """Free space of the spool's file system, in MiB."""
        return shutil.disk_usage(self.claimed).free // 2**20


def archive_name(name: bytes, image_id: str) -> str:
    """`<sender's stem>.<16 hex of the image id><suffix>`: findable by name, unique by bytes."""
    stem, dot, suffix = name.rpartition(b".")
    if not stem:
        stem, dot, suffix = name, b"", b""
    if len(suffix) > 8:  # noqa: PLR2004 - a longer one is no file type
        stem, dot, suffix = name, b"", b""
    return os.fsdecode(stem[:NAME_BYTES] + b"." + image_id[:16].encode() + dot + suffix)


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _make_writable(key: str, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{uuid.uuid4()}{PART}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        msg = f"{key}: {folder}: {error.strerror}"
        raise StartupError(msg) from None


def _unavailable(error: OSError) -> Unavailable:
    return Unavailable(f"spool: {error.strerror}")  # never the file's name


def _fingerprint(path: Path) -> tuple[int, int, int, int]:
    try:
        found = path.lstat()
    except FileNotFoundError:
        raise NotReadyError from None
    if not stat.S_ISREG(found.st_mode):
        raise NotReadyError
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _hash_and_sync(path: Path) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - opened without following links
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(descriptor)
    return digest


def _rename_or_copy(source: Path, target: Path, *, may_copy: bool) -> bool:
    """Take a file; True where it had to be copied, because bind mounts of one file system refuse a rename too."""
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != EXDEV:
            raise
        if not may_copy:
            raise NotReadyError from None
        _copy(source, target)
        return True
    return False


def _copy(source: Path, target: Path) -> None:
    part = target.with_name(target.name + PART)
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(descriptor, "rb") as reader, part.open("wb") as writer:  # noqa: PTH123 - opened without following links
            shutil.copyfileobj(reader, writer, 2**20)
            writer.flush()
            os.fsync(writer.fileno())
        part.rename(target)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    _sync(target.parent)


def _move(path: Path, target: Path) -> None:
    try:
        path.rename(target)
    except OSError as error:
        if error.errno != EXDEV:
            raise
        _copy(path, target)
        path.unlink()
    _sync(target.parent)


def _write(target: Path, data: bytes) -> None:
    part = target.with_name(f".{uuid.uuid4()}{PART}")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.rename(target)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    _sync(target.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
