"""
The spool keeps the bytes of images: claimed from the inbox, received over MQTT, archived.

A file is in exactly one place that counts, and what a method says is done is on the disk when the
method returns. So a kill at any moment leaves a file in the inbox, in spool/claimed or in the
archive, and the prefix of its name in spool/claimed says whether another copy still counts.
"""

import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from errno import ENOSPC, EXDEV
from pathlib import Path

from edge.errors import StartupError, Unavailable
from edge.storage import names
from edge.storage.claim import Claim
from edge.system import files
from edge.system.files import PART, Beat, Fingerprint, NotReadyError, fingerprint


class Spool:
    """
    The folders spool/claimed, done and failed.

    Raises:
        StartupError: one of them cannot be made or written.
        Unavailable: the disk is full.
    """

    def __init__(self, root: Path, done: Path, failed: Path, beat: Beat = lambda: None) -> None:
        self._beat = beat
        self.claimed = root / names.CLAIMED
        self.done = done
        self.failed = failed
        for key, folder in (
            ("spool.path", self.claimed),
            ("spool.done", done),
            ("spool.failed", failed),
        ):
            _make_writable(key, folder)
            files.remove_parts(folder)

    @contextmanager
    def claiming(
        self, path: Path, *, may_copy: bool, moved: Callable[[Path], None] = lambda _: None
    ) -> Iterator[Claim]:
        """
        Take a file out of the inbox, hash it, and keep it if the block records it.

        In the block the file is ours, hashed and on the disk. If it changed while it was hashed, or
        if the block raises Unavailable, the file goes back to the inbox.

        Args:
            path: a regular file.
            may_copy: true if it may be copied from another mount, as its writer has finished.
            moved: told where it lies in the spool before it is hashed. Not told of a copy, which
                nobody takes up after a kill.

        Raises:
            NotReadyError: it is gone, changed while we hashed it, or would have to be copied.
            Unavailable: the disk or the permissions do not let us.
        """
        before = fingerprint(path)
        claim = self._taken(path, before, may_copy=may_copy)
        if claim.origin is None:
            moved(claim.path)
        try:
            yield self._hashed(claim, path, before)
        except (NotReadyError, Unavailable):
            claim.give_back(path)
            raise

    def _taken(self, path: Path, before: Fingerprint, *, may_copy: bool) -> Claim:
        original = os.fsencode(path.name)
        name = names.claim_name(original)
        claim = Claim(self.claimed / (names.RENAMED + name), original)
        try:
            if not _renamed(path, claim.path):
                if not may_copy:
                    raise NotReadyError
                claim = replace(
                    claim, path=self.claimed / (names.COPIED + name), origin=(path, before)
                )
                files.copy(path, claim.path, self._beat)
        except FileNotFoundError:
            raise (NotReadyError if self.present() else Unavailable("spool: it is away")) from None
        except OSError as error:
            raise _unavailable(error) from error
        return claim

    def _hashed(self, claim: Claim, source: Path, before: Fingerprint) -> Claim:
        try:
            image_id = files.sha256_and_sync(claim.path, self._beat)
            files.sync_folder(claim.path.parent)
            still = fingerprint(source if claim.origin else claim.path)[2:] == before[2:]
        except OSError:
            still = False
        if not still:  # its writer goes on
            raise NotReadyError
        return replace(claim, image_id=image_id)

    @contextmanager
    def receiving(self, data: bytes) -> Iterator[Claim]:
        """
        Keep the bytes of a request if the block records them; drop them if it raises Unavailable.

        Raises:
            Unavailable: the disk is full or failing.
        """
        claim = self._received(data)
        try:
            yield claim
        except Unavailable:
            claim.path.unlink(missing_ok=True)
            raise

    def _received(self, data: bytes) -> Claim:
        target = self.claimed / f"{names.REQUESTED}{uuid.uuid4()}"
        try:
            files.write(target, data)
        except OSError as error:
            raise _unavailable(error) from error
        return Claim(target, names.REQUEST, hashlib.sha256(data).hexdigest())

    def claim_anew(self, path: Path, name: bytes) -> Path:
        """
        Move a claimed file that has changed, so that it can be recorded as another image.

        Raises:
            Unavailable: the disk does not let us.
        """
        target = self.claimed / (names.RENAMED + names.claim_name(name))
        try:
            files.move(path, target, self._beat)
        except OSError as error:
            raise _unavailable(error) from error
        return target

    def rehash(self, path: Path, name: bytes | None = None) -> Claim:
        """
        Hash a file in spool/claimed that the ledger does not know, or knows as other bytes.

        Args:
            path: the file.
            name: the sender's name of it; None to read it from the file's name.

        Raises:
            Unavailable: it cannot be read.
        """
        try:
            image_id = files.sha256_and_sync(path, self._beat)
        except OSError as error:
            raise _unavailable(error) from error
        return Claim(path, names.name_before_claim(path) if name is None else name, image_id)

    def hash_in_place(self, path: Path) -> str | None:
        """Hash a file that stays where it is; None if there is no regular file to read."""
        try:
            fingerprint(path)
            return files.sha256_and_sync(path, self._beat)
        except (OSError, NotReadyError):
            return None

    def remove_origin(self, path: Path, known: Fingerprint) -> bool:
        """
        Remove what a copied file left in the inbox, unless it is no longer the same file.

        Returns:
            False if it is still there because we may not remove it.
        """
        try:
            if fingerprint(path) == known:
                path.unlink()
        except (FileNotFoundError, NotReadyError):
            return True
        except OSError:
            return False
        return True

    def archive(
        self, path: Path, image_id: str, name: bytes, payload: bytes, *, scored: bool
    ) -> Path:
        """
        Move a file to done or failed, beside its result; may be repeated after a kill.

        Returns:
            The place of the file now.

        Raises:
            Unavailable: the disk or the permissions do not let us.
        """
        target = (self.done if scored else self.failed) / names.archive_name(name, image_id)
        try:
            files.put(names.result_path(target), (payload,))
            if path == target or not path.exists():
                files.sync_folder(target.parent)
            else:
                files.move(path, target, self._beat)  # syncs the folder of both
                if path.parent in (self.done, self.failed):
                    names.result_path(path).unlink(missing_ok=True)
        except OSError as error:
            raise _unavailable(error) from error
        return target

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
        return next((place for place in places if _is_there(place)), None)

    def present(self) -> bool:
        """
        Tell if the spool is there, and not only the empty folder on which it is mounted.

        Raises:
            Unavailable: the disk is failing.
        """
        return _is_there(self.claimed)

    def orphans(self) -> Iterator[Path]:
        """List spool/claimed, sorted, without half-written copies, which begin with a dot."""
        yield from sorted(path for path in self.claimed.iterdir() if not path.name.startswith("."))

    def free_mb(self) -> int:
        """
        Measure the free space of the spool's file system, in MiB.

        Raises:
            Unavailable: the spool is away.
        """
        try:
            return shutil.disk_usage(self.claimed).free // 2**20
        except OSError as error:
            raise _unavailable(error) from None


def _make_writable(key: str, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{uuid.uuid4()}{PART}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        if error.errno == ENOSPC:
            raise _unavailable(error) from None
        msg = f"{key}: {folder}: {error.strerror}"
        raise StartupError(msg) from None


def _unavailable(error: OSError) -> Unavailable:
    return Unavailable(f"spool: {error.strerror}")  # never the file's name


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unavailable(error) from error
    return True


def _renamed(source: Path, target: Path) -> bool:
    """Rename a file; False if it must be copied, as bind mounts of one file system refuse too."""
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != EXDEV:
            raise
        return False
    return True
