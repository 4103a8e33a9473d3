"""
The files that were taken: out of the inbox, or as the bytes of a request.

A file is in exactly one place that counts, and what a method says is done is on the disk when the
method returns. So a kill at any moment leaves a file in the inbox, in spool/claimed or in the
archive, and the prefix of its name in spool/claimed says whether another copy still counts.
"""

import hashlib
import os
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from errno import EXDEV
from pathlib import Path

from edge.errors import FileTooLargeError, LockedError, Unavailable
from edge.storage import names
from edge.storage.claim import Claim
from edge.storage.inbox_place import inode_at
from edge.storage.known_looks import KnownLooks, Since
from edge.storage.presence import could_be, is_there, unavailable
from edge.storage.sizes import MOST_MB, FileChangedError, demand_room, hash_if_small, unchanged
from edge.storage.taking_back import TakingBack
from edge.system import files
from edge.system.files import Beat, Fingerprint, NotReadyError, fingerprint
from edge.system.held_folder import held


class Claims:
    """
    The folder spool/claimed, and what is known of the files in it and in the archive.

    Args:
        folder: spool/claimed, which exists.
        beat: called while something takes long.
        most_mb: the largest file that is hashed, in MiB.
    """

    def __init__(self, folder: Path, beat: Beat, most_mb: int = MOST_MB) -> None:
        self._beat = beat
        self.claimed = folder
        self.most_mb = most_mb
        self._looks = KnownLooks()
        self._back = TakingBack(beat)
        self.stranded: deque[tuple[Path, bytes]] = deque()
        """
        Files in spool/claimed that nothing records, with their senders' names; from any thread.

        The inbox did not take them back, or their bytes changed after they were recorded.
        """
        files.begin_syncing()

    @contextmanager
    def claiming(
        self,
        path: Path,
        *,
        may_copy: bool,
        below: Path | None = None,
        moved: Callable[[Path], None] = lambda _: None,
        exam: str | None = None,
    ) -> Iterator[Claim]:
        """
        Take a file out of the inbox, hash it, and keep it if the block records it.

        In the block the file is ours, hashed and on the disk. If it changed while it was hashed, or
        if the block raises anything, the file goes back to the inbox. One that the inbox does not
        take back is kept: see `stranded`.

        Args:
            path: a regular file.
            may_copy: true if it may be copied from another mount, as its writer has finished.
            below: the inbox, out of which no link in the place of a folder leads; None for the
                file's own folder.
            moved: told where it lies in the spool before it is hashed. Not told of a copy, which
                nobody takes up after a kill.
            exam: keyed hash of the exam that its folder stands for.

        Raises:
            NotReadyError: it is gone, changed while we hashed it, or would have to be copied.
            Unavailable: the disk or the permissions do not let us.
        """
        inbox = inode_at(below) if below else None  # its mount may go while the file is copied
        with held(path.parent, below or path.parent) as folder:
            here = folder / path.name
            before = fingerprint(here)
            claim = self._taken(here, before, may_copy=may_copy, exam=exam)
            if claim.origin is None:
                moved(claim.path)
            else:
                claim = replace(claim, origin=(path, before), inbox=inbox)
            try:
                yield self._hashed(claim, here, before)
            except BaseException:
                if not claim.give_back(here):
                    self.stranded.append((claim.path, claim.name))
                raise
        if claim.seen is not None:
            self._looks.note(path, claim.seen)

    def _taken(self, path: Path, before: Fingerprint, *, may_copy: bool, exam: str | None) -> Claim:
        original = os.fsencode(path.name)
        name = self._claim_name(original, exam)
        target = self.claimed / (names.RENAMED + name)
        claim = Claim(target, original, exam=names.exam_before_claim(target))
        try:
            if not self._renamed(path, claim.path):
                if not may_copy:
                    raise NotReadyError
                target = self.claimed / (names.COPIED + name)
                seen = files.looks(path)
                demand_room(self.claimed, seen[1])
                claim = replace(claim, path=target, origin=(path, before), seen=seen)
                files.copy(path, target, unchanged(path, self._beat))
        except FileChangedError:  # its writer goes on
            raise NotReadyError from None
        except FileNotFoundError:
            raise (NotReadyError if self.present() else Unavailable("spool: it is away")) from None
        except OSError as error:
            raise unavailable(error) from error
        return claim

    def _claim_name(self, name: bytes, exam: str | None, unique: uuid.UUID | None = None) -> str:
        """Name a file in spool/claimed, by less of its sender's name if the whole is too long."""
        made = names.claim_name(name, exam, unique=unique)
        if could_be(self.claimed / (names.RENAMED + made)):
            return made
        return names.claim_name(name, exam, names.SHORT_NAME_BYTES, unique)

    def _renamed(self, source: Path, target: Path) -> bool:
        """Rename a file; False if it must be copied, as bind mounts of one file system refuse."""
        try:
            source.rename(target)
        except OSError as error:
            if _has_moved(source, target):  # a server moved it and did not say so
                return True
            if error.errno == EXDEV:
                return False
            if isinstance(error, PermissionError) and os.access(self.claimed, os.W_OK | os.X_OK):
                msg = "inbox: a folder does not let its files be removed"
                raise LockedError(msg) from None
            raise
        return True

    def _hashed(self, claim: Claim, source: Path, before: Fingerprint) -> Claim:
        try:
            taken = files.looks(claim.path)
            image_id = hash_if_small(claim.path, self._beat, self.most_mb)
            files.sync_folder(claim.path.parent)
            still = fingerprint(source if claim.origin else claim.path)[2:] == before[2:]
            still = still and files.looks(claim.path) == taken
            still = still and (claim.seen is None or files.looks(source) == claim.seen)
        except OSError:
            still = False
        if not still:  # its writer goes on
            raise NotReadyError
        self._looks.note(claim.path, taken, alone=claim.origin is not None)
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
        except BaseException:
            with suppress(OSError):  # the broker's copy counts, and the next start drops this one
                claim.path.unlink(missing_ok=True)
            raise

    def _received(self, data: bytes) -> Claim:
        target = self.claimed / f"{names.REQUESTED}{uuid.uuid4()}"
        try:
            demand_room(self.claimed, len(data))
            files.write(target, data)
            self._looks.note(target, files.looks(target), alone=True)
        except OSError as error:
            with suppress(OSError):  # whole, but not on the disk for sure: each try would leave one
                target.unlink(missing_ok=True)
            raise unavailable(error) from error
        return Claim(target, names.REQUEST, hashlib.sha256(data).hexdigest())

    def claim_anew(self, path: Path, name: bytes) -> Path:
        """
        Move a claimed file that has changed, so that it can be recorded as another image.

        Raises:
            Unavailable: the disk does not let us.
        """
        known = names.exam_before_claim(path) if path.parent == self.claimed else None

        def target(unique: uuid.UUID) -> Path:
            return self.claimed / (names.RENAMED + self._claim_name(name, known, unique))

        try:
            return self._back.take(path, name, target)
        except OSError as error:
            raise unavailable(error) from error

    def rehash(self, path: Path, name: bytes | None = None, image_id: str | None = None) -> Claim:
        """
        Hash a file in spool/claimed that the ledger does not know, or knows as other bytes.

        Args:
            path: the file.
            name: the sender's name of it; None to read it from the file's name.
            image_id: of the image whose bytes it should have; until it has them, it counts as
                changed. None if it is taken for whatever it is.

        Raises:
            Unavailable: it cannot be read.
            FileTooLargeError: it has grown so large that it would keep all others waiting.
        """
        try:
            before = files.looks(path)
            found = hash_if_small(path, self._beat, self.most_mb)
            if image_id not in {None, found}:
                self._looks.note_other(path)
            elif files.looks(path) == before:
                self._looks.note(path, before)
                self._back.drop(path)
        except OSError as error:
            raise unavailable(error) from error
        name = names.name_before_claim(path) if name is None else name
        return Claim(path, name, found, exam=names.exam_before_claim(path))

    def since_hashed(self, path: Path) -> Since:
        """Tell if a file looks as it did when it had its image's bytes; unknown if it is gone."""
        try:
            return self._looks.since(path)
        except OSError:
            return Since.UNKNOWN

    def is_image(self, path: Path, image_id: str) -> bool:
        """
        Tell if a file has the bytes of an image still; one that alone cannot be read is believed.

        Raises:
            Unavailable: no file can be read now, as too many are open say.
        """
        if self.since_hashed(path) is Since.SAME:
            return True
        try:
            return self.rehash(path, b"", image_id).image_id == image_id
        except FileTooLargeError:
            return False
        except Unavailable as error:
            if getattr(error.__cause__, "errno", None) in files.OF_ALL:
                raise
            return True

    def take_back(self, path: Path, name: bytes) -> None:
        """
        Move a file whose bytes are no longer its image's into spool/claimed; see `stranded`.

        Raises:
            Unavailable: the disk does not let us, or does not say so: see `strand_arrived`.
        """
        try:
            self.stranded.append((self.claim_anew(path, name), name))
        except Unavailable:
            self.stranded.extend(self._back.arrived([path]))
            raise

    def strand_arrived(self) -> None:
        """Strand what `take_back` moved although it failed, as a server may do late and unheard."""
        self.stranded.extend(self._back.arrived(self._back.tried()))

    def present(self) -> bool:
        """
        Tell if the spool is there, and not only the empty folder on which it is mounted.

        Raises:
            Unavailable: the disk is failing.
        """
        return is_there(self.claimed)


def _has_moved(source: Path, target: Path) -> bool:
    """Tell if a file lies at its new place, and not only a copy of one that was not removed."""
    try:
        there = target.lstat()
    except OSError:
        return False
    try:
        return source.lstat().st_ino == there.st_ino  # a cache may still show it at the old one
    except OSError:
        return True
