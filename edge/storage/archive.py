"""The archive: the folders done and failed, and how a file gets there beside its result."""

import logging
import os
from pathlib import Path

from edge.errors import Unavailable
from edge.storage import names
from edge.storage.archive_folders import ArchiveFolders
from edge.storage.claims import Claims
from edge.storage.known_looks import Since
from edge.storage.presence import NO_SUCH, could_be, is_there, unavailable
from edge.storage.sizes import MOST_MB, FileChangedError, unchanged
from edge.system import files, moving
from edge.system.files import Beat
from edge.system.own_copy import own_copy

log = logging.getLogger(__name__)


class Archive(Claims):
    """
    The archive, and the folder of the files that are on their way to it.

    A file has its sender's name there. If the file system does not take that, the file has one that
    is made of its image's id, which every file system takes; the ledger knows the sender's.

    Args:
        claimed: spool/claimed, which exists.
        done: the folder of scored images.
        failed: the folder of rejected ones.
        beat: called while something takes long.
        most_mb: the largest file that is hashed, in MiB.
        state: the state folder, where it is noted which folders those are; None not to note it.
    """

    def __init__(  # noqa: PLR0913 - its folders, and what it needs
        self,
        claimed: Path,
        done: Path,
        failed: Path,
        beat: Beat,
        *,
        most_mb: int = MOST_MB,
        state: Path | None = None,
    ) -> None:
        super().__init__(claimed, beat, most_mb)
        self.done = done
        self.failed = failed
        self._folders = ArchiveFolders(state, (done, failed))

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
        places = _places(self.done if scored else self.failed, name, image_id)
        ours = settled and _is_foreign(path)
        if path.parent != self.claimed and not any(map(is_there, (path, *places))):
            self.demand_folder(path.parent)  # the image lies there, and no receipt beside it here
        # A copy that becomes ours is hashed anyhow; one known to have changed is not even copied.
        doubted = not ours or self.since_hashed(path) is Since.CHANGED
        if doubted and is_there(path) and not self.is_image(path, image_id):
            self.take_back(path, name)
            return places[0] if could_be(places[0]) else places[1]
        try:
            self._folders.demand_disk(places[0].parent)
            target = _put_result(places, payload)
            if not path.exists():
                files.sync_folder(target.parent)
            elif ours:
                self._clear(path, target, image_id, name)
                self._make_ours(path, target, image_id, name)
            elif path != target:
                self._clear(path, target, image_id, name)
                self._move(path, target)
            else:
                files.sync_folder(target.parent)
            if path != target and path.parent in (self.done, self.failed):
                names.result_path(path).unlink(missing_ok=True)
            # Its sender may have gone on meanwhile, or after a kill before the ledger knew.
            if not ours and is_there(target) and not self.is_image(target, image_id):
                self.take_back(target, name)
                names.result_path(target).unlink(missing_ok=True)
        except OSError as error:
            raise unavailable(error) from error
        if target != places[0]:
            log.warning("event=archived_by_id image=%s", image_id[:16])
        return target

    def _clear(self, path: Path, target: Path, image_id: str, name: bytes) -> None:
        """Take back what lies at a file's place with other bytes, or came from there late."""
        if path == target:
            return
        if is_there(target) and not self.is_image(target, image_id):
            self.take_back(target, name)
        self.stranded.extend(self._back.replaced(target))

    def _move(self, path: Path, target: Path) -> None:
        before = files.looks(path)
        try:
            moving.move(path, target, unchanged(path, self._beat))  # syncs the folder of both
        except FileChangedError:  # by and by it is taken back
            names.result_path(target).unlink(missing_ok=True)
            raise
        self._looks.moved(path, target, before)

    def _make_ours(self, path: Path, target: Path, image_id: str, name: bytes) -> None:
        made = moving.is_gone(target)
        if not own_copy(path, target, image_id, self._beat):
            self.take_back(path, name)
            names.result_path(target).unlink(missing_ok=True)
        elif path != target:
            moving.remove_copied(path, target, made=made)
        files.sync_folder(target.parent)

    def locate(self, path: Path, image_id: str, name: bytes) -> Path | None:
        """
        Find an image's file: at `path`, or in the archive, if a kill came before the ledger knew.

        Raises:
            Unavailable: the spool is away, or the folder of the archive in which it would lie.
        """
        if not self.present():
            msg = "spool: it is away"
            raise Unavailable(msg)
        archived = (_places(folder, name, image_id) for folder in (self.done, self.failed))
        places = (path, *(place for both in archived for place in both))
        found = next((place for place in places if is_there(place)), None)
        if found is None and path.parent != self.claimed:
            self.demand_folder(path.parent)
        return found

    def demand_folder(self, folder: Path) -> None:
        """
        Refuse to take a file of the archive for gone that is away with its folder.

        Raises:
            Unavailable: the folder, or its mount, is away; the text says what to do.
        """
        try:
            self._folders.demand(folder)
        except OSError as error:
            msg = f"archive: {error.strerror}"
            raise Unavailable(msg) from error

    def is_away(self, folder: Path) -> bool:
        """Tell if a folder of the archive, or its mount, is away, or nobody can tell."""
        try:
            self.demand_folder(folder)
        except Unavailable:
            return True
        return False


def _places(folder: Path, name: bytes, image_id: str) -> tuple[Path, Path]:
    """Return the place that a file gets in a folder, and the one it gets if that cannot be."""
    own, plain = names.archive_name(name, image_id), names.plain_archive_name(name, image_id)
    return folder / own, folder / plain


def _put_result(places: tuple[Path, Path], payload: bytes) -> Path:
    """
    Write a result beside the place of its image, whose name is shorter, so it can be there, too.

    Returns:
        The place of the image: the second one if the file system does not take the first name.

    Raises:
        OSError: the disk or the permissions do not let us.
    """
    own, plain = places
    try:
        files.put(names.result_path(own), (payload,))
    except OSError as error:
        if error.errno not in NO_SUCH:
            raise
        files.put(names.result_path(plain), (payload,))
        return plain
    return own


def _is_foreign(path: Path) -> bool:
    """Tell if a file is another user's; none is not."""
    try:
        return path.lstat().st_uid != os.geteuid()
    except OSError:
        return False
