"""The spool keeps the bytes of images: what was taken, and the archive of what was examined."""

import os
import stat
import uuid
from collections.abc import Iterator
from errno import EINVAL, ELOOP, ENOENT, ENOTDIR
from pathlib import Path
from typing import Final

from edge.errors import StartupError, Unavailable
from edge.storage import names
from edge.storage.claims import Claims, is_there, unavailable
from edge.system import files
from edge.system.files import PART, Beat, Fingerprint, NotReadyError, device_at, fingerprint
from edge.system.own_copy import own_copy

GONE: Final = frozenset({ENOENT, ENOTDIR})
"""Errors that say that there is no such file; any other may be a mount that is away."""
ELSE: Final = GONE | {EINVAL, ELOOP}
"""Errors of opening what is no regular file: a folder, a link, a device."""


class Spool(Claims):
    """
    The folders spool/claimed, done and failed.

    Raises:
        StartupError: one of them cannot be made or written.
        Unavailable: the disk is full.
    """

    def __init__(self, root: Path, done: Path, failed: Path, beat: Beat = lambda: None) -> None:
        super().__init__(root / names.CLAIMED, beat)
        self.done = done
        self.failed = failed
        for key, folder in (
            ("spool.path", self.claimed),
            ("spool.done", done),
            ("spool.failed", failed),
        ):
            _make_writable(key, folder)
            files.remove_parts(folder)

    def archive(  # noqa: PLR0913 - all of one image
        self,
        path: Path,
        image_id: str,
        name: bytes,
        payload: bytes,
        *,
        scored: bool,
        settled: bool = True,
    ) -> Path:
        """
        Move a file to done or failed, beside its result; may be repeated after a kill.

        A file of another user is copied there, and so is ours from then on, unless it is not
        settled: its writer may still have it open. One whose bytes are no longer the image's does
        not go there: see `stranded`.

        Returns:
            The place of the file now.

        Raises:
            Unavailable: the disk or the permissions do not let us.
        """
        target = (self.done if scored else self.failed) / names.archive_name(name, image_id)
        ours = settled and _is_foreign(path)
        if not ours and is_there(path) and not self.is_image(path, image_id):
            self.take_back(path, name)
            return target
        try:
            files.put(names.result_path(target), (payload,))
            if not path.exists():
                files.sync_folder(target.parent)
            elif ours:
                self._make_ours(path, target, image_id, name)
            elif path != target:
                self._move(path, target)
            else:
                files.sync_folder(target.parent)
            if path != target and path.parent in (self.done, self.failed):
                names.result_path(path).unlink(missing_ok=True)
        except OSError as error:
            raise unavailable(error) from error
        return target

    def _move(self, path: Path, target: Path) -> None:
        before = files.looks(path)
        files.move(path, target, self._beat)  # syncs the folder of both
        self._looks.moved(path, target, before)

    def _make_ours(self, path: Path, target: Path, image_id: str, name: bytes) -> None:
        if not own_copy(path, target, image_id, self._beat):
            self.take_back(path, name)
            names.result_path(target).unlink(missing_ok=True)
        elif path != target:
            path.unlink()
        files.sync_folder(target.parent)

    def locate(self, path: Path, image_id: str, name: bytes) -> Path | None:
        """
        Find an image's file: at `path`, or in the archive, if a kill came before the ledger knew.

        Raises:
            Unavailable: the spool itself is away.
        """
        if not self.present():
            msg = "spool: it is away"
            raise Unavailable(msg)
        places = (
            path,
            *(folder / names.archive_name(name, image_id) for folder in (self.done, self.failed)),
        )
        return next((place for place in places if is_there(place)), None)

    def hash_in_place(self, path: Path) -> str | None:
        """Hash a file that stays where it is; None if there is no regular file to read."""
        try:
            fingerprint(path)
            return files.sha256_and_sync(path, self._beat)
        except (OSError, NotReadyError):
            return None

    def is_original(self, path: Path, image_id: str) -> bool:
        """
        Tell if a file of the inbox, from which an image was copied, still has its bytes.

        The bytes are read whatever the file looks like: some servers set size and time first.

        False also if there is no such file, or something else by now.

        Raises:
            NotReadyError: the file cannot be read now, so nobody can tell.
        """
        try:
            with files.open_regular(path) as file:
                # Opening has a server asked for the looks of this moment.
                before = files.looks(path)
                digest = files.sha256(file, self._beat)
            return digest == image_id and files.looks(path) == before
        except OSError as error:
            if error.errno in ELSE:
                return False
            raise NotReadyError from None

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

        A mount that is away leaves an empty folder of another one: a file that is not found there
        is not gone. One that came back under another number is not known again.

        Args:
            path: of the original, which need not exist.
            known: the fingerprint that it had.
        """
        try:
            return device_at(path) == known[0]
        except OSError:
            return False

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


def _is_foreign(path: Path) -> bool:
    """Tell if a file is another user's; none is not."""
    try:
        return path.lstat().st_uid != os.geteuid()
    except OSError:
        return False
