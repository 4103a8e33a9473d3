"""
Pictures that workers drew of images, for the page: a folder for each image in the state folder.

A picture lives no longer than its image's file. One lock keeps a picture from being written while
its image is erased or pruned; whoever takes it takes it before the ledger's.
"""

import math
import os
import shutil
from collections.abc import Callable, Container, Iterable
from pathlib import Path
from threading import Lock
from typing import Final

from edge.system.files import sync_folder, whole

FOLDER: Final = "pictures"
PICTURE: Final = ".jpg"
SMALL: Final = ".small.jpg"
"""The ending of a small picture, for lists and exams."""
NUMBER: Final = 2
"""Files of an image."""


class AllRefusedError(OSError):
    """Each picture that there is was to be removed, and none could be."""


class Pictures:
    """
    The folder of pictures; it need not exist.

    Args:
        state: the state folder.
    """

    def __init__(self, state: Path) -> None:
        self.lock = Lock()
        """Held while a picture is written, and while images are erased or pruned."""
        self._folder = state / FOLDER

    def keep(
        self, image_id: str, result_id: str, files: dict[str, bytes], wanted: Callable[[], bool]
    ) -> bool:
        """
        Write the pictures of an image in place of its older ones.

        Args:
            image_id: of the image.
            result_id: of the result that the picture shows.
            files: bytes by ending.
            wanted: tells, under the lock, if the image is there still.

        Returns:
            False if it was not wanted.

        Raises:
            OSError: the disk is full or failing; nothing is left of it.
        """
        with self.lock:
            if not wanted():
                return False
            self.remove(image_id)
            try:
                self._write(image_id, result_id, files)
            except BaseException:
                self.remove(image_id)
                raise
        return True

    def _write(self, image_id: str, result_id: str, files: dict[str, bytes]) -> None:
        folder = self._folder / image_id
        folder.mkdir(parents=True)
        for ending, data in files.items():
            with whole(folder / f"{result_id}{ending}") as writing:
                writing.write(data)
        sync_folder(folder)
        os.utime(self._folder)  # now is when the page looks again

    def remove(self, image_id: str) -> None:
        """
        Remove all pictures of an image, if there are any; under the lock.

        Raises:
            OSError: they cannot be removed.
        """
        folder = self._folder / image_id
        if folder.is_dir():
            shutil.rmtree(folder)
            sync_folder(self._folder)

    def remove_oldest(self, limit: int) -> int:
        """
        Make room: remove the pictures of the images that were drawn first; returns their number.

        Raises:
            AllRefusedError: each was tried, and none of them can be removed.
            OSError: they cannot be listed, so that nobody knows if some could be.
        """
        with self.lock:
            oldest_first = sorted(self._all(), key=_date)
            removed, failed = self._remove_some((one.name for one in oldest_first), limit)
        if failed and not removed:
            raise AllRefusedError(*failed.args) from failed
        return removed

    def sweep(self, kept: Container[str]) -> None:
        """
        Remove what a kill left half written, and pictures of images that are not kept.

        Raises:
            OSError: something cannot be removed; all else is.
        """
        with self.lock:
            found = self._all()
            unwanted = (one.name for one in found if one.name not in kept or not _is_whole(one))
            _, failed = self._remove_some(unwanted, len(found))
        if failed:
            raise failed

    def _remove_some(self, image_ids: Iterable[str], limit: int) -> tuple[int, OSError | None]:
        """
        Remove the pictures of as many images; one that cannot be removed keeps none of the others.

        Returns:
            The number of those that went, and an error if some did not.
        """
        removed, failed = 0, None
        for image_id in image_ids:
            if removed == limit:
                break
            try:
                self.remove(image_id)
                removed += 1
            except OSError as error:
                failed = error
        return removed, failed

    def _all(self) -> list[Path]:
        """List the folders of images; what else lies there is not ours."""
        try:
            found = list(self._folder.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [path for path in found if _may_be_folder(path)]


def _may_be_folder(path: Path) -> bool:
    """Tell if this is a folder; also one that cannot be looked at, which is to keep no others."""
    try:
        return path.is_dir()
    except OSError:
        return True


def _date(folder: Path) -> float:
    """Return when a folder was changed; one that cannot be looked at comes after all others."""
    try:
        return folder.stat().st_mtime
    except OSError:
        return math.inf


def _is_whole(folder: Path) -> bool:
    try:
        found = [path.name for path in folder.iterdir()]
    except OSError:  # it is drawn anew
        return False
    return len(found) == NUMBER and all(name.endswith(PICTURE) for name in found)


def find(state: Path, image_id: str, result_id: str, ending: str = PICTURE) -> Path | None:
    """
    Find the picture of a result; None if there is none.

    Args:
        state: the state folder.
        image_id: as the ledger has it.
        result_id: as the ledger has it.
        ending: `PICTURE` or `SMALL`.
    """
    file = state / FOLDER / image_id / f"{result_id}{ending}"
    return file if file.is_file() else None


def changed(state: Path, image_id: str = "") -> int:
    """Return a number that changes with each picture, of an image or of all; 0 for none."""
    try:
        return (state / FOLDER / image_id).stat().st_mtime_ns
    except OSError:
        return 0
