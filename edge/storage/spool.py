"""The spool keeps the bytes of images: what was taken, and the archive of what was examined."""

import os
import stat
import uuid
from collections.abc import Iterator
from errno import EINVAL, ELOOP, ENOENT, ENOTDIR
from pathlib import Path
from typing import Final

from edge.errors import StartupError
from edge.storage import names
from edge.storage.archive import Archive
from edge.storage.inbox_place import InboxPlace
from edge.storage.presence import unavailable
from edge.storage.sizes import MOST_MB, FileChangedError, hash_if_small, unchanged
from edge.system import files
from edge.system.files import PART, Beat, Fingerprint, NotReadyError, device_at, fingerprint

GONE: Final = frozenset({ENOENT, ENOTDIR})
"""Errors that say that there is no such file; any other may be a mount that is away."""
ELSE: Final = GONE | {EINVAL, ELOOP}
"""Errors of opening what is no regular file: a folder, a link, a device."""


class Spool(Archive):
    """
    The folders spool/claimed, done and failed.

    Args:
        root: the spool.
        done: for scored images.
        failed: for rejected ones.
        beat: called while something takes long.
        inbox: knows if the inbox is there; None to believe any folder of its device.
        most_mb: the largest file that is hashed, in MiB.
        state: the state folder, where the folders are noted; None not to note them.

    Raises:
        StartupError: one of them cannot be made or written.
        Unavailable: the disk is full.
    """

    def __init__(  # noqa: PLR0913 - its folders, and what it needs
        self,
        root: Path,
        done: Path,
        failed: Path,
        beat: Beat = lambda: None,
        inbox: InboxPlace | None = None,
        *,
        most_mb: int = MOST_MB,
        state: Path | None = None,
    ) -> None:
        claimed = root / names.CLAIMED
        for key, folder in (
            ("spool.path", claimed),
            ("spool.done", done),
            ("spool.failed", failed),
        ):
            _make_writable(key, folder)
            files.remove_parts(folder)
        super().__init__(claimed, done, failed, beat, most_mb=most_mb, state=state)
        self._inbox = inbox

    def hash_in_place(self, path: Path) -> str | None:
        """
        Hash a file that stays where it is; None if there is no regular file to read.

        Raises:
            FileTooLargeError: it is so large, or grows so large, that others would wait for it.
        """
        try:
            fingerprint(path)
            return hash_if_small(path, self._beat, self.most_mb)
        except (OSError, NotReadyError):
            return None

    def is_original(self, path: Path, image_id: str) -> bool:
        """
        Tell if a file of the inbox, from which an image was copied, still has its bytes.

        The bytes are read whatever the file looks like: some servers set size and time first.

        False also if there is no such file, or something else by now, or if somebody writes there.

        Raises:
            NotReadyError: the file cannot be read now, so nobody can tell.
        """
        try:
            with files.open_regular(path) as file:
                # Opening has a server asked for the looks of this moment.
                before = files.looks(path)
                digest = files.sha256(file, unchanged(path, self._beat))
            return digest == image_id and files.looks(path) == before
        except FileChangedError:
            return False
        except OSError as error:
            if error.errno in ELSE:
                return False
            raise NotReadyError from None

    def is_shut_alone(self, path: Path) -> bool:
        """Tell if a file cannot be read, although the rights of the spool let us read its files."""
        if not os.access(self.claimed, os.R_OK | os.X_OK):
            return False
        try:
            with files.open_regular(path) as file:
                # A disk may fail at the end of a file alone; what a sender adds is not waited for.
                size = os.fstat(file.fileno()).st_size
                while file.tell() < size and file.read(files.CHUNK):
                    self._beat()
        except OSError:
            return True
        return False

    def remove_origin(self, path: Path, known: Fingerprint) -> bool:
        """
        Remove what a copied file left in the inbox, unless it is no longer the same file.

        Returns:
            False if it is still there because we may not remove it.
        """
        try:
            if fingerprint(path) == known:
                path.unlink()
        except NotReadyError:
            return self.is_gone(path)
        except OSError as error:
            return error.errno in GONE
        return True

    def is_gone(self, path: Path) -> bool:
        """Tell if there is no regular file of that name, rather than a mount that is away."""
        try:
            return not stat.S_ISREG(path.lstat().st_mode)
        except OSError as error:
            return error.errno in GONE

    def on_its_mount(self, path: Path, known: Fingerprint) -> bool:
        """
        Tell if the file system of a copied file still lies at the file's place in the inbox.

        A mount that is away leaves an empty folder of another, or another folder of the same one
        if it is a bind mount: a file that is not found there is not gone. One that came back under
        another number is not known again.

        Args:
            path: of the original, which need not exist.
            known: the fingerprint that it had.
        """
        try:
            return device_at(path) == known[0] and not (self._inbox and self._inbox.is_away())
        except OSError:
            return False

    def note_inbox(self, inode: int | None) -> None:
        """Note the inode number that the inbox had before a file was copied out of it."""
        if self._inbox is not None and inode is not None:
            self._inbox.seen(inode)

    def orphans(self) -> Iterator[Path]:
        """List spool/claimed, sorted, without half-written copies, which begin with a dot."""
        yield from sorted(path for path in self.claimed.iterdir() if not path.name.startswith("."))

    def free_mb(self) -> int:
        """
        Measure the free space of the spool's file system, in MiB; 0 if it has no inodes for files.

        Raises:
            Unavailable: the spool is away.
        """
        try:
            return (
                0 if files.short_of_inodes(self.claimed) else files.free_bytes(self.claimed) >> 20
            )
        except OSError as error:
            raise unavailable(error) from None


def _make_writable(key: str, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{uuid.uuid4()}{PART}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        if error.errno in files.PASSING:
            raise unavailable(error) from None
        msg = f"{key}: {folder}: {error.strerror}"
        raise StartupError(msg) from None
